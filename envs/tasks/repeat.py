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

Levels: ``repeat-first`` has 1, 8, 16 decks; ``repeat-previous`` 1, 2, 3 decks and k = 4, 32, 64.

In ``repeat-first`` an expert's last action is the answer to come, so a policy that sees its own actions could copy instead of
remember: controls without memory must not see them.

Seeding: ``reset(seed=s)`` seeds popgym's environment, which shuffles its deck once with ``np.random.default_rng(s)``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from dsbench.envs.behaviour import noisy_recipes, uniform, uniform_actions
from dsbench.envs.drawing import INK, RED, WHITE, Canvas
from dsbench.envs.draws import episode_seed
from dsbench.envs.options import check_choice
from dsbench.envs.spaces import Spaces
from dsbench.envs.spec import EnvSpec
from dsbench.envs.targets import Fixed
from dsbench.episodes import Episodes, Observations
from dsbench.errors import MissingExtra

SUITS = ("spades", "diamonds", "clubs", "hearts")
RED_SUITS = (1, 3)
DECK = 52
LAST_CARDS, CARD_WIDTH = 6, 50  # of the picture


@dataclass(frozen=True)
class Game:
    """A repeat game.

    Attributes:
        decks: how many, shuffled together.
        lag: popgym's k of the previous card to name; None for the first card.
    """

    decks: int
    lag: int | None = None

    @property
    def steps(self) -> int:
        """Timesteps of an episode."""
        return DECK * self.decks - 1

    @property
    def silent(self) -> int:
        """Timesteps at the start whose action does not count."""
        return 0 if self.lag is None else self.lag - 1


FIRST = {"easy": Game(1), "medium": Game(8), "hard": Game(16)}
PREVIOUS = {"easy": Game(1, 4), "medium": Game(2, 32), "hard": Game(3, 64)}


SPACES = Spaces(gym.spaces.Discrete(len(SUITS)), gym.spaces.Discrete(len(SUITS)))


class RepeatEnv(gym.Env[np.int64, np.int64]):
    """popgym's environment behind plain spaces; raises `MissingExtra` without popgym."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 4}  # noqa: RUF012  gymnasium's own attribute

    def __init__(self, game: Game, render_mode: str | None = None) -> None:
        self.render_mode = render_mode
        self.game, self._popgym = game, _popgym_env(game)
        self.observation_space, self.action_space = SPACES.observation, SPACES.action

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.int64, dict[str, Any]]:
        super().reset(seed=seed)
        card, _ = self._popgym.reset(seed=episode_seed(self, seed))
        self._seen, self._words = [int(card)], ""
        return np.int64(card), {}

    def step(self, action: np.int64) -> tuple[np.int64, float, bool, bool, dict[str, Any]]:
        card, reward, terminated, truncated, _ = self._popgym.step(int(action))
        self._seen.append(int(card))
        verdict = "right" if reward > 0 else "wrong" if reward < 0 else "does not count"
        self._words = f"named {SUITS[int(action)]}: {verdict}"
        return np.int64(card), float(reward), bool(terminated), bool(truncated), {}

    def render(self) -> NDArray[np.uint8]:
        """(H, W, 3) the last cards, the newest at the right, each by the first letter of its suit; the last answer."""
        canvas = Canvas(height=120)
        canvas.text((10, 8), f"card {len(self._seen)} of {self.game.steps + 1}: {SUITS[self._seen[-1]]}")
        canvas.text((10, 98), self._words)
        for place, card in enumerate(reversed(self._seen[-LAST_CARDS:])):
            right = canvas.image.width - 10 - place * CARD_WIDTH
            canvas.draw.rectangle((right - CARD_WIDTH + 6, 30, right, 88), fill=WHITE, outline=INK)
            letter, colour = SUITS[card][0].upper(), RED if card in RED_SUITS else INK
            canvas.text((right - CARD_WIDTH / 2 + 3, 59), letter, size=24, colour=colour, anchor="mm")
        return canvas.array()


def _popgym_env(game: Game) -> Any:
    try:
        from popgym.envs.repeat_first import RepeatFirst
        from popgym.envs.repeat_previous import RepeatPrevious
    except ModuleNotFoundError as error:
        raise MissingExtra("repeat-first" if game.lag is None else "repeat-previous", "popgym") from error
    return RepeatFirst(game.decks) if game.lag is None else RepeatPrevious(game.decks, game.lag)


class RepeatEpisodes:
    """Many episodes at once in numpy, equal to popgym's draw for draw (a test holds it); needs no popgym.

    Attributes:
        cards: (n, rows) int64, the suits in the order in which they are seen.
        answers: (steps, rows) int64, the right action at each timestep, -1 where none counts.
        t: timesteps so far, of all rows.
    """

    action_mask: np.ndarray | None = None

    def __init__(self, seeds: Sequence[int], game: Game) -> None:
        self.game, self.t = game, 0
        self.cards = np.stack([_deal(seed, DECK * game.decks) for seed in seeds], 1)
        self.answers = np.full((game.steps, len(seeds)), -1)
        self.answers[game.silent :] = self.cards[0] if game.lag is None else self.cards[: game.steps - game.silent]
        self.observations: Observations = self.cards[0]

    def step(self, actions: np.ndarray) -> tuple[Observations, np.ndarray, np.ndarray, np.ndarray]:
        rewards = np.zeros(len(actions), np.float32)
        if self.game.silent <= self.t < self.game.steps:
            size = np.float32(1 / (self.game.steps - self.game.silent))
            rewards = np.where(actions == self.answers[self.t], size, -size)
        self.t = min(self.t + 1, self.game.steps)
        self.observations = self.cards[self.t]
        ended = np.full(len(actions), self.t == self.game.steps)
        return self.observations, rewards, ended, np.zeros_like(ended)


def _deal(seed: int, n_cards: int) -> NDArray[np.int64]:
    """(n,) suits from the top of the deck down. popgym shuffles card numbers, of which each fourth has the same suit, and
    deals from the end."""
    deck = np.arange(n_cards)
    np.random.default_rng(seed).shuffle(deck)
    return deck[::-1] % len(SUITS)


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


def repeat_first(level: str = "easy") -> EnvSpec:
    """The first card's suit, at every timestep.

    Args:
        level: easy, medium or hard: episodes of 51, 415 or 831 timesteps.
    """
    return _spec("repeat-first", "the suit of the first card is to be named at every timestep", FIRST, level)


def repeat_previous(level: str = "easy") -> EnvSpec:
    """The suit of the card k - 1 timesteps ago, at every timestep.

    Args:
        level: easy, medium or hard: k of 4, 32 or 64 in episodes of 51, 103 or 155 timesteps.
    """
    return _spec("repeat-previous", "the suit of a card some timesteps ago is to be named", PREVIOUS, level)


def _spec(name: str, summary: str, games: Mapping[str, Game], level: str) -> EnvSpec:
    check_choice("level", level, games)
    game = games[level]
    return EnvSpec(
        id=f"{name}-v0",
        name=name,
        summary=summary,
        options={"level": level},
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
        needs_memory=True,
        random=uniform(len(SUITS)),
        optimal=_expert,
        target=Fixed(1.0),
        recipes=noisy_recipes(_expert, len(SUITS), "every answer is right", medium=0.5, mixed=(1, 0.5, 0)),
    )


def _expert(env: RepeatEpisodes, timestep: int, draws: np.ndarray, episode_draw: np.ndarray) -> np.ndarray:
    """The right answer; uniformly random while none counts."""
    return uniform_actions(draws[:, 1], len(SUITS), None) if timestep < env.game.silent else env.answers[timestep]
