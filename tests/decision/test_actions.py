"""A decision is one function: evaluation, `act`, an `Actor` and the ONNX file do the same, in the space."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st

from dsbench import rollout
from dsbench.backbones import build
from dsbench.decision import Actor, DecisionSequence
from dsbench.decision.actions import Bounds, NoDecision, for_environment
from dsbench.envs import get_spec
from dsbench.envs.spec import EnvSpec
from dsbench.envs.targets import Target
from dsbench.envs.vector import LoopedEpisodes
from dsbench.episodes import Episodes
from dsbench.errors import UsageError

HORIZON, TARGET = 12, 3.7


class Winding(gym.Env[np.ndarray, Any]):
    """What is seen depends on all that was done, as the environment took it; it refuses what its space does not hold."""

    observation_space = spaces.Box(-np.inf, np.inf, (3,), np.float64)

    def __init__(self, space: spaces.Space[Any], masked: bool = False) -> None:
        self.action_space, self.masked = space, masked
        self.taken: list[np.ndarray] = []

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        self.random = np.random.default_rng(seed)
        self.seen, self.taken = self.random.normal(size=3), []
        return self.seen, self.info()

    def info(self) -> dict[str, Any]:
        if not self.masked:
            return {}
        self.mask = self.random.random(self.action_space.n) < 0.4  # type: ignore[attr-defined]
        self.mask[self.random.integers(len(self.mask))] = True
        return {"action_mask": self.mask}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        assert self.action_space.contains(action), action
        assert not self.masked or self.mask[action]
        self.taken.append(np.array(action))
        push = np.tanh(np.asarray(action, np.float64)).mean()
        self.seen = self.random.normal(size=3) + 0.1 * push
        return self.seen, float(push), False, len(self.taken) == HORIZON, self.info()


EIGHTHS = np.array([-0.1, 0.1, -1.0]), np.array([0.3, 0.7, 1.0])  # no float32 but the last
SPACES = {
    "float32": spaces.Box(np.float32(-0.1), np.float32(0.3), (3,), np.float32),
    "float64 between float32s": spaces.Box(*EIGHTHS, dtype=np.float64),
    "float16": spaces.Box(np.float16(-0.1), np.float16(0.3), (3,), np.float16),
    "open": spaces.Box(np.array([-np.inf, 0, -1]), np.array([0.3, np.inf, 1]), dtype=np.float64),
    "whole": spaces.Box(-3, 5, (2,), np.int64),
    "bytes": spaces.Box(0, 4, (2,), np.uint8),
    "discrete": spaces.Discrete(5),
}


def spec_for(space: spaces.Space[Any], made: list[Winding], masked: bool = False) -> EnvSpec:
    def make(render_mode: str | None = None) -> Winding:
        made.append(Winding(space, masked))
        return made[-1]

    def score(episodes: Episodes) -> dict[str, np.ndarray]:
        return {"return": episodes.returns()}

    return replace(
        get_spec("umbrella"), id="winding-v0", make=make, horizon=HORIZON, score=score, success_metric="return",
        vector=lambda seeds: LoopedEpisodes(make, seeds),
    )  # fmt: skip


def policy_for(space: spaces.Space[Any], backbone: str = "lstm", **wrapper: Any) -> DecisionSequence:
    """At its bounds in most decisions, and between them in some."""
    with torch.random.fork_rng():
        torch.manual_seed(2)
        policy = DecisionSequence(build(backbone, 8), Winding.observation_space, space, **wrapper)
        with torch.no_grad():
            policy.head.weight.mul_(8)
    return policy.eval()


def evaluated(
    policy: DecisionSequence, space: spaces.Space[Any], masked: bool
) -> tuple[list[np.ndarray], rollout.Scores]:
    made: list[Winding] = []
    scores = rollout.evaluate(
        policy, spec_for(space, made, masked), split="eval", episodes=2, seed=5, target=Target(TARGET), decode="argmax"
    )
    return [np.stack(env.taken) for env in made if env.taken], scores  # some are made for their spaces alone


def played(space: spaces.Space[Any], masked: bool, decide: Callable[..., Any]) -> list[np.ndarray]:
    """Actions of the same episodes; `decide` has what a user has: observation, return-to-go, timestep, mask."""
    episodes = []
    for seed in rollout.episode_seeds(5, "eval", 2):
        env, over, to_go = Winding(space, masked), False, TARGET
        observation, info = env.reset(seed=seed)
        while not over:
            action = decide(observation, to_go, len(env.taken), info.get("action_mask"))
            observation, reward, _, over, info = env.step(action)
            to_go -= float(np.float32(reward))
        episodes.append(np.stack(env.taken))
    return episodes


def acting(policy: DecisionSequence) -> Callable[..., Any]:
    """`DecisionSequence.act` in a loop, as its documentation says."""
    memory: dict[str, Any] = {}

    @torch.no_grad()
    def decide(observation: np.ndarray, to_go: float, timestep: int, mask: np.ndarray | None) -> Any:
        if timestep == 0:
            memory.update(state=policy.initial_state(1), action=None)
        memory["action"], memory["state"] = policy.act(
            torch.from_numpy(observation)[None], memory["state"], return_to_go=torch.tensor([to_go], dtype=torch.float64),
            previous_action=memory["action"], first=torch.tensor([timestep == 0]), timestep=torch.tensor([timestep]),
            action_mask=None if mask is None else torch.from_numpy(mask)[None],
        )  # fmt: skip
        return for_environment(memory["action"], policy.action_space)[0]

    return decide


def exported(policy: DecisionSequence, folder: Path) -> Callable[..., Any]:
    """The ONNX file in a loop, by what its description says."""
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    from dsbench.decision.export import export_model

    export_model(policy, folder / "policy.onnx")
    told = json.loads((folder / "policy.json").read_text())
    model = onnxruntime.InferenceSession(folder / "policy.onnx")
    feed: dict[str, np.ndarray] = {}

    def decide(observation: np.ndarray, to_go: float, timestep: int, mask: np.ndarray | None) -> Any:
        if timestep == 0:
            feed.update({one["name"]: np.zeros(one["shape"], one["dtype"]) for one in told["inputs"]})
        feed["observation"][0], feed["return_to_go"][0] = observation, to_go
        feed["timestep"][0], feed["first"][0] = timestep, timestep == 0
        if "action_mask" in feed:
            feed["action_mask"][0] = True if mask is None else mask
        out = dict(zip([one["name"] for one in told["outputs"]], model.run(None, feed), strict=True))
        feed.update({old: out[new] for old, new in told["state"].items()}, previous_action=out["action"])
        return out["action"][0]

    return decide


@pytest.mark.parametrize(("name", "masked"), [*((name, False) for name in SPACES), ("discrete", True)])
def test_evaluation_act_and_the_file_do_the_same_over_whole_episodes(name: str, masked: bool, tmp_path: Path) -> None:
    space = SPACES[name]
    policy = policy_for(space)
    reference, scores = evaluated(policy, space, masked)
    assert [len(actions) for actions in reference] == [HORIZON, HORIZON]
    if isinstance(space, spaces.Box):
        at_a_bound = [((actions == space.low) | (actions == space.high)).any() for actions in reference]
        assert all(at_a_bound)
        assert (scores.metrics["clipped_actions"] > 0).all()
    else:
        assert len(np.unique(reference)) > 1
    for decide in (acting(policy), exported(policy, tmp_path)):
        for expected, found in zip(reference, played(space, masked, decide), strict=True):
            assert found.dtype == expected.dtype == space.dtype
            np.testing.assert_allclose(found.astype(float), expected.astype(float), rtol=0, atol=1e-5)
            if isinstance(space, spaces.Box):  # at the bounds the very same number
                at = (expected == space.low) | (expected == space.high)
                np.testing.assert_array_equal(found[at], expected[at])


@pytest.mark.parametrize("acting_as", [{}, {"acting": "windowed", "window": HORIZON}, {"compiled": True}], ids=str)
def test_an_actor_does_what_act_does(acting_as: dict[str, Any]) -> None:
    if acting_as.get("compiled"):
        pytest.importorskip("onnxruntime")
        pytest.importorskip("onnxscript")
    space = SPACES["float64 between float32s"]
    policy = policy_for(space, "gpt")
    actor, previous = Actor(policy, 1, **acting_as), None

    def decide(observation: np.ndarray, to_go: float, timestep: int, mask: Any) -> Any:
        nonlocal previous
        previous = actor.act(
            torch.from_numpy(observation)[None], return_to_go=torch.tensor([to_go]), previous_action=previous,
            first=torch.tensor([timestep == 0]), timestep=torch.tensor([timestep]),
        )  # fmt: skip
        return for_environment(previous, space)[0]

    for expected, found in zip(played(space, False, acting(policy)), played(space, False, decide), strict=True):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


NUMBERS = {
    "float16": 1e4, "float32": 1e30, "float64": 1e300, "int8": 100, "int32": 2**31 - 1, "int64": 2**63 - 1, "uint8": 255,
    "uint32": 2**32 - 1,
}  # fmt: skip


@given(st.sampled_from(sorted(NUMBERS)), st.data())
@settings(max_examples=200, deadline=None)
def test_whatever_a_policy_wants_is_done_inside_the_space(name: str, data: st.DataObject) -> None:
    dtype, most = np.dtype(name), NUMBERS[name]
    least = 0 if dtype.kind == "u" else -most
    if dtype.kind == "f":
        least, most = float(dtype.type(least)), float(dtype.type(most))
        number = st.floats(least, most, allow_nan=False, width={"float16": 16, "float32": 32}.get(name, 64))
    else:
        number = st.integers(least, most)
    edges = sorted([data.draw(number), data.draw(number)])
    space = spaces.Box(np.array([edges[0]], dtype), np.array([edges[1]], dtype), dtype=dtype.type)
    wanted = data.draw(st.floats(width=32, allow_nan=False, allow_infinity=False))
    bounds = Bounds(space)
    done = for_environment(bounds(torch.tensor([[wanted]])), space)
    assert space.contains(done[0]), (space, wanted, done)
    if edges[0] <= wanted <= edges[1] and dtype.kind == "f":  # what is inside stays, as the space's type rounds it
        assert done[0, 0] == dtype.type(wanted)
    if dtype.kind != "f" and max(map(abs, edges)) < 2**24 and abs(wanted) < 2**24:
        assert done[0, 0] == np.clip(np.rint(wanted), *edges)


def test_whole_numbers_are_rounded_and_rounding_is_no_clipping() -> None:
    bounds = Bounds(spaces.Box(-3, 5, (2,), np.int64))
    raw = torch.tensor([[1.4, 1.6], [4.9, 5.4], [5.6, 0.0]])
    assert bounds(raw).tolist() == [[1, 2], [5, 5], [5, 0]]
    assert bounds.leaves(raw).tolist() == [False, False, True]


@pytest.mark.parametrize("space", [spaces.Box(-1, 1, (2,), np.float32), spaces.Discrete(3)], ids=str)
@pytest.mark.parametrize("decode", ["argmax", "sample"])
def test_what_is_no_number_is_no_decision(space: spaces.Space[Any], decode: Any) -> None:
    policy = policy_for(space)
    with torch.no_grad():
        policy.head.bias[0] = float("nan")
    with pytest.raises(NoDecision, match="not finite"):
        act(policy, decode=decode)
    with torch.no_grad():
        policy.head.bias[0] = 0
    with pytest.raises(NoDecision, match="not finite"):
        act(policy, observation=torch.tensor([[0.0, float("nan"), 0.0]]), decode=decode)


def act(policy: DecisionSequence, observation: Any = None, **given: Any) -> torch.Tensor:
    with torch.no_grad():
        return policy.act(
            torch.zeros(1, 3) if observation is None else observation, policy.initial_state(1), return_to_go=torch.zeros(1),
            previous_action=None, first=torch.tensor([True]), timestep=torch.tensor([0]), **given,
        )[0]  # fmt: skip


@pytest.mark.parametrize("dtype", [torch.bool, torch.int8, torch.int64, torch.uint8])
def test_masks_of_any_type_forbid_alike(dtype: torch.dtype) -> None:
    policy = policy_for(spaces.Discrete(5))
    for allowed in range(5):
        mask = torch.zeros(1, 5, dtype=dtype)
        mask[0, allowed] = 1
        for decode in ("argmax", "sample"):
            assert act(policy, action_mask=mask, decode=decode).tolist() == [allowed]


def test_masks_that_do_not_fit_are_refused() -> None:
    with pytest.raises(UsageError, match=r"mask has shape \(1, 4\); expected \(1, 5\)"):
        act(policy_for(spaces.Discrete(5)), action_mask=torch.ones(1, 4, dtype=torch.bool))
    with pytest.raises(UsageError, match="mask stands beside continuous actions"):
        act(policy_for(SPACES["float32"]), action_mask=torch.ones(1, 3, dtype=torch.bool))


@pytest.mark.parametrize(
    ("low", "high", "dtype"),
    [
        (-1, np.inf, "float32"),
        (-np.inf, 1, "float64"),
        (-np.inf, np.inf, "float32"),
        (-1e300, 1e300, "float64"),
        (-3e38, 3e38, "float32"),
    ],
)
def test_tanh_has_nowhere_to_reach_without_bounds(low: float, high: float, dtype: str) -> None:
    space = spaces.Box(np.array([-1, low], dtype), np.array([1, high], dtype), dtype=np.dtype(dtype).type)
    with pytest.raises(
        UsageError,
        match=r"action_tanh=true scales .* entry 1 of it reaches .*; expected finite bounds: set wrapper\.action_tanh",
    ):
        policy_for(space, action_tanh=True)
    policy_for(space)
    policy_for(spaces.Discrete(2), action_tanh=True)


def test_tanh_never_counts_as_clipped() -> None:
    space = SPACES["float64 between float32s"]
    policy = policy_for(space, action_tanh=True)
    with torch.no_grad():
        policy.head.weight.mul_(1e3)
    actions, scores = evaluated(policy, space, masked=False)
    assert (actions[0] == space.high).any() and (actions[0] == space.low).any()  # type: ignore[attr-defined]
    assert not scores.metrics["clipped_actions"].any()


@pytest.mark.parametrize("seen", [6, 1, -1, 2**40])
def test_a_number_that_is_not_of_the_space_is_no_other_one(seen: int) -> None:
    space = spaces.Dict({"room": spaces.Discrete(4, start=2), "speed": spaces.Box(-1, 1, (1,), np.float32)})
    policy = DecisionSequence(build("lstm", 8), space, spaces.Discrete(2)).eval()
    with pytest.raises(UsageError, match=rf"part 'room' is {seen}; expected a whole number from 2 to 5"):
        act(policy, {"room": torch.tensor([seen]), "speed": torch.zeros(1, 1)})
    with pytest.raises(UsageError, match="expected a whole number from 2 to 5"):
        Actor(policy, 1).act(
            {"room": torch.tensor([seen]), "speed": torch.zeros(1, 1)}, return_to_go=torch.zeros(1), previous_action=None,
            first=torch.tensor([True]), timestep=torch.tensor([0]),
        )  # fmt: skip
