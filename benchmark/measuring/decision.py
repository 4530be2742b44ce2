"""What a decision costs at the end of a run: latency, memory, parameters; measured alike for every backbone.

This is the short form of `dsbench bench`, of one trained policy. Latency is that of one whole decision (wrapper, backbone,
head), batch 1, in a closed loop: each decision sees the action before. Times are wall clock in microseconds; the first
decisions are not counted.
"""

from __future__ import annotations

import gc
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from dsbench.backbones.state import nbytes
from dsbench.decision import Actor, DecisionSequence


@dataclass(frozen=True)
class Latency:
    """Latency of single decisions in microseconds (`steps` of them)."""

    p50_us: float
    p90_us: float
    p99_us: float
    steps: int


@dataclass(frozen=True)
class Parameters:
    """Parameter counts: all, those of the parts (`embedding` is the wrapper's without the head), and those that train."""

    total: int
    embedding: int
    backbone: int
    head: int
    trainable: int


@torch.no_grad()
def decision_latency(
    model: DecisionSequence,
    observation: Tensor | dict[str, Tensor],
    *,
    horizon: int,
    warmup: int,
    steps: int,
    acting: Literal["stateful", "windowed"] = "stateful",
    window: int | None = None,
    on_step: Callable[[], None] = lambda: None,
) -> Latency:
    """Time `steps` decisions on one row; an episode begins anew every `horizon` of them, as in acting.

    Args:
        observation: (1, ...) what the policy sees at every step; its values change no kernel.
        horizon: timesteps of an episode.
        warmup: decisions before timing starts.
    """
    model.eval()
    device = next(model.parameters()).device
    actor = Actor(model, 1, acting=acting, window=window)
    return_to_go = torch.ones(1, device=device)
    previous: Tensor | None = None
    times = np.empty(warmup + steps)
    collecting = gc.isenabled()
    gc.disable()  # a collection in the middle of a step is not the backbone's doing
    try:
        for i in range(warmup + steps):
            timestep = torch.tensor([i % horizon], device=device)
            begin = time.perf_counter_ns()
            previous = actor.act(
                observation,
                return_to_go=return_to_go,
                previous_action=previous,
                first=timestep == 0,
                timestep=timestep,
                decode="argmax",
            )
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            times[i] = (time.perf_counter_ns() - begin) / 1e3
            on_step()
    finally:
        if collecting:
            gc.enable()
    p50, p90, p99 = np.percentile(times[warmup:], [50, 90, 99])
    return Latency(float(p50), float(p90), float(p99), steps)


def count_parameters(model: DecisionSequence) -> Parameters:
    """Live parameters of the model; buffers (normalisers) do not count."""

    def count(parameters: list[torch.nn.Parameter]) -> int:
        return sum(parameter.numel() for parameter in parameters)

    every = list(model.parameters())
    total, backbone, head = (count(list(part.parameters())) for part in (model, model.backbone, model.head))
    return Parameters(
        total=total,
        embedding=total - backbone - head,
        backbone=backbone,
        head=head,
        trainable=count([parameter for parameter in every if parameter.requires_grad]),
    )


@torch.no_grad()
def state_bytes(model: DecisionSequence, rows: int = 1) -> int:
    """Bytes that the backbone carries from one decision to the next."""
    return nbytes(model.backbone.initial_state(rows))


def peak_rss_bytes() -> int:
    """Largest resident memory of this process so far, the interpreter and the libraries included."""
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def peak_device_bytes(device: torch.device) -> int | None:
    """Largest memory that torch held on a CUDA device; None on the CPU, where nothing counts it."""
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None
