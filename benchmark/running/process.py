"""The environment of a process that computes: threads, waiting and memory, set before torch is imported.

On a busy machine torch's OpenMP threads must not spin at barriers (measured: 296 ms became 7 ms), and glibc must not
give every large tensor's memory back to the kernel (measured: 364 ms became 161 ms). Both are read from the environment
when the process starts, so the launcher sets them for its worker.
"""

from __future__ import annotations

import os
import sys
import warnings


def process_environment(threads: int) -> dict[str, str]:
    """Variables for a new process that computes with `threads` threads."""
    return {
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "OPENBLAS_NUM_THREADS": str(threads),
        "OMP_WAIT_POLICY": "PASSIVE",
        "MALLOC_MMAP_MAX_": "0",  # glibc only; read at process start
        "MALLOC_TRIM_THRESHOLD_": "2147483647",
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",  # without it cuBLAS cannot be deterministic
    }


def configure_process(threads: int = 1) -> None:
    """Set the same variables in this process, for library users; call it before torch is imported.

    The malloc settings reach only processes started afterwards.
    """
    if "torch" in sys.modules:
        warnings.warn(
            "dsbench.configure_process() was called after torch was imported, so its thread and wait settings have no "
            "effect; call it first",
            stacklevel=2,
        )
    os.environ.update(process_environment(threads))


def available_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
