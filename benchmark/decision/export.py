"""A trained policy as one ONNX file: a whole decision, its state in and out, for use without dsbench.

Its metadata, and a JSON file beside it, say what goes in and comes out and how to act with it. Before anything is written
the model is compared with what `DecisionSequence.act` does, over decisions that begin two episodes.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor, nn

from dsbench.backbones.compiled.functional import portable_copy
from dsbench.backbones.compiled.onnx_step import OPSET, export_onnx, session
from dsbench.backbones.state import State, flatten, unflatten
from dsbench.decision.encoders import BoxEncoder, DictEncoder, tensor_type
from dsbench.decision.export_description import METADATA_KEY, describe, example_of
from dsbench.decision.heads import Categorical
from dsbench.decision.returns import ReturnEncoder
from dsbench.decision.times import TableTime
from dsbench.decision.wrapper import DecisionSequence
from dsbench.errors import UsageError
from dsbench.files import to_json, write_atomic

BOUND = 1e-5  # largest accepted gap, relative to the largest value and absolute below 1
PART = "observation/"  # how the name of a part of a dictionary begins
DECISIONS, EPISODE = 20, 11  # of the comparison: decisions, and after how many an episode begins anew


class Origin(NamedTuple):
    """Where a policy comes from: run, environment and the return that it was asked for there (None: not conditioned)."""

    run: str
    environment: str
    target_return: float | None


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
        decided = ["action", "logits"] if policy.discrete else ["action"]
        self.outputs = [*decided, *(f"new_{name}" for name in self.state_names)]

    def forward(self, *values: Tensor) -> tuple[Tensor, ...]:
        named = dict(zip(self.inputs, values, strict=True))
        state = unflatten({name: named[f"state/{name}"] for name in self.initial}, self._like)
        decided, state = decide(self.policy, named, state)
        flat = flatten(state)
        return *decided, *(flat[name].to(first.dtype) for name, first in self.initial.items())

    def given(self, sample: dict[str, Tensor]) -> dict[str, Tensor]:
        """The entries of a sample that this policy looks at."""
        unused = {"return_to_go": self.policy.return_encoder is None, "timestep": self.policy.time is None}
        unused |= {"previous_action": self.policy.action_encoder is None, "action_mask": not self.policy.discrete}
        return {name: value for name, value in sample.items() if not unused.get(name, False)}

    def sample(self, rng: np.random.Generator) -> dict[str, Tensor]:
        """Random arguments of a decision as the policy's data had them, each (1, ...)."""
        policy = self.policy
        encoder, space = policy.observation_encoder, policy.observation_space
        seen = _seen(encoder, space, rng)
        parts = {PART + key: value for key, value in seen.items()} if isinstance(seen, dict) else {"observation": seen}
        action = policy.no_action(1, torch.device("cpu"))
        if policy.bounds is None:
            action += int(rng.integers(policy.head.out_features))
        else:
            action = policy.bounds(torch.from_numpy(rng.normal(size=action.shape)))
        allowed = rng.random((1, policy.head.out_features)) < 0.5
        allowed[0, int(rng.integers(allowed.shape[1]))] = True
        return {
            **parts,
            "return_to_go": _asked(policy.return_encoder, rng),
            "previous_action": action,
            "first": torch.tensor([False]),
            "timestep": torch.tensor([0]),
            "action_mask": torch.from_numpy(allowed),
        }


def decide(policy: DecisionSequence, named: dict[str, Tensor], state: State) -> tuple[list[Tensor], State]:
    """What `DecisionSequence.act` does, with arguments by their names in the file: the action, logits, the new state."""
    parts = {name.removeprefix(PART): value for name, value in named.items() if name.startswith(PART)}
    first = named["first"]
    distribution, state = policy.distribution_at(
        parts or named["observation"],
        state,
        return_to_go=named.get("return_to_go", torch.zeros(1)),
        previous_action=named.get("previous_action"),
        first=first,
        timestep=named.get("timestep", torch.zeros_like(first, dtype=torch.long)),
        action_mask=named.get("action_mask"),
    )
    if isinstance(distribution, Categorical):
        return [distribution.mode(), distribution.logits], state
    assert policy.bounds is not None
    return [policy.bounds(distribution.mode())], state


def _seen(encoder: nn.Module, space: gym.Space[Any], rng: np.random.Generator) -> Any:
    """(1, ...) what an encoder was fitted to; a dictionary of it where the space is one."""
    if isinstance(encoder, DictEncoder):
        return {key: _seen(part, space[key], rng) for key, part in encoder.by_key.items()}  # type: ignore[index]
    if isinstance(encoder, BoxEncoder):
        near = encoder.mean.numpy() + encoder.std.numpy() * rng.normal(size=len(encoder.mean))
        near = np.clip(near.reshape(space.shape), space.low, space.high)  # type: ignore[attr-defined]
        return _row(near.astype(space.dtype))
    space.seed(int(rng.integers(2**31)))
    return _row(space.sample())


def _asked(encoder: ReturnEncoder | None, rng: np.random.Generator) -> Tensor:
    """(1,) a return-to-go that is no further from the data's than they are from each other."""
    if encoder is None:
        return torch.zeros(1)
    centre = 0.0 if encoder.return_centre is None else float(encoder.return_centre[0])
    return torch.tensor([centre + float(encoder.return_scale.flatten()[0]) * rng.normal()], dtype=torch.float64)


@torch.no_grad()
def export_model(policy: DecisionSequence, path: Path, origin: Origin | None = None) -> Exported:
    """Write `path` (``.onnx``) and the description beside it (``.json``).

    Args:
        policy: what to write.
        path: the model's file.
        origin: goes into the description.

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
    facts = describe(step, dict(zip(step.inputs, arguments, strict=True))) | {
        "opset": OPSET,
        "trained": origin._asdict() if origin else None,
        "verified": {"decisions": DECISIONS, "largest_gap": gap, "bound": BOUND},
    }
    written = Exported(path, path.with_suffix(".json"), gap)
    write_atomic(path, labelled(model, facts))
    example = example_of(step, path.name, asked=bool(origin and origin.target_return is not None))
    write_atomic(written.description, to_json({"model": path.name, **facts, "example": example}))
    return written


def labelled(model: bytes, facts: dict[str, Any]) -> bytes:
    """`model` that carries `facts` as JSON under the key ``dsbench`` of its metadata."""
    import onnx

    proto = onnx.load_from_string(model)
    onnx.helper.set_model_props(proto, {METADATA_KEY: json.dumps(facts, sort_keys=True, allow_nan=False)})
    text: bytes = proto.SerializeToString()
    return text


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
        carried = dict(zip(step.state_names, found[len(expected) :], strict=True))
        skipped = len(expected) - 1  # an action out of logits: two that all but tie may well change places
        wanted = [*expected[skipped:], *flatten(state).values()]
        gaps += [_gap(a, b.numpy()) for a, b in zip(found[skipped:], wanted, strict=True)]
    return float(np.max(gaps))  # a NaN stays one


def _row(value: Any) -> Tensor:
    """(1, ...)"""
    array = np.asarray(value)[None]
    return torch.from_numpy(array).to(tensor_type(array.dtype))


def _gap(found: np.ndarray, expected: np.ndarray) -> float:
    if not found.size:
        return 0.0
    a, b = found.astype(np.float64), expected.astype(np.float64)
    if not (np.isneginf(a) == np.isneginf(b)).all():
        return float("inf")
    a, b = (np.where(np.isneginf(both), 0.0, both) for both in (a, b))  # logits of what is not allowed
    return float(np.abs(a - b).max() / max(1.0, np.abs(b).max()))
