"""The claims of a study's page: which answers are compared, decided together."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from dsbench.reports.claims import Claims, Contest, decide
from dsbench.reports.spread import Spread
from dsbench.studies.answers import Answer
from dsbench.studies.measures import MEASURES
from dsbench.studies.study_file import BACKBONE, ENV, TableOf


def verdicts(table: TableOf, answers: Sequence[Answer]) -> Claims:
    """All that is claimed of the first measure of a table, where that is a score: costs are no contest.

    Keys are those of `key_of` for rivals; two labels of an axis are compared for each backbone alone, and the other backbones
    help to judge the spread.
    """
    measure, told = table.measures[0], told_on(table, answers)
    two, contests = of_two_labels(table, told), dict[Hashable, Contest]()
    having = [answer for answer in told if answer.learned and measure in answer.samples]
    for group in rivals(table, having) if MEASURES[measure].scored else []:
        if len(group) > 1:
            contests[key_of(table, group[0])] = (
                _of_two(table, group, having) if two else Contest([_spread(measure, group)])
            )
    return decide(contests)


def winner_of(table: TableOf, group: Sequence[Answer], claims: Claims) -> str | None:
    """The name of the answer that is claimed to be above all its rivals that have a score; None where none is."""
    names = [answer.name for answer in group if answer.learned and table.measures[0] in answer.samples]
    return claims.winner(key_of(table, group[0]), names) if names else None


def told_on(table: TableOf, answers: Sequence[Answer]) -> list[Answer]:
    """Answers in environments of which something is known."""
    known = {answer.labels[ENV] for answer in answers if answer.estimates[table.measures[0]] is not None}
    return [answer for answer in answers if answer.labels[ENV] in known]


def _spread(measure: str, answers: Sequence[Answer]) -> Spread:
    return Spread({answer.name: answer.samples[measure] for answer in answers})


def _of_two(table: TableOf, group: Sequence[Answer], having: Sequence[Answer]) -> Contest:
    """One label against the other for one backbone."""
    shared = [name for name in group[0].labels if name not in (axis_of(table), BACKBONE)]
    sisters = [one for one in having if all(one.labels[name] == group[0].labels[name] for name in shared)]
    return Contest([_spread(table.measures[0], sisters)], [(group[0].name, other.name) for other in group[1:]])


def rivals(table: TableOf, answers: Sequence[Answer]) -> list[list[Answer]]:
    """Answers to be compared with each other: those that differ in the last axis of the table's rows alone, which is never
    the environment."""
    groups: dict[Hashable, list[Answer]] = {}
    for answer in answers:
        groups.setdefault(key_of(table, answer), []).append(answer)
    return list(groups.values())


def key_of(table: TableOf, answer: Answer) -> tuple[str, ...]:
    """Of the contest that an answer is in."""
    return tuple(answer.labels[name] for name in around(table))


def around(table: TableOf) -> list[str]:
    """The axes that rivals share."""
    return list(dict.fromkeys([ENV, *row_axes(table)[:-1], *([table.columns] if table.columns else [])]))


def row_axes(table: TableOf) -> list[str]:
    """Of the rows, without the environment."""
    return [name for name in table.rows if name != ENV] or [BACKBONE]


def axis_of(table: TableOf) -> str:
    """The one in which rivals differ."""
    return row_axes(table)[-1]


def of_two_labels(table: TableOf, answers: Sequence[Answer]) -> bool:
    """Whether two labels are set against each other, such as two layouts of tokens, in the place of a best of several."""
    axis = axis_of(table)
    return axis != BACKBONE and len(labels_of(answers, axis)) == 2


def labels_of(answers: Sequence[Answer], axis: str) -> list[str]:
    """Of an axis, in the order of the grid."""
    return list(dict.fromkeys(answer.labels[axis] for answer in answers))
