"""Numbers from one dtype to another without changing any, and where that cannot be done."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def rows_where(wrong: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(N,) whether anything in the row is wrong, from (N, ...)."""
    return wrong if wrong.ndim == 1 else np.any(wrong, axis=tuple(range(1, wrong.ndim)))


def not_finite(array: np.ndarray) -> NDArray[np.bool_]:
    """(N,) rows with a NaN or an infinity."""
    if array.dtype.kind != "f":
        return np.zeros(len(array), bool)
    finite = np.isfinite(array)
    return np.zeros(len(array), bool) if finite.all() else rows_where(~finite)


def cast(array: np.ndarray, dtype: np.dtype[Any]) -> tuple[np.ndarray, NDArray[np.bool_]]:
    """The array as `dtype`, and (N,) rows in which a number would change.

    Rounding of a float to a narrower float is no change, overflow is; integers must stay what they are.
    """
    if array.dtype == dtype:
        return array, np.zeros(len(array), bool)
    if array.dtype.kind == "b":
        array = array.astype(np.uint8)
    with np.errstate(over="ignore", invalid="ignore"):
        if dtype.kind == "f":
            result = array.astype(dtype)
            exact = array.dtype.kind == "f" or _comes_back(result, array)
            return result, rows_where(np.isfinite(array) & ~(np.isfinite(result) & exact))
        if dtype.kind not in "iu":
            raise TypeError(f"no cast to {dtype}")
        bounds = np.iinfo(dtype)
        lost = (array < bounds.min) | (array > bounds.max)
        if array.dtype.kind == "f":
            lost = ~(np.floor(array) == array) | (array < float(bounds.min)) | (array >= float(bounds.max) + 1)
        return np.where(lost, 0, array).astype(dtype), rows_where(lost)


def _comes_back(floats: np.ndarray, integers: np.ndarray) -> NDArray[np.bool_]:
    """Whether each float is still the integer that it was made of; compared as integers, for floats would round both."""
    inside = floats < float(np.iinfo(integers.dtype).max) + 1  # the next power of two, which any float holds exactly
    return inside & (np.where(inside, floats, 0).astype(integers.dtype) == integers)
