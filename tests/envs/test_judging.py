"""``dsbench check --env``: planted faults are told apart from sound environments, each by the check that is about it."""

from __future__ import annotations

import warnings

import gymnasium as gym
import numpy as np
import pytest

from dsbench.envs import ENVS, EnvSpec, get_spec
from dsbench.envs.judging import CHECKS, judge_env
from dsbench.errors import MissingExtra, UsageError
from tests.envs.faulty import Ring, seeing, spec_of
from tests.envs.planted import PLANTED, Clocked, Goal

GOOD = ("CartPole-v1", "Acrobot-v1", "MountainCar-v0", "Pendulum-v1", "FrozenLake-v1")
NEEDED = [check.name for check in CHECKS if check.needed]


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_fault_is_found_by_its_check_alone(name: str) -> None:
    fault = PLANTED[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        judged = judge_env(fault.spec())
    failed = {one.name: one.detail for one in judged.findings if one.status == "failed"}
    assert list(failed) == [fault.check, *fault.also], failed
    with pytest.raises(UsageError, match=fault.says):
        raise UsageError(failed[fault.check])
    assert "\n" not in failed[fault.check] and "mine-v0" in failed[fault.check]
    skipped = {one.name for one in judged.findings if one.status == "skipped"}
    assert bool(skipped) == (fault.check in NEEDED)


@pytest.mark.parametrize("make", [Ring, Goal])
def test_sound_environments_have_no_finding(make: type[Ring]) -> None:
    judged = judge_env(spec_of(make, random_return=None, optimal_return=None))
    assert judged.ok and {one.status for one in judged.findings} == {"passed"}, judged.failures()


def test_an_end_that_is_the_task_s_own_may_come_by_the_clock() -> None:
    assert judge_env(spec_of(Clocked, ends_by_clock=True)).ok


@pytest.mark.parametrize("name", GOOD)
def test_good_environments_of_gymnasium_pass_untouched(name: str, tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setenv("DSBENCH_DATA", str(tmp_path))
    judged = judge_env(get_spec(f"gym:{name}"))
    assert judged.ok and {one.status for one in judged.findings} == {"passed"}, judged.table()


def test_one_that_hands_out_its_own_state_is_worth_a_word_and_no_fault() -> None:
    """Who scaled observations in place would change the episode; dsbench does not."""

    class State(Ring):
        def seen(self) -> np.ndarray:
            self.state = super().seen()
            return self.state

        def step(self, action: int):  # type: ignore[no-untyped-def]
            self.place = int(self.state[0])
            return super().step(action)

    judged = judge_env(spec_of(State))
    assert judged.ok
    assert [one.name for one in judged.findings if one.status == "doubtful"] == ["arrays_of_its_own"]


def test_an_end_that_comes_after_the_horizon_is_worth_a_word() -> None:
    """A horizon may be a choice: nobody can tell whether an end at random times should be within it."""
    endless = spec_of(
        lambda: gym.make("CliffWalking-v1"), horizon=30, random_return=None, optimal_return=None,
        random=get_spec("gym:CliffWalking-v1", horizon=30).random,
    )  # fmt: skip
    judged = judge_env(endless, only=["horizon_is_long_enough"])
    assert judged.ok


def test_only_runs_what_is_asked_for_and_what_it_needs() -> None:
    names = [one.name for one in judge_env(spec_of(), only=["autoreset"]).findings]
    assert names == [*NEEDED, "autoreset"]
    with pytest.raises(UsageError, match="no check is called 'autorest'. Did you mean 'autoreset'"):
        judge_env(spec_of(), only=["autorest"])


def test_what_an_environment_raises_later_is_a_finding() -> None:
    class Breaks(Ring):
        def reset(self, *, seed=None, options=None):  # type: ignore[no-untyped-def]
            if hasattr(self, "place"):
                raise RuntimeError("once only")
            return super().reset(seed=seed)

    judged = judge_env(spec_of(Breaks))
    assert "raised RuntimeError when reset: once only" in " ".join(judged.failures())
    assert "test_judging.py, line" in judged.failures()[0]


@pytest.mark.parametrize("space", [gym.spaces.Discrete(3, start=4), gym.spaces.Box(1, 3, (1,), np.float32)])
def test_actions_need_not_begin_at_nought(space: gym.Space) -> None:  # type: ignore[type-arg]
    class Shifted(Goal):
        action_space = space

        def step(self, action):  # type: ignore[no-untyped-def]
            assert self.action_space.contains(action)
            return super().step(int(np.ravel(action)[0]) % 3)

    assert judge_env(EnvSpec.from_gym(Shifted, horizon=6)).ok


def test_observations_of_integers_are_held_to_theirs() -> None:
    space = gym.spaces.Box(0, 9, (1,), np.uint8)
    assert judge_env(spec_of(seeing(space, lambda env: np.array([env.place], np.uint8)))).ok


@pytest.mark.slow
@pytest.mark.parametrize("name", ENVS.names())
def test_our_own_tasks_pass(name: str) -> None:
    try:
        spec = get_spec(name)
        spec.make()
    except MissingExtra as error:
        pytest.skip(str(error))
    judged = judge_env(spec)
    assert judged.ok and {one.status for one in judged.findings} == {"passed"}, judged.table()
