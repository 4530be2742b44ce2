"""A cell as a contestant of the timing, and what its samples say as a record."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import torch

from dsbench.config import RunConfig
from dsbench.errors import MissingExtra
from dsbench.measuring.cells import Subject, build_subject
from dsbench.measuring.estimates import timing
from dsbench.measuring.plan import Cell
from dsbench.measuring.timing import Samples


class Stopped(Exception):
    """A signal asked for an end."""


class Timed:
    """A cell that is built at its first call, so that what it costs to set up is timed apart and a failure is its own.

    Args:
        name: of the contestant; the cell's id, but for a twin.
        config: of its backbone.
        advance: called before every sample; may raise `Stopped`.
    """

    def __init__(
        self, name: str, cell: Cell, config: RunConfig, device: torch.device, advance: Callable[[], None]
    ) -> None:
        self.name, self.cell, self.config, self.device, self.advance = name, cell, config, device, advance
        self.subject: Subject | None = None

    def prepare(self) -> None:
        """What is not timed."""
        self.advance()
        if self.subject is not None:
            self.subject.prepare()

    def run(self) -> None:
        """What is timed."""
        if self.subject is None:
            self.subject = build_subject(self.cell, self.config, self.device)
            self.subject.prepare()
        self.subject.run()

    def record(self, samples: Samples) -> dict[str, Any]:
        """The columns of `dsbench.measuring.bench_records` that come from timing."""
        times = timing(samples)
        status, reason = _status(samples)
        record = {
            "kind": "timed", "cell_id": self.cell.id, "status": status, "reason": reason,
            "rounds": len(samples.wall_us), "samples": times.n, "contended_rounds": times.contended,
            "setup_seconds": samples.setup_seconds,
        }  # fmt: skip
        if times.n:
            record |= {
                "p50_us": times.p50, "p50_low_us": times.low, "p50_high_us": times.high, "p90_us": times.p90,
                "p99_us": times.p99,
            }  # fmt: skip
        return record | (self._of_subject(self.subject, times.p50) if self.subject else {})

    def _of_subject(self, subject: Subject, p50_us: float) -> dict[str, Any]:
        tokens, cell = subject.model.tokens_per_decision, self.cell
        record = {"implementation": subject.implementation, "tokens_per_decision": tokens}
        if subject.options:
            record["options"] = json.dumps(subject.options)
        if cell.length is not None and math.isfinite(p50_us):
            record["train_tokens_per_second"] = cell.batch * cell.length * tokens / p50_us * 1e6
        return record


def _status(samples: Samples) -> tuple[str, str | None]:
    """Status and reason of a cell: rounds before a stop count, and what is not installed was skipped."""
    reason = samples.reason or ""
    if reason.startswith(Stopped.__name__):
        return "ok", f"stopped after {len(samples.wall_us)} rounds"
    return "skipped" if reason.startswith(MissingExtra.__name__) else samples.status, samples.reason
