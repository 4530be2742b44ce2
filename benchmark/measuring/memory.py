"""What a cell occupies, counted in a process of its own so that no other cell's memory is in the way.

Four different things: bytes of the parameters, of the optimiser's moments, of the state or cache (exact, from tensors);
the largest amount that torch had allocated above what was there before a call; and how far the resident memory of the
process grew in a call, which includes what the C library keeps and what compiled code allocates by itself.
"""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from dsbench.config import RunConfig
from dsbench.decision import DecisionSequence
from dsbench.measuring.cells import Subject, build_subject
from dsbench.measuring.decision import count_parameters, peak_rss_bytes, state_bytes
from dsbench.measuring.limits import Traffic, count_flops, decision_traffic, update_traffic
from dsbench.measuring.plan import Cell

PAGE_COUNTERS = Path("/proc/self/clear_refs")  # writing 5 puts the high-water mark of the resident memory back


def occupied(cell: Cell, config: RunConfig, device: torch.device) -> dict[str, Any]:
    """Columns of a cell on memory and size, with the bytes and operations that its limit comes from (``moved``, ``held``,
    ``flops``)."""
    subject = build_subject(cell, config, device)
    subject.prepare()
    subject.run()  # what is made once (kernels, moments of the optimiser) is not the call's
    return {
        **sizes(subject, cell),
        "peak_rss_growth_bytes": rss_growth(subject.run),
        "peak_allocated_bytes": peak_allocated(subject.run, device),
        "flops": count_flops(subject.run),
    }


def sizes(subject: Subject, cell: Cell) -> dict[str, Any]:
    """Parameters by part, and bytes that are known from tensors."""
    model, parts = subject.model, count_parameters(subject.model)
    training = cell.mode == "train"
    stateful = not training and cell.mode != "window"
    return {
        "parameters_embedding": parts.embedding,
        "parameters_backbone": parts.backbone,
        "parameters_head": parts.head,
        "parameters_trainable": parts.trainable,
        "parameter_bytes": sum(p.numel() * p.element_size() for p in model.parameters()),
        "optimiser_bytes": optimiser_bytes(subject) if training else None,
        "state_bytes": state_bytes(model, cell.batch) if stateful else None,
        **asdict(_traffic(model, cell, stateful)),
    }


def _traffic(model: DecisionSequence, cell: Cell, stateful: bool) -> Traffic:
    if cell.mode == "train":
        return update_traffic(model)
    own = decision_traffic(model, cell.batch, stateful=stateful)
    return replace(own, held=own.moved) if cell.mode == "copy" else own  # a copy reads and writes different bytes


def optimiser_bytes(subject: Subject) -> int:
    """Of the moments that the optimiser keeps, after its first step."""
    assert subject.trainer is not None
    states = subject.trainer.optimizer.state.values()
    return sum(
        value.numel() * value.element_size()
        for state in states
        for value in state.values()
        if isinstance(value, torch.Tensor)
    )


def peak_allocated(run: Callable[[], None], device: torch.device) -> int:
    """Largest number of bytes that torch held in one run above what it held before.

    On the CPU the allocator's events are read from the profiler, so that memory inside of an operation counts too;
    what other libraries allocate does not.
    """
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        run()
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before
    from torch.profiler import ProfilerActivity, profile

    gc.collect()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        run()
    held = peak = 0
    for _, size in sorted(_allocations(profiler)):
        held += size
        peak = max(peak, held)
    return peak


def _allocations(profiler: Any) -> list[tuple[int, int]]:
    """(time in ns, bytes) of every allocation; freeing is negative."""
    from torch._C._profiler import _EventType

    found, stack = [], list(profiler.profiler.kineto_results.experimental_event_tree())
    while stack:
        event = stack.pop()
        stack += event.children
        if event.tag == _EventType.Allocation:
            found.append((event.start_time_ns, event.extra_fields.alloc_size))
    return found


def rss_growth(run: Callable[[], None]) -> int | None:
    """How far the resident memory of this process rose above where it stood, in one run; None where the system cannot
    say (not Linux)."""
    gc.collect()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)  # what was freed before must not hide what is needed now
    try:
        PAGE_COUNTERS.write_text("5")
    except OSError:
        return None
    before = resident_bytes()
    run()
    return max(0, peak_rss_bytes() - before)


def resident_bytes() -> int:
    """Resident memory of this process."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise OSError("/proc/self/status has no VmRSS")
