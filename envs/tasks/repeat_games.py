"""Which repeat games there are, by level or by one number, and what can be known of them exactly."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from dsbench.envs.options import check_choice, check_integer
from dsbench.errors import UsageError

DECK, OF_A_SUIT = 52, 13


@dataclass(frozen=True)
class Game:
    """A repeat game.

    Attributes:
        decks: how many, shuffled together.
        lag: popgym's k of the previous card to name; None for the first card.
        dealt: cards that are seen, the first of the decks; None for all.
    """

    decks: int
    lag: int | None = None
    dealt: int | None = None

    @property
    def steps(self) -> int:
        """Timesteps of an episode."""
        return (self.dealt or DECK * self.decks) - 1

    @property
    def silent(self) -> int:
        """Timesteps at the start whose action does not count."""
        return 0 if self.lag is None else self.lag - 1

    @property
    def size(self) -> float:
        """Of a reward."""
        return 1 / (self.steps - self.silent)

    @property
    def memoryless(self) -> float:
        """Exact share of right answers to the first card of the best policy that sees the card on top and the timestep:
        that card at t = 0, another suit than the one on top later."""
        another = OF_A_SUIT * self.decks / (DECK * self.decks - 1)
        return (1 + (self.steps - 1) * another) / self.steps


FIRST = {"easy": Game(1), "medium": Game(8), "hard": Game(16)}
PREVIOUS = {"easy": Game(1, 4), "medium": Game(2, 32), "hard": Game(3, 64)}
LEAST_CARDS, MOST_CARDS = 3, DECK * 16  # of two cards the first one is on top whenever it is asked for
LAG_DECKS, MOST_LAG = 3, DECK * 3 - 1  # popgym asks for fewer than there are cards


def by_cards(level: str | None, cards: int | None) -> tuple[dict[str, Any], Game]:
    """The options of a game of ``repeat-first`` as they name the streams, and the game; `UsageError` for what cannot be."""
    return _chosen(FIRST, level, "cards", cards, (LEAST_CARDS, MOST_CARDS), _of_cards)


def by_lag(level: str | None, k: int | None) -> tuple[dict[str, Any], Game]:
    """The same for ``repeat-previous``."""
    return _chosen(PREVIOUS, level, "k", k, (2, MOST_LAG), _of_lag)


def _of_cards(cards: int) -> Game:
    return Game(math.ceil(cards / DECK), dealt=cards)


def _of_lag(lag: int) -> Game:
    return Game(LAG_DECKS, lag)


def _chosen(
    levels: Mapping[str, Game],
    level: str | None,
    option: str,
    number: int | None,
    bounds: tuple[int, int],
    of_number: Callable[[int], Game],
) -> tuple[dict[str, Any], Game]:
    """By level or, in its place, by the number that `option` gives."""
    if number is None:
        level = "easy" if level is None else level
        check_choice("level", level, levels)
        return {"level": level}, levels[level]
    if level is not None:
        raise UsageError(
            f"env.level is {level!r} and env.{option} is {number!r}; expected one of them, leave out the other"
        )
    check_integer(option, number, *bounds)
    return {option: number}, of_number(number)
