"""Sound environments of gymnasium pass untouched: what is recorded is what gymnasium's own loop gives, number for number."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from dsbench import seeds
from dsbench.envs import EnvSpec
from dsbench.envs.behaviour import uniform, uniform_torques
from dsbench.envs.data import generate
from dsbench.envs.data.generate import BLOCK, SEEDS
from dsbench.envs.spec import Recipe
from dsbench.envs.trial import check_env
from dsbench.errors import UsageError
from tests.envs.faulty import spec_of

GOOD: dict[str, tuple[int, dict[str, Any]]] = {
    "CartPole-v1": (500, {}),
    "Acrobot-v1": (500, {}),
    "MountainCar-v0": (200, {}),
    "MountainCarContinuous-v0": (999, {}),
    "Pendulum-v1": (200, {}),
    "FrozenLake-v1": (100, {"is_slippery": True}),
    "CliffWalking-v1": (1_000, {}),
    "Taxi-v4": (200, {}),
}


def spec_for(name: str, horizon: int, options: dict[str, Any]) -> EnvSpec:
    def make() -> gym.Env[Any, Any]:
        return gym.make(name, **options)

    actions = make().action_space
    if isinstance(actions, gym.spaces.Discrete):
        random, draws = uniform(int(actions.n)), 2
    else:
        assert isinstance(actions, gym.spaces.Box)
        unit, high = uniform_torques(actions.shape[0]), actions.high
        random, draws = lambda *given: unit(*given) * high, 1 + actions.shape[0]
    return spec_of(
        make, horizon=horizon, random=random, draws_per_timestep=draws, recipes={"random": Recipe("", random)}
    )


@pytest.mark.parametrize("name", [name for name in GOOD if name in gym.registry])
def test_a_good_environment_passes_and_is_recorded_as_it_is(name: str) -> None:
    spec = spec_for(name, *GOOD[name])
    check_env(spec)
    made = generate(spec, "random", 4, seed=5)
    env_seeds = seeds.stream(5, "data", spec.task, "random", 0).integers(SEEDS, size=BLOCK)
    for episode, env_seed in enumerate(env_seeds[:4].tolist()):
        one, env = made.select([episode]), spec.make()
        seen, info = env.reset(seed=env_seed)
        for t, action in enumerate(one.actions):
            np.testing.assert_array_equal(np.asarray(one.observations)[t], seen)
            if one.action_mask is not None:
                np.testing.assert_array_equal(one.action_mask[t], info["action_mask"].astype(bool))
            seen, reward, terminated, truncated, info = env.step(action)
            assert one.rewards[t] == np.float32(reward)
            cut = t == spec.horizon - 1 and not terminated  # where gymnasium itself sets no limit
            assert (one.terminated[t], one.truncated[t]) == (terminated, truncated or cut)
        assert terminated or truncated or cut
        np.testing.assert_array_equal(np.asarray(one.final_observations)[0], seen)
        env.close()


def test_blackjack_shows_a_tuple_and_is_refused() -> None:
    spec = spec_of(lambda: gym.make("Blackjack-v1"), random=uniform(2))
    with pytest.raises(UsageError, match=r"Tuple\(.*which is not supported; expected Box, Discrete"):
        check_env(spec)


def test_a_horizon_before_the_time_limit_is_refused_and_one_after_it_is_not() -> None:
    """An environment that gymnasium cuts later than the spec's horizon is another task: its own limit must be given."""
    with pytest.raises(UsageError, match="horizon=199, and its environment goes on until max_episode_steps=200"):
        check_env(spec_for("MountainCar-v0", 199, {}))
    check_env(spec_for("MountainCar-v0", 199, {"max_episode_steps": 150}))
