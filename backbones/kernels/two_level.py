"""A linear recurrence ``h_t = a_t h_{t-1} + x_t`` over long rows in about 3 sqrt(L) tensor operations.

Each row of L tokens is cut into K blocks of T. All blocks of all rows advance together, so one step is one operation on
a contiguous tensor of K B rows:

1. every block from a state of zero, for its last state only (T steps);
2. the K states at which the blocks begin, one after the other (K steps on B rows);
3. every block again from its true state, in place (T steps).

Nothing is divided by a product of decays, which would underflow; the work is at most twice the plain loop's, linear in
L. A token that starts an episode is written over with its input, so that what the old state held (NaN, infinity) is
gone, and that costs what the number of resets costs.

Shapes: B rows, L tokens, C planes (2 for complex numbers, else 1), W width of a plane; blocks are (T, C, K * B, W), time
within a block first, block-major rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

STRAIGHT = 16  # tokens up to which one block, that is the plain loop, is faster

Advance = Callable[[int, Tensor, Tensor, Tensor], None]  # (i, x, h, out): out = a_i h + x


@dataclass(frozen=True)
class Grid:
    """How rows of `length` tokens are cut: `blocks` of `steps` tokens, the last one padded with zeros."""

    rows: int
    length: int
    planes: int
    steps: int
    blocks: int

    @classmethod
    def of(cls, x: Tensor, planes: int) -> Grid:
        """The grid for x (B, L, planes * W), L >= 1."""
        rows, length, _ = x.shape
        # steps cost two operations on all blocks, blocks one: least work at T = sqrt(L / 2)
        blocks = 1 if length <= STRAIGHT else math.ceil(math.sqrt(2 * length))
        steps = -(-length // blocks)
        return cls(rows, length, planes, steps, -(-length // steps))

    def cut(self, x: Tensor) -> Tensor:
        """(B, L, C * W) -> (T, C, K * B, W), always a copy."""
        width = x.shape[-1] // self.planes
        x = F.pad(x, (0, 0, 0, self.blocks * self.steps - self.length)) if self._ragged else x
        x = x.reshape(self.rows, self.blocks, self.steps, self.planes, width).permute(2, 3, 1, 0, 4)
        x = x.clone(memory_format=torch.contiguous_format)
        return x.view(self.steps, self.planes, self.blocks * self.rows, width)

    def join(self, blocks: Tensor) -> Tensor:
        """Inverse of `cut`."""
        width = blocks.shape[-1]
        x = blocks.view(self.steps, self.planes, self.blocks, self.rows, width).permute(3, 2, 0, 1, 4)
        x = x.reshape(self.rows, self.blocks * self.steps, self.planes * width)
        return x[:, : self.length].contiguous() if self._ragged else x

    def pack(self, state: Tensor) -> Tensor:
        """(B, C * W) -> (C, B, W), always a copy."""
        parts = state.reshape(self.rows, self.planes, state.shape[-1] // self.planes).transpose(0, 1)
        return parts.clone(memory_format=torch.contiguous_format)

    def unpack(self, state: Tensor) -> Tensor:
        """Inverse of `pack`."""
        return state.transpose(0, 1).reshape(self.rows, self.planes * state.shape[-1])

    def last(self, blocks: Tensor) -> Tensor:
        """The view (C, B, W) of the last token in blocks."""
        block, step = divmod(self.length - 1, self.steps)
        return blocks[step, :, block * self.rows : (block + 1) * self.rows]

    def by_block(self, x: Tensor) -> tuple[Tensor, ...]:
        """Views (C, B, W) of (C, K * B, W), one a block."""
        return x.view(self.planes, self.blocks, self.rows, x.shape[-1]).unbind(1)

    def before(self, blocks: Tensor, first: Tensor) -> Tensor:
        """(C, K * B, W): the token before each block's first one, and `first` (C, B, W) before block 0."""
        return torch.cat([first, blocks[-1, :, : blocks.shape[2] - self.rows]], 1)

    def after(self, blocks: Tensor) -> Tensor:
        """(C, K * B, W): the token after each block's last one, zero after the last block."""
        return F.pad(blocks[0, :, self.rows :], (0, 0, 0, self.rows))

    @property
    def _ragged(self) -> bool:
        return self.blocks * self.steps != self.length


class Cuts:
    """Where the recurrence forgets what came before, in the order in which it is run.

    Attributes:
        rows: for each step within a block, the block rows that forget there.
        blocks: for each block, (1, B, 1) bool: rows that forget somewhere in it; empty if there are no resets.
    """

    def __init__(self, grid: Grid, resets: Tensor | None, reverse: bool = False) -> None:
        self.rows: Sequence[Tensor] = ()
        self.blocks: Sequence[Tensor] = ()
        if resets is None:
            return
        if reverse:  # backwards, token t does not see t + 1 where that one starts an episode
            resets = F.pad(resets[:, 1:], (0, 1))
        inside = Grid(grid.rows, grid.length, 1, grid.steps, grid.blocks).cut(resets.unsqueeze(-1)).flatten(1)
        if reverse:
            inside = inside.flip(0)
        self.rows = inside.nonzero()[:, 1].split(inside.sum(1).tolist())
        self.blocks = inside.any(0).view(grid.blocks, 1, grid.rows, 1).unbind(0)
        if reverse:
            self.blocks = self.blocks[::-1]


def scan_blocks(
    grid: Grid, steps: Sequence[Tensor], entry: Tensor, advance: Advance, carry: Advance, cuts: Cuts, reverse: bool
) -> None:
    """Turn inputs into states in place.

    Args:
        grid: the cut.
        steps: T views (C, K * B, W) of the blocks in the order of the recurrence.
        entry: (C, B, W) state before the first token; of the last token if `reverse`.
        advance: one step i of all blocks.
        carry: the whole block i, in the order of the recurrence, on (C, B, W): ``out = (product of its a) h + x``.
        cuts: what forgets.
        reverse: whether the recurrence begins at the last block.
    """
    begin = entry
    if grid.blocks > 1:
        ends = _last_states(steps, advance, cuts)
        begin = _entries(grid, ends, entry, carry, cuts, reverse)
    h = begin
    for i, x in enumerate(steps):
        _step(i, x, h, x, advance, cuts)
        h = x


def _step(i: int, x: Tensor, h: Tensor, out: Tensor, advance: Advance, cuts: Cuts) -> None:
    if not cuts.rows or len(cuts.rows[i]) == 0:
        advance(i, x, h, out)
        return
    inputs = x.index_select(1, cuts.rows[i])
    advance(i, x, h, out)
    out.index_copy_(1, cuts.rows[i], inputs)


def _last_states(steps: Sequence[Tensor], advance: Advance, cuts: Cuts) -> Tensor:
    """(C, K * B, W): the last state of each block, from zero."""
    h, spare = steps[0], (torch.empty_like(steps[0]), torch.empty_like(steps[0]))
    for i in range(1, len(steps)):
        out = spare[i % 2]
        _step(i, steps[i], h, out, advance, cuts)
        h = out
    return h


def _entries(grid: Grid, ends: Tensor, entry: Tensor, carry: Advance, cuts: Cuts, reverse: bool) -> Tensor:
    """(C, K * B, W): the true state before each block."""
    begin = torch.empty_like(ends)
    inputs, outputs = grid.by_block(ends), grid.by_block(begin)
    order = range(grid.blocks)[::-1] if reverse else range(grid.blocks)
    h = entry
    for i, k in enumerate(order):
        if i == 0:
            outputs[k].copy_(h)
        if i + 1 < grid.blocks:
            if cuts.blocks:
                h = torch.where(cuts.blocks[i], 0.0, h)
            after = outputs[order[i + 1]]
            carry(i, inputs[k], h, after)
            h = after
    return begin
