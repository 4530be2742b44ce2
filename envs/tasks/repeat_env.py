"""The repeat games as an environment and as many episodes at once; `dsbench.envs.tasks.repeat` says what they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from dsbench.envs.drawing import INK, RED, WHITE, Canvas
from dsbench.envs.draws import episode_seed
from dsbench.envs.spaces import Spaces
from dsbench.envs.tasks.repeat_games import DECK, Game
from dsbench.episodes import Observations
from dsbench.errors import MissingExtra

SUITS = ("spades", "diamonds", "clubs", "hearts")
RED_SUITS = (1, 3)
LAST_CARDS, CARD_WIDTH = 6, 50  # of the picture
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
        card, reward, _, truncated, _ = self._popgym.step(int(action))
        self._seen.append(int(card))
        verdict = "right" if reward > 0 else "wrong" if reward < 0 else "does not count"
        self._words = f"named {SUITS[int(action)]}: {verdict}"
        ended = len(self._seen) > self.game.steps  # with the deck, or before it
        return np.int64(card), float(np.sign(reward) * self.game.size), ended, bool(truncated), {}

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
        self.cards = np.stack([_deal(seed, DECK * game.decks)[: game.steps + 1] for seed in seeds], 1)
        self.answers = np.full((game.steps, len(seeds)), -1)
        self.answers[game.silent :] = self.cards[0] if game.lag is None else self.cards[: game.steps - game.silent]
        self.observations: Observations = self.cards[0]

    def step(self, actions: np.ndarray) -> tuple[Observations, np.ndarray, np.ndarray, np.ndarray]:
        rewards = np.zeros(len(actions), np.float32)
        if self.game.silent <= self.t < self.game.steps:
            size = np.float32(self.game.size)
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
