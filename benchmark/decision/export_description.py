"""What an exported policy says of itself in its metadata and in a file beside it, and a program that acts with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from dsbench.decision.wrapper import DecisionSequence

FORMAT = "dsbench-policy/1"
METADATA_KEY = "dsbench"
MEANINGS = {
    "observation": "what the environment shows, raw: the scaling that was fitted in training is inside the model",
    "return_to_go": "return still asked for, raw: the target at an episode's first decision, then less every reward "
    "received",
    "previous_action": "action taken one timestep before; ignored where first is true",
    "first": "true at the first decision of an episode; the state passed in is then ignored",
    "timestep": "position in the episode, from 0",
    "logits": "unnormalised log-probabilities of actions 0, 1, ...; take the largest, or draw; an action that is not "
    "allowed is yours to leave out",
    "action": "the action, in the units of the environment",
    "state": "output new_state of the same name one decision before",
    "new_state": "input state of the same name one decision later",
}


class Step(Protocol):
    """What is described: see `dsbench.decision.export.DecisionStep`."""

    policy: DecisionSequence
    initial: dict[str, Tensor]
    state_names: list[str]
    inputs: list[str]
    outputs: list[str]


def describe(step: Step, arguments: Mapping[str, Tensor]) -> dict[str, Any]:
    """Inputs (by example `arguments`), outputs and state."""
    from dsbench import __version__

    leaves = list(step.initial.values())
    width = step.policy.head.out_features
    results = [torch.zeros(1, width), *leaves]
    return {
        "format": FORMAT,
        "dsbench": __version__,
        "backbone": type(step.policy.backbone).__name__,
        "inputs": [_described(name, value) for name, value in arguments.items()],
        "outputs": [_described(name, value) for name, value in zip(step.outputs, results, strict=True)],
        "state": dict(zip(step.state_names, step.outputs[1:], strict=True)),
        "initial_state": {name: _initial(leaf) for name, leaf in zip(step.state_names, leaves, strict=True)},
    }


def example_of(step: Step, model: str, *, asked: bool) -> Sequence[str]:
    """Lines of a program that acts with the model, with numpy and onnxruntime alone.

    Args:
        step: what was exported.
        model: name of its file.
        asked: whether the metadata hold a target return.
    """
    conditioned = "return_to_go" in step.inputs
    chosen = 'out["logits"].argmax(-1)' if step.policy.discrete else 'out["action"]'
    fill = "the observation and the return-to-go" if conditioned else "the observation"
    lines = [
        "import json, numpy as np, onnxruntime",
        f'model = onnxruntime.InferenceSession("{model}")',
        f'spec = json.loads(model.get_modelmeta().custom_metadata_map["{METADATA_KEY}"])',
        'feed = {i["name"]: np.zeros(i["shape"], i["dtype"]) for i in spec["inputs"]}',
        'feed["first"][:] = True  # an episode begins: the model itself starts from the initial state',
    ]
    if conditioned and asked:
        lines.append('feed["return_to_go"][:] = spec["trained"]["target_return"]  # later: -= reward')
    lines += [
        f"for _ in range(3):  # fill {fill} of feed here",
        '    out = dict(zip([o["name"] for o in spec["outputs"]], model.run(None, feed)))',
        '    feed.update({old: out[new] for old, new in spec["state"].items()})',
        f'    feed["first"][:] = False; action = {chosen}',
    ]
    if "previous_action" in step.inputs:
        lines.append('    feed["previous_action"] = action')
    if "timestep" in step.inputs:
        lines.append('    feed["timestep"] += 1')
    return [*lines, "    print(action)"]


def _described(name: str, value: Tensor) -> dict[str, Any]:
    dtype = str(value.dtype).removeprefix("torch.")
    return {"name": name, "dtype": dtype, "shape": list(value.shape), "meaning": MEANINGS[name.partition("/")[0]]}


def _initial(leaf: Tensor) -> dict[str, Any]:
    """One number if all entries are equal, else all of them."""
    if leaf.numel() == 0 or bool((leaf == leaf.flatten()[0]).all()):
        return {"fill": leaf.flatten()[0].item() if leaf.numel() else 0}
    return {"values": leaf.tolist()}
