"""What an exported policy says of itself in its metadata and in a file beside it, and a program that acts with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from dsbench.decision.wrapper import DecisionSequence

FORMAT = "dsbench-policy/2"  # 1: actions were not put into their space, and there were no masks
METADATA_KEY = "dsbench"
MEANINGS = {
    "observation": "what the environment shows, raw: the scaling that was fitted in training is inside the model",
    "return_to_go": "return still asked for, raw: the target at an episode's first decision, then less every reward "
    "received",
    "previous_action": "action one timestep before, as it came out; ignored where first is true",
    "first": "true at the first decision of an episode; the state passed in is then ignored",
    "timestep": "position in the episode, from 0",
    "action_mask": "true for each action that is allowed now; all true (or all false) where the environment forbids none",
    "action": "what to do: an action that the space holds, of its type, and one that is allowed",
    "logits": "unnormalised log-probabilities of actions 0, 1, ..., -inf where one is not allowed; the action is that of the "
    "largest, draw from them for another",
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
    policy = step.policy
    action = policy.no_action(1, torch.device("cpu"))
    results = [action, *([torch.zeros(1, policy.head.out_features)] if policy.discrete else []), *leaves]
    return {
        "format": FORMAT,
        "dsbench": __version__,
        "backbone": type(step.policy.backbone).__name__,
        "inputs": [_described(name, value) for name, value in arguments.items()],
        "outputs": [_described(name, value) for name, value in zip(step.outputs, results, strict=True)],
        "scaling": _scaling(policy),
        "state": dict(zip(step.state_names, step.outputs[len(results) - len(leaves) :], strict=True)),
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
    fill = "the observation and the return-to-go" if conditioned else "the observation"
    lines = [
        "import json, numpy as np, onnxruntime",
        f'model = onnxruntime.InferenceSession("{model}")',
        f'spec = json.loads(model.get_modelmeta().custom_metadata_map["{METADATA_KEY}"])',
        'feed = {i["name"]: np.zeros(i["shape"], i["dtype"]) for i in spec["inputs"]}',
        'feed["first"][:] = True  # an episode begins: the model itself starts from the initial state',
    ]
    if "action_mask" in step.inputs:
        lines.append(
            'feed["action_mask"][:] = True  # where the environment forbids actions: its mask, at every timestep'
        )
    if conditioned and asked:
        lines.append('feed["return_to_go"][:] = spec["trained"]["target_return"]  # later: -= reward')
    lines += [
        f"for _ in range(3):  # fill {fill} of feed here",
        '    out = dict(zip([o["name"] for o in spec["outputs"]], model.run(None, feed)))',
        '    feed.update({old: out[new] for old, new in spec["state"].items()})',
        '    feed["first"][:] = False; action = out["action"]',
    ]
    if "previous_action" in step.inputs:
        lines.append('    feed["previous_action"] = action')
    if "timestep" in step.inputs:
        lines.append('    feed["timestep"] += 1')
    return [*lines, "    print(action)"]


def _scaling(policy: DecisionSequence) -> dict[str, Any]:
    """What is done inside to the return-to-go: fine and coarse centre and scale, or one scale alone."""
    encoder = policy.return_encoder
    if encoder is None:
        return {}
    centre = None if encoder.return_centre is None else encoder.return_centre.tolist()
    return {"return_centre": centre, "return_scale": encoder.return_scale.tolist()}


def _described(name: str, value: Tensor) -> dict[str, Any]:
    dtype = str(value.dtype).removeprefix("torch.")
    return {"name": name, "dtype": dtype, "shape": list(value.shape), "meaning": MEANINGS[name.partition("/")[0]]}


def _initial(leaf: Tensor) -> dict[str, Any]:
    """One number if all entries are equal, else all of them."""
    if leaf.numel() == 0 or bool((leaf == leaf.flatten()[0]).all()):
        return {"fill": leaf.flatten()[0].item() if leaf.numel() else 0}
    return {"values": leaf.tolist()}
