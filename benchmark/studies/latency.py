"""Studies of kind ``bench``: measured by `dsbench bench`, or read again where the same was measured before."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from dsbench.config.sources import as_overrides
from dsbench.errors import CorruptFile, UsageError
from dsbench.measuring.bench_records import NOT_REACHED, Bench, bench_of, made_where
from dsbench.measuring.code_asked import content_asked
from dsbench.measuring.plan import Grid
from dsbench.measuring.request import Request
from dsbench.records.store import stored_in
from dsbench.reports.content.bench_headline import bench_headline
from dsbench.reports.content.cells import whole, words
from dsbench.reports.content.citing import Use
from dsbench.reports.content.costs import latency_figure
from dsbench.reports.content.ways import Curves, Row, alone, core_of, curves_of, time_cell
from dsbench.reports.contention import LEGEND, worst
from dsbench.reports.document import Cell, Heading, Report, Section, Table
from dsbench.reports.machines import made
from dsbench.studies.beside import citations, published_section
from dsbench.studies.study_file import Study
from dsbench.text import slug


def request_of(study: Study, size: str, results: Path, overrides: Sequence[str] = ()) -> Request:
    """What is measured: decisions at the contexts of the size, batch 1, no training."""
    chosen = study.size(size)
    contexts = tuple(sorted(set(chosen.contexts)))
    grid = Grid(contexts, contexts, contexts[-1], compiled_contexts=(), batches=(1,), lengths=())
    settings = (
        *as_overrides({"preset": chosen.preset}),
        *as_overrides(study.set),
        *as_overrides(chosen.set),
        *overrides,
    )
    return Request(
        backbones=tuple(chosen.backbones or study.backbones), env=(chosen.envs or study.envs)[0], grid=grid,
        kind="full" if size == "full" else "quick", results=str(results), overrides=settings, rounds=chosen.rounds,
    )  # fmt: skip


def measured_before(request: Request, results: Path) -> Bench | None:
    """The latest whole measuring of the same, code from outside included, in a results folder; None where there is none."""
    asked = json.loads(json.dumps(request.to_json()))
    content = content_asked(request)
    own_names = {"results", "kind"}  # where, and what the record is
    for bench in reversed(_readable(results)):
        same = all(bench.asked.get(name) == value for name, value in asked.items() if name not in own_names)
        same = same and bench.asked.get("sources", {}) == content
        if same and bench.cells and all(row["reason"] != NOT_REACHED for row in bench.cells.values()):
            return bench
    return None


def _readable(results: Path) -> list[Bench]:
    """The measurings that can be read, the oldest first; none where there are no results yet."""
    try:
        stored = stored_in(results).benches
    except UsageError:
        return []
    found = []
    for name, files in stored:
        with suppress(CorruptFile):
            found.append(bench_of(name, files))
    return found


def bench_report(name: str, study: Study, size: str, bench: Bench, command: str) -> Report:
    """The page of a measuring: a table and a figure of latency against context, the crossovers, the paper's beside."""
    curves = alone(curves_of(bench.rows()))  # the environment's step is the same for all
    sentences = (*bench_headline(curves), _growth(curves)) if curves else ("Nothing was measured yet.",)
    figure = latency_figure(slug(name), study.title, curves)
    tables, figures = ((_table(name, curves),) if curves else ()), ((figure,) if figure else ())
    asked = [f"Measured by dsbench bench into {bench.name}: batch 1, model only, {bench.asked.get('rounds')} rounds."]
    where = [f"Made on: {line}." for line in [made(made_where(bench.files))] if line]
    settings = ", ".join(text.replace("'", "") for text in bench.asked.get("overrides", ()))
    failed = [row for row in bench.rows() if row["status"] != "ok"]
    sections = [
        Section("question", "The question", (study.question,)),
        Section("answer", "What was measured", (), tables, figures),
        *published_section(study, ()),
        *([_missing(failed)] if failed else []),
        Section("method", "How it was made", (*asked, f"Settings: {settings}.", *where), preformatted=command),
        citations(study, [Use(way.backbone, row["env"] or "") for way, own in curves.items() for row in own.values()]),
    ]
    return Report(f"{study.title} ({size})", sentences, tuple(sections))


def _growth(curves: Curves) -> str:
    """``Time at t = 300 over that at t = 1: gpt KV cache 1.09, ..., s4 recurrent 1.02.``"""
    told = [f"{way.name} {_last_over_first(own)}" for way, own in curves.items()]
    contexts = [context for own in curves.values() for context in own]
    return f"Time at t = {max(contexts):,} over that at t = {min(contexts):,}: {', '.join(told)}."


def _last_over_first(own: Mapping[int, Row]) -> str:
    """The ratio, marked where others may have had the core during one of the two."""
    first, last = own[min(own)], own[max(own)]
    return f"{last['p50_us'] / first['p50_us']:.2f}{worst(core_of(row) for row in (first, last)).value}"


def _table(name: str, curves: Curves) -> Table:
    contexts = sorted({context for own in curves.values() for context in own})
    headings = [Heading("way to decide", numeric=False)]
    headings += [Heading(f"p50 at {context}, µs ↓", f"{context} decisions before") for context in contexts]
    headings += [Heading("last / first ↓"), Heading("state at last, bytes ↓")]
    rows = []
    for way, own in curves.items():
        growth, state = own[max(own)]["p50_us"] / own[min(own)]["p50_us"], own[max(own)]["state_bytes"]
        times = [time_cell(own.get(context)) for context in contexts]
        rows.append((words(way.name), *times, Cell(_last_over_first(own), growth), whole(state)))
    note = f"± is half the width of the 95 % interval of the median; {LEGEND}"
    return Table(slug(name), "Time of a decision", tuple(headings), tuple(rows), (note,))


def _missing(failed: Sequence[dict[str, Any]]) -> Section:
    headings = (Heading("cell", numeric=False), Heading("status", numeric=False), Heading("reason", numeric=False))
    rows = tuple((words(row["cell_id"]), words(row["status"]), words(row["reason"])) for row in failed)
    return Section("missing", "Not measured", tables=(Table("missing", "Not measured", headings, rows),))
