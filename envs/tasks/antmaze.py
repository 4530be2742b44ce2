"""An ant with eight joints walks through a U-shaped maze; only the far end of it pays. For data from D4RL and Minari.

The Markov decision process (D4RL, Fu et al. 2020, arXiv:2004.07219; gymnasium-robotics' AntMaze_UMaze, cells of 4 m)::

    row 1  #  S  .  .  #      S start, around (0, 0); y grows downwards
    row 2  #  #  #  .  #
    row 3  #  G  .  .  #      G goal, around (0, 8)

- Observation, float32, (29,): x, y in m, then the 27 numbers of gymnasium's Ant-v4: height, orientation (quaternion),
  eight joint angles (rad), and 14 velocities. The goal is not seen: it is always at the same end.
- Action: eight torques in [-1, 1].
- Reward: 1 within 0.45 m of the goal, else 0.
- End: terminated at the goal, truncated after 700 timesteps. An ant on its back goes on.

``antmaze-umaze-diverse`` is the same task; the data that D4RL has for it began and went anywhere in the maze.

What is equal to D4RL's environment of these names: the layout of the observation, the coordinates, the shape and size of
the maze, the reward, its end and the time limit. gymnasium-robotics puts the origin into the middle of the maze and draws
its rows upwards, where D4RL has the start at the origin and draws them downwards; so start and goal change places here
and 4 m are added to x and y. What is not equal:

- The ant. D4RL's has torques of up to 30 at a gear of 1 and moves for 5 x 0.02 s a timestep; gymnasium's has a gear of 150
  and 5 x 0.01 s. D4RL's data is of other physics for every version of this task, and a policy learned from it acts in
  a body that it does not know: its score says little beside published ones.
- The goal's radius is 0.5 m there, 0.45 m here.
- Start and goal lie anywhere within 1 m of the centres of their cells here; D4RL starts within 0.1 m of the centre and
  draws goals from a square of up to 1.5 m beside it.

Minari's sets of the name D4RL/antmaze were made in gymnasium-robotics' version 4, choose ``physics=v4`` for them; there the
episode goes on at the goal, which is said of them as well. D4RL's script marks a timeout one timestep late, after 701
timesteps or, by its default, 1001; such episodes are taken as they are.

Seeding: ``reset(seed=s)`` gives s to gymnasium-robotics, which draws goal and start from numpy's default_rng(s).
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np

from dsbench.envs.behaviour import uniform_torques
from dsbench.envs.foreign import Foreign, GoalObservation
from dsbench.envs.options import check_choice
from dsbench.envs.simulator import simulated_by
from dsbench.envs.spec import EnvSpec, Recipe, VectorEpisodes
from dsbench.envs.targets import Fixed
from dsbench.envs.vector import LoopedEpisodes
from dsbench.episodes import Episodes
from dsbench.errors import MissingExtra

HORIZON = 700
LONGEST = 1001  # of the episodes in D4RL's files
JOINTS, PLACE, BODY = 8, 2, 27
CENTRE = 4.0  # m; D4RL's coordinates are those of gymnasium-robotics plus this
# As gymnasium-robotics draws it: its first row is the one with the largest y.
MAZE: list[list[int | str]] = [
    [1, 1, 1, 1, 1],
    [1, "g", 0, 0, 1],
    [1, 1, 1, 0, 1],
    [1, "r", 0, 0, 1],
    [1, 1, 1, 1, 1],
]
TASK = {"maze_map": MAZE, "continuing_task": False, "reward_type": "sparse"}
FOREIGN = Foreign(
    offered="data of good behaviour comes from files, with --data d4rl:FILE or --data minari:ID",
    d4rl_physics="D4RL's own ant",
    kwargs=TASK,
    defaults={"maze_map": None, "continuing_task": True, "reward_type": "sparse"},
    joined=GoalObservation((("achieved_goal", PLACE, CENTRE), ("observation", BODY, 0.0))),
    cut_at_jumps=True,
    rewards=(0.0, 1.0),
    longest=LONGEST,
)


class FlatAntMaze(gym.ObservationWrapper[np.ndarray, Any, Any], gym.utils.RecordConstructorArgs):
    """D4RL's 29 numbers in place of gymnasium-robotics' dictionary."""

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        gym.utils.RecordConstructorArgs.__init__(self)
        gym.ObservationWrapper.__init__(self, env)
        self.observation_space = gym.spaces.Box(-np.inf, np.inf, (PLACE + BODY,), np.float32)

    def observation(self, observation: Any) -> np.ndarray:
        """(29,) float32; version 5's 78 contact forces, which stand last, are left out."""
        place, body = observation["achieved_goal"] + CENTRE, observation["observation"][:BODY]
        return np.concatenate([place, body]).astype(np.float32)


def antmaze_umaze(physics: str = "v5") -> EnvSpec:
    """The maze, learned from data that always walked from its start to its goal.

    Args:
        physics: version of gymnasium-robotics' environment, v5 or v4 (that of Minari's sets).
    """
    return _spec("antmaze-umaze", "an ant walks through a U-shaped maze, only its end pays", physics)


def antmaze_umaze_diverse(physics: str = "v5") -> EnvSpec:
    """The same maze, learned from data that began and went anywhere in it.

    Args:
        physics: version of gymnasium-robotics' environment, v5 or v4 (that of Minari's sets).
    """
    return _spec("antmaze-umaze-diverse", "the same maze, for data that began and went anywhere in it", physics)


def score(episodes: Episodes) -> dict[str, np.ndarray]:
    """Per-episode measures: the return, which is 1 where the goal was reached and 0 elsewhere."""
    return {"return": episodes.returns()}


def _spec(name: str, summary: str, physics: str) -> EnvSpec:
    check_choice("physics", physics, ("v4", "v5"))
    simulated = f"AntMaze_UMaze-{physics}"

    def make(render_mode: str | None = None) -> gym.Env[Any, Any]:
        return _make(simulated, render_mode)

    def vector(seeds: Sequence[int]) -> VectorEpisodes:
        return LoopedEpisodes(make, seeds)

    return EnvSpec(
        id=f"{name}-v0",
        name=name,
        summary=summary,
        options={"physics": physics},
        make=make,
        vector=vector,
        score=score,
        success_metric="return",
        minimum=0.0,
        maximum=1.0,
        horizon=HORIZON,
        random_return=0.0,
        optimal_return=1.0,
        references="D4RL's constants",
        tests=("credit", "stitching", "control"),
        needs_memory=False,
        random=uniform_torques(JOINTS),
        optimal=None,
        target=Fixed(1.0),
        recipes={"random": Recipe("uniformly random torques; none of them reaches the goal", uniform_torques(JOINTS))},
        draws_per_timestep=1 + JOINTS,
        simulator=simulated_by("gymnasium-robotics", simulated),
        foreign=FOREIGN,
        most_rows=64,  # each row is a simulation of its own, with megabytes of contacts
    )


def _make(simulated: str, render_mode: str | None) -> gym.Env[Any, Any]:
    try:
        with contextlib.redirect_stderr(io.StringIO()):  # advice on environments that are not used here
            import gymnasium_robotics
    except ModuleNotFoundError as error:
        raise MissingExtra("AntMaze", "robotics") from error
    with contextlib.redirect_stderr(io.StringIO()):  # that version 4 is not the newest is why it is chosen
        gym.register_envs(gymnasium_robotics)
        env = gym.make(simulated, max_episode_steps=HORIZON, render_mode=render_mode, disable_env_checker=True, **TASK)
    with contextlib.suppress(OSError, AttributeError):  # the model is loaded; gymnasium-robotics leaves its file behind
        os.unlink(env.unwrapped.tmp_xml_file_path)  # type: ignore[attr-defined]
    return FlatAntMaze(env)
