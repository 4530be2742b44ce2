"""Training throughput of a bench against the length of its rows."""

from __future__ import annotations

from collections.abc import Sequence

from dsbench.reports.content.cells import whole, words
from dsbench.reports.content.ways import Row, bytes_cell, core_of, hollow_note, legend, time_cell
from dsbench.reports.contention import Core
from dsbench.reports.document import Figure, Heading, Table
from dsbench.reports.figures import Axis, Series, plot


def training(rows: Sequence[Row]) -> tuple[list[Table], list[Figure]]:
    """The table and the figure of tokens a second; neither where nothing was trained."""
    found = [row for row in rows if row["mode"] == "train" and row["train_tokens_per_second"] is not None]
    if not found:
        return [], []
    groups: dict[tuple[str, str], list[Row]] = {}
    own: dict[str, dict[int, Row]] = {}
    for row in sorted(found, key=lambda row: (row["backbone"], row["implementation"] or "", row["length"])):
        groups.setdefault((row["backbone"], row["implementation"] or ""), []).append(row)
        if f".{row['implementation']}." not in str(row["cell_id"]):  # the kernel that the backbone chooses
            own.setdefault(row["backbone"], {})[int(row["length"])] = row
    return [_table(groups)], ([_figure(own)] if own else [])


def _table(groups: dict[tuple[str, str], list[Row]]) -> Table:
    lines = []
    for (backbone, kernel), cells in groups.items():
        # a kernel that was asked for by name and the backbone's own choice may be the same: one row a length is enough
        for row in {row["length"]: row for row in cells}.values():
            lines.append(
                (words(backbone), words(kernel), words(str(row["length"])), words(str(row["batch"])),
                 whole(row["train_tokens_per_second"]), time_cell(row, 1e3, ",.1f"), bytes_cell(row["optimiser_bytes"]),
                 bytes_cell(row["peak_allocated_bytes"]), bytes_cell(row["peak_rss_growth_bytes"]))
            )  # fmt: skip
    headings = (
        Heading("backbone", numeric=False),
        Heading("kernel", "what computes the recurrence or the attention", numeric=False),
        Heading("L", "timesteps of a row", numeric=False),
        Heading("batch", "rows of an update", numeric=False),
        Heading("tokens/s ↑", "tokens of an update over its median time"),
        Heading("ms an update ↓", "forward, backward and optimiser"),
        Heading("optimiser ↓", "bytes of its moments"),
        Heading("peak allocated ↓", "most that torch held during an update above what it held before"),
        Heading("peak RSS growth ↓", "how far the process grew during an update"),
    )
    note = "Median ms, and half of its 95 % interval. Longer rows come in smaller batches. "
    note += legend(row for cells in groups.values() for row in cells)
    return Table("throughput", "Training throughput", headings, tuple(lines), (note,))


def _figure(own: dict[str, dict[int, Row]]) -> Figure:
    lines = [
        Series(
            name, list(cells), [row["train_tokens_per_second"] for row in cells.values()],
            hollow=[core_of(row) is not Core.ALONE for row in cells.values()],
        )
        for name, cells in own.items()
    ]  # fmt: skip
    caption = "Tokens that an update (forward, backward, optimiser) takes in a second, against the length of its rows."
    caption += hollow_note(row for cells in own.values() for row in cells.values())
    x, y = Axis("length of a row, timesteps", log=True), Axis("tokens/s", log=True)
    return plot("throughput", "Training throughput", caption, lines, x, y)
