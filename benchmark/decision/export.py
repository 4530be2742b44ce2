"""A trained policy as one ONNX file: encoders, backbone step and head, its state in and out, for use without dsbench.

A JSON file beside it says what goes in and comes out and how to act with it. Before anything is written the model is
compared with `DecisionSequence.distribution_at`, over decisions that begin two episodes.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from dsbench.backbones.compiled.functional import portable_copy
from dsbench.backbones.compiled.onnx_step import OPSET, export_onnx, session
from dsbench.backbones.state import State, flatten, unflatten
from dsbench.decision.encoders import TableTime
from dsbench.decision.heads import Categorical
from dsbench.decision.wrapper import DecisionSequence
from dsbench.errors import UsageError
from dsbench.files import to_json, write_atomic

BOUND = 1e-5  # largest accepted gap, relative to the largest value and absolute below 1
DECISIONS, EPISODE = 20, 11  # of the comparison: decisions, and after how many an episode begins anew


class Exported(NamedTuple):
    """What was written, and the largest gap that the comparison saw."""

    model: Path
    description: Path
    gap: float


class DecisionStep(nn.Module):
    """One decision of one row as a function of plain tensors, in the order of `inputs`; returns those of `outputs`."""

    def __init__(self, policy: DecisionSequence) -> None:
        super().__init__()
        self.policy = copy.deepcopy(policy).float().eval().requires_grad_(False)
        self.policy.backbone = portable_copy(self.policy.backbone)
        with torch.no_grad():
            self._like = self.policy.initial_state(1)
        self.initial = flatten(self._like)
        self.state_names = [f"state/{name}" for name in self.initial]
        self.inputs = [*self.given(self.sample(np.random.default_rng(0))), *self.state_names]
        self.outputs = ["logits" if policy.discrete else "action", *(f"new_{name}" for name in self.state_names)]

    def forward(self, *values: Tensor) -> tuple[Tensor, ...]:
        named = dict(zip(self.inputs, values, strict=True))
        state = unflatten({name: named[f"state/{name}"] for name in self.initial}, self._like)
        out, state = decide(self.policy, named, state)
        flat = flatten(state)
        return out, *(flat[name].to(first.dtype) for name, first in self.initial.items())

    def given(self, sample: dict[str, Tensor]) -> dict[str, Tensor]:
        """The entries of a sample that this policy looks at."""
        unused = {"return_to_go": self.policy.return_encoder is None, "timestep": self.policy.time is None}
        unused["previous_action"] = self.policy.action_encoder is None
        return {name: value for name, value in sample.items() if not unused.get(name, False)}

    def sample(self, rng: np.random.Generator) -> dict[str, Tensor]:
        """Random arguments of a decision, each (1, ...)."""
        space = self.policy.observation_space
        space.seed(int(rng.integers(2**31)))
        seen = space.sample()
        parts = {f"observation/{key}": seen[key] for key in seen} if isinstance(seen, dict) else {"observation": seen}
        shape = self.policy.action_shape
        action = (
            np.int64(rng.integers(self.policy.head.out_features)) if self.policy.discrete else rng.normal(size=shape)
        )
        return {
            **{name: _row(value) for name, value in parts.items()},
            "return_to_go": _row(rng.normal()),
            "previous_action": _row(action),
            "first": torch.tensor([False]),
            "timestep": torch.tensor([0]),
        }


def decide(policy: DecisionSequence, named: dict[str, Tensor], state: State) -> tuple[Tensor, State]:
    """`distribution_at` with arguments by their names in the file: logits or the action, and the new state."""
    prefix = "observation/"
    parts = {name.removeprefix(prefix): value for name, value in named.items() if name.startswith(prefix)}
    first = named["first"]
    distribution, state = policy.distribution_at(
        parts or named["observation"],
        state,
        return_to_go=named.get("return_to_go", torch.zeros(1)),
        previous_action=named.get("previous_action"),
        first=first,
        timestep=named.get("timestep", torch.zeros_like(first, dtype=torch.long)),
    )
    return distribution.logits if isinstance(distribution, Categorical) else distribution.mode(), state


@torch.no_grad()
def export_model(policy: DecisionSequence, path: Path) -> Exported:
    """Write `path` (``.onnx``) and the description beside it (``.json``).

    Raises:
        MissingExtra: no onnx here.
        UsageError: another suffix, a policy that cannot be exported, or one whose model differs by more than `BOUND`.
        CannotWrite: no rights, disk full.
    """
    if path.suffix != ".onnx":
        raise UsageError(f"the model's file is {str(path)!r}; expected a name that ends in .onnx")
    step = DecisionStep(policy)
    arguments = [*step.given(step.sample(np.random.default_rng(0))).values(), *step.initial.values()]
    model = export_onnx(step, tuple(arguments), inputs=step.inputs, outputs=step.outputs)
    gap = largest_gap(model, step, policy)
    if not gap <= BOUND:
        raise UsageError(
            f"the ONNX model differs from the policy by {gap:.1e} over {DECISIONS} decisions, expected at most "
            f"{BOUND:.0e}; nothing was written"
        )
    written = Exported(path, path.with_suffix(".json"), gap)
    write_atomic(written.model, model)
    write_atomic(written.description, to_json(describe(step, dict(zip(step.inputs, arguments, strict=True)), written)))
    return written


def largest_gap(model: bytes, step: DecisionStep, policy: DecisionSequence) -> float:
    """Between the model and the policy itself, over `DECISIONS` random decisions and all states on the way."""
    policy = copy.deepcopy(policy).float().eval()
    runner, rng, gaps = session(model), np.random.default_rng(1), []
    episode = min(EPISODE, policy.time.table.num_embeddings) if isinstance(policy.time, TableTime) else EPISODE
    state: State = policy.initial_state(1)
    carried = {name: leaf.numpy() for name, leaf in zip(step.state_names, step.initial.values(), strict=True)}
    for decision in range(DECISIONS):
        named = step.sample(rng)
        named["timestep"] = torch.tensor([decision % episode])
        named["first"] = named["timestep"] == 0
        expected, state = decide(policy, step.given(named), state)
        feed = {name: value.numpy() for name, value in step.given(named).items()}
        found = runner.run(step.outputs, {**feed, **carried})
        carried = dict(zip(step.state_names, found[1:], strict=True))
        gaps += [_gap(a, b.numpy()) for a, b in zip(found, [expected, *flatten(state).values()], strict=True)]
    return float(np.max(gaps))  # a NaN stays one


def describe(step: DecisionStep, arguments: dict[str, Tensor], written: Exported) -> dict[str, Any]:
    """What the file beside the model says."""
    from dsbench import __version__

    shapes = [(1, step.policy.head.out_features), *(tuple(leaf.shape) for leaf in step.initial.values())]
    dtypes = [torch.float32, *(leaf.dtype for leaf in step.initial.values())]
    return {
        "format": "dsbench-policy/1",
        "dsbench": __version__,
        "model": written.model.name,
        "opset": OPSET,
        "backbone": type(step.policy.backbone).__name__,
        "inputs": [
            {"name": name, "dtype": _dtype(value.dtype), "shape": list(value.shape), "meaning": _meaning(name)}
            for name, value in arguments.items()
        ],
        "outputs": [
            {"name": name, "dtype": _dtype(dtype), "shape": list(shape), "meaning": _meaning(name)}
            for name, dtype, shape in zip(step.outputs, dtypes, shapes, strict=True)
        ],
        "state": dict(zip(step.state_names, step.outputs[1:], strict=True)),
        "initial_state": {
            name: _initial(leaf) for name, leaf in zip(step.state_names, step.initial.values(), strict=True)
        },
        "verified": {"decisions": DECISIONS, "largest_gap": written.gap, "bound": BOUND},
        "example": example(step, written).splitlines(),
    }


def example(step: DecisionStep, written: Exported) -> str:
    """A program that acts with the files, with numpy and onnxruntime alone."""
    chosen = 'out["logits"].argmax(-1)' if step.policy.discrete else 'out["action"]'
    again = [f'    feed["first"][:] = False; action = {chosen}']
    if "previous_action" in step.inputs:
        again.append('    feed["previous_action"] = action')
    if "timestep" in step.inputs:
        again.append('    feed["timestep"] += 1')
    return "\n".join(
        [
            "import json, numpy as np, onnxruntime",
            f'spec = json.load(open("{written.description.name}"))',
            f'model = onnxruntime.InferenceSession("{written.model.name}")',
            'feed = {i["name"]: np.zeros(i["shape"], i["dtype"]) for i in spec["inputs"]}',
            'feed["first"][:] = True  # an episode begins: the model itself starts from the initial state',
            "for _ in range(3):  # fill the observation and the return-to-go of feed here",
            '    out = dict(zip([o["name"] for o in spec["outputs"]], model.run(None, feed)))',
            '    feed.update({old: out[new] for old, new in spec["state"].items()})',
            *again,
            "    print(action)",
        ]
    )


_MEANINGS = {
    "observation": "what the environment shows, raw",
    "return_to_go": "return still asked for, raw",
    "previous_action": "action taken one timestep before; ignored where first is true",
    "first": "true at the first decision of an episode; the state passed in is then ignored",
    "timestep": "position in the episode, from 0",
    "logits": "unnormalised log-probabilities of the actions; take the largest, or draw",
    "action": "the action",
    "state": "output new_state of the same name one decision before",
    "new_state": "input state of the same name one decision later",
}


def _meaning(name: str) -> str:
    return _MEANINGS[name.partition("/")[0]]


def _initial(leaf: Tensor) -> dict[str, Any]:
    """One number if all entries are equal, else all of them."""
    if leaf.numel() == 0 or bool((leaf == leaf.flatten()[0]).all()):
        return {"fill": leaf.flatten()[0].item() if leaf.numel() else 0}
    return {"values": leaf.tolist()}


def _row(value: Any) -> Tensor:
    """(1, ...): floats as float32, other numbers as they are, all integers but pixels as int64."""
    array = np.asarray(value)[None]
    if array.dtype.kind == "f":
        return torch.from_numpy(array.astype(np.float32))
    return torch.from_numpy(array if array.dtype == np.uint8 else array.astype(np.int64))


def _dtype(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _gap(found: np.ndarray, expected: np.ndarray) -> float:
    if not found.size:
        return 0.0
    a, b = found.astype(np.float64), expected.astype(np.float64)
    return float(np.abs(a - b).max() / max(1.0, np.abs(b).max()))
