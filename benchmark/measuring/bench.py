"""`dsbench bench` in the process that measures: times all cells together, counts memory apart, and records both.

The order: what the machine can do, then groups of cells that are timed together (decisions, then training rows of one
length), then memory. A record is on disk as soon as a group or a cell is done; a signal ends the group in progress with
the rounds that it has.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import asdict, replace
from itertools import groupby
from pathlib import Path
from typing import Any, cast

import numpy as np

from dsbench.config import RunConfig
from dsbench.files import write_atomic
from dsbench.measuring import bench_records
from dsbench.measuring.apart import LOOK_UP_S, Apart
from dsbench.measuring.cells import build_model, contender
from dsbench.measuring.code_asked import content_asked
from dsbench.measuring.contending import configurations, match_record
from dsbench.measuring.estimates import noise_floor
from dsbench.measuring.limits import ratio
from dsbench.measuring.peaks import Peaks, measure_peaks
from dsbench.measuring.plan import MODES, Cell, cells, estimated_seconds
from dsbench.measuring.request import Request
from dsbench.measuring.timed import Stopped, Timed
from dsbench.measuring.timing import Contestant, Samples, Schedule, measure
from dsbench.records.encoding import seal
from dsbench.records.journal import Journal
from dsbench.records.provenance import provenance
from dsbench.running.process import available_cores
from dsbench.running.progress import Report
from dsbench.running.training import pick_device
from dsbench.stopping import Interrupted, asked

TWIN = "twin"  # the first cell under a second name: how far apart equals come out
SHORT_ROWS = 256  # timesteps up to which a training step is sampled several times a round


class Measuring:
    """One measuring. Construction refuses what the user got wrong before anything is written.

    Args:
        report: told how far each part is.
        overall: told how far the whole is: (done, all), in seconds that were estimated before.
    """

    def __init__(
        self, request: Request, report: Report, overall: Callable[[int, int], None] = lambda done, total: None
    ) -> None:
        request.check()
        self.request, self.report, self._overall = request, report, overall
        self.device = pick_device(request.device)
        self.configs = configurations(request)
        built = {
            name: build_model(Cell(name, "train", length=1), config, self.device)[0].backbone
            for name, config in self.configs.items()
        }
        self.layers = {name: getattr(backbone, "n_layers", None) for name, backbone in built.items()}
        wanted = request.modes or MODES
        grid_cells = cells([contender(config, self.device) for config in self.configs.values()], request.grid)
        self.cells = [cell for cell in grid_cells if cell.mode in wanted]
        self.samples: dict[str, np.ndarray] = {}
        self.p50: dict[str, float] = {}

    def run(self, folder: Path) -> None:
        """Measure into `folder`; returns early when a signal asks for an end."""
        self.folder, self.journal = folder, Journal(folder / bench_records.JOURNAL)
        request = self.request.to_json()
        del request["results"]  # where a user keeps records is nobody else's business
        if content := content_asked(self.request):
            request["sources"] = content
        self.journal.append({**request, "kind": "bench", "grid_kind": request["kind"], "cells": len(self.cells)})
        self.journal.append_many({"kind": "planned", **self._columns(cell)} for cell in self.cells)
        write_atomic(folder / bench_records.PROVENANCE, seal(provenance()))
        try:
            self.report("peaks", 0, 1)
            self.peaks = self._peaks()
            done, total = 0.0, self._estimated(self.cells)
            for name, group, schedule in self._groups():
                if not self.stopped:
                    self._time(name, group, schedule)
                    done += self._estimated(group)
                    self._overall(round(done), max(1, round(total)))
            self._count()
        except Interrupted:
            pass  # while the machine itself was measured: nothing of the cells is known yet
        finally:
            bench_records.write_cells(folder)

    @property
    def stopped(self) -> bool:
        """Whether a signal has asked for an end."""
        return asked() is not None

    def _estimated(self, group: Sequence[Cell]) -> float:
        return estimated_seconds(group, self.request.rounds, self.request.seconds_limit)

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
        training = replace(base, rounds=max(1, self.request.rounds // 2))
        long = replace(training, samples=1, lead_in=0, min_warmup=1, max_warmup=3, max_repeats=2)
        short = replace(training, samples=4, min_warmup=2, max_warmup=14, max_repeats=3)
        key: Callable[[Cell], tuple[int, int]] = lambda cell: (cell.length or 0, 0 if cell.length else cell.batch)  # noqa: E731
        for (length, batch), group in groupby(sorted(self.cells, key=key), key):
            if length:
                yield f"training, L {length}", list(group), short if length <= SHORT_ROWS else long
            else:
                yield f"decisions, batch {batch}", list(group), base

    def _time(self, title: str, group: list[Cell], schedule: Schedule) -> None:
        twins = [(cell.id, cell) for cell in group]
        if group[0].length is None:
            twins.append((TWIN, group[0]))
        lanes = [Timed(name, cell, self.config_of(cell), self.device, self.advance) for name, cell in twins]
        planned = len(lanes) * schedule.rounds * (schedule.samples + schedule.lead_in)
        self._progress = (title, 0, planned)
        found = measure(
            [Contestant(lane.name, lane.run, lane.prepare) for lane in lanes],
            schedule,
            generator=np.random.default_rng(0),
        )
        if TWIN in found:
            self._noise(found[group[0].id], found.pop(TWIN))
        # A cell whose first sample was not reached keeps the status of a planned one.
        records = [lane.record(found[lane.name]) for lane in lanes if lane.name != TWIN]
        self.journal.append_many(record for record in records if record["samples"] or not self.stopped)
        self.p50 |= {record["cell_id"]: record["p50_us"] for record in records if record["samples"]}
        self.samples |= {cell_id: one.wall_us for cell_id, one in found.items()}
        buffer, arrays = io.BytesIO(), cast(Any, self.samples)
        np.savez_compressed(buffer, **arrays)
        write_atomic(self.folder / bench_records.SAMPLES, buffer.getvalue())

    def advance(self) -> None:
        """One more sample; raises when the user wants an end."""
        if self.stopped:
            raise Stopped
        name, done, planned = self._progress
        planned = max(planned, done + done // 20)  # blocks that are repeated were not planned
        self._progress = (name, done + 1, planned)
        self.report(name, done, planned)

    def _noise(self, one: Samples, twin: Samples) -> None:
        if one.status == twin.status == "ok":
            self.journal.append({"kind": "machine", "noise_floor": noise_floor(one, twin)})

    # ------------------------------------------------------------------ memory and limits

    def _count(self) -> None:
        apart = Apart(self.device, self.request.threads, self.request.seconds_limit)
        alike: dict[Cell, list[Cell]] = {}
        for cell in self.cells:  # the environment is not the backbone's memory
            alike.setdefault(replace(cell, loop="model") if cell.loop else cell, []).append(cell)
        at_once = available_cores() if self.device.type == "cpu" else 1
        pool = ThreadPoolExecutor(max(1, at_once // self.request.threads))
        counting = [pool.submit(apart.occupied, one, self.config_of(one)) for one in alike]
        for number, (same, future) in enumerate(zip(alike.values(), counting, strict=True)):
            self.report("memory", number, len(alike), same[0].id)
            while not self.stopped and not wait([future], LOOK_UP_S).done:
                pass
            if self.stopped:
                break
            self.journal.append_many(self._counted(cell, *future.result()) for cell in same)
        pool.shutdown(wait=not self.stopped, cancel_futures=True)
        self.report("memory", len(alike), len(alike))

    def _counted(self, cell: Cell, found: dict[str, Any], reason: str | None) -> dict[str, Any]:
        record = {"kind": "counted", "cell_id": cell.id, **found}
        if reason is not None:
            record["memory_reason"] = reason
        if found:
            record |= {} if cell.mode == "empty" else match_record(self.config_of(cell), found)
            limit = self.peaks.limit(found["moved"], found["flops"], found["held"])
            record |= {
                "limit_us": limit.us, "limit_kind": limit.kind, "limit_ratio": ratio(self.p50.get(cell.id), limit)
            }  # fmt: skip
        return record

    # ------------------------------------------------------------------ pieces

    def config_of(self, cell: Cell) -> RunConfig:
        """Of its backbone; of any for the row without one."""
        return self.configs.get(cell.backbone) or next(iter(self.configs.values()))

    def _columns(self, cell: Cell) -> dict[str, Any]:
        config = self.config_of(cell)
        return {
            "cell_id": cell.id, "backbone": cell.backbone, "mode": cell.mode, "loop": cell.loop, "env": self.request.env,
            "implementation": cell.implementation, "context": cell.context, "batch": cell.batch, "length": cell.length,
            "d_model": config.backbone.d_model, "n_layers": self.layers.get(cell.backbone), "device": str(self.device),
            "threads": self.request.threads,
        }  # fmt: skip
