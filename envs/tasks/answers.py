"""Tasks whose actions are answers: what a right and a wrong one pay, and how an episode of them is scored."""

from __future__ import annotations

import numpy as np

from dsbench.episodes import Episodes


def stakes(choices: int, counted: int = 1) -> tuple[np.float32, np.float32]:
    """What a right and a wrong answer pay: all right make a return of 1, guessing makes 0 in the mean.

    Args:
        choices: answers to choose from.
        counted: answers of an episode that count.
    """
    return np.float32(1 / counted), np.float32(-1 / (counted * (choices - 1)))


def score(episodes: Episodes, counted: int) -> dict[str, np.ndarray]:
    """Per-episode measures: return, and the share of right answers among the `counted` ones, of which a right one pays.

    What an episode that was cut did not answer is not right.
    """
    right = np.add.reduceat(episodes.rewards > 0, episodes.starts[:-1], dtype=np.int64)
    return {"return": episodes.returns(), "correct": right / counted}
