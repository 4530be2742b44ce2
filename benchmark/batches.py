"""Batches for training: rows of timesteps cut from episodes, as windows or whole, several to a row where they fit.

Everything that training reads is a `Batch`. Which segments a batch holds depends on the seed and the update's number
alone, so a resumed run draws the same batches as one never interrupted.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dsbench import seeds
from dsbench.episodes import Episodes, map_observations

Observation: TypeAlias = "Tensor | dict[str, Tensor]"
RETURN_RANGES = 10  # equal parts of what lies between the worst return and the best, for `return_weights`


@dataclass(frozen=True)
class Batch:
    """B rows of T timesteps; padding lies on the right and is zero.

    Attributes:
        observation: (B, T, ...) raw observations, or a dictionary of such tensors.
        action: (B, T) int64 or (B, T, A) float.
        previous_action: like `action`; zeros where an episode begins (the wrapper embeds "none" there).
        reward: (B, T) float32.
        return_to_go: (B, T) float64, raw units: its centre is taken away before it is rounded.
        timestep: (B, T) int64 position in the episode.
        reset: (B, T) bool, True where a segment starts (column 0 included).
        mask: (B, T) bool, True = real.
        episode_id: (B, T) int64, -1 on padding.
        action_mask: (B, T, A) bool, True = allowed, or None.
    """

    observation: Observation
    action: Tensor
    previous_action: Tensor
    reward: Tensor
    return_to_go: Tensor
    timestep: Tensor
    reset: Tensor
    mask: Tensor
    episode_id: Tensor
    action_mask: Tensor | None = None

    def to(self, device: torch.device | str) -> Batch:
        """The same batch on another device."""

        def move(value: Any) -> Any:
            if isinstance(value, dict):
                return {key: part.to(device) for key, part in value.items()}
            return None if value is None else value.to(device)

        return Batch(**{field.name: move(getattr(self, field.name)) for field in fields(self)})


class BatchSampler:
    """Draws batch number `update` of a run: `batch_size` segments, packed into rows.

    Args:
        episodes: the offline data.
        batch_size: segments in a batch.
        window: longest segment in timesteps; None takes whole episodes.
        row_length: timesteps a row may hold; segments share a row while they fit. None means the longest segment.
        seed: root of the stream that picks segments.
        balance_returns: pick the range of returns first, each as often, then an episode in it (`return_weights`).
        anchor: the ``end`` or the ``start`` of a window is what is drawn.
        length_weighted: pick whole episodes in proportion to their length.

    With a window, an episode is picked in proportion to its length and the window ends (or starts) at a timestep drawn
    uniformly, so every timestep is equally likely to be the last one (the first); it is shorter at the beginning (the end)
    of an episode. Without, episodes are picked uniformly unless `length_weighted`.
    """

    def __init__(
        self,
        episodes: Episodes,
        *,
        batch_size: int,
        window: int | None,
        row_length: int | None,
        seed: int,
        balance_returns: bool = False,
        anchor: Literal["end", "start"] = "end",
        length_weighted: bool = False,
    ) -> None:
        self.episodes, self.batch_size, self.window, self.seed = episodes, batch_size, window, seed
        self.anchor = anchor
        longest = int(episodes.lengths.max())
        self.segment_length = longest if window is None else min(window, longest)
        self.row_length = max(self.segment_length, row_length or 0)
        self._timesteps = episodes.timesteps()
        self._returns_to_go = episodes.returns_to_go()
        self._cumulative: NDArray[np.float64] | None = None  # of the weights of what is picked, None for equal ones
        if balance_returns or (length_weighted and window is None):
            weights = return_weights(episodes.returns()) if balance_returns else np.ones(len(episodes))
            if window is None and length_weighted:
                weights = weights * episodes.lengths
            self._cumulative = np.cumsum(weights if window is None else np.repeat(weights, episodes.lengths))

    def draw(self, update: int) -> Batch:
        """The batch of this update; a pure function of the seed and `update`."""
        generator = seeds.stream(self.seed, "batches", update)
        begins, ends = self._segments(generator)
        rows, columns, n_rows = pack(ends - begins, self.row_length)
        return self._gather(begins, ends, rows, columns, n_rows)

    def _segments(self, generator: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        starts = self.episodes.starts
        if self.window is None:
            chosen = self._pick(generator, len(self.episodes))
            return starts[chosen], starts[chosen + 1]
        last = self._pick(generator, self.episodes.n_timesteps)
        if self.anchor == "start":
            ends = starts[np.searchsorted(starts, last, side="right")]
            return last, np.minimum(last + self.window, ends)
        return np.maximum(last + 1 - self.window, last - self._timesteps[last]), last + 1

    def _pick(self, generator: np.random.Generator, count: int) -> NDArray[np.int64]:
        """`batch_size` of `count` things (episodes or timesteps), by their weights."""
        if self._cumulative is None:
            return generator.integers(count, size=self.batch_size)
        places = generator.random(self.batch_size) * self._cumulative[-1]
        return np.minimum(np.searchsorted(self._cumulative, places, side="right"), count - 1)

    def _gather(
        self,
        begins: NDArray[np.int64],
        ends: NDArray[np.int64],
        rows: NDArray[np.int64],
        columns: NDArray[np.int64],
        n_rows: int,
    ) -> Batch:
        lengths = ends - begins
        within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        source = np.repeat(begins, lengths) + within  # flat timestep of every real entry
        places = np.repeat(rows * self.row_length + columns, lengths) + within  # its slot in (B * T)
        width = int((columns + lengths).max())

        def spread(values: np.ndarray, fill: float = 0) -> Tensor:
            out = np.full((n_rows * self.row_length, *values.shape[1:]), fill, dtype=values.dtype)
            out[places] = values
            return torch.from_numpy(out.reshape(n_rows, self.row_length, *values.shape[1:])[:, :width].copy())

        episodes, timestep = self.episodes, self._timesteps[source]
        previous = episodes.actions[np.maximum(source - 1, 0)]
        previous = np.where((timestep > 0).reshape(-1, *[1] * (previous.ndim - 1)), previous, np.zeros_like(previous))
        observation = map_observations(lambda array: spread(array[source]), episodes.observations)
        return Batch(
            observation=observation,  # type: ignore[arg-type]
            action=spread(episodes.actions[source]),
            previous_action=spread(previous),
            reward=spread(episodes.rewards[source].astype(np.float32)),
            return_to_go=spread(self._returns_to_go[source]),
            timestep=spread(timestep),
            reset=spread(within == 0),
            mask=spread(np.ones(len(source), dtype=bool)),
            episode_id=spread(np.searchsorted(episodes.starts, source, side="right") - 1, fill=-1),
            action_mask=None if episodes.action_mask is None else spread(episodes.action_mask[source]),
        )


def return_weights(returns: NDArray[np.float64]) -> NDArray[np.float64]:
    """(E,) weights that give every occupied range of returns the same share, and so rare returns a voice.

    What is learned under them is unchanged where the return is asked for: P(action | history, return) does not depend on
    how often a return is shown, only how well it is learned does. (For behaviour cloning that would not hold.)
    """
    low, high = returns.min(), returns.max()
    place = (returns - low) / max(high - low, 1e-12)
    ranges = np.minimum((place * RETURN_RANGES).astype(np.int64), RETURN_RANGES - 1)
    counts = np.bincount(ranges, minlength=RETURN_RANGES)
    return 1.0 / counts[ranges]


def pack(lengths: NDArray[np.int64], row_length: int) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Place segments into rows, in order, opening a new row when one is full.

    Returns:
        (S,) row of each segment, (S,) its first column, and the number of rows.
    """
    rows = np.zeros(len(lengths), dtype=np.int64)
    columns = np.zeros(len(lengths), dtype=np.int64)
    row, column = 0, 0
    for segment, length in enumerate(lengths.tolist()):
        if column + length > row_length:
            row, column = row + 1, 0
        rows[segment], columns[segment] = row, column
        column += length
    return rows, columns, row + 1


def whole_batch(episodes: Episodes) -> Batch:
    """All episodes, one a row, in order: for tests, statistics and evaluation of recorded data."""
    sampler = BatchSampler(episodes, batch_size=len(episodes), window=None, row_length=None, seed=0)
    rows = np.arange(len(episodes))
    return sampler._gather(episodes.starts[:-1], episodes.starts[1:], rows, np.zeros_like(rows), len(episodes))
