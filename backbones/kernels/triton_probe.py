"""Whether Triton kernels can run here, and what every launch of one needs; itself free of Triton."""

from __future__ import annotations

import importlib
import os
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from dsbench.errors import UsageError


def unavailable() -> str | None:
    """Why Triton kernels cannot run here and the way out, or None."""
    try:
        importlib.import_module("triton")
    except Exception as error:  # a broken installation raises what it likes
        reason = f"triton cannot be imported ({error})"
        return f"{reason}; it comes with torch's CUDA builds for Linux, or: pip install triton"
    if not interpreted() and not torch.cuda.is_available():
        return "no CUDA device is visible; to test without one, set TRITON_INTERPRET=1 before Python starts"
    return None


def interpreted() -> bool:
    """Whether kernels run in Triton's interpreter, on tensors of the CPU."""
    return os.environ.get("TRITON_INTERPRET", "0").lower() in ("1", "true", "on", "yes", "y")


def prepared(*tensors: Tensor) -> list[Tensor]:
    """The tensors in the one dtype that a kernel computes in (float64 if any is, else float32), laid out densely.

    Raises:
        UsageError: they are not on a CUDA device and the interpreter is not on.
    """
    device = tensors[0].device.type
    if device != "cuda" and not interpreted():
        raise UsageError(f"implementation 'triton' was given tensors on {device!r}, expected 'cuda'; use 'auto'")
    dtype = torch.float64 if any(tensor.dtype == torch.float64 for tensor in tensors) else torch.float32
    return [tensor.to(dtype).contiguous() for tensor in tensors]


def flags(resets: Tensor | None, like: Tensor) -> Tensor:
    """The resets as bytes for a kernel; without resets a tensor that it never reads."""
    return like if resets is None else resets.contiguous().view(torch.uint8)


def on_device_of(tensor: Tensor) -> AbstractContextManager[object]:
    """Triton launches on the current device, which need not be the tensor's."""
    return torch.cuda.device(tensor.device) if tensor.is_cuda else nullcontext()


def power_of_two(count: int, most: int | None = None) -> int:
    """The smallest power of two that holds `count`, at most `most`: sizes of Triton's tiles."""
    size = 1 << max(count - 1, 0).bit_length()
    return size if most is None else min(size, most)


@dataclass(frozen=True)
class Lanes:
    """How the scans with one number per lane are launched: a program per row and 32 of its lanes, one warp wide."""

    rows: int
    count: int

    @property
    def grid(self) -> tuple[int, int]:
        return self.rows, -(-self.count // 32)

    @property
    def sizes(self) -> dict[str, Any]:
        return {"BLOCK": 32, "num_warps": 1}
