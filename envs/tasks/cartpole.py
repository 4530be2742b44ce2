"""gymnasium's CartPole-v1, and three tasks that hide a part of its state: can a policy balance what it does not see?

The Markov decision process (Barto, Sutton and Anderson 1983; gymnasium/envs/classic_control/cartpole.py):

- State: cart position x (m), its velocity, pole angle theta (rad, 0 = upright), its velocity. All four begin uniform on
  [-0.05, 0.05).
- Observation, float32: the whole state (``cartpole``), positions only (``cartpole-position``: x, theta), velocities only
  (``cartpole-velocity``), or positions with Gaussian noise (``cartpole-noisy``).
- Action: push the cart with 10 N to the left (0) or to the right (1) for 0.02 s.
- Reward: +1 at every timestep, the last one included.
- End: terminated when |x| > 2.4 or |theta| > 12 degrees, truncated after max_steps.

How an episode of ``cartpole-position`` begins (seed 7)::

    t          0       1       2       3
    x       0.0125  0.0133  0.0180  0.0188
    theta   0.0276  0.0270  0.0208  0.0206
    action     1       0       1       0      (the expert's: at t = 1 the pole still leans, but is on its way back)
    reward    +1      +1      +1      +1

The partly observed tasks follow POPGym (Morad et al. 2023, arXiv:2303.01859): they show what its PositionOnlyCartPole,
VelocityOnlyCartPole and NoisyPositionOnlyCartPole show (a test holds it), and 200 timesteps are the length of its easy
level. Three things differ. The reward stays gymnasium's +1, where POPGym pays 1 / max_steps; POPGym's length grows with
its levels, here it is an option; and the first observation of ``cartpole-velocity`` is the velocities, where POPGym
1.0.7 shows the positions. The noise is POPGym's: independent at every timestep, of the same standard deviation for x (in
m) and theta (in rad), 0.1 at its easy level, half of the angle at which the pole counts as fallen; the sum is clipped to
twice the limits of x and theta.

The expert is linear in the true state, of which observations without noise tell a learner enough. Through noise they
do not, and data of one who sees the state stays so well within the noise that no function of the history can imitate it:
the expert of ``cartpole-noisy`` is linear in the estimate of a Kalman filter, see `dsbench.envs.tasks.cartpole_filter`.

What noise leaves, in timesteps of 200 (6,000 episodes; the best of a search over linear policies, standard error 0.5): of one
who filters, of one who looks at the present alone, and of one who also sees the last action, who may push left and right in
turn without looking at all::

    noise                    0.1    0.2    0.3    0.4    0.5
    filter                   199    131     78     60     52
    present                   50     41     35     31     29
    present, last action      93     55     42     38     38
    foot                     111     77     50     41     37

So from noise 0.5 on, or so, the best is too near to pushing in turn for the task to show memory, and it is not counted as such.

Seeding: ``reset(seed=s)`` draws the four numbers of the state, then the noise of each observation in turn, all from
numpy's default_rng(s), as gymnasium and POPGym do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import gymnasium as gym
import numpy as np

from dsbench.envs.behaviour import noisy_recipes, uniform
from dsbench.envs.options import check_integer
from dsbench.envs.spec import Behaviour, EnvSpec, Recipe, Skill
from dsbench.envs.targets import Fixed
from dsbench.envs.tasks.cartpole_episodes import POSITIONS, VELOCITIES, WHOLE, CartPoleEpisodes, View
from dsbench.envs.tasks.cartpole_filter import FilteredEpisodes, filtered_expert, filtered_return
from dsbench.envs.tasks.cartpole_ppo import ppo_ensemble
from dsbench.episodes import Episodes
from dsbench.errors import UsageError

MIN_STEPS, MAX_STEPS = 100, 10_000  # below 100 even random actions would sometimes last to the end
MAX_NOISE = 10.0
N_ACTIONS = 2
# Standard error 0.01; at most 0.01 depends on max_steps, as one random episode in 2000 outlasts 100 timesteps.
RANDOM_RETURN = 22.26
UNSEEING_RETURN = (
    38.2  # of pushes in turn, corrected by the cart's place: the best without memory where noise hides the pole
)


class PartlySeen(gym.ObservationWrapper[np.ndarray, Any, np.ndarray], gym.utils.RecordConstructorArgs):
    """A `View` of the observations of gymnasium's CartPole-v1."""

    def __init__(self, env: gym.Env[np.ndarray, Any], view: View) -> None:
        gym.utils.RecordConstructorArgs.__init__(self, view=view)
        gym.ObservationWrapper.__init__(self, env)
        self.view = view
        self.observation_space = gym.spaces.Box(-view.bounds, view.bounds, dtype=np.float32)

    def observation(self, observation: np.ndarray) -> np.ndarray:
        """(columns,) what is seen of (4,) the state; each call draws its own noise."""
        seen = observation[list(self.view.columns)]
        if self.view.noise is None:
            return seen
        noise = self.np_random.normal(0.0, self.view.noise, len(seen)).astype(np.float32)
        return np.clip(seen + noise, -self.view.bounds, self.view.bounds)


def expert(env: Any, timestep: int, draws: np.ndarray, episode_draw: np.ndarray) -> np.ndarray:
    """Push towards where cart and pole are going; balanced each of 1000 episodes for 10 000 timesteps."""
    x, x_dot, theta, theta_dot = env.state
    return (0.1 * x + 0.3 * x_dot + 3.0 * theta + theta_dot > 0).astype(np.int64)


@dataclass(frozen=True)
class Expert:
    """Who acts in the data of a variant, what it acts on (in words), and the twin that holds this.

    Attributes:
        mean_return: of max_steps and what is seen; `reference` says in words where it comes from.
    """

    behaviour: Behaviour
    knows: str
    episodes: type[CartPoleEpisodes]
    mean_return: Callable[[int, View], float]
    reference: str


SEEING = Expert(
    expert, "who sees the whole state", CartPoleEpisodes, lambda steps, view: float(steps), "the time limit"
)
FILTERING = Expert(
    filtered_expert,
    "linear in the estimate of a Kalman filter",
    FilteredEpisodes,
    filtered_return,
    "a Kalman filter in front of a linear policy, simulated on fixed seeds; the best policy known, not proven optimal",
)


def score(episodes: Episodes) -> dict[str, np.ndarray]:
    """Per-episode measures: return (= timesteps) and whether the pole stood until the time limit."""
    ends = episodes.starts[1:] - 1
    stood = episodes.truncated[ends] & ~episodes.terminated[ends]
    return {"return": episodes.returns(), "stood": stood.astype(np.float64)}


def cartpole(max_steps: int = 500) -> EnvSpec:
    """CartPole-v1, the whole state seen.

    Args:
        max_steps: timesteps after which an episode is truncated.
    """
    return _spec(
        "cartpole",
        "balance a pole on a cart, the whole state seen",
        {"max_steps": max_steps},
        WHOLE,
        medium=0.5,
        tests=("control",),
        needs_memory=False,
        more_recipes={"ppo": Recipe("each episode one of 12 actors that PPO learned, early to late", ppo_ensemble)},
    )


def cartpole_position(max_steps: int = 200) -> EnvSpec:
    """CartPole-v1 of which positions alone are seen; two timesteps of memory give the velocities.

    Args:
        max_steps: timesteps after which an episode is truncated.
    """
    return _spec(
        "cartpole-position",
        "balance a pole on a cart, the velocities hidden",
        {"max_steps": max_steps},
        POSITIONS,
        medium=0.55,
        tests=("memory", "control"),
        needs_memory=True,
        note="; the best memoryless linear policy that a random search found reaches 45 of 200",
    )


def cartpole_velocity(max_steps: int = 200) -> EnvSpec:
    """CartPole-v1 of which velocities alone are seen; a memoryless policy balances for 200 timesteps and drifts later.

    Args:
        max_steps: timesteps after which an episode is truncated.
    """
    return _spec(
        "cartpole-velocity",
        "balance a pole on a cart, the positions hidden",
        {"max_steps": max_steps},
        VELOCITIES,
        medium=0.55,
        tests=("control",),
        needs_memory=False,
        note="; a memoryless linear policy reaches all of 200 too",
    )


def cartpole_noisy(max_steps: int = 200, noise: float = 0.1) -> EnvSpec:
    """CartPole-v1 of which positions alone are seen, through noise: what one sees has to be filtered over time.

    Args:
        max_steps: timesteps after which an episode is truncated.
        noise: standard deviation added to x (m) and to theta (rad); POPGym's levels are 0.1, 0.2 and 0.3.
    """
    if isinstance(noise, bool) or not isinstance(noise, int | float) or not 0 <= noise <= MAX_NOISE:
        raise UsageError(f"env.noise is {noise!r}; expected a number from 0 to {MAX_NOISE:g}")
    spec = _spec(
        "cartpole-noisy",
        "balance a pole on a cart, positions seen through noise",
        {"max_steps": max_steps, "noise": float(noise)},
        View(POSITIONS.columns, float(noise)),
        medium=0.45,
        tests=("memory", "control"),
        needs_memory=True,
        note="; the best memoryless linear policy found reaches 52 of 200 with noise 0.1 and 42 with 0.2",
        expert=FILTERING,
    )
    return replace(spec, needs_memory=spec.foot is not None and spec.foot > UNSEEING_RETURN)


def _spec(
    name: str,
    summary: str,
    options: Mapping[str, Any],
    view: View,
    *,
    medium: float,
    tests: tuple[Skill, ...],
    needs_memory: bool,
    note: str = "",
    more_recipes: Mapping[str, Recipe] | None = None,
    expert: Expert = SEEING,
) -> EnvSpec:
    """The four tasks differ in what is seen, in what the expert knows and in how often the medium one errs."""
    max_steps = options["max_steps"]
    check_integer("max_steps", max_steps, MIN_STEPS, MAX_STEPS)
    acts = expert.behaviour

    def make(render_mode: str | None = None) -> gym.Env[Any, Any]:
        env = gym.make("CartPole-v1", max_episode_steps=max_steps, render_mode=render_mode, disable_env_checker=True)
        return env if view is WHOLE else PartlySeen(env, view)

    return EnvSpec(
        id=f"{name}-v0",
        name=name,
        summary=summary,
        options=options,
        make=make,
        vector=lambda seeds: expert.episodes(seeds, max_steps, view),
        score=score,
        success_metric="return",
        minimum=0.0,
        maximum=float(max_steps),
        horizon=max_steps,
        random_return=RANDOM_RETURN,
        optimal_return=expert.mean_return(max_steps, view),
        references=f"random: {RANDOM_RETURN} +- 0.02, measured on a million episodes; best: {expert.reference}{note}",
        tests=tests,
        needs_memory=needs_memory,
        random=uniform(N_ACTIONS),
        optimal=acts,
        target=Fixed(float(max_steps)),
        recipes={
            **noisy_recipes(
                acts, N_ACTIONS, f"the expert, {expert.knows}", medium=medium, mixed=(0.0, 0.3, 0.5, 0.6, 1.0)
            ),
            **(more_recipes or {}),
        },
    )
