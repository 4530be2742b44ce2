"""What a decision and an update cost, out of the newest bench below a results folder."""

from __future__ import annotations

from collections.abc import Sequence

from dsbench.reports.content.cells import whole, words
from dsbench.reports.content.throughput import training
from dsbench.reports.content.ways import (
    Crossing,
    Curves,
    Newest,
    Row,
    alone,
    bytes_cell,
    core_of,
    crossings,
    hollow_note,
    legend,
    time_cell,
)
from dsbench.reports.contention import LEGEND, Core
from dsbench.reports.document import MISSING, Cell, Figure, Heading, Section, Table
from dsbench.reports.figures import Axis, Mark, Series, plot

TITLE = "Latency, throughput and memory"
HOW = (
    "Everything that is compared took turns in one process: short blocks in shuffled rounds, after a warm-up that lasted until "
    "two windows agreed. Blocks during which others had the core were measured again, and times are marked where that did not "
    "help. Intervals resample rounds, then samples; what occupies memory was counted in a process of its own."
)
_MARKED = 2  # crossovers that a figure shows
_PARTS = ("embedding", "backbone", "head")


def costs(bench: Newest, where: str) -> Section:
    """The section of the newest bench, or one line that there is none in the results called `where`."""
    if not bench.name:
        told = (f"No bench is here; measure with: dsbench bench --results {where}",)
        return Section("costs", TITLE, (*told, *bench.unreadable))
    curves, (train_tables, train_figures) = bench.curves, training(bench.rows)
    if not curves and not train_tables:
        return Section("costs", TITLE, (f"Bench {bench.name} has no finished cell yet.", *bench.unreadable))
    crossed = crossings(alone(curves))
    tables = [
        *([_latency(curves)] if curves else []),
        *_crossing_table(crossed),
        *([_memory(curves)] if curves else []),
        *train_tables,
        *_lost(bench.rows),
    ]
    figures = [
        *(figure for batch in _batches(curves) if (figure := _of_batch(curves, batch)) is not None),
        *([one] if (one := _memory_figure(alone(curves))) is not None else []),
        *train_figures,
    ]
    return Section("costs", TITLE, (_told(bench), *bench.unreadable, HOW), tuple(tables), tuple(figures))


def _told(bench: Newest) -> str:
    """Which bench, and of what."""
    envs = sorted({str(row["env"]) for row in bench.rows if row["env"] is not None})
    kinds = sorted({f"{row['device']}, threads {row['threads']}" for row in bench.rows if row["threads"] is not None})
    shapes = f" with the spaces of {', '.join(envs)}" if envs else ""
    where = f", on {'; '.join(kinds)}" if kinds else ""
    made = f"; {bench.made}" if bench.made else ""
    return f"Bench {bench.name}{', the newest of several' if bench.several else ''}: policies{shapes}{where}{made}."


def _batches(curves: Curves) -> list[int]:
    return sorted({way.batch for way in curves})


# ------------------------------------------------------------------ figures


def _of_batch(curves: Curves, batch: int) -> Figure | None:
    name, title = "latency-context", "Latency against context"
    if batch != 1:
        name, title = f"{name}-b{batch}", f"{title}, batch {batch}"
    return latency_figure(name, title, curves, batch)


def latency_figure(name: str, title: str, curves: Curves, batch: int = 1) -> Figure | None:
    """Time of a decision of the model alone over its context, a line a way to decide; None without one."""
    measured = alone(curves, batch)
    own = {way: cells for way, cells in measured.items() if len(cells) > 1} or measured  # one context is no curve
    lines = []
    for way, cells in own.items():
        bounds = [[row[f"p50_{end}_us"] for row in cells.values()] for end in ("low", "high")]
        low, high = bounds if None not in [*bounds[0], *bounds[1]] else (None, None)
        hollow = [core_of(row) is not Core.ALONE for row in cells.values()]
        lines.append(Series(way.name, list(cells), [row["p50_us"] for row in cells.values()], low, high, hollow=hollow))
    if not lines:
        return None
    marks = _marks(crossings(own))
    caption = f"Median time of one decision of the model alone, batch {batch}, with 95 % intervals." + (
        f" Marked: {'; '.join(mark.text for mark in marks)}." if marks else ""
    )
    caption += hollow_note(row for cells in own.values() for row in cells.values())
    x = Axis("context: decisions before this one", log=True)
    return plot(name, title, caption, lines, x, Axis("µs a decision", log=True), marks)


def _memory_figure(curves: Curves) -> Figure | None:
    lines = []
    for way, cells in curves.items():
        told = {context: row["state_bytes"] for context, row in cells.items() if row["state_bytes"] is not None}
        if told:
            lines.append(Series(way.name, list(told), list(told.values())))
    if not lines:
        return None
    caption = "Bytes of state or cache that are carried from one decision to the next, for one episode."
    x, y = Axis("context: decisions before this one", log=True), Axis("state or cache, bytes", log=True)
    return plot("memory-context", "Memory against context", caption, lines, x, y)


def _marks(crossed: Sequence[Crossing]) -> list[Mark]:
    """The earliest crossover against each of what grows."""
    earliest: dict[str, tuple[float, str]] = {}
    for one in crossed:
        context, growing = one.found.context, one.growing.name
        if context is not None and context > 0 and (growing not in earliest or context < earliest[growing][0]):
            earliest[growing] = (
                context,
                f"{one.flat.name} takes less than {growing} from t = {context:,.0f}{one.core.value}",
            )
    return [Mark(context, text) for context, text in sorted(earliest.values())[:_MARKED]]


# ------------------------------------------------------------------ tables


def _latency(curves: Curves) -> Table:
    """The model alone and the environment in the loop beside each other, a row each."""
    contexts = sorted({context for cells in curves.values() for context in cells})
    batches = _batches(curves)
    several = len(batches) > 1
    rows = []
    for way, cells in sorted(curves.items(), key=lambda item: (item[0].batch, item[0][:2], item[0].loop != "model")):
        last = cells[max(cells)]
        what = "model alone" if way.loop == "model" else f"with {last['env'] or 'the environment'}"
        tail = [whole(last[key]) for key in ("p90_us", "p99_us")]
        ratio = last["limit_ratio"]
        rows.append(
            (words(way.backbone), words(way.mode.replace("_", " ")), words(what),
             *([words(str(way.batch))] if several else []), *(time_cell(cells.get(context)) for context in contexts), *tail,
             Cell(MISSING) if ratio is None else Cell(f"{ratio:,.0f} × {last['limit_kind']}", float(ratio)))
        )  # fmt: skip
    headings = (
        Heading("backbone", numeric=False),
        Heading("mode", "how a decision is made", numeric=False),
        Heading("timed", "the model alone, or the step of the environment with it", numeric=False),
        *([Heading("batch", "rows that decide at once", numeric=False)] if several else []),
        *(Heading(f"t = {context:,} ↓", "median µs a decision with this many before it") for context in contexts),
        Heading("p90 ↓", "µs, at the longest context"),
        Heading("p99 ↓", "µs, at the longest context"),
        Heading("× its limit ↓", "over the least time for its bytes and operations here, and what bounds it"),
    )
    notes = (
        "Median µs a decision of all rows, and half of its 95 % interval; p90, p99 and limit at the longest context."
        + ("" if several else f" Batch {batches[0]}."),
        "– was not measured, or not finished in time."
        if any(cell.text == MISSING for row in rows for cell in row)
        else "",
        legend(row for cells in curves.values() for row in cells.values()),
    )
    return Table("latency-context", "Latency against context", headings, tuple(rows), tuple(filter(None, notes)))


def _memory(curves: Curves) -> Table:
    """Sizes of the model alone, and what a decision needs at most while it is made."""
    rows, reasons = [], set[str]()
    for way, cells in sorted(curves.items(), key=lambda item: (item[0].batch, item[0])):
        if way.loop != "model":
            continue
        counted = {context: row for context, row in cells.items() if row["peak_allocated_bytes"] is not None}
        reasons |= {str(row["reason"]) for row in cells.values() if str(row["reason"]).startswith("memory")}
        if not counted:
            continue
        first, last = counted[min(counted)], counted[max(counted)]
        size = sum(first[f"parameters_{part}"] or 0 for part in _PARTS)
        rows.append(
            (words(way.backbone), words(way.mode.replace("_", " ")), words(str(way.batch)), whole(first["d_model"]),
             whole(size or None), bytes_cell(first["parameter_bytes"]), bytes_cell(first["state_bytes"]),
             bytes_cell(last["state_bytes"]), bytes_cell(last["peak_allocated_bytes"]),
             bytes_cell(last["peak_rss_growth_bytes"]), *_match(last))
        )  # fmt: skip
    headings = [
        Heading("backbone", numeric=False), Heading("mode", numeric=False), Heading("batch", numeric=False),
        Heading("d_model"), Heading("parameters ↓", "live ones, of wrapper, backbone and head"),
        Heading("their bytes ↓"),
        Heading("state, first t ↓", "bytes of state or cache at the smallest counted context"),
        Heading("state, last t ↓", "bytes of state or cache at the longest counted context"),
        Heading("peak allocated ↓", "most that torch held during one decision above what it held before, longest context"),
        Heading("peak RSS growth ↓", "how far the process grew during one decision, longest context"),
        Heading("off the size asked for", "of parameters or state, where the widths were chosen to match one"),
    ]  # fmt: skip
    notes = (f"Not counted everywhere: {'; '.join(sorted(reasons))}.",) if reasons else ()
    return _trimmed(Table("memory", "Size and memory of a decision", tuple(headings), tuple(rows), notes))


def _match(row: Row) -> tuple[Cell]:
    off = row["match_off"]
    return (Cell(MISSING) if off is None else Cell(f"{100 * off:+.1f} %", float(off)),)


def _trimmed(table: Table) -> Table:
    """Without the last column where nothing stands in it."""
    if any(row[-1].value is not None for row in table.rows):
        return table
    return Table(table.name, table.title, table.headings[:-1], tuple(row[:-1] for row in table.rows), table.notes)


def _crossing_table(crossed: Sequence[Crossing]) -> list[Table]:
    if not crossed:
        return []
    rows = tuple(
        (words(one.flat.name), words(one.growing.name), Cell(f"{one.found.text}{one.core.value}", one.found.context),
         Cell(f"{one.sure.text}{one.core.value}", one.sure.context))
        for one in crossed
    )  # fmt: skip
    headings = (
        Heading("this", numeric=False),
        Heading("takes less time than", numeric=False),
        Heading("by medians", "between measured contexts by straight lines"),
        Heading("intervals apart", "from where on the two 95 % intervals share no time"),
    )
    notes = (LEGEND,) if any(one.core is not Core.ALONE for one in crossed) else ()
    return [Table("crossover", "From which context on a decision takes less time, model alone", headings, rows, notes)]


def _lost(rows: Sequence[Row]) -> list[Table]:
    """Cells without a number, each with its reason."""
    names = ("backbone", "mode", "context", "batch", "length", "status", "reason")
    lost = [row for row in rows if row["status"] != "ok"]
    if not lost:
        return []
    told = [tuple(Cell(MISSING) if row[name] is None else words(str(row[name])) for name in names) for row in lost]
    headings = tuple(Heading(name, numeric=False) for name in names)
    ordered = tuple(sorted(told, key=lambda row: tuple(cell.text for cell in row)))
    return [Table("bench-missing", "Cells of the bench without a number", headings, ordered)]
