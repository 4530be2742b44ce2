"""A report with everything that a page must survive: gaps, ties, long names and hostile text."""

from __future__ import annotations

import math

from dsbench.reports.document import Cell, Figure, Heading, Report, Section, Table
from dsbench.reports.figures import Axis, Series, plot, unit_disk

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(1)>"
LONG = "gpt-umbrella-s0-" + "0123456789abcdef" * 20
BIBTEX = '@misc{a,\n  title = {"A" & <B>},\n}'
RETURNS = {"s4": 0.9, "gpt": 12.0, "lstm": -3.5, "rnn": None, "mlp": math.nan, "s5": 0.9, "mamba": math.inf}


def number(value: float | None) -> Cell:
    return Cell("–" if value is None or math.isnan(value) else f"{value:.2f}", value, best=value == 12.0)


def returns() -> Table:
    headings = (
        Heading("backbone", numeric=False),
        Heading("return ↑", f"mean over episodes {HOSTILE}"),
        Heading("note", numeric=False),
    )
    notes = {"s4": "Zebra", "gpt": "apple 10", "lstm": "apple 9", "rnn": "–"}
    rows = tuple((Cell(name), number(value), Cell(notes.get(name, "m"))) for name, value in RETURNS.items())
    return Table("returns", f"Returns {HOSTILE}", headings, rows, ("n = 3 is few.", HOSTILE))


def wide(rows: int) -> Table:
    headings = (Heading("run", numeric=False), *(Heading(f"t = {10**place:,} ↓") for place in range(12)))
    line = tuple(Cell("1,234,567", 1234567.0) for _ in range(12))
    return Table("wide", "Many columns", headings, tuple((Cell(LONG), *line) for _ in range(rows)))


def drawings() -> tuple[Figure, Figure]:
    series = [Series(HOSTILE, (1, 2), (1, 2)), Series("s4", (1, 2), (2, 1))]
    return (
        plot("curve", HOSTILE, HOSTILE, series, Axis(HOSTILE), Axis("return")),
        unit_disk("poles", "Poles", "On the disk.", [Series("s4", (0.5,), (0.5,))]),
    )


def report() -> Report:
    failures = Table(
        "failures",
        "Runs without a result",
        (Heading("run", numeric=False), Heading("reason", numeric=False)),
        ((Cell(HOSTILE), Cell(f"RuntimeError: {HOSTILE} {{{{ 7 * 7 }}}} {LONG}")),),
    )
    sections = (
        Section("returns", "Returns", (f"Paragraph {HOSTILE}",), (returns(),), drawings()),
        Section("cost", "Cost", (LONG,), (wide(60),)),
        Section("failures", f"Failures {HOSTILE}", (), (failures,)),
        Section("cite", "How to cite", (), (), (), BIBTEX),
    )
    return Report(f"Report {HOSTILE}", (f"umbrella: {HOSTILE} is best.", LONG), sections)
