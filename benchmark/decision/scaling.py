"""Centre and spread of what a policy is shown, from the data, and where a number of the machine carries neither.

What lies far from zero loses its signal when it is rounded to float32 before its centre is taken away (8,000 ± 1.6 does not,
1,000,000 ± .01 does). So the centre is taken away in the type that the number came in: returns-to-go are float64 from the
data to the encoder, observations of wide types (float64, whole numbers of 32 bits and more) too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dsbench.episodes import Episodes

NARROW = ("float16", "float32", "bool", "int8", "uint8", "int16", "uint16")  # float32 holds all their numbers
OBSERVATIONS = "observations"
HARDLY = 8  # times what rounding alone may do
FAR_ASKED = 5  # spreads beyond the data's returns
LARGE, SMALL = 1e150, 1e-150  # beyond these the square of a float64 is none


class Spread(NamedTuple):
    """Of N numbers, or of N rows of F: each entry () or (F,), float64."""

    centre: NDArray[np.float64]
    spread: NDArray[np.float64]
    largest: NDArray[np.float64]

    @classmethod
    def of(cls, values: np.ndarray) -> Self:
        """Mean, standard deviation and largest absolute value over the first axis."""
        wide = values.astype(np.float64)
        low, high = np.asarray(wide.min(0)), np.asarray(wide.max(0))
        largest = np.maximum(np.abs(low), np.abs(high))
        unit = np.where((largest > LARGE) | ((largest < SMALL) & (largest > 0)), largest, 1.0)
        if (unit != 1).any():
            wide /= unit
        near = wide[0].copy()
        wide -= near  # sums of what is left are rounded less than those of an offset
        equal = low == high  # exactly so, which the rounding of a mean would hide
        centre = np.where(equal, low, (near + wide.mean(0)) * unit)
        return cls(centre, np.where(equal, 0.0, np.asarray(wide.std(0)) * unit), largest)


class KeepsFloat64(nn.Module):
    """A module whose float64 buffers stay so when its weights change their type: a rounded centre is another one."""

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        before = {name: one for name, one in self._buffers.items() if one is not None and one.dtype == torch.float64}
        super()._apply(fn, recurse)
        for name, exact in before.items():
            after = self._buffers[name]
            if after is not None and after.dtype != torch.float64:
                self._buffers[name] = exact.to(after.device)
        return self


def is_wide(dtype: np.dtype[Any]) -> bool:
    """Whether float32 rounds numbers of this type."""
    return dtype.name not in NARROW


def resolution(dtype: np.dtype[Any], largest: NDArray[np.float64]) -> NDArray[np.float64]:
    """What differs by less than this among numbers of this type and size may be rounding alone."""
    return largest * float(np.finfo(np.float64 if is_wide(dtype) else np.float32).eps)


def rounding_of_returns(episodes: Episodes) -> float:
    """How far returns may differ that would be equal were they summed exactly."""
    return float(np.abs(episodes.returns()).max() * int(episodes.lengths.max()) * np.finfo(np.float64).eps)


def note_on_observations(name: str, found: Spread, rounding: NDArray[np.float64]) -> list[str]:
    """A sentence where features vary, and by hardly more than what is rounding at their size."""
    places = np.flatnonzero((found.spread > 0) & (found.spread <= HARDLY * rounding))
    if not len(places):
        return []
    place = int(places[0])
    more = f" (and {len(places) - 1} more)" if len(places) > 1 else ""
    return [
        f"{name}[{place}]{more} varies by {found.spread[place]:.2g} around {found.centre[place]:.8g}, where rounding alone "
        f"makes {rounding[place]:.2g}: little of it is seen; take its offset away in the environment, or show it in float64"
    ]


def note_on_returns(found: Spread, rounding: float) -> list[str]:
    """A sentence where returns vary, and by no more than what float32 rewards of their size are rounded by."""
    of_rewards = float(resolution(np.dtype(np.float32), found.largest))
    if not rounding < found.spread <= of_rewards:
        return []
    return [
        f"the data's returns vary by {float(found.spread):.2g} around {float(found.centre):.8g}, where one float32 reward of "
        f"that size is rounded by {of_rewards:.2g}: the return token may say nothing but rounding; pay the signal apart"
    ]


def note_on_target(asked: float, episodes: Episodes) -> list[str]:
    """A sentence where a return is asked for that lies far from all of the data, in spreads of its returns."""
    returns = episodes.returns()
    spread = float(Spread.of(returns).spread)
    low, high = float(returns.min()), float(returns.max())
    beyond = max(low - asked, asked - high)
    if beyond <= FAR_ASKED * spread + rounding_of_returns(episodes):
        return []
    far = f"{_count(beyond / spread)} spreads" if spread > 0 else f"{beyond:.3g}"
    low, high = low + 0.0, high + 0.0  # -0 is 0 for people
    return [f"the return asked for, {asked:.8g}, lies {far} outside of the data's returns ({low:.8g} to {high:.8g})"]


def _count(number: float) -> str:
    """A number of spreads for people: in full where that is short."""
    return f"{number:,.0f}" if number < 1e9 else f"{number:.3g}"
