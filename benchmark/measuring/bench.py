"""`dsbench bench` in the process that measures: times all cells together, counts memory apart, and records both.

The order: what the machine can do, then groups of cells that are timed together (decisions, then training rows of one
length), then memory. A record is on disk as soon as a group or a cell is done; a signal ends the group in progress with
the rounds that it has.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from dsbench.config import RunConfig, resolve
from dsbench.errors import UsageError
from dsbench.files import write_atomic
from dsbench.measuring import bench_records
from dsbench.measuring.apart import Apart
from dsbench.measuring.cells import Subject, build_model, build_subject, contender
from dsbench.measuring.estimates import noise_floor, timing
from dsbench.measuring.limits import ratio
from dsbench.measuring.peaks import Peaks, measure_peaks
from dsbench.measuring.plan import Cell, cells
from dsbench.measuring.request import Request
from dsbench.measuring.timing import Contestant, Samples, Schedule, measure
from dsbench.records.encoding import seal
from dsbench.records.journal import Journal
from dsbench.records.provenance import provenance
from dsbench.running.progress import Report
from dsbench.running.training import pick_device

TWIN = "twin"  # the first cell under a second name: how far apart equals come out
SHORT_ROWS = 256  # timesteps up to which a training step is sampled several times a round


class Stopped(Exception):
    """A signal asked for an end."""


class Measuring:
    """One measuring. Construction refuses what the user got wrong before anything is written."""

    def __init__(self, request: Request, report: Report) -> None:
        self.request, self.report = request, report
        self.device = pick_device(request.device)
        self.configs = {name: self._config(name) for name in request.backbones}
        if not self.configs:
            raise UsageError("no backbone to measure; name some with --backbones gpt,s4")
        built = {
            name: build_model(Cell(name, "train", length=1), config, self.device)[0].backbone
            for name, config in self.configs.items()
        }
        self.layers = {name: getattr(backbone, "n_layers", None) for name, backbone in built.items()}
        self.cells = cells([contender(config, self.device) for config in self.configs.values()], request.grid)
        self.stopped = False
        self.samples: dict[str, np.ndarray] = {}
        self.p50: dict[str, float] = {}

    def run(self, folder: Path) -> None:
        """Measure into `folder`; returns early when `stopped` is set."""
        self.folder, self.journal = folder, Journal(folder / bench_records.JOURNAL)
        self.journal.append({"kind": "bench", **self.request.to_json(), "cells": len(self.cells)})
        self.journal.append_many({"kind": "planned", **self._columns(cell)} for cell in self.cells)
        write_atomic(folder / bench_records.PROVENANCE, seal(provenance()))
        try:
            self.report("peaks", 0, 1)
            self.peaks = self._peaks()
            for name, group, schedule in self._groups():
                if not self.stopped:
                    self._time(name, group, schedule)
            self._count()
        finally:
            bench_records.write_cells(folder)

    # ------------------------------------------------------------------ the machine

    def _peaks(self) -> Peaks:
        peaks = measure_peaks(self.device, generator=np.random.default_rng(0))
        self.journal.append({"kind": "machine", **asdict(peaks)})
        return peaks

    # ------------------------------------------------------------------ time

    def _groups(self) -> Iterator[tuple[str, list[Cell], Schedule]]:
        """Cells that are timed together, and how often."""
        alone = self.device.type == "cpu" and self.request.threads == 1
        base = Schedule(
            rounds=self.request.rounds, seconds_limit=self.request.seconds_limit,
            contended=Schedule().contended if alone else math.inf,
        )  # fmt: skip
        long = replace(base, samples=1, lead_in=0, min_warmup=1, max_warmup=3, max_repeats=2)
        short = replace(base, samples=4, min_warmup=2, max_warmup=14, max_repeats=3)
        key: Callable[[Cell], tuple[int, int]] = lambda cell: (cell.length or 0, 0 if cell.length else cell.batch)  # noqa: E731
        for (length, batch), group in groupby(sorted(self.cells, key=key), key):
            if length:
                yield f"training, L {length}", list(group), short if length <= SHORT_ROWS else long
            else:
                yield f"decisions, batch {batch}", list(group), base

    def _time(self, name: str, group: list[Cell], schedule: Schedule) -> None:
        twins = [(cell.id, cell) for cell in group]
        if group[0].length is None:
            twins.append((TWIN, group[0]))
        lanes = [_Lane(self, cell_id, cell) for cell_id, cell in twins]
        planned = len(lanes) * schedule.rounds * (schedule.samples + schedule.lead_in)
        self._progress = (name, 0, planned)
        found = measure(
            [Contestant(lane.id, lane.run, lane.prepare) for lane in lanes],
            schedule,
            generator=np.random.default_rng(0),
        )
        if TWIN in found:
            self._noise(found[group[0].id], found.pop(TWIN))
        self.journal.append_many(
            self._timed(lane, found[lane.id]) for lane in lanes if lane.id in found and not self._untouched(found, lane)
        )
        self.samples |= {cell_id: one.wall_us for cell_id, one in found.items()}
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **self.samples)
        write_atomic(self.folder / bench_records.SAMPLES, buffer.getvalue())

    def advance(self) -> None:
        """One more sample; raises when the user wants an end."""
        if self.stopped:
            raise Stopped
        name, done, planned = self._progress
        self._progress = (name, done + 1, planned)
        self.report(name, min(done, planned), planned)

    def _untouched(self, found: dict[str, Samples], lane: _Lane) -> bool:
        """Whether the end came before this cell's first sample: it keeps the status of a planned one."""
        return self.stopped and not found[lane.id].wall_us.size

    def _timed(self, lane: _Lane, samples: Samples) -> dict[str, Any]:
        times, cell = timing(samples), lane.cell
        cut = samples.status != "ok" and str(samples.reason).startswith(Stopped.__name__)
        record = {
            "kind": "timed", "cell_id": cell.id, "status": "ok" if cut else samples.status,
            "reason": f"stopped after {len(samples.wall_us)} rounds" if cut else samples.reason,
            "rounds": len(samples.wall_us), "samples": times.n, "contended_rounds": times.contended,
            "setup_seconds": samples.setup_seconds,
        }  # fmt: skip
        if times.n:
            self.p50[cell.id] = times.p50
            record |= {
                "p50_us": times.p50, "p50_low_us": times.low, "p50_high_us": times.high, "p90_us": times.p90,
                "p99_us": times.p99,
            }  # fmt: skip
        if lane.subject is not None:
            record |= self._of_subject(lane.subject, cell, times.p50)
        return record

    def _of_subject(self, subject: Subject, cell: Cell, p50_us: float) -> dict[str, Any]:
        tokens = subject.model.tokens_per_decision
        record = {"implementation": subject.implementation, "tokens_per_decision": tokens}
        if subject.options:
            record["options"] = json.dumps(subject.options)
        if cell.length is not None and math.isfinite(p50_us):
            record["train_tokens_per_second"] = cell.batch * cell.length * tokens / p50_us * 1e6
        return record

    def _noise(self, one: Samples, twin: Samples) -> None:
        if one.status == twin.status == "ok":
            self.journal.append({"kind": "machine", "noise_floor": noise_floor(one, twin)})

    # ------------------------------------------------------------------ memory and limits

    def _count(self) -> None:
        apart = Apart(self.device, self.request.threads, self.request.seconds_limit)
        known: dict[str, tuple[dict[str, Any], str | None]] = {}
        for number, cell in enumerate(self.cells):
            if self.stopped:
                return
            self.report("memory", number, len(self.cells), cell.id)
            alone = replace(cell, loop="model") if cell.loop else cell  # the environment is not the backbone's memory
            if alone.id not in known:
                known[alone.id] = apart.occupied(alone, self.configs_of(cell))
            self._counted(cell, *known[alone.id])
        self.report("memory", len(self.cells), len(self.cells))

    def _counted(self, cell: Cell, found: dict[str, Any], reason: str | None) -> None:
        record = {"kind": "counted", "cell_id": cell.id, **found}
        if reason is not None:
            record["memory_reason"] = reason
        if found:
            limit = self.peaks.limit(found["moved"], found["flops"])
            record |= {
                "limit_us": limit.us, "limit_kind": limit.kind, "limit_ratio": ratio(self.p50.get(cell.id), limit)
            }  # fmt: skip
        self.journal.append(record)

    # ------------------------------------------------------------------ pieces

    def _config(self, name: str) -> RunConfig:
        return resolve(
            backbone=name, env=self.request.env, overrides=self.request.overrides, threads=self.request.threads
        )

    def configs_of(self, cell: Cell) -> RunConfig:
        """Of its backbone; of any for the row without one."""
        return self.configs.get(cell.backbone) or next(iter(self.configs.values()))

    def _columns(self, cell: Cell) -> dict[str, Any]:
        config = self.configs_of(cell)
        return {
            "cell_id": cell.id, "backbone": cell.backbone, "mode": cell.mode, "loop": cell.loop, "env": self.request.env,
            "implementation": cell.implementation, "context": cell.context, "batch": cell.batch, "length": cell.length,
            "d_model": config.backbone.d_model, "n_layers": self.layers.get(cell.backbone), "device": str(self.device),
            "threads": self.request.threads,
        }  # fmt: skip


class _Lane:
    """A cell that is built at its first call, so that what it costs to set up is timed apart and a failure is its own."""

    def __init__(self, measuring: Measuring, cell_id: str, cell: Cell) -> None:
        self.measuring, self.id, self.cell = measuring, cell_id, cell
        self.subject: Subject | None = None

    def prepare(self) -> None:
        self.measuring.advance()
        if self.subject is not None:
            self.subject.prepare()

    def run(self) -> None:
        if self.subject is None:
            self.subject = build_subject(self.cell, self.measuring.configs_of(self.cell), self.measuring.device)
            self.subject.prepare()
        self.subject.run()
