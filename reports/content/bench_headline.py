"""What a bench says in one sentence: whose median is the least, and where recurrent steps overtake attention."""

from __future__ import annotations

from collections.abc import Sequence

from dsbench.reports.content.ways import GROWING, Crossing, Curves, Newest, Way, alone, core_of, crossings, overlap
from dsbench.reports.contention import Core, worst

_NAMED = 3  # that a sentence names


def newest_headline(bench: Newest) -> tuple[str, ...]:
    """The sentence of the newest bench; none where there is none."""
    return bench_headline(bench.curves) if bench.rows else ()


def bench_headline(measured: Curves) -> tuple[str, ...]:
    """The sentence of the model alone at batch 1; none where nothing of that was measured."""
    curves = {way: cells for way, cells in alone(measured).items() if way.mode != "compiled"}
    contexts = sorted({context for cells in curves.values() for context in cells})
    if not contexts:
        return ()
    ends = dict.fromkeys((contexts[0], contexts[-1]))
    parts = [f"{_fastest(curves, context)} at t = {context:,}" for context in ends]
    crossed = crossings(curves)
    overtaken = [_overtaken(mode, crossed) for mode in GROWING]
    return (
        "; ".join(
            [f"One decision, batch 1: the least median is that of {' and '.join(parts)}", *filter(None, overtaken)]
        )
        + ".",
    )


def _fastest(curves: Curves, context: int) -> str:
    """``s4 recurrent (150 µs, 95 % interval 149 to 151, overlapping lstm recurrent's)``.

    Described and not claimed: the intervals are those of one bench, and no error rate is known over its ways and contexts.
    """
    cells = {way: own[context] for way, own in curves.items() if context in own}
    first = min(cells, key=lambda way: (cells[way]["p50_us"], way))
    row = cells[first]
    low, high = row["p50_low_us"], row["p50_high_us"]
    interval = "interval not known" if low is None or high is None else f"95 % interval {low:,.0f} to {high:,.0f}"
    others = sorted((way for way in cells if way != first), key=lambda way: (cells[way]["p50_us"], way))
    close = [way for way in others if overlap(row, cells[way])]
    verdict = f"which overlaps that of {_listed(close)}" if close else "overlapping no other" if others else "alone"
    return f"{first.name} ({row['p50_us']:,.0f} µs{_caution(core_of(row))}, {interval}, {verdict})"


def _caution(core: Core) -> str:
    told = {Core.SHARED: "others had the core", Core.UNKNOWN: "not known whether others had the core"}
    return f", {told[core]}" if core in told else ""


def _overtaken(mode: str, crossed: Sequence[Crossing]) -> str:
    """From where on recurrent steps take less time than attention that decides in `mode`, by medians."""
    told = []
    for growing in dict.fromkeys(one.growing for one in crossed if one.growing.mode == mode):
        own = [one for one in crossed if one.growing == growing]
        reached = sorted((one.found.context, one.flat.backbone) for one in own if one.found.context is not None)
        never = [one for one in own if one.found.context is None]
        parts = [f"is overtaken by recurrent steps {_from(reached)}"] if reached else []
        if never:
            last, names = max(one.found.last for one in never), _listed([one.flat for one in never])
            parts.append(f"is not overtaken up to t = {last:,} by {names}")
        told.append(f"{growing.name} {' and '.join(parts)}{_caution(worst(one.core for one in own))}")
    return "; ".join(told)


def _from(reached: Sequence[tuple[float, str]]) -> str:
    """``from t = 51 (s4)``; the first and the last of many."""
    shown = [f"t = {context:,.0f} ({name})" for context, name in reached]
    if len({context for context, _ in reached}) == 1:
        return f"from t = {reached[0][0]:,.0f} on ({', '.join(name for _, name in reached)})"
    return f"from {' to '.join((shown[0], shown[-1])) if len(shown) > _NAMED else ', '.join(shown)} on"


def _listed(ways: Sequence[Way]) -> str:
    shown = ", ".join(way.name for way in ways[:_NAMED])
    return f"{shown} and {len(ways) - _NAMED} more" if len(ways) > _NAMED else shown
