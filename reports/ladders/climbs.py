"""Climbs out of the runs of a results folder: whose runs stand on which rungs of which ladder, and what they passed.

Nothing marks a run as part of a climb. A run stands on a rung if it has the settings of the ladder and of the rung; runs with
the same settings in all else that makes the task or the training are one climb, so that other people's climbs, and climbs with
other budgets, are found beside one's own.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from dsbench.config.controls import control_of
from dsbench.reports.content.contest import listed, outcomes_of
from dsbench.reports.groups import LEARNED, Group, Run
from dsbench.reports.ladders.ladder import Ladder
from dsbench.reports.outcomes import measure_among, sample_of

UPDATES, SECONDS = "train.updates", "train.seconds"
_OWN = ("backbone.", "wrapper.")  # what a contestant brings along; all else is the climb's
_OWN_WHOLE = {"source", "policy"}


@dataclass(frozen=True)
class Climber:
    """A contestant of one climb.

    Attributes:
        name: the backbone or control, and what else tells it from others of that name.
        is_control: one of those that every comparison is read against; no rival.
        scores: rung -> seed -> score, None where the seed failed; rungs count from 1, unfinished seeds are absent.
        runs: rung -> the runs behind it.
        marks: of every rung, from which score on it is passed.
        top: the highest rung of the climb.
    """

    name: str
    is_control: bool
    scores: Mapping[int, Mapping[int, float | None]]
    runs: Mapping[int, Sequence[Run]]
    marks: Sequence[float]
    top: int

    @cached_property
    def seeds(self) -> list[int]:
        return sorted({seed for own in self.scores.values() for seed in own})

    def passed(self, rung: int, seed: int) -> bool | None:
        """None where the seed has not finished that rung."""
        own = self.scores.get(rung, {})
        if seed not in own:
            return None
        score = own[seed]
        return score is not None and score >= self.marks[rung - 1]

    def reach_of(self, seed: int) -> int | None:
        """The highest rung that the seed passed with none failed below; None while that is open."""
        for rung in range(1, self.top + 1):
            passed = self.passed(rung, seed)
            if passed is None:
                return None
            if not passed:
                return rung - 1
        return self.top

    @cached_property
    def reaches(self) -> dict[int, int]:
        """Seed -> reach, of the seeds whose reach is known."""
        return {seed: reach for seed in self.seeds if (reach := self.reach_of(seed)) is not None}

    @property
    def finished(self) -> bool:
        """Whether the reach of every seed is known."""
        return bool(self.seeds) and len(self.reaches) == len(self.seeds)

    def again(self, seed: int) -> list[int]:
        """Rungs above its reach that the seed passed all the same."""
        reach = self.reaches.get(seed, self.top)
        return [rung for rung in range(reach + 2, self.top + 1) if self.passed(rung, seed)]


@dataclass(frozen=True)
class Climb:
    """Contestants that climbed one ladder under the same conditions.

    Attributes:
        conditions: settings of all its runs that neither the ladder nor a contestant chooses.
        climbers: by name, controls last.
    """

    ladder: Ladder
    conditions: Mapping[str, Any]
    climbers: tuple[Climber, ...]
    top: int

    @property
    def key(self) -> Hashable:
        """Of its contest among the claims of a page."""
        return (self.ladder.name, *sorted((name, str(value)) for name, value in self.conditions.items()))

    @property
    def rivals(self) -> list[Climber]:
        """Those that claims are made of: no controls, nobody who still climbs."""
        return [one for one in self.climbers if not one.is_control and one.finished]

    @property
    def runs(self) -> list[Run]:
        return [run for one in self.climbers for own in one.runs.values() for run in own]

    @property
    def parts_at(self) -> str | None:
        """The easiest rung that some rival passes with all of its seeds and another with none; None where there is none."""
        for number in range(1, self.top + 1):
            shares = [
                sum(bool(one.passed(number, seed)) for seed in one.seeds) / len(one.seeds)
                for one in self.rivals
                if number in one.scores
            ]
            fallen = any(number not in one.scores for one in self.rivals)
            if shares and max(shares) == 1 and (fallen or min(shares) == 0):
                return self.ladder.rungs[number - 1].label
        return None

    def is_twice(self, other: Climb) -> bool:
        """Whether this is the other climb with twice the updates (or seconds) and equal in all else."""
        name = SECONDS if other.conditions.get(SECONDS) is not None else UPDATES
        mine, theirs = dict(self.conditions), dict(other.conditions)
        least, most = theirs.pop(name, None), mine.pop(name, None)
        return self.ladder == other.ladder and least is not None and most == 2 * least and mine == theirs


def climbs_of(groups: Iterable[Group], ladders: Iterable[Ladder]) -> list[Climb]:
    """The climbs in a folder, ladder by ladder, of each the one with the most runs first.

    A contestant takes part from the lowest rung on; whoever has runs on higher rungs alone has not climbed.
    """
    known = [group for group in groups if group.configured and group.backbone is not None]
    found = []
    for ladder in ladders:
        of_ladder = _under_the_same_conditions(ladder, known)
        climbs = [climb for placed in of_ladder if (climb := _climb(ladder, placed)) is not None]
        found += sorted(climbs, key=lambda one: (-len(one.runs), str(one.key)))
    return found


class _Placed:
    """A group of runs on a rung."""

    def __init__(self, ladder: Ladder, rung: int, group: Group) -> None:
        self.rung, self.group = rung, group
        self.backbone, self.settings = str(group.backbone), group.runs[0].settings
        chosen = ladder.chosen(self.backbone)
        free = {name: value for name, value in self.settings.items() if name not in chosen}
        self.own = {name: value for name, value in free.items() if name.startswith(_OWN) or name in _OWN_WHOLE}
        self.conditions = {name: value for name, value in free.items() if name not in self.own}


def _under_the_same_conditions(ladder: Ladder, groups: Sequence[Group]) -> list[list[_Placed]]:
    found: dict[Hashable, list[_Placed]] = {}
    for group in groups:
        settings = group.runs[0].settings
        if group.env != ladder.env or settings.get("policy", LEARNED) != LEARNED:
            continue
        rung = ladder.rung_of(str(group.backbone), settings)
        if rung is not None:
            placed = _Placed(ladder, rung, group)
            found.setdefault(tuple(sorted((k, str(v)) for k, v in placed.conditions.items())), []).append(placed)
    return list(found.values())


def _climb(ladder: Ladder, placed: Sequence[_Placed]) -> Climb | None:
    by_contestant: dict[Hashable, list[_Placed]] = {}
    for one in placed:
        by_contestant.setdefault((one.backbone, *sorted((k, str(v)) for k, v in one.own.items())), []).append(one)
    climbing = [own for own in by_contestant.values() if any(one.rung == 1 for one in own)]
    if not climbing:
        return None
    top = max(one.rung for own in climbing for one in own)
    if top < min(2, len(ladder.rungs)):
        return None
    names = _names([own[0] for own in climbing])
    climbers = [_climber(ladder, name, own, top) for name, own in zip(names, climbing, strict=True)]
    order = sorted(climbers, key=lambda one: (one.is_control, one.name))
    return Climb(ladder, climbing[0][0].conditions, tuple(order), top)


def _climber(ladder: Ladder, name: str, placed: Sequence[_Placed], top: int) -> Climber:
    scores, runs = {}, {}
    for one in placed:
        outcomes = outcomes_of(one.group.runs)
        sample = sample_of(outcomes, measure_among(outcomes), "", float("nan"))
        found = sample.scores if sample is not None else {}
        failed = sample.failed if sample is not None else frozenset()
        scores[one.rung] = {seed: None if seed in failed else score for seed, score in found.items()}
        runs[one.rung] = list(one.group.runs)
    return Climber(name, _control(placed[0]) is not None, scores, runs, ladder.marks, top)


def _control(placed: _Placed) -> str | None:
    """The control of memory that it is, if it is one; who clones is a contestant with a setting of its own."""
    found = control_of({"backbone": placed.backbone, **placed.settings}, varying=())
    return None if found is None else found.name


def _names(placed: Sequence[_Placed]) -> list[str]:
    """Each by its backbone or control, and by those of its settings that others of that name have otherwise."""
    labels = [_control(one) or one.backbone for one in placed]
    names = []
    for one, label in zip(placed, labels, strict=True):
        same = [other.own for other, its in zip(placed, labels, strict=True) if its == label]
        differing = sorted({name for own in same for name in own if len({str(o.get(name)) for o in same}) > 1})
        told = {name: one.own.get(name, "default") for name in differing}
        names.append(f"{label} ({listed(told)})" if told else label)
    return names
