"""Rows that hold several episodes, taken apart and put together again.

A convolution cannot forget inside a row. So each stretch between resets becomes a row of its own, padded on the right.
Stretches of very different lengths are grouped by powers of two, which bounds the padding to a factor of two.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

MAX_PADDING = 2.0  # entries of the padded rows per real entry before stretches are grouped by length


@dataclass(frozen=True)
class _Group:
    """Stretches that are padded to one length. `places` (R, length) are token indices in the flattened rows."""

    places: Tensor
    real: Tensor  # (R, length) bool


class Stretches:
    """The stretches of a batch of rows; column 0 always starts one.

    Args:
        resets: (B, L) bool, True where a stretch starts, L >= 1.

    Attributes:
        longest: tokens of the longest stretch; L if there are no rows.
    """

    def __init__(self, resets: Tensor) -> None:
        begins = resets.clone()
        begins[:, 0] = True
        self._starts = begins.flatten().nonzero().squeeze(1)
        self._lengths = self._starts.diff(append=self._starts.new_tensor([resets.numel()]))
        self._tokens = resets.numel()
        self.longest = int(self._lengths.max()) if len(resets) else resets.shape[1]

    def map(self, function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        """Apply a map (R, L, D) -> (R, L, D), causal and anew in every row, to each stretch of x (B, L, D)."""
        if len(self._starts) * self.longest == self._tokens:  # equally long: the tokens lie in the right order already
            y = function(x.reshape(len(self._starts), self.longest, x.shape[-1]))
            return y.reshape(*x.shape[:2], y.shape[-1])
        tokens = x.reshape(-1, x.shape[-1])
        places, outputs = [], []
        for group in self._groups():
            rows = tokens.index_select(0, group.places.flatten()).view(*group.places.shape, -1)
            y = function(torch.where(group.real.unsqueeze(-1), rows, 0.0))
            kept = group.real.flatten().nonzero().squeeze(1)
            outputs.append(y.reshape(-1, y.shape[-1]).index_select(0, kept))
            places.append(group.places.flatten()[kept])
        if len(outputs) == 1:
            return outputs[0].view(*x.shape[:2], -1)
        return torch.cat(outputs).index_select(0, torch.cat(places).argsort()).view(*x.shape[:2], -1)

    def _groups(self) -> list[_Group]:
        if len(self._starts) * self.longest <= MAX_PADDING * self._tokens:
            return [_group(self._starts, self._lengths, self.longest)]
        groups, above = [], self.longest
        while above > 0:
            chosen = (self._lengths <= above) & (self._lengths > above // 2)
            if bool(chosen.any()):
                lengths = self._lengths[chosen]
                groups.append(_group(self._starts[chosen], lengths, int(lengths.max())))
            above //= 2
        return groups


def _group(starts: Tensor, lengths: Tensor, longest: int) -> _Group:
    offsets = torch.arange(longest, device=starts.device)
    real = offsets < lengths.unsqueeze(1)
    return _Group(torch.where(real, starts.unsqueeze(1) + offsets, starts.unsqueeze(1)), real)


def before_first_reset(resets: Tensor) -> Tensor:
    """(B, L) bool: tokens that still see the state passed in."""
    return resets.cumsum(1) == 0


def after_last_reset(resets: Tensor) -> Tensor:
    """(B, L) bool: tokens that the state after the last column depends on."""
    later = resets.flip(1).cumsum(1).flip(1) - resets.long()  # resets strictly to the right
    return later == 0
