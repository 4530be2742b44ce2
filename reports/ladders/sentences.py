"""Who reaches further than whom, in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dsbench.reports.ladders.climbs import SECONDS, UPDATES, Climb
from dsbench.reports.ladders.reach import Holds, Judged, Verdict, least_gap

NONE = "this ladder does not tell them apart at this budget"


def headline(judged: Sequence[Judged]) -> list[str]:
    """Of one ladder its sentence; of several how many pairs they part."""
    if len({one.climb.ladder.name for one in judged}) < 2:
        return [sentence(one) for one in judged]
    names = sorted({own.name for one in judged for own in one.climb.rivals})
    parted = {frozenset((verdict.further, verdict.other)) for one in judged for verdict in one.verdicts}
    sure = {frozenset((v.further, v.other)) for one in judged for v in one.verdicts if v.holds is Holds.YES}
    several = sum(len(one.verdicts) > 1 for one in judged)
    pairs = len(names) * (len(names) - 1) // 2
    return [
        f"{len(judged)} climbs part {len(parted)} of the {pairs} pairs of {listed(names) if names else 'nobody'}; "
        f"{len(sure)} of them at twice the budget too. {several} climbs part two pairs or more."
    ]


def sentence(one: Judged) -> str:
    """``Memory span: s4d reaches further than gpt, lstm and mamba (500 updates; holds at twice the budget).``"""
    skill = one.climb.ladder.skill.capitalize()
    if len(one.climb.rivals) < 2:
        return f"{skill}: fewer than two contestants have finished climbing."
    if not one.verdicts:
        return f"{skill}: {NONE} ({carried(one.climb)})."
    told = [
        f"{_pairs([verdict for verdict in one.verdicts if verdict.holds is holds])} ({_how(one, holds)})"
        for holds in Holds
        if any(verdict.holds is holds for verdict in one.verdicts)
    ]
    return f"{skill}: {'; '.join(told)}."


def carried(climb: Climb) -> str:
    """What a verdict stands on: ``500 updates at learning rate 0.003, 52,034 to 101,954 parameters``."""
    rate = climb.conditions.get("train.lr")
    told = [budget(climb) + (f" at learning rate {rate:g}" if isinstance(rate, int | float) else "")]
    sizes = {
        int(size)
        for one in climb.rivals
        for run in one.runs.get(1, ())
        if isinstance(size := run.result.get("parameters_total"), int)
    }
    if sizes:
        least, most = min(sizes), max(sizes)
        told.append(f"{least:,} parameters" if least == most else f"{least:,} to {most:,} parameters")
    return ", ".join(told)


def budget(climb: Climb) -> str:
    """``500 updates``, or the seconds of training where those are what all had alike."""
    seconds = climb.conditions.get(SECONDS)
    return (
        f"{seconds:g} seconds of training" if seconds is not None else f"{climb.conditions.get(UPDATES, 0):,} updates"
    )


def caution(judged: Sequence[Judged], family: int) -> str | None:
    """What few seeds can tell at best; None where two neighbouring rungs can be."""
    seeds = [len(own.seeds) for one in judged for own in one.climb.rivals]
    contestants = max((len(one.climb.rivals) for one in judged), default=0)
    if not seeds or contestants < 2:
        return None
    fewest = min(seeds)
    gap = least_gap(fewest, contestants, family)
    if not gap:
        return f"With {fewest} seed{'' if fewest == 1 else 's'} nothing can be told apart."
    if gap < 2:
        return None
    return f"With {fewest} seeds, too few to part anything under {_number(gap)} rungs on this page."


def _how(one: Judged, holds: Holds) -> str:
    return f"{carried(one.climb)}; {holds.value}" if holds is not Holds.NO else holds.value


def _pairs(verdicts: Sequence[Verdict]) -> str:
    """Those who reach further than the same ones are named together."""
    beaten: dict[str, list[str]] = {}
    for verdict in verdicts:
        beaten.setdefault(verdict.further, []).append(verdict.other)
    by_beaten: dict[tuple[str, ...], list[str]] = {}
    for further, others in beaten.items():
        by_beaten.setdefault(tuple(sorted(others)), []).append(further)
    order = sorted(by_beaten.items(), key=lambda item: (-len(item[0]), item[1]))
    return ", ".join(
        f"{listed(further)} {'reaches' if len(further) == 1 else 'reach'} further than {listed(others)}"
        for others, further in order
    )


def listed(names: Iterable[str]) -> str:
    """``a, b and c``."""
    *rest, last = names
    return f"{', '.join(rest)} and {last}" if rest else last


def _number(count: int) -> str:
    words = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    return words[count] if count < len(words) else str(count)
