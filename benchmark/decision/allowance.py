"""A bound on the memory that torch takes while something is built, known before it is taken."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

DRAWING = ("normal_", "uniform_")


class TooMuch(Exception):
    """More memory was asked for than is allowed."""


class Allowance(TorchDispatchMode):
    """While it is entered, new tensors take `limit` bytes between them at most; on torch's meta device they are counted alike.

    What is made from a size is counted before it is made, what an operation makes of tensors when it is.

    Args:
        limit: bytes.
        tensors: how many may be made; None is any number.

    Attributes:
        taken: bytes so far.
        made: tensors so far.
    """

    def __init__(self, limit: int, tensors: int | None = None) -> None:
        super().__init__()
        self.limit, self.tensors = limit, tensors
        self.taken = self.made = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # torch would load its compiler, which takes seconds, to tell it that nothing here is compiled

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func._schema.name.removeprefix("aten::")
        if name in DRAWING and args[0].is_meta:  # there is nothing to fill, and torch takes seconds to find that out
            return args[0]
        self._check(self.taken + _bytes(name, args, kwargs or {}))
        result = func(*args, **(kwargs or {}))
        if all(returned.alias_info is None for returned in func._schema.returns):
            made = [value for value in tree_leaves(result) if isinstance(value, Tensor)]
            self.made += len(made)
            self.taken += sum(value.nbytes for value in made)
            self._check(self.taken)
        return result

    def _check(self, needed: int) -> None:
        if needed > self.limit:
            raise TooMuch(f"takes more than {self.limit:,} bytes")
        if self.tensors is not None and self.made > self.tensors:
            raise TooMuch(f"takes more than {self.tensors:,} tensors")


def _bytes(name: str, args: Any, kwargs: dict[str, Any]) -> int:
    """Of a tensor that is made from a size: the first list of numbers, or the length of a range; 0 for other operations."""
    tensors = [value for value in args if isinstance(value, Tensor)]
    if tensors and not name.startswith("new_") and name != "repeat":
        return 0
    dtype = kwargs.get("dtype")
    each = dtype.itemsize if isinstance(dtype, torch.dtype) else torch.get_default_dtype().itemsize
    copies = tensors[0].numel() if name == "repeat" else 1
    for value in args:
        if isinstance(value, list | tuple):
            return each * copies * math.prod(one for one in value if isinstance(one, int))
    ends = [abs(value) for value in args if isinstance(value, int | float) and math.isfinite(value)]
    return int(each * max(ends, default=0))  # of a range, which is never longer than its end where it counts by ones
