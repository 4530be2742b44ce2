"""Whatever an environment does wrong has a name, the id of the environment and the timestep in it, in data and in play."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from dsbench.envs import EnvSpec, get_spec
from dsbench.envs.behaviour import uniform
from dsbench.envs.checked import Checked
from dsbench.envs.data.generate import generate
from dsbench.envs.spec import Recipe
from dsbench.envs.vector import LoopedEpisodes
from dsbench.errors import EnvironmentFault

FINE = np.zeros(2, np.float32)


class Walk(gym.Env[Any, int]):
    """Ten timesteps of nothing; `broken` is called at the reset and at every step, and may put other results in place."""

    observation_space: gym.Space[Any] = gym.spaces.Box(-9, 9, (2,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def __init__(self, broken: Callable[[int], dict[str, Any]]) -> None:
        self.broken = broken

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        self.t = 0
        result = {"see": FINE, "info": {}} | self.broken(0)
        return result["see"], result["info"]

    def step(self, action: int) -> Any:
        self.t += 1
        result = {"see": FINE, "pay": 0.0, "info": {}} | self.broken(self.t)
        return result["see"], result["pay"], self.t == 10, False, result["info"]


def walk(broken: Callable[[int], dict[str, Any]]) -> EnvSpec:
    return replace(
        get_spec("umbrella"), id="walk-v0", horizon=10, recipes={"random": Recipe("", uniform(2))},
        make=lambda render_mode=None: Walk(broken), vector=lambda seeds: LoopedEpisodes(lambda: Walk(broken), seeds),
    )  # fmt: skip


def at(when: int, **result: Any) -> Callable[[int], dict[str, Any]]:
    return lambda t: result if t == when else {}


def raising(when: int, error: BaseException) -> Callable[[int], dict[str, Any]]:
    def broken(t: int) -> dict[str, Any]:
        if t == when:
            raise error
        return {}

    return broken


NAN = np.full(2, np.nan, np.float32)


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (raising(0, RuntimeError("two\nlines")), "walk-v0 raised RuntimeError when reset: two lines"),
        (raising(4, ValueError("no")), "walk-v0 raised ValueError at timestep 3: no"),
        (raising(4, SystemExit(0)), "walk-v0 raised SystemExit at timestep 3: 0"),
        (at(0, see=NAN), "walk-v0 returned observations that are not finite when reset"),
        (at(4, see=NAN), "walk-v0 returned observations that are not finite at timestep 3"),
        (at(4, pay=np.nan), "walk-v0 returned a reward that is not finite at timestep 3"),
        (at(4, pay=None), "walk-v0 at timestep 3: the reward is None; expected one real number"),
        (at(0, see=np.zeros(3)), r"walk-v0 when reset: .* of shape \(3,\), and its space has shape \(2,\)"),
        (at(4, see=np.zeros(3)), r"walk-v0 at timestep 3: .* of shape \(3,\), and its space has shape \(2,\)"),
        (at(4, see=None), "walk-v0 at timestep 3: .* None"),
        (at(4, see=["a", "b"]), "walk-v0 at timestep 3: .* observations are no numbers"),
        (
            at(0, info={"action_mask": np.ones(3, bool)}),
            r"walk-v0 when reset: .* mask is of shape \(3,\), .* 2 actions",
        ),
        (at(0, info={"action_mask": np.zeros(2, bool)}), "walk-v0 forbids every action when reset"),
        (lambda t: {"info": {"action_mask": np.full(2, t != 4)}}, "walk-v0 forbids every action at timestep 3"),
    ],
)
def test_a_fault_is_named_while_data_is_made(broken: Callable[[int], dict[str, Any]], message: str) -> None:
    with pytest.raises(EnvironmentFault, match=f"env {message}"):
        generate(walk(broken), "random", 3, 0)


@pytest.mark.parametrize("broken", [at(11, see=NAN), at(10, info={"action_mask": np.zeros(2, bool)})])
def test_what_comes_after_the_end_is_no_fault(broken: Callable[[int], dict[str, Any]]) -> None:
    fine = {"info": {"action_mask": np.ones(2, bool)}}
    assert len(generate(walk(lambda t: fine | broken(t)), "random", 3, 0)) == 3


def test_out_of_memory_keeps_its_own_name() -> None:
    spec = walk(raising(0, MemoryError()))
    with pytest.raises(MemoryError):
        Checked(spec, spec.vector, [0])


def test_a_dictionary_must_have_the_keys_of_its_space() -> None:
    class Parts(Walk):
        observation_space = gym.spaces.Dict({"a": gym.spaces.Box(-9, 9, (2,)), "b": gym.spaces.Discrete(4)})

    def make(see: Any) -> LoopedEpisodes:
        return LoopedEpisodes(lambda: Parts(lambda t: {"see": see}), [0, 1])

    assert make({"a": FINE, "b": 1}).observations["b"].tolist() == [1, 1]  # type: ignore[call-overload]
    with pytest.raises(EnvironmentFault, match=r"no dictionary of \['a', 'b'\]"):
        make({"a": FINE})
    with pytest.raises(EnvironmentFault, match=r"observations.a are of shape \(3,\)"):
        make({"a": np.zeros(3), "b": 1})
