"""What one contestant costs: on a task over its seeds, and over several tasks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from dsbench.reports.columns import COLUMNS, STATE, choice_of, estimate_of
from dsbench.reports.conditions import Conditions, differing
from dsbench.reports.content.contest import Contestant
from dsbench.reports.contention import Core, worst
from dsbench.reports.groups import Run

COSTS = {
    "latency_p50_us": ("latency", "median latency, µs a decision"),
    "parameters_total": ("parameters", "parameters"),
}
_COLUMNS = {column.key: column for column in (*COLUMNS, STATE)}
_IN_WORDS = {
    Core.ALONE: "",
    Core.UNKNOWN: "not known whether others had the core",
    Core.SHARED: "others had the core",
}


class Cost(NamedTuple):
    """What a contestant costs: a mean over seeds, or over tasks too, from the least to the most of them.

    Attributes:
        core: of a time, whether it had the core to itself; what is no time is undisturbed.
        conditions: of a time; None of what is none.
    """

    mean: float
    core: Core = Core.ALONE
    conditions: Conditions | None = None
    least: float | None = None
    most: float | None = None


def cost_of(runs: Sequence[Run], key: str) -> Cost | None:
    """Mean over seeds of a column that is a cost; None where nothing was measured, or several ways of acting made a time."""
    column = _COLUMNS[key]
    one, choice = estimate_of(runs, column), choice_of(runs, column)
    if one is None:
        return None
    return Cost(one.mean) if choice is None else Cost(one.mean, choice.core, choice.conditions)


def left_out(runs: Sequence[Run], key: str) -> str | None:
    """Why there is no mean of a cost although it was measured."""
    choice = choice_of(runs, _COLUMNS[key])
    return None if choice is None else choice.reason


def mean_cost(contestants: Sequence[Contestant], key: str) -> Cost | str | None:
    """The mean over tasks of what one contestant costs on each, or why there is none; None where it is not known of all.

    Args:
        contestants: one a task.
        key: of a column that is a cost.
    """
    reasons = dict.fromkeys(why for one in contestants if (why := left_out(one.ok, key)) is not None)
    if reasons:
        return "; ".join(reasons)
    costs = [cost for one in contestants if (cost := cost_of(one.ok, key)) is not None]
    if len(costs) < len(contestants) or not costs:
        return None
    known = [cost.conditions for cost in costs if cost.conditions is not None]
    if (apart := differing(known)) is not None:
        return apart
    means = [cost.mean for cost in costs]
    core = worst(cost.core for cost in costs)
    return Cost(math.fsum(means) / len(means), core, known[0] if known else None, min(means), max(means))


def priced(contestants: Sequence[Contestant]) -> str:
    """``at 430 µs a decision with 85,186 parameters``, of what is known of all; means over the tasks.

    Args:
        contestants: one a task.
    """
    latency, size = (mean_cost(contestants, key) for key in COSTS)
    parts = [_latency(latency), f"with {size.mean:,.0f} parameters" if isinstance(size, Cost) else ""]
    return " ".join(part for part in parts if part)


def _latency(found: Cost | str | None) -> str:
    if found is None:
        return ""
    if isinstance(found, str):
        return f"at no one latency ({found})"
    acting = found.conditions.acting if found.conditions is not None else ""
    told = [acting if acting.startswith("windowed") else "", _IN_WORDS[found.core]]
    cautions = "; ".join(part for part in told if part)
    return f"at {found.mean:,.0f} µs a decision{f' ({cautions})' if cautions else ''}"
