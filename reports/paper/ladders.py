"""Backbone by ladder: how far each reaches on the ladder's own scale, marked as scores of tasks are."""

from __future__ import annotations

from collections.abc import Sequence

from dsbench.errors import UsageError
from dsbench.reports.claims import Claims
from dsbench.reports.content.cells import words
from dsbench.reports.content.material import Material
from dsbench.reports.document import BOLD, MISSING, Cell, Heading, Table
from dsbench.reports.ladders.reach import Judged
from dsbench.reports.ladders.sections import in_order, told_apart
from dsbench.reports.ladders.sentences import budget
from dsbench.reports.paper.captions import rule_of
from dsbench.reports.statistics import FEW


def ladders_table(found: Material) -> Table:
    """A row a contestant, a column a climb. Raises `UsageError` where none was climbed."""
    if not found.climbed:
        raise UsageError(
            f"no ladder was climbed in {found.stored.title!r}; expected runs of one, which dsbench ladder memory-span makes"
        )
    claims, titles = found.judged.claims, _titles(found.climbed)
    marked = [_leaders(one, claims) for one in found.climbed]
    rows = tuple(
        (words(name), *(_cell(one, name, own) for one, own in zip(found.climbed, marked, strict=True)))
        for name in in_order(found.climbed)
    )
    headings = (
        Heading("backbone", numeric=False),
        *(Heading(title, one.climb.ladder.scale) for title, one in zip(titles, found.climbed, strict=True)),
    )
    mark = f"{BOLD}: who reaches furthest and all of whom it is not claimed that they fall short of it; "
    notes = [
        "Reach on each ladder's own scale, which is the mean over seeds of the highest rung passed with none failed below; "
        "in brackets the rung and its 95 % interval.",
        *(f"{title}: {one.climb.ladder.scale}, {budget(one.climb)}." for title, one in
          zip(titles, found.climbed, strict=True)),
        f"{mark}{rule_of(claims)}." if any(marked) else "",
        *(f"Nothing is marked on {title}: {why}." for title, one in zip(titles, found.climbed, strict=True)
          if (why := claims.silence(one.climb.key)) is not None),
        _seeds(found.climbed),
        *(f"Still climbing on {title}: {', '.join(own)}." for title, one in zip(titles, found.climbed, strict=True)
          if (own := [climber.name for climber in one.climb.climbers if not climber.finished])),
        _failures(titles, found.climbed),
    ]  # fmt: skip
    return Table("ladders", "Reach by ladder", headings, rows, tuple(filter(None, notes)))


def _titles(climbed: Sequence[Judged]) -> list[str]:
    """The skill, and of several climbs of one ladder what tells them apart."""
    found = []
    for one in climbed:
        same = [other for other in climbed if other.climb.ladder.name == one.climb.ladder.name]
        told = told_apart(same)[same.index(one)]
        found.append(f"{one.climb.ladder.skill}, {told}" if told else one.climb.ladder.skill)
    return found


def _leaders(one: Judged, claims: Claims) -> set[str]:
    """As of a task; controls are compared with nobody."""
    order = sorted((climber.name for climber in one.climb.rivals), key=lambda name: (-one.estimates[name].mean, name))
    if len(order) < 2 or claims.silence(one.climb.key) is not None:
        return set()
    return {order[0], *claims.open_to(one.climb.key, order[0], order[1:])}


def _cell(one: Judged, name: str, marked: set[str]) -> Cell:
    estimate = one.estimates.get(name)
    if estimate is None:
        return Cell(MISSING)
    text = f"{one.climb.ladder.at(estimate.mean, one.climb.top)} ({estimate.text('.1f')})"
    return Cell(text, estimate.mean, name in marked, estimate.low, estimate.high, estimate.n)


def _seeds(climbed: Sequence[Judged]) -> str:
    counts = sorted({len(climber.seeds) for one in climbed for climber in one.climb.climbers})
    few = f" Fewer than {FEW} seeds can rarely support a claim." if counts[0] < FEW else ""
    return f"n = {' to '.join(dict.fromkeys(map(str, (counts[0], counts[-1]))))} seeds.{few}"


def _failures(titles: Sequence[str], climbed: Sequence[Judged]) -> str:
    """Runs that failed have not passed."""
    lost = []
    for title, one in zip(titles, climbed, strict=True):
        for climber in one.climb.climbers:
            count = sum(score is None for own in climber.scores.values() for score in own.values())
            lost += [f"{climber.name} on {title} ({count})"] if count else []
    return f"Runs that failed have not passed: {', '.join(lost)}." if lost else "No run failed."
