"""Every pair of contestants: how far apart they are on each task and over all of them, and where that is claimed."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from itertools import combinations

from dsbench.errors import UsageError
from dsbench.reports.claims import Claims
from dsbench.reports.content.cells import measured, words
from dsbench.reports.content.material import Material
from dsbench.reports.document import BOLD, MISSING, Cell, Heading, Table
from dsbench.reports.paper.captions import measures_of, rule_of, seeds_of, silences_of
from dsbench.reports.paper.tasks import contestants, scored


def paired_table(found: Material) -> Table:
    """A row a pair, a column a task, the mean over all tasks first. Raises `UsageError` where there is no pair."""
    tasks = [task for task in scored(found) if len(task.spread.names) > 1]
    if not tasks:
        raise UsageError(
            f"no two backbones of {found.stored.title!r} have a score on the same task; expected several, which "
            "dsbench sweep --backbone gpt,s4d,lstm --env umbrella --seeds 5 makes"
        )
    claims, pooled = found.judged.claims, found.judged.overall
    columns: list[tuple[Heading, Hashable, str]] = []
    if pooled is not None and len(pooled.names) > 1:
        hint = f"mean of normalised scores over {', '.join(pooled.tasks)}"
        columns.append((Heading("over all tasks, normalised", hint), pooled.key, ".1f"))
    columns += [(Heading(task.title, task.measure_text), task.name, task.form) for task in tasks]
    pairs = (_row(claims, one, other, columns) for one, other in combinations(contestants(tasks), 2))
    rows = tuple(row for row in pairs if any(cell.value is not None for cell in row[1:]))
    headings = (Heading("pair", numeric=False), *(heading for heading, _, _ in columns))
    notes = (
        f"Mean of the first minus that of the second, and its interval: {measures_of(tasks)}.",
        f"{BOLD}, with an interval that leaves out 0: it is claimed that they differ; {rule_of(claims)}.",
        *silences_of(tasks, claims),
        seeds_of(tasks),
    )
    return Table("paired", "Differences between pairs", headings, rows, notes)


def _row(claims: Claims, one: str, other: str, columns: Sequence[tuple[Heading, Hashable, str]]) -> tuple[Cell, ...]:
    return (words(f"{one} − {other}"), *(_cell(claims, key, one, other, form) for _, key, form in columns))


def _cell(claims: Claims, key: Hashable, one: str, other: str, form: str) -> Cell:
    found = claims.difference(key, one, other)
    return Cell(MISSING) if found is None else measured(found, form, best=claims.apart(key, one, other))
