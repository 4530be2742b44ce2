"""Studies of kind ``bench``: measured by `dsbench bench`, or read again where the same was measured before."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dsbench.measuring.bench_records import NOT_REACHED, Bench, benches_of, read_bench
from dsbench.measuring.crossover import crossover
from dsbench.measuring.plan import Grid
from dsbench.measuring.request import Request
from dsbench.reports.content.cells import whole, words
from dsbench.reports.document import MISSING, Cell, Figure, Heading, Report, Section, Table
from dsbench.reports.figures import Axis, Mark, Series, plot
from dsbench.studies.beside import citations, published_section
from dsbench.studies.grid import texts
from dsbench.studies.study_file import Study

MODES = {"recurrent": "recurrent step", "kv_cache": "KV cache", "window": "window re-encode"}
BOUNDS = ("p50_low_us", "p50_high_us")
Curves = dict[tuple[str, str], dict[int, dict[str, Any]]]  # (backbone, mode) -> context -> cell


def request_of(study: Study, size: str, results: Path, overrides: Sequence[str] = ()) -> Request:
    """What is measured: decisions at the contexts of the size, batch 1, no training."""
    chosen = study.size(size)
    contexts = tuple(sorted(set(chosen.contexts)))
    grid = Grid(contexts, contexts, contexts[-1], compiled_contexts=(), batches=(1,), lengths=())
    settings = (*texts({"preset": chosen.preset}), *texts(study.set), *texts(chosen.set), *overrides)
    return Request(
        backbones=tuple(chosen.backbones or study.backbones), env=(chosen.envs or study.envs)[0], grid=grid,
        kind="full" if size == "full" else "quick", results=str(results), overrides=settings, rounds=chosen.rounds,
    )  # fmt: skip


def measured_before(request: Request, results: Path) -> Bench | None:
    """The latest whole measuring of the same in a results folder; None where there is none."""
    asked = json.loads(json.dumps(request.to_json()))
    own_names = {"results", "kind"}  # where, and what the record is
    for path in reversed(benches_of(results)):
        bench = read_bench(path)
        same = all(bench.asked.get(name) == value for name, value in asked.items() if name not in own_names)
        if same and bench.cells and all(row["reason"] != NOT_REACHED for row in bench.cells.values()):
            return bench
    return None


def bench_report(name: str, study: Study, size: str, bench: Bench, command: str) -> Report:
    """The page of a measuring: a table and a figure of latency against context, the crossovers, the paper's beside."""
    curves = _curves(bench)
    sentences = tuple(_sentences(curves))
    asked = [
        f"Measured by dsbench bench into {bench.path.name}: batch 1, model only, {bench.asked.get('rounds')} rounds."
    ]
    settings = ", ".join(text.replace("'", "") for text in bench.asked.get("overrides", ()))
    failed = [row for row in bench.rows() if row["status"] != "ok"]
    sections = [
        Section("question", "The question", (study.question,)),
        Section("answer", "What was measured", (), (_table(name, curves),), (_figure(name, study, curves),)),
        *published_section(study, ()),
        *([_missing(failed)] if failed else []),
        Section("method", "How it was made", (*asked, f"Settings: {settings}."), preformatted=command),
        citations(
            study, [(backbone, row["env"] or "", "") for (backbone, _), own in curves.items() for row in own.values()]
        ),
    ]
    return Report(f"{study.title} ({size})", sentences, tuple(sections))


def _curves(bench: Bench) -> Curves:
    """Of the model alone: the environment's step is the same for all."""
    curves: Curves = {}
    for row in bench.rows(loop="model", batch=1):
        if row["mode"] in MODES and row["p50_us"] is not None:
            curves.setdefault((row["backbone"], row["mode"]), {})[row["context"]] = row
    return curves


def _sentences(curves: Curves) -> list[str]:
    times = {key: {context: row["p50_us"] for context, row in own.items()} for key, own in curves.items()}
    said = []
    for (backbone, mode), own in times.items():
        first, last = min(own), max(own)
        text = f"{backbone} ({MODES[mode]}) takes {own[first]:,.0f} µs at context {first}"
        said.append(text + ("." if first == last else f" and {own[last] / own[first]:.2f} times that at {last}."))
    for rival, step in (
        (one, two) for one in times for two in times if one[1] != "recurrent" and two[1] == "recurrent"
    ):
        found = crossover(times[rival], times[step])
        if found is not None:
            said.append(f"{step[0]} is faster than {rival[0]} ({MODES[rival[1]]}): {found.text}.")
    return said


def _table(name: str, curves: Curves) -> Table:
    contexts = sorted({context for own in curves.values() for context in own})
    headings = [Heading("backbone", numeric=False), Heading("mode", numeric=False)]
    headings += [Heading(f"p50 at {context}, µs ↓", f"{context} decisions before") for context in contexts]
    headings += [Heading("last / first ↓"), Heading("state at last, bytes ↓")]
    rows = []
    for (backbone, mode), own in curves.items():
        cells = [words(backbone), words(MODES[mode])]
        cells += [_time(own.get(context)) for context in contexts]
        growth, state = own[max(own)]["p50_us"] / own[min(own)]["p50_us"], own[max(own)]["state_bytes"]
        cells += [Cell(f"{growth:.2f}", growth), whole(state)]
        rows.append(tuple(cells))
    note = "± is half the width of the 95 % interval of the median; * marks times of which some rounds were contended."
    return Table(name, "Time of a decision", tuple(headings), tuple(rows), (note,))


def _time(row: dict[str, Any] | None) -> Cell:
    if row is None:
        return Cell(MISSING)
    low, high = row["p50_low_us"], row["p50_high_us"]
    spread = "" if low is None or high is None else f" ± {(high - low) / 2:,.0f}"
    return Cell(f"{row['p50_us']:,.0f}{spread}{'*' if row['contended_rounds'] else ''}", row["p50_us"])


def _figure(name: str, study: Study, curves: Curves) -> Figure:
    lines = []
    for (backbone, mode), own in curves.items():
        contexts = sorted(own)
        rows = [own[context] for context in contexts]
        low, high = ([row["p50_us"] if row[key] is None else row[key] for row in rows] for key in BOUNDS)
        title = backbone if mode == "recurrent" else f"{backbone} {MODES[mode]}"
        lines.append(Series(title, contexts, [row["p50_us"] for row in rows], low, high, dashed=mode == "window"))
    caption = "Median time of one decision of the model alone, batch 1; bands are 95 % intervals of the median."
    return plot(
        name, study.title, caption, lines, Axis("decisions before", log=True), Axis("µs", log=True), _marks(curves)
    )


def _marks(curves: Curves) -> list[Mark]:
    """From where on every recurrent step beats attention with a cache."""
    times = {key: {context: row["p50_us"] for context, row in own.items()} for key, own in curves.items()}
    steps = [own for (_, mode), own in times.items() if mode == "recurrent"]
    caches = [own for (_, mode), own in times.items() if mode == "kv_cache"]
    places = [crossover(cache, step) for cache in caches for step in steps]
    found = [place.context for place in places if place is not None and place.context is not None]
    if not found or len(found) < len(places):
        return []
    return [Mark(max(found), "every recurrent step is faster than the KV cache")]


def _missing(failed: Sequence[dict[str, Any]]) -> Section:
    headings = (Heading("cell", numeric=False), Heading("status", numeric=False), Heading("reason", numeric=False))
    rows = tuple((words(row["cell_id"]), words(row["status"]), words(row["reason"])) for row in failed)
    return Section("missing", "Not measured", tables=(Table("missing", "Not measured", headings, rows),))
