"""popgym's repeat games: name the suit of the first card, or of a card some timesteps ago, while cards go by.

The Markov decision process (Morad et al. 2023, arXiv:2303.01859; popgym/envs/repeat_first.py and repeat_previous.py), with n
cards (52 a deck, shuffled) and a lag k:

- Observation: the suit of the card on top, 0 spades, 1 diamonds, 2 clubs, 3 hearts. Nothing marks the first one.
- Action: a suit. Right is, at timestep t, the suit seen at timestep 0 (``repeat-first``), or at t - k + 1
  (``repeat-previous``; popgym counts the card on top as the first of k, so its k = 4 means three timesteps ago).
- Reward: +r if right, else -r; r is such that all rewards together make 1 or -1. In ``repeat-previous`` it is 0 for
  t < k - 1, where there is nothing to repeat yet.
- End: with the last card, after exactly n - 1 timesteps.

The beginning of an episode of ``repeat-previous`` with k = 2 (r = 1 / (n - 2))::

    t        0     1     2     3
    card     H     S     S     D
    action   any   H     S     C         (right: -, H, S, S)
    reward   0     +r    +r    -r

Levels: ``repeat-first`` has 1, 8, 16 decks; ``repeat-previous`` 1, 2, 3 decks and k = 4, 32, 64. In their place one number:

- ``repeat-first`` with ``cards``: the first n cards of as few shuffled decks as hold them; of whole decks it is popgym's game.
- ``repeat-previous`` with ``k``: always three decks, so that games of different k are equally long. Each game of 156 cards asks
  156 - k times. k = 1 would be the card on top, which nobody has to remember.

What the present alone tells: cards are drawn without putting back, so of d decks any other card has each of the three suits
that are not on top with probability 13 d / (52 d - 1), a little more than 1/4. In ``repeat-first`` the first card is on top at
t = 0, where it is asked for too: in a short game that is a large share, and the foot is counted from there (`Game.memoryless`).

In ``repeat-first`` an expert's last action is the answer to come, so a policy that sees its own actions could copy instead of
remember: controls without memory must not see them. In ``repeat-previous`` it is another card, which says no more than the card
on top. But a control that never names the card on top tells itself by its last action what that card was not: with k = 2 it is
right one time in three (trained copiers: 0.36 and 0.40), which is past the foot, so k = 2 does not count as memory. Later that
fades. A stateless policy that names neither the card on top nor its last answer has 331,776 ways to choose among the rest;
0.7 % of them pass the foot with k = 3, 0.007 % with k = 4 and none with more.

Seeding: ``reset(seed=s)`` seeds popgym's environment, which shuffles its deck once with ``np.random.default_rng(s)``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from dsbench.envs.behaviour import noisy_recipes, uniform, uniform_actions
from dsbench.envs.spec import EnvSpec
from dsbench.envs.targets import Fixed
from dsbench.envs.tasks.repeat_env import SPACES, SUITS, RepeatEnv, RepeatEpisodes
from dsbench.envs.tasks.repeat_games import Game, by_cards, by_lag
from dsbench.episodes import Episodes


def score(episodes: Episodes, game: Game) -> dict[str, np.ndarray]:
    """Per-episode measures: return, and the share of right answers among those that count."""
    observations = episodes.observations
    assert isinstance(observations, np.ndarray)
    first = np.repeat(episodes.starts[:-1], episodes.lengths)
    asked = first if game.lag is None else np.maximum(first, np.arange(episodes.n_timesteps) - game.silent)
    counts = episodes.timesteps() >= game.silent
    right = counts & (episodes.actions == observations[asked])
    shares = np.add.reduceat(right, episodes.starts[:-1], dtype=np.int64) / np.maximum(
        1, np.add.reduceat(counts, episodes.starts[:-1], dtype=np.int64)
    )
    return {"return": episodes.returns(), "correct": shares}


def repeat_first(level: str | None = None, cards: int | None = None) -> EnvSpec:
    """The first card's suit, at every timestep.

    Args:
        level: easy (where nothing is said), medium or hard: episodes of 51, 415 or 831 timesteps.
        cards: in place of a level, cards of a game, 3 to 832; an episode has one timestep less.
    """
    options, game = by_cards(level, cards)
    spec = _spec("repeat-first", "the suit of the first card is to be named at every timestep", options, game)
    return spec if cards is None else replace(spec, memoryless=game.memoryless)


def repeat_previous(level: str | None = None, k: int | None = None) -> EnvSpec:
    """The suit of the card k - 1 timesteps ago, at every timestep.

    Args:
        level: easy (where nothing is said), medium or hard: k of 4, 32 or 64 in episodes of 51, 103 or 155 timesteps.
        k: in place of a level, popgym's k, 2 to 155, in episodes of 155 timesteps.
    """
    options, game = by_lag(level, k)
    return _spec("repeat-previous", "the suit of a card some timesteps ago is to be named", options, game)


def _spec(name: str, summary: str, options: Mapping[str, Any], game: Game) -> EnvSpec:
    return EnvSpec(
        id=f"{name}-v0",
        name=name,
        summary=summary,
        options=options,
        make=lambda render_mode=None: RepeatEnv(game, render_mode),
        vector=lambda seeds: RepeatEpisodes(seeds, game),
        stated_spaces=SPACES,
        score=lambda episodes: score(episodes, game),
        success_metric="correct",
        minimum=0.0,
        maximum=1.0,
        chance=1 / len(SUITS),
        horizon=game.steps,
        random_return=-0.5,
        optimal_return=1.0,
        references="exact: at random one answer in four is right, so 1/4 - 3/4; at best all are",
        tests=("memory",),
        needs_memory=game.lag != 2,
        ends_by_clock=True,
        random=uniform(len(SUITS)),
        optimal=_expert,
        target=Fixed(1.0),
        recipes=noisy_recipes(_expert, len(SUITS), "every answer is right", medium=0.5, mixed=(1, 0.5, 0)),
    )


def _expert(env: RepeatEpisodes, timestep: int, draws: np.ndarray, episode_draw: np.ndarray) -> np.ndarray:
    """The right answer; uniformly random while none counts."""
    return uniform_actions(draws[:, 1], len(SUITS), None) if timestep < env.game.silent else env.answers[timestep]
