"""What a caption has to say of runs: how many, which failed, what differed between seeds, how they decided."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from dsbench.reports.claims import Claims
from dsbench.reports.content.contest import Task
from dsbench.reports.content.method import acting, varied
from dsbench.reports.groups import Run
from dsbench.reports.statistics import CALIBRATED, FEW

_LISTED = 12  # exceptions that a caption names; more are counted


def seeds_of(tasks: Sequence[Task]) -> str:
    """``n = 5 seeds``, with those that have fewer; failed seeds are among them."""
    counts = {(task.title, one.name): len(one.scores) for task in tasks for one in task.contestants if one.scores}
    if not counts:
        return "No seed has ended yet."
    most = max(counts.values())
    fewer = [f"{name} on {title} ({count})" for (title, name), count in counts.items() if count < most]
    few = f" Fewer than {FEW} seeds can rarely support a claim." if min(counts.values()) < FEW else ""
    seeds = "seed" if most == 1 else "seeds"
    return f"n = {most} {seeds}" + (f", but for {_listed(fewer)}." if fewer else " each.") + few


def failures_of(tasks: Sequence[Task]) -> str:
    """Which seeds failed, and that they count."""
    lost = [f"{one.name} on {task.title} ({one.failed})" for task in tasks for one in task.contestants if one.failed]
    return f"Seeds that failed count at the floor of their task: {_listed(lost)}." if lost else "No seed failed."


def varied_of(tasks: Sequence[Task]) -> str:
    """What differs between seeds."""
    return _of_each(
        [(task.title, [run for one in task.learned for run in one.runs]) for task in tasks],
        varied,
        lambda told: f"Between seeds differ: {told}",
    )


def acting_of(tasks: Sequence[Task]) -> str:
    """In which way contestants decide."""
    runs: dict[str, list[Run]] = {}
    for task in tasks:
        for one in task.learned:
            runs.setdefault(one.name, []).extend(one.runs)
    return _of_each(list(runs.items()), acting, lambda told: f"Decisions are {told}")


def silences_of(tasks: Sequence[Task], claims: Claims) -> list[str]:
    """On which tasks nothing can be claimed, and where so few stand beside each other that intervals are rough."""
    told: dict[str, list[str]] = {}
    for task in tasks:
        if (silence := claims.silence(task.name)) is not None:
            told.setdefault(silence, []).append(task.title)
    found = [f"Nothing is marked on {_listed(titles)}: {why}." for why, titles in told.items()]
    rough = [task.title for task in tasks if task.learned and not task.spread.calibrated]
    if rough:
        found.append(f"Fewer than {CALIBRATED} contestants, too few to calibrate intervals, on {_listed(rough)}.")
    return found


def rule_of(claims: Claims) -> str:
    """The rate at which claims of a page are wrong."""
    return (
        f"any false claim among all {claims.family:,} pairs that are compared has a chance of at most "
        f"{100 * claims.rate:g} % (Holm)"
    )


def measures_of(tasks: Sequence[Task]) -> str:
    """``first action accuracy (umbrella) and return (all others)``."""
    by_measure: dict[str, list[str]] = {}
    for task in tasks:
        by_measure.setdefault(task.measure_text, []).append(task.title)
    if len(by_measure) == 1:
        return next(iter(by_measure))
    *fewer, most = sorted(by_measure.items(), key=lambda item: len(item[1]))
    return ", ".join([*(f"{name} ({_listed(titles)})" for name, titles in fewer), f"{most[0]} (all others)"])


def _of_each(
    runs: Sequence[tuple[str, Sequence[Run]]], told: Callable[[Run], str | None], words: Callable[[str], str]
) -> str:
    """What all say alike in one sentence, or each group of those that do; nothing where none says anything."""
    by_word: dict[str, list[str]] = {}
    for name, own in runs:
        found = sorted({word for run in own if (word := told(run)) is not None})
        if found:
            by_word.setdefault(" or ".join(found), []).append(name)
    if not by_word:
        return ""
    *fewer, most = sorted(by_word.items(), key=lambda item: len(item[1]))
    parts = [f"{word} ({_listed(names)})" for word, names in fewer]
    return f"{words('; '.join([*parts, most[0] + (' (all others)' if fewer else '')]))}."


def _listed(names: Iterable[str]) -> str:
    every = list(names)
    shown = ", ".join(every[:_LISTED])
    return f"{shown} and {len(every) - _LISTED} more" if len(every) > _LISTED else shown
