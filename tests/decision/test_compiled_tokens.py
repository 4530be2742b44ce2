"""Compiled tokens are the wrapper's tokens, whatever it looks at, and acting on them decides the same."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces

from dsbench.backbones import build
from dsbench.decision import Actor, DecisionSequence

pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")
from dsbench.decision.compiled_tokens import CompiledTokens

ROWS, WIDTH, BOUND = 3, 8, 1e-6
NUMBERS = spaces.Box(-np.inf, np.inf, (4,), np.float32)
OBSERVATIONS: dict[str, gym.Space[Any]] = {
    "numbers": NUMBERS,
    "wide numbers": spaces.Box(-1, 1, (2, 3), np.float64),
    "discrete": spaces.Discrete(5, start=2),
    "image": spaces.Box(0, 255, (16, 16, 3), np.uint8),
    "parts": spaces.Dict({"seen": NUMBERS, "room": spaces.Discrete(3)}),
}
LAYOUTS: dict[str, dict[str, Any]] = {
    "joint": {},
    "separate": {"tokens": "separate"},
    "cloning": {"condition": "none"},
    "separate cloning": {"tokens": "separate", "condition": "none", "previous_action": False},
    "without action and time": {"previous_action": False, "time": "none"},
    "a table of timesteps": {"tokens": "separate", "time": "table", "max_timestep": 40, "embedding_norm": True},
    "concatenated": {"combine": "concat", "encoder_width": 4, "encoder_activation": "relu", "embedding_dropout": 0.5},
}


def policy_of(observation: gym.Space[Any], action: gym.Space[Any] | None = None, **wrapper: Any) -> DecisionSequence:
    torch.manual_seed(0)
    return DecisionSequence(build("lstm", WIDTH), observation, action or spaces.Discrete(4), **wrapper).eval()


def arguments(policy: DecisionSequence, seed: int) -> tuple[Any, ...]:
    """Of `decision_tokens`, as environments give them."""
    space, rng = policy.observation_space, np.random.default_rng(seed)
    space.seed(seed)
    samples = [space.sample() for _ in range(ROWS)]
    if isinstance(space, spaces.Dict):
        seen: Any = {key: torch.from_numpy(np.stack([one[key] for one in samples])) for key in space}
    else:
        seen = torch.from_numpy(np.stack(samples))
    shape = (ROWS, *policy.action_shape)
    action = torch.from_numpy(
        rng.integers(0, 4, shape) if policy.discrete else rng.normal(size=shape).astype("float32")
    )
    first = torch.from_numpy(rng.random(ROWS) < 0.5)
    return (
        seen,
        torch.from_numpy(rng.normal(size=ROWS)).float(),
        action,
        first,
        torch.from_numpy(rng.integers(0, 40, ROWS)),
    )


def assert_same(policy: DecisionSequence) -> None:
    compiled = CompiledTokens(policy, ROWS)
    for seed in range(3):
        given = arguments(policy, seed)
        with torch.no_grad():
            expected = policy.decision_tokens(*given)
        found = compiled(*given)
        for ours, theirs in ((found.before_reset, expected.before_reset), (found.after_reset, expected.after_reset)):
            assert len(ours) == len(theirs)
            for one, other in zip(ours, theirs, strict=True):
                torch.testing.assert_close(one, other, atol=BOUND, rtol=BOUND)


@pytest.mark.parametrize("space", OBSERVATIONS)
def test_tokens_of_every_kind_of_observation(space: str) -> None:
    assert_same(policy_of(OBSERVATIONS[space]))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_tokens_of_every_layout(layout: str) -> None:
    assert_same(policy_of(NUMBERS, **LAYOUTS[layout]))


def test_tokens_after_continuous_actions() -> None:
    assert_same(policy_of(NUMBERS, spaces.Box(-2, 2, (3,), np.float32)))


def test_they_are_those_of_the_parameters_when_they_were_made() -> None:
    policy = policy_of(NUMBERS)
    compiled, given = CompiledTokens(policy, ROWS), arguments(policy, 0)
    before = compiled(*given).after_reset[0].clone()
    with torch.no_grad():
        policy.head.weight.add_(1.0)
        next(policy.observation_encoder.parameters()).add_(1.0)
    assert torch.equal(compiled(*given).after_reset[0], before)
    assert not torch.equal(CompiledTokens(policy, ROWS)(*given).after_reset[0], before)


@pytest.mark.parametrize("layout", ["joint", "separate"])
def test_a_compiled_actor_decides_as_an_eager_one_through_two_episodes(layout: str) -> None:
    policy = policy_of(NUMBERS, tokens=layout)
    actors = [Actor(policy, ROWS, compiled=compiled) for compiled in (False, True)]
    previous: torch.Tensor | None = None
    for decision in range(12):
        seen, asked, *_ = arguments(policy, decision)
        at = torch.full((ROWS,), decision % 7)
        logits = [
            actor.distribution(seen, return_to_go=asked, previous_action=previous, first=at == 0, timestep=at).logits  # type: ignore[attr-defined]
            for actor in actors
        ]
        torch.testing.assert_close(*logits, atol=1e-5, rtol=1e-5)
        previous = logits[0].argmax(-1)
