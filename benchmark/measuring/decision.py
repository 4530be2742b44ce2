"""What a decision costs at the end of a run: latency, memory, parameters; measured alike for every backbone.

This is the short form of `dsbench bench`, of one trained policy and by the same timing: warm-up until stable, blocks during
which others had the core repeated and, if that does not help, counted. Latency is that of one whole decision (wrapper,
backbone, head), batch 1, in a closed loop: each decision sees the action before.
"""

from __future__ import annotations

import math
import resource
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from dsbench.backbones.state import nbytes
from dsbench.decision import Actor, DecisionSequence
from dsbench.measuring.estimates import timing
from dsbench.measuring.timing import Contestant, Schedule, measure

BLOCK = 10  # decisions timed in a row: few milliseconds, so that a core that others have for a while spoils few blocks


@dataclass(frozen=True)
class Latency:
    """Latency of single decisions in microseconds.

    Attributes:
        p50_us: median of `steps` decisions.
        low_us: of the 95 % interval of the median; NaN where one block was all.
        high_us: its other end.
        p90_us: exceeded by one decision in ten.
        p99_us: exceeded by one in a hundred.
        steps: timed decisions.
        contended: part of the blocks of decisions during which, tried again too, others had the core; None where CPU
            time cannot tell: with several threads or on a device.
        implementation: what computed the backbone's part.
    """

    p50_us: float
    low_us: float
    high_us: float
    p90_us: float
    p99_us: float
    steps: int
    contended: float | None
    implementation: str


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
    """Time at least `steps` decisions on one row; an episode begins anew every `horizon` of them, as in acting.

    Args:
        observation: (1, ...) what the policy sees at every step; its values change no kernel.
        horizon: timesteps of an episode.
        warmup: decisions before timing starts, at most; at least three.
        on_step: called once a decision.
    """
    model.eval()
    loop = _Loop(Actor(model, 1, acting=acting, window=window), observation, horizon, on_step)
    alone = loop.device.type == "cpu" and torch.get_num_threads() == 1
    blocks = -(-steps // BLOCK)
    schedule = Schedule(
        rounds=blocks, samples=min(BLOCK, steps), min_warmup=max(1, warmup // 3), max_warmup=max(3, warmup),
        contended=Schedule().contended if alone else math.inf, max_repeats=blocks,
    )  # fmt: skip
    samples = measure(
        [Contestant("decision", loop.decide, loop.prepare)], schedule, generator=np.random.default_rng(0)
    )["decision"]
    if loop.error is not None:
        raise loop.error
    found = timing(samples)
    return Latency(
        found.p50, found.low, found.high, found.p90, found.p99, found.n,
        contended=found.contended / blocks if alone else None, implementation=loop.actor.implementation,
    )  # fmt: skip


class _Loop:
    """Decisions of one row that follow each other, each seeing the action before."""

    def __init__(
        self, actor: Actor, observation: Tensor | dict[str, Tensor], horizon: int, on_step: Callable[[], None]
    ) -> None:
        self.actor, self.observation, self.horizon, self.on_step = actor, observation, horizon, on_step
        self.device = next(actor.policy.parameters()).device
        self.return_to_go = torch.ones(1, dtype=torch.float64, device=self.device)
        self.previous: Tensor | None = None
        self.error: Exception | None = None
        self.done = 0

    def prepare(self) -> None:
        """Not timed."""
        self.timestep = torch.tensor([self.done % self.horizon], device=self.device)
        self.on_step()

    def decide(self) -> None:
        """Timed; an error is kept, for the run to end by it."""
        try:
            self.previous = self.actor.act(
                self.observation, return_to_go=self.return_to_go, previous_action=self.previous,
                first=self.timestep == 0, timestep=self.timestep, decode="argmax",
            )  # fmt: skip
            if self.device.type == "cuda":
                torch.cuda.synchronize(self.device)
        except Exception as error:
            self.error = error
            raise
        self.done += 1


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
