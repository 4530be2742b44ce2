"""Gymnasium's Hopper, HalfCheetah and Walker2d: machines of rigid links learn to run forwards.

The Markov decision processes (gymnasium/envs/mujoco; Todorov, Erez and Tassa 2012), all in the plane of x and z:

===========  ===========  =======  ======================================  ================================
task         observation  actions  reward                                  terminated
===========  ===========  =======  ======================================  ================================
hopper       11           3        dx/dt + 1 - 0.001 sum of squared a      z <= 0.7 m, angle beyond 0.2 rad
walker2d     17           6        dx/dt + 1 - 0.001 sum of squared a      z outside 0.8 to 2 m, beyond 1 rad
halfcheetah  17           6        dx/dt - 0.1 sum of squared a            never
===========  ===========  =======  ======================================  ================================

- Observation, float32: height, angles of the links (rad), then the velocities of all of these and of x; x is hidden. The
  velocities of the walkers are clipped to 10. The simulation is in double precision.
- Action: torques in [-1, 1], one a joint, for 0.008 s (halfcheetah 0.05 s).
- End: as above (hopper also where a state passes 100), truncated after 1000 timesteps.

How an episode of ``hopper`` begins (seed 0, no torques): the machine sinks and drifts backwards::

    t        0       1       2       3
    height   1.2477  1.2474  1.2465  1.2449
    reward   0.9989  0.9965  0.9958  0.9958

Version 5 of gymnasium's environments is the default, version 4 has the formulas that D4RL's data was made with. They
differ where a walker falls (version 4 pays it for standing once more) and in the friction of Walker2d's left foot. Returns
of the two are compared by nobody, so data of the one is refused in the other (`dsbench.envs.data.physics`).

Recipes are D4RL's (Fu et al. 2020, arXiv:2004.07219), made by our own actors: see `dsbench.envs.tasks.mujoco_actors`.

Seeding: ``reset(seed=s)`` draws the first positions and velocities from numpy's default_rng(s), as gymnasium does.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import cache
from typing import Any

import gymnasium as gym
import numpy as np

from dsbench.envs.behaviour import uniform_torques
from dsbench.envs.foreign import Foreign
from dsbench.envs.options import check_choice
from dsbench.envs.simulator import simulated_by
from dsbench.envs.spec import EnvSpec, VectorEpisodes
from dsbench.envs.tasks.mujoco_actors import expert, recipes
from dsbench.envs.tasks.mujoco_episodes import Body, MujocoEpisodes, Simulation
from dsbench.envs.tasks.mujoco_reference import RANDOM_PLAY, RETURNS, TARGETS
from dsbench.envs.tasks.mujoco_view import SideView
from dsbench.episodes import Episodes
from dsbench.errors import MissingExtra

HORIZON = 1000
VERSIONS = ("v5", "v4")
IDS = {"hopper": "Hopper", "halfcheetah": "HalfCheetah", "walker2d": "Walker2d"}
JOINTS = {"hopper": 3, "halfcheetah": 6, "walker2d": 6}
BODIES = {
    "hopper": Body(1e-3, True, 5e-3, height=(0.7, np.inf), lean=(-0.2, 0.2), state_limit=100.0),
    "halfcheetah": Body(0.1, False, 0.1),
    "walker2d": Body(1e-3, True, 5e-3, height=(0.8, 2.0), lean=(-1.0, 1.0)),
}


def hopper(physics: str = "v5") -> EnvSpec:
    """One leg that hops.

    Args:
        physics: version of gymnasium's environment, v5 or v4 (that of D4RL's data).
    """
    return _spec("hopper", "one leg hops forwards", physics)


def halfcheetah(physics: str = "v5") -> EnvSpec:
    """Two legs on a long body, which cannot fall.

    Args:
        physics: version of gymnasium's environment, v5 or v4 (that of D4RL's data).
    """
    return _spec("halfcheetah", "two legs on a long body run forwards", physics)


def walker2d(physics: str = "v5") -> EnvSpec:
    """Two legs that walk.

    Args:
        physics: version of gymnasium's environment, v5 or v4 (that of D4RL's data).
    """
    return _spec("walker2d", "two legs walk forwards", physics)


def score(episodes: Episodes) -> dict[str, np.ndarray]:
    """Per-episode measures: the return and the number of timesteps."""
    return {"return": episodes.returns(), "length": episodes.lengths.astype(np.float64)}


def _spec(name: str, summary: str, physics: str) -> EnvSpec:
    check_choice("physics", physics, VERSIONS)
    simulated, joints = f"{IDS[name]}-{physics}", JOINTS[name]
    random_return, expert_return = RETURNS[name]

    def make(render_mode: str | None = None) -> gym.Env[Any, Any]:
        return SideView(_library(simulated), render_mode)

    def vector(seeds: Sequence[int]) -> VectorEpisodes:
        return MujocoEpisodes(_simulation(simulated), BODIES[name], seeds, HORIZON, pays_fall=physics == "v4")

    return EnvSpec(
        id=f"{name}-{physics}",
        name=name,
        summary=summary,
        options={"physics": physics},
        make=make,
        vector=vector,
        score=score,
        success_metric="return",
        horizon=HORIZON,
        random_return=random_return,
        optimal_return=expert_return,
        random_play=RANDOM_PLAY[name, physics],
        references="D4RL's constants",
        tests=("control",),
        needs_memory=False,
        random=uniform_torques(joints),
        optimal=expert(name, joints),
        recipes=recipes(name, joints),
        foreign=Foreign(d4rl_targets=TARGETS[name]),
        draws_per_timestep=1 + joints,
        simulator=simulated_by("gymnasium", simulated),
    )


def _library(simulated: str) -> gym.Env[Any, Any]:
    try:
        import mujoco  # noqa: F401
    except ModuleNotFoundError as error:
        raise MissingExtra(simulated, "mujoco") from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that version 4 is not the newest is why it is chosen
        return gym.make(simulated, max_episode_steps=HORIZON, disable_env_checker=True)


@cache
def _simulation(simulated: str) -> Simulation:
    return Simulation(_library(simulated).unwrapped)
