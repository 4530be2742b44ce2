"""Cells of the tables that `dsbench bench` prints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dsbench.reports.content.ways import core_of

MISSING = "-"
Row = Mapping[str, Any]


def zipped(first: Sequence[str], second: Sequence[str]) -> Iterator[str]:
    for pair in zip(first, second, strict=True):
        yield from pair


def microseconds(row: Row | None) -> str:
    """``412 ±3``: median and half the width of its interval; marked as `LEGEND` of reports tells."""
    if row is None:
        return MISSING
    if row["p50_us"] is None:
        return str(row["status"])
    low, high = row["p50_low_us"], row["p50_high_us"]
    spread = "" if low is None or high is None else f" ±{(high - low) / 2:,.0f}"
    return f"{row['p50_us']:,.0f}{spread}{core_of(row).value}"


def milliseconds(row: Row | None) -> str:
    if row is None:
        return MISSING
    return str(row["status"]) if row["p50_us"] is None else f"{row['p50_us'] / 1e3:,.1f}{core_of(row).value}"


def tail(row: Row) -> str:
    return " / ".join(number(row[name], "{:,.0f}") for name in ("p90_us", "p99_us"))


def by_context(states: Mapping[int, int]) -> str:
    """One number where it does not depend on the context."""
    if len(set(states.values())) <= 1:
        return in_bytes(next(iter(states.values()), None))
    first, last = min(states), max(states)
    return f"{in_bytes(states[first])} (t={first}) to {in_bytes(states[last])} (t={last})"


def number(value: Any, form: str) -> str:
    return MISSING if value is None else form.format(value)


def in_bytes(value: int | None) -> str:
    if value is None:
        return MISSING
    for unit, name in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if value >= unit:
            return f"{value / unit:,.1f} {name}"
    return f"{value} B"


def how_close(row: Row) -> str:
    """``+0.3 %`` of the size that ``match`` asked for."""
    return MISSING if row["match_off"] is None else f"{100 * row['match_off']:+.1f} %"
