"""The compiled recurrences (``csrc/scans.c``): found beside this file, called with data pointers, the batch over threads.

The library has a plain C interface and does not know torch. It is built by the installation where there is a compiler;
without one everything runs in plain torch. ctypes releases the interpreter's lock for the length of a call.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dsbench.installation import reinstall_line

# How many sizes (besides the rows [begin, end)) and how many arrays a function takes.
_FUNCTIONS = {
    "selective_forward": (3, 10),
    "selective_backward": (3, 14),
    "channels_forward": (3, 9),
    "channels_backward": (5, 12),
    "convolution_forward": (4, 7),
    "convolution_backward": (4, 11),
    "diagonal_forward": (2, 5),
    "diagonal_backward": (2, 8),
    "linear_forward": (2, 5),
    "linear_backward": (2, 8),
    "softplus_forward": (2, 3),
    "softplus_backward": (2, 5),
    "gate_forward": (4, 5),
    "gate_backward": (4, 9),
}
_PRECISIONS = {torch.float32: "f32", torch.float64: "f64"}
_WORTH_A_THREAD = 1 << 16  # multiplications and exponentials below which waking a thread costs more than it saves


class Library:
    """The loaded library.

    Attributes:
        chosen_set: instruction set whose functions are called.
        chunk: tokens between two states that the selective scan keeps.
        tile: likewise of the recurrence of channels.
    """

    def __init__(self, path: Path) -> None:
        self._library = ctypes.CDLL(str(path))
        self._library.instruction_set.restype = ctypes.c_char_p
        self.chosen_set: str = self._library.instruction_set().decode()
        self.chunk = int(self._library.chunk_length())
        self.tile = int(self._library.tile_length())
        self._found: dict[tuple[str, torch.dtype, str], Any] = {}

    def instruction_sets(self) -> list[str]:
        """Those that this processor runs, the best last."""
        every = ["base", "avx2", "avx512"]
        return every[: every.index(self.chosen_set) + 1]

    def run(self, name: str, rows: int, sizes: Sequence[int], arrays: Sequence[Tensor | None], work: int) -> None:
        """Call a function on all rows.

        Args:
            name: without precision and instruction set.
            rows: size of the batch, or groups of its rows; split into one part a thread.
            sizes: the lengths of the other axes.
            arrays: contiguous, in the order of the C function; the floating-point ones have the dtype of the first.
            work: operations of the whole call, to decide whether threads are worth it.

        Raises:
            MemoryError: the function could not get its scratch memory.
        """
        first = arrays[0]
        assert first is not None
        # ctypes would pass an argument too many as a 32-bit number, and a pointer so cut is a crash.
        assert (len(sizes), len(arrays)) == _FUNCTIONS[name], name
        function = self._function(name, first.dtype)
        rest: list[Any] = [*sizes, *(None if array is None else array.data_ptr() for array in arrays)]
        threads = max(1, min(torch.get_num_threads(), rows, work // _WORTH_A_THREAD))
        edges = [rows * part // threads for part in range(threads + 1)]
        parts = list(pairwise(edges))
        jobs = [_pool(threads - 1).submit(function, *part, *rest) for part in parts[1:]]
        failed = function(*parts[0], *rest)
        if any([failed, *(job.result() for job in jobs)]):
            raise MemoryError(f"{name}: no memory for its scratch arrays")

    def _function(self, name: str, dtype: torch.dtype) -> Any:
        key = (name, dtype, self.chosen_set)
        if key not in self._found:
            function = getattr(self._library, f"{name}_{_PRECISIONS[dtype]}_{self.chosen_set}")
            sizes, arrays = _FUNCTIONS[name]
            function.argtypes = [ctypes.c_long] * (2 + sizes) + [ctypes.c_void_p] * arrays
            self._found[key] = function
        return self._found[key]


@cache
def library() -> Library:
    """The library of this installation.

    Raises:
        OSError: it was not built or cannot be loaded; see `unavailable`.
    """
    return Library(_find())


@cache
def unavailable() -> str | None:
    """Why the compiled recurrences cannot run here and the way out; None if they can."""
    try:
        library()
    except (OSError, AttributeError) as error:
        return f"{error}; {way_out()}"
    return None


def way_out() -> str:
    """What to do where the library is missing."""
    return f"install a C compiler (gcc or clang), then: {reinstall_line()}"


def _find() -> Path:
    folder = Path(__file__).parent
    for suffix in EXTENSION_SUFFIXES:
        if (path := folder / f"_scans{suffix}").exists():
            return path
    raise OSError("the compiled recurrences were not built, there was no C compiler at installation")


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="dsbench-scan")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # a child has the pool without its threads


def compute_dtype(*tensors: Tensor) -> torch.dtype:
    """float64 if any tensor is, float32 otherwise (half precision is too coarse for a recurrence)."""
    return torch.float64 if any(tensor.dtype == torch.float64 for tensor in tensors) else torch.float32


def as_bytes(resets: Tensor | None) -> Tensor | None:
    """Resets as the library reads them."""
    return None if resets is None else resets.contiguous().view(torch.uint8)


def tracked(*tensors: Tensor) -> bool:
    """Whether a backward pass will ask for what the forward pass keeps."""
    return torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)
