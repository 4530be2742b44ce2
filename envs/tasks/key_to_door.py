"""Key to door: a key taken in the first phase opens a door in the last one, with a long phase of distraction between them.

Tests credit assignment over a gap that can be made as long as one likes (Hung et al. 2019, arXiv:1810.06721; rooms and
times as in its published code, google-deepmind/deepmind-research, tvt/pycolab/key_to_door.py). Without apples it is the
task of Decision Transformer's section 5.4 (Chen et al. 2021, arXiv:2106.01345; there random play succeeds in 3.1 % of the
episodes, here in 2.8 %: that paper does not say what its rooms look like).

The Markov decision process:

- Phases: exploration, 15 moves; distractor, `distractor_length` moves (Hung et al.: 90); reward, 15 moves. Each begins at
  its room's entrance, the first one on a random cell below the corridor, with the key on a random cell above it::

      k k k k k          a . a . a . a . a            d
      k k k k k          . a . a . a . a .          . . .
        . . .            a . a . a . a . a          . + .
      + + + + +          . a . a . a . a .          . . .
      + + + + +          a . a . + . a . a

- Action: 0 north, 1 south, 2 west, 3 east; a wall leaves one where one is, and so does the door without the key. The key is
  taken by stepping on it.
- Observation, float32: the phase (3), row (5) and column (9) one-hot, all rooms being laid into one frame of 5 x 9; while the
  key lies in the room, its row and column less one's own, one-hot (6 + 9, all 0 otherwise). So the first phase shows whether
  the key has been taken and the later ones do not; with `show_key` another number says it all the time (1 held, else 0).
  With `apples`, 22 more: is there an apple on that spot (0 outside the distractor phase).
- Reward: 1 in the door (10 with `apples`), else 0. With `apples`, 10 of the 22 spots bear one; every apple of an episode pays
  the same, 1 or 10 by a fair coin, which is luck that the door's reward must be told from. A bare spot bears again after 20
  more moves.
- End: in the door, or after the last phase. In Hung et al. the clock runs on after the door; nothing could be won there any
  more, so here the episode ends. Their 5 x 5 picture around the player is replaced by the list above.

An episode with distractor_length 2, key four moves north of the start::

    t           0    1    2    3    4 ... 14    15   16     17   18
    action      0    0    0    0    any         any  any     0    0
    reward      0    0    0    0    0            0    0      0    1     (t = 18: in the door)

The policy needs no memory: whoever always walks to the key and then to the door succeeds. What happened to the key does: the
probe asks, at the start of the last phase, whether the door will be opened, and only who remembers can tell. (A key taken
by the last move of the first phase is never seen to be gone: there the action must be remembered.)

Seeding: ``reset(seed=s)`` takes all draws from ``RandomState(s mod 2**32)``: the key's cell, the start, and with apples one
number a spot (the ten smallest bear one) and the apples' worth.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dsbench.envs.behaviour import Epsilon, levels, noisy, spread, uniform, uniform_actions
from dsbench.envs.rolling import MAX_ROWS
from dsbench.envs.spec import EnvSpec, Probe, Recipe
from dsbench.envs.tabular import TabularClone, play
from dsbench.envs.targets import Fixed
from dsbench.envs.tasks import key_to_door_rooms as rooms
from dsbench.envs.tasks.key_to_door_env import KeyToDoorEnv, KeyToDoorEpisodes, check_options, door_reward
from dsbench.envs.tasks.key_to_door_rooms import EXPLORE_MOVES, HELD, REWARD_MOVES
from dsbench.episodes import Episodes
from dsbench.errors import UnknownName

MEDIUM = 0.65  # of the moves are random: half of the episodes succeed (a test holds it)
CLONE_EPISODES = 2_000  # that the tabular clone is scored on
EXPERTS = 0.05  # of the episodes of "mixed", as few as good demonstrations are


@dataclass(frozen=True)
class _Quality:
    """How often a recipe's expert errs: a constant, or its distribution over episodes as nodes and weights."""

    summary: str
    epsilon: float | Epsilon
    nodes: NDArray[np.float64]
    weights: NDArray[np.float64]


def _constant(summary: str, epsilon: float) -> _Quality:
    return _Quality(summary, epsilon, np.array([epsilon]), np.ones(1))


def _spread_evenly(summary: str) -> _Quality:
    """Gauss and Legendre's nodes: exact for what is asked here, polynomials of degree 30 in epsilon."""
    nodes, weights = np.polynomial.legendre.leggauss((EXPLORE_MOVES + REWARD_MOVES) // 2 + 1)
    return _Quality(summary, spread, (nodes + 1) / 2, weights / 2)


QUALITIES = {
    "random": _constant("uniformly random moves", 1.0),
    "medium": _constant(
        f"{MEDIUM:.0%} of the moves are random, the others the expert's; half of the episodes succeed", MEDIUM
    ),
    "expert": _constant("the shortest way to the key, random moves, the shortest way to the door", 0.0),
    "mixed": _Quality(
        f"{1 - EXPERTS:.0%} of the episodes are random, the others expert",
        levels(1.0, 0.0, shares=(1 - EXPERTS, EXPERTS)),
        np.array([1.0, 0.0]),
        np.array([1 - EXPERTS, EXPERTS]),
    ),
    "replay": _spread_evenly("each episode has its own share of random moves, evenly from none to all"),
}


def expert(env: Any, timestep: int, draws: np.ndarray, episode_draw: np.ndarray) -> NDArray[np.int64]:
    """A shortest way to the key and later to the door; uniformly random among equals and where nothing can be done."""
    return uniform_actions(draws[:, 1], 4, rooms.EXPERT_MOVES[env.place, env.key])


def score(episodes: Episodes) -> dict[str, np.ndarray]:
    """Per-episode measures: return, success (was the door opened) and key (was it taken).

    Only the door pays in the last timestep of an episode.
    """
    return {
        "return": episodes.returns(),
        "success": (episodes.rewards[episodes.ends] > 0).astype(np.float64),
        "key": _key_taken(episodes).astype(np.float64),
    }


def _exploration(episodes: Episodes) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Places, keys and actions, each (E, 15), of the first phase."""
    rows = episodes.starts[:-1, None] + np.arange(EXPLORE_MOVES)
    assert isinstance(episodes.observations, np.ndarray)
    return *rooms.seen_state(episodes.observations[rows]), episodes.actions[rows]


def _key_taken(episodes: Episodes) -> NDArray[np.bool_]:
    """(E,) from the last timestep of the first phase: it is not to be seen, or the move leads onto it."""
    places, keys, actions = (array[:, -1] for array in _exploration(episodes))
    return (keys == HELD) | (rooms.NEXT_PLACES[0, places, actions] == rooms.KEY_PLACES[keys])


def success_chance(episodes: Episodes, recipe: str) -> NDArray[np.float64]:
    """(E,) exact probability of success for one who remembers the first phase, asked as the last phase begins.

    Without the key 0. With it, the chance of finding the door in time given how often this recipe errs; where episodes
    differ in that, weighted by what the moves towards the key say of it (all others are uniform whatever the quality).
    """
    if recipe not in QUALITIES:
        raise UnknownName("data recipe", recipe, QUALITIES)
    quality = QUALITIES[recipe]
    places, keys, actions = _exploration(episodes)
    wise = np.where(keys == HELD, 0.25, rooms.EXPERT_POLICY[places, keys, actions])
    noise = quality.nodes[:, None, None]
    likelihood = (noise / 4 + (1 - noise) * wise).prod(2) * quality.weights[:, None]  # (nodes, E)
    doors = np.array([rooms.door_chance(float(epsilon)) for epsilon in quality.nodes])
    return _key_taken(episodes) * (doors @ likelihood) / likelihood.sum(0)


def mean_return(epsilon: float, distractor_length: int, apples: bool) -> float:
    """Exact mean return of the expert who errs with this probability (with 1: of random play)."""
    luck = rooms.random_apples(distractor_length) * float(np.mean(rooms.APPLE_REWARDS)) if apples else 0.0
    return luck + rooms.key_chance(epsilon) * rooms.door_chance(epsilon) * door_reward(apples)


def key_to_door(distractor_length: int = 30, apples: bool = False, show_key: bool = False) -> EnvSpec:
    """Key to door.

    Args:
        distractor_length: timesteps between the phase with the key and the one with the door.
        apples: whether there are apples between the two that pay by luck.
        show_key: whether the observation says all the time that the key is held.
    """
    check_options(distractor_length, apples, show_key)
    options = (distractor_length, apples, show_key)
    best = mean_return(0.0, distractor_length, apples)
    spec = EnvSpec(
        id="key-to-door-v0",
        name="key-to-door",
        summary="a key taken early opens a door much later; in between nothing matters",
        options={"distractor_length": distractor_length, "apples": apples, "show_key": show_key},
        make=lambda render_mode=None: KeyToDoorEnv(*options, render_mode),
        vector=lambda seeds: KeyToDoorEpisodes(seeds, *options),
        score=score,
        success_metric="success",
        minimum=0.0,
        maximum=1.0,
        chance=rooms.key_chance(1.0) * rooms.door_chance(1.0),
        horizon=EXPLORE_MOVES + distractor_length + REWARD_MOVES,
        random_return=mean_return(1.0, distractor_length, apples),
        optimal_return=best,
        references="exact, by dynamic programming; the best policy is the one that always opens the door"
        + (" and walks at random among the apples, so gathering them scores above it" if apples else ""),
        tests=("credit", "return noise") if apples else ("credit",),
        needs_memory=False,
        ends_by_clock=True,
        random=uniform(4),
        optimal=expert,
        target=Fixed(best),
        recipes={
            name: Recipe(quality.summary, noisy(expert, 4, quality.epsilon)) for name, quality in QUALITIES.items()
        },
        probe=Probe(
            question="will the door be opened?",
            timestep=EXPLORE_MOVES + distractor_length,
            label=lambda episodes: score(episodes)["success"] > 0,
            bayes=success_chance,
        ),
    )
    return replace(spec, yardsticks=lambda episodes: {"tabular_clone": tabular_clone(spec, episodes)})


def tabular_clone(spec: EnvSpec, episodes: Episodes) -> float:
    """Share of successes of a table that clones the successful episodes, sampled: %BC with nothing lost to learning."""
    succeeded = score(episodes)["success"] > 0
    if not succeeded.any():
        return 0.0
    clone = TabularClone(episodes.select(np.flatnonzero(succeeded)), n_actions=4)
    together = replace(spec, most_rows=MAX_ROWS)  # our own twin, whoever asks; the same episodes in fewer steps
    return float(score(play(together, clone, CLONE_EPISODES, seed=0))["success"].mean())
