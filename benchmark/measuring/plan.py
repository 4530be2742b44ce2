"""What `dsbench bench` measures: a grid of cells, each one backbone in one situation. Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

Mode = Literal["recurrent", "kv_cache", "window", "compiled", "train", "empty", "copy"]
Loop = Literal["model", "env"]
MODES: tuple[Mode, ...] = get_args(Mode)
STEPS: tuple[Mode, ...] = ("recurrent", "kv_cache", "window", "compiled")  # ways to make a decision
TRAIN_ROWS, TRAIN_TIMESTEPS = 16, 16_384  # rows of a training batch, fewer where they would hold more timesteps


@dataclass(frozen=True)
class Contender:
    """A backbone as far as the grid depends on it.

    Attributes:
        name: catalogue name or reference.
        attention: whether it looks back on a number of tokens that is set (``context_len``), so that it has a cache that
            grows with the context, and can encode its window anew at every decision.
        implementations: those to ask for by name beside its own choice.
    """

    name: str
    attention: bool
    implementations: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cell:
    """One backbone in one situation.

    Attributes:
        mode: how it decides; ``train`` is an optimiser update; ``empty`` the wrapper around no backbone; ``copy`` the
            copying of as many bytes as a decision must at least move.
        loop: ``model`` shows one observation again and again, ``env`` steps the environment too; None in training.
        context: decisions before the one that is timed; None in training.
        length: timesteps of a training row; None elsewhere.
        batch: rows.
        implementation: asked for by name; None is the backbone's own choice.
    """

    backbone: str
    mode: Mode
    loop: Loop | None = None
    context: int | None = None
    length: int | None = None
    batch: int = 1
    implementation: str | None = None

    @property
    def id(self) -> str:
        """Unique in a grid and safe in a file: ``gpt.kv_cache.model.t300.b1``, ``s4.train.L64.b16``."""
        name = re.sub(r"[^a-z0-9]+", "_", self.backbone.lower()).strip("_")
        parts = [name, self.mode, self.loop, self.implementation]
        sizes = {"t": self.context, "L": self.length, "b": self.batch}
        parts += [None if size is None else f"{letter}{size}" for letter, size in sizes.items()]
        return ".".join(part for part in parts if part)

    def to_json(self) -> dict[str, Any]:
        """JSON data that `Cell` takes as arguments."""
        return asdict(self)


@dataclass(frozen=True)
class Grid:
    """Which situations are measured.

    Attributes:
        attention_contexts: for a backbone with a cache.
        recurrent_contexts: for the others, whose cost should not depend on it.
        window_limit: largest context at which the window is encoded anew.
        compiled_contexts: for compiled steps, each of which takes seconds to make.
        batches: rows that decide at once.
        lengths: timesteps of training rows.
        every_implementation: of whole rows also those that the backbone would not choose; single steps have one.
    """

    attention_contexts: tuple[int, ...]
    recurrent_contexts: tuple[int, ...]
    window_limit: int
    compiled_contexts: tuple[int, ...]
    batches: tuple[int, ...]
    lengths: tuple[int, ...]
    every_implementation: bool = False

    def with_contexts(self, contexts: Sequence[int]) -> Grid:
        """The same at these contexts alone."""
        asked = tuple(sorted(set(contexts)))
        return replace(
            self, attention_contexts=asked, recurrent_contexts=asked, window_limit=asked[-1],
            compiled_contexts=asked[-1:],
        )  # fmt: skip


QUICK = Grid(
    attention_contexts=(1, 20, 100, 300, 1000),
    recurrent_contexts=(1, 1000),
    window_limit=300,
    compiled_contexts=(300,),
    batches=(1,),
    lengths=(64, 1024),
)
FULL = Grid(
    attention_contexts=(1, 20, 100, 300, 1000, 2000, 4000),
    recurrent_contexts=(1, 1000, 4000),
    window_limit=4000,
    compiled_contexts=(20, 300, 1000),
    batches=(1, 64),
    lengths=(64, 256, 1024, 4096, 16_384),
    every_implementation=True,
)


def cells(contenders: Sequence[Contender], grid: Grid) -> list[Cell]:
    """Every cell of the grid: decisions, the sanity rows, training."""
    decisions = [cell for one in contenders for cell in _decisions(one, grid)]
    empty = [
        Cell("empty", "empty", loop=loop, context=1, batch=batch) for loop in get_args(Loop) for batch in grid.batches
    ]
    copies = [Cell(one.name, "copy", context=_longest(one, grid)) for one in contenders] if decisions else []
    return [
        *decisions,
        *(empty if decisions else ()),
        *copies,
        *(c for one in contenders for c in _training(one, grid)),
    ]


def estimated_seconds(grid_cells: Sequence[Cell], rounds: int, limit: float) -> float:
    """Very roughly how long measuring takes on a CPU, from what cells took on one; `limit` is that of a cell."""
    return sum(min(limit, _seconds(cell, rounds)) + _COUNTING_S for cell in grid_cells)


_COUNTING_S = 0.7  # of a process that counts memory
_SAMPLES = 18  # of a decision in a round, warm-up and repeats included


def _seconds(cell: Cell, rounds: int) -> float:
    if cell.length is not None:
        update = 6e-5 * cell.length * cell.batch * (1 + cell.length / 8192)
        return update * rounds / 2 * (5 if cell.length <= 256 else 1.5) + 6 * update  # those behind are the counting's
    window = 1.5e-5 * (cell.context or 0) * cell.batch if cell.mode == "window" else 0.0
    return (8 if cell.mode == "compiled" else 0) + (6e-4 * (1 + cell.batch / 32) + window) * rounds * _SAMPLES


def _decisions(one: Contender, grid: Grid) -> Iterator[Cell]:
    contexts = grid.attention_contexts if one.attention else grid.recurrent_contexts
    for batch in grid.batches:
        for context in contexts:
            for loop in get_args(Loop):
                yield Cell(one.name, "kv_cache" if one.attention else "recurrent", loop, context, batch=batch)
                if one.attention and context <= grid.window_limit:
                    yield Cell(one.name, "window", loop, context, batch=batch)
        compiled = grid.compiled_contexts if one.attention else grid.compiled_contexts[-1:]
        for context in compiled:
            for loop in get_args(Loop):
                yield Cell(one.name, "compiled", loop, context, batch=batch)


def _training(one: Contender, grid: Grid) -> Iterator[Cell]:
    for length in grid.lengths:
        rows = max(1, min(TRAIN_ROWS, TRAIN_TIMESTEPS // length))
        for implementation in (None, *(one.implementations if grid.every_implementation else ())):
            yield Cell(one.name, "train", length=length, batch=rows, implementation=implementation)


def _longest(one: Contender, grid: Grid) -> int:
    return (grid.attention_contexts if one.attention else grid.recurrent_contexts)[-1]
