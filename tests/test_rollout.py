"""Evaluation against planted policies, against stepping gymnasium by hand, and with rows that end apart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import pytest
import torch

from dsbench import rollout
from dsbench.backbones import build
from dsbench.decision import DecisionSequence
from dsbench.decision.actions import NoDecision
from dsbench.envs import get_spec, rolling
from dsbench.envs.spec import EnvSpec
from dsbench.envs.targets import Target
from dsbench.envs.vector import LoopedEpisodes
from dsbench.episodes import Episodes
from dsbench.errors import EnvironmentFault

MakePolicy = Callable[..., DecisionSequence]


def policy_for(spec: EnvSpec, backbone: str = "mlp", **wrapper: Any) -> DecisionSequence:
    env = spec.make()
    wrapper.setdefault("previous_action", backbone != "mlp")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return DecisionSequence(build(backbone, 8), env.observation_space, env.action_space, **wrapper)


def plant(model: DecisionSequence, sign: float = 1.0) -> DecisionSequence:
    """Weights by hand: the token's channel 0 is the need bit's side, blocks add nothing, the head reads it."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if not name.endswith("norm.weight"):
                parameter.zero_()
        model.observation_encoder.linear.weight[0, 0] = 2.0  # type: ignore[index,union-attr]
        model.observation_encoder.linear.bias[0] = -1.0  # type: ignore[index,union-attr]
        model.head.weight[:, 0] = torch.tensor([-sign, sign])
    return model


@pytest.fixture
def umbrella() -> EnvSpec:
    return get_spec("umbrella", chain_length=4, n_distractor=1)


def evaluate(model: DecisionSequence, spec: EnvSpec, **options: Any) -> rollout.Scores:
    settings: dict[str, Any] = {"split": "eval", "episodes": 12, "seed": 3, "target": Target(1.0), "decode": "argmax"}
    return rollout.evaluate(model, spec, **(settings | options))


def test_a_policy_that_reads_the_need_scores_one_and_its_mirror_none(umbrella: EnvSpec) -> None:
    right = evaluate(plant(policy_for(umbrella, time="none")), umbrella).means()
    assert right["first_action_accuracy"] == 1
    assert right["regret"] == 0
    wrong = evaluate(plant(policy_for(umbrella, time="none"), sign=-1), umbrella).means()
    assert wrong["first_action_accuracy"] == 0
    assert wrong["regret"] == 2


def test_returns_equal_stepping_gymnasium_by_hand(umbrella: EnvSpec) -> None:
    scores = evaluate(plant(policy_for(umbrella, time="none")), umbrella)
    by_hand = []
    for seed in rollout.episode_seeds(3, "eval", 12):
        env, total, over = umbrella.make(), 0.0, False
        observation, _ = env.reset(seed=seed)
        while not over:
            observation, reward, terminated, truncated, _ = env.step(int(observation[0] > 0.5))
            total, over = total + float(reward), terminated or truncated
        by_hand.append(total)
    np.testing.assert_array_equal(scores.metrics["return"], by_hand)


def test_seeds_are_a_prefix_differ_by_split_and_episodes_do_not_depend_on_their_number(umbrella: EnvSpec) -> None:
    assert rollout.episode_seeds(3, "eval", 20)[:7] == rollout.episode_seeds(3, "eval", 7)
    assert not set(rollout.episode_seeds(3, "eval", 20)) & set(rollout.episode_seeds(3, "selection", 20))
    model = policy_for(umbrella, "lstm")
    few, many = (evaluate(model, umbrella, episodes=count).metrics["return"] for count in (5, 12))
    np.testing.assert_array_equal(few, many[:5])


def test_chunks_of_rows_change_no_result(umbrella: EnvSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    model = policy_for(umbrella, "lstm")
    whole = evaluate(model, umbrella).metrics["return"]
    monkeypatch.setattr(rolling, "MAX_ROWS", 5)
    np.testing.assert_array_equal(evaluate(model, umbrella).metrics["return"], whole)


def test_sampling_repeats_and_touches_no_global_generator(umbrella: EnvSpec) -> None:
    model = policy_for(umbrella, "lstm").train()
    before = torch.random.get_rng_state()
    first, second = (evaluate(model, umbrella, decode="sample").metrics["return"] for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert model.training


@pytest.mark.parametrize("together", [1, 5, 7])
def test_sampled_episodes_do_not_depend_on_how_many_are_played_or_stepped_together(
    umbrella: EnvSpec, together: int
) -> None:
    model = policy_for(umbrella, "lstm").double()  # so that no rounding of another number of rows decides
    whole = evaluate(model, umbrella, decode="sample", episodes=12).metrics["return"]
    grouped = evaluate(model, replace(umbrella, most_rows=together), decode="sample", episodes=12).metrics["return"]
    np.testing.assert_array_equal(grouped, whole)
    np.testing.assert_array_equal(evaluate(model, umbrella, decode="sample", episodes=4).metrics["return"], whole[:4])


class Countdown(gym.Env[np.ndarray, int]):
    """Ends after 1 to 4 timesteps, as its seed says; rewards 2**t; observation: (timesteps left, return received)."""

    observation_space = gym.spaces.Box(-100.0, 100.0, (2,), np.float32)
    action_space = gym.spaces.Discrete(2)
    reward_at_end = 0.0

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        self.left, self.t, self.total = 1 + (seed or 0) % 4, 0, 0.0
        return self._observe(), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        assert self.left > 0, "stepped after its end"
        reward = 2.0**self.t
        self.left, self.t, self.total = self.left - 1, self.t + 1, self.total + reward
        over = self.left == 0
        return self._observe(), reward + (self.reward_at_end if over else 0), over and self.t % 2 == 0, over, {}

    def _observe(self) -> np.ndarray:
        return np.array([self.left, self.total], np.float32)


def countdown(make: Callable[[], Countdown] = Countdown, horizon: int = 4) -> EnvSpec:
    def score(episodes: Episodes) -> dict[str, np.ndarray]:
        return {"return": episodes.returns(), "length": episodes.lengths}

    return replace(
        get_spec("umbrella"), id="countdown-v0", make=lambda render_mode=None: make(), horizon=horizon, score=score,
        success_metric="return",
        vector=lambda seeds: LoopedEpisodes(make, seeds),
    )  # fmt: skip


@pytest.mark.parametrize("acting", [{}, {"acting": "windowed", "window": 2}])
@pytest.mark.parametrize("backbone", ["lstm", "gpt"])
def test_rows_that_end_apart_are_cut_where_they_ended(backbone: str, acting: dict[str, Any]) -> None:
    spec = countdown()
    scores = evaluate(policy_for(spec, backbone), spec, **acting)
    lengths = np.array([1 + seed % 4 for seed in rollout.episode_seeds(3, "eval", 12)])
    assert len(set(lengths)) > 2
    np.testing.assert_array_equal(scores.metrics["length"], lengths)
    np.testing.assert_array_equal(scores.metrics["return"], 2.0**lengths - 1)


def test_the_return_asked_for_falls_by_the_rewards_received(monkeypatch: pytest.MonkeyPatch) -> None:
    spec, asked = countdown(), []
    act = rollout.Actor.act

    def watch(self: Any, observation: Any, **arguments: Any) -> Any:
        alive = observation[:, 0] > 0
        asked.append((arguments["return_to_go"] + observation[:, 1])[alive])
        return act(self, observation, **arguments)

    monkeypatch.setattr(rollout.Actor, "act", watch)
    evaluate(policy_for(spec, "lstm"), spec, target=Target(20.0))
    assert len(asked) == 4
    assert all((value == 20).all() for value in asked)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_reward_that_is_not_finite_is_refused(bad: float) -> None:
    class Bad(Countdown):
        reward_at_end = bad

    spec = countdown(Bad)
    with pytest.raises(EnvironmentFault, match="countdown-v0 returned a reward that is not finite at timestep 0"):
        evaluate(policy_for(spec), spec)


def test_an_observation_that_is_not_finite_is_refused() -> None:
    class Bad(Countdown):
        def _observe(self) -> np.ndarray:
            return np.array([self.left, np.nan if self.t else 0], np.float32)

    spec = countdown(Bad)
    with pytest.raises(EnvironmentFault, match="countdown-v0 returned observations that are not finite at timestep 0"):
        evaluate(policy_for(spec), spec)


def test_an_environment_that_raises_is_named_with_the_timestep() -> None:
    class Bad(Countdown):
        def step(self, action: int) -> Any:
            raise ValueError("no such\nmove")

    spec = countdown(Bad)
    with pytest.raises(EnvironmentFault, match="countdown-v0 raised ValueError at timestep 0: no such move"):
        evaluate(policy_for(spec), spec)


def test_an_environment_that_goes_on_past_its_horizon_is_cut_there() -> None:
    class Endless(Countdown):
        def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
            return self._observe(), 1.0, False, False, {}

    scores = evaluate(policy_for(countdown(Endless)), countdown(Endless))
    assert scores.metrics["length"].tolist() == [4] * 12
    assert scores.metrics["return"].tolist() == [4] * 12


def test_continuous_actions_outside_the_space_are_clipped_and_counted() -> None:
    class Continuous(Countdown):
        action_space = gym.spaces.Box(-0.25, 0.25, (1,), np.float32)
        taken: ClassVar[list[float]] = []

        def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
            self.taken.append(float(action[0]))
            return super().step(0)

    spec = countdown(Continuous)
    model = policy_for(spec)
    with torch.no_grad():
        model.head.bias.fill_(5.0)
    scores = evaluate(model, spec)
    assert set(Continuous.taken) == {0.25}
    np.testing.assert_array_equal(scores.metrics["clipped_actions"], scores.metrics["length"])
    assert scores.metrics["clipped_actions"].sum() == len(Continuous.taken)


def test_a_policy_that_acts_nan_is_refused() -> None:
    class Continuous(Countdown):
        action_space = gym.spaces.Box(-1.0, 1.0, (1,), np.float32)

    model = policy_for(countdown(Continuous))
    with torch.no_grad():
        model.head.bias.fill_(float("nan"))
    with pytest.raises(NoDecision, match="action that is not finite"):
        evaluate(model, countdown(Continuous))


def test_each_row_is_asked_for_the_return_of_its_own_start(monkeypatch: pytest.MonkeyPatch) -> None:
    spec, asked = countdown(), []
    act = rollout.Actor.act

    def watch(self: Any, observation: Any, **arguments: Any) -> Any:
        asked.append((observation[:, 0], arguments["return_to_go"]))
        return act(self, observation, **arguments)

    monkeypatch.setattr(rollout.Actor, "act", watch)
    by_start = np.array([0.0, 10, 20, 30, 40])
    target = Target(25.0, by_start, lambda first: np.asarray(first)[:, 0].astype(np.int64))
    evaluate(policy_for(spec, "lstm"), spec, target=target)
    left, wanted = asked[0]
    np.testing.assert_array_equal(wanted, by_start[left.int()])


def test_a_scripted_policy_plays_the_same_episodes_whatever_their_number(umbrella: EnvSpec) -> None:
    def play(episodes: int) -> np.ndarray:
        scores = rollout.evaluate_scripted(umbrella.random, umbrella, split="eval", episodes=episodes, seed=3)
        return scores.metrics["return"]

    np.testing.assert_array_equal(play(5), play(12)[:5])
    best = rollout.evaluate_scripted(umbrella.optimal, umbrella, split="eval", episodes=50, seed=3)
    assert best.means()["first_action_accuracy"] == 1
