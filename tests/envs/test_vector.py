"""Episodes out of gymnasium's vector environments: no fake transition, whatever a row does after its end."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from dsbench.envs.vector import AutoresetEpisodes, LoopedEpisodes
from dsbench.episodes import Timestep, collect
from dsbench.errors import UsageError

SEEDS = [3, 4, 5, 6]


class Dictionary(gym.Wrapper[Any, Any, Any, Any]):
    """CartPole whose observation is a dictionary."""

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        super().__init__(env)
        self.observation_space = gym.spaces.Dict({"all": env.observation_space})

    def reset(self, **options: Any) -> Any:
        observation, info = self.env.reset(**options)
        return {"all": observation}, info

    def step(self, action: Any) -> Any:
        observation, *rest = self.env.step(action)
        return {"all": observation}, *rest


def cartpole() -> gym.Env[Any, Any]:
    return gym.make("CartPole-v1", max_episode_steps=25)


def dictionary() -> gym.Env[Any, Any]:
    return Dictionary(cartpole())


@pytest.mark.parametrize("mode", list(AutoresetMode))
@pytest.mark.parametrize("make", [cartpole, dictionary])
def test_every_autoreset_mode_gives_what_stepping_each_alone_gives(mode: AutoresetMode, make: Any) -> None:
    vector = AutoresetEpisodes(SyncVectorEnv([make] * len(SEEDS), autoreset_mode=mode), SEEDS)
    loop = LoopedEpisodes(make, SEEDS)
    generator, alive = np.random.default_rng(0), np.ones(len(SEEDS), bool)
    recorded: tuple[list[Timestep], list[Timestep]] = ([], [])
    for _ in range(30):  # past the end of every row
        actions = generator.integers(2, size=len(SEEDS))
        for env, steps in zip((vector, loop), recorded, strict=True):
            seen = env.observations
            after, rewards, terminated, truncated = env.step(actions)
            steps.append(Timestep(seen, actions, rewards, terminated, truncated, alive, after))
        alive = alive & ~(recorded[1][-1].terminated | recorded[1][-1].truncated)
    assert not alive.any()
    got, expected = (collect(steps).arrays() for steps in recorded)
    assert set(got) == set(expected)
    for name, array in expected.items():
        assert np.array_equal(got[name], array), name
    assert got["rewards"].sum() == len(got["rewards"])  # CartPole pays 1 a timestep; a fake one would pay 0


def test_rows_and_episodes_must_be_as_many() -> None:
    with pytest.raises(UsageError, match="has 1 rows and 4 episodes"):
        AutoresetEpisodes(SyncVectorEnv([cartpole]), SEEDS)
