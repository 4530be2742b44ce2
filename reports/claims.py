"""Every claim that one contestant is better than another, decided once for a whole page.

A page asks its questions together: each pair of contestants on each task, and each pair over several tasks. Holm's procedure
keeps the chance of any false claim among all of them at 5 %. All pairs count, since the best was chosen from the same scores.
What is marked, called best or called apart anywhere on the page is looked up here.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

from dsbench.reports.spread import Differences, FloatArray, Places, Spread
from dsbench.reports.statistics import FEW, Estimate

ERROR_RATE = 0.05  # of any false claim on a page
FEWEST = 3  # seeds of both sides; two that agree by luck have no spread
ALONE = 4  # of two contestants without a third: where seeds have two modes, three of each agree by luck too often


class Contest(NamedTuple):
    """One question of a page: who is above whom on a task, or in the mean over several.

    Attributes:
        strata: the spread of each task; all with the same contestants.
        pairs: those that are compared, (first, second); None for all.
    """

    strata: Sequence[Spread]
    pairs: Sequence[tuple[str, str]] | None = None


class _Asked(NamedTuple):
    """A contest with its numbers: pairs by their places, which of them count, and of which of those a claim can be made."""

    contest: Contest
    first: Places
    second: Places
    found: Differences
    counted: NDArray[np.bool_]
    fit: NDArray[np.bool_]
    p: FloatArray


@dataclass(frozen=True)
class Claims:
    """The decisions of a page; made by `decide`.

    Attributes:
        family: pairs that counted.
        made: claims that hold.
        rate: the chance of any false one among them.
    """

    family: int
    made: int
    rate: float
    _asked: Mapping[Hashable, _Asked]
    _above: Mapping[Hashable, frozenset[tuple[str, str]]]

    def above(self, key: Hashable, one: str, other: str) -> bool:
        """Whether it is claimed that `one` is above `other` in the contest `key`."""
        return (one, other) in self._above.get(key, ())

    def apart(self, key: Hashable, one: str, other: str) -> bool:
        """Whether it is claimed that they differ."""
        return self.above(key, one, other) or self.above(key, other, one)

    def winner(self, key: Hashable, among: Sequence[str] | None = None) -> str | None:
        """The one that is claimed to be above all others of the contest (of those `among` it); None where none is."""
        asked = self._asked.get(key)
        names = among or (asked.contest.strata[0].names if asked else ())
        if len(names) < 2:
            return None
        return next((one for one in names if all(self.above(key, one, other) for other in names if other != one)), None)

    def open_to(self, key: Hashable, first: str, others: Sequence[str]) -> list[str]:
        """Those of the others of whom it is not claimed that the first is above them."""
        return [other for other in others if not self.above(key, first, other)]

    def difference(self, key: Hashable, one: str, other: str) -> Estimate | None:
        """Mean of `one` minus that of `other`, with an interval that leaves out 0 exactly where that is claimed; None where
        the two were not compared, no bounds where no claim could be made.

        Its level is that of the last step of Holm's procedure, the same for all pairs of the page.
        """
        asked = self._asked.get(key)
        if asked is None:
            return None
        names = asked.contest.strata[0].names
        places = [(names[a], names[b]) for a, b in zip(asked.first, asked.second, strict=True)]
        for pair, sign in (((one, other), 1.0), ((other, one), -1.0)):
            if pair in places:
                place = places.index(pair)
                value, variance, freedom = (float(column[place]) for column in asked.found)
                n = min(int(each.counts[side[place]]) for each in asked.contest.strata
                        for side in (asked.first, asked.second))  # fmt: skip
                if not asked.fit[place]:
                    return Estimate(sign * value, None, None, n)
                level = self.rate / max(1, self.family - self.made)
                half = float(stdtrit(freedom, 1 - level / 2) * np.sqrt(variance))
                return Estimate(sign * value, sign * value - half, sign * value + half, n)
        return None

    def silence(self, key: Hashable) -> str | None:
        """Why nothing could be claimed in a contest, in words without a full stop; None where something could."""
        asked = self._asked.get(key)
        if asked is None or not len(asked.fit) or asked.fit.any():
            return None
        fewest = min(int(each.counts.min()) for each in asked.contest.strata)
        needed = _fewest(asked.contest)
        if fewest < needed:
            return f"n = {fewest} cannot support a claim: it takes {needed} seeds of each, and rarely less than {FEW}"
        return "no claim can be made, as the scores do not vary from seed to seed and nothing tells how far they may be off"

    def caution(self, key: Hashable) -> str | None:
        """The same as a sentence."""
        silence = self.silence(key)
        return None if silence is None else f"{silence.replace('no claim', 'No claim', 1)}."

    def text(self) -> str:
        """The rule and the size of the family, in words."""
        if not self.family:
            return (
                f"Claims: there are none, for none could be made: it takes {FEWEST} seeds of each contestant, and {ALONE} "
                "of two alone."
            )
        asked = f"{self.family:,} pairs" if self.family != 1 else "one pair"
        return (
            f"Claims: the chance of any false one on this page is at most {100 * self.rate:g} % (Holm's procedure over all "
            f"{asked} that are compared, {self.made:,} of them claimed). Each is a t-test whose spread is the larger of the "
            "pair's own and that of all contestants of the task, with Satterthwaite's degrees of freedom; differences are "
            "taken seed by seed where seeds move all contestants alike."
        )


def decide(contests: Mapping[Hashable, Contest], rate: float = ERROR_RATE) -> Claims:
    """All claims of a page.

    Args:
        contests: key -> contest; a key is asked for later.
        rate: of any false claim among all.
    """
    asked = {key: _ask(contest) for key, contest in contests.items()}
    p = np.concatenate([one.p for one in asked.values()]) if asked else np.empty(0)
    family = sum(int(one.counted.sum()) for one in asked.values())
    order = np.argsort(p, kind="stable")
    steps = np.maximum.accumulate(p[order] * np.maximum(family - np.arange(len(p)), 1))
    rejected = np.zeros(len(p), dtype=bool)
    rejected[order] = steps <= rate
    above, begin = {}, 0
    for key, one in asked.items():
        above[key] = _winners(one, rejected[begin : begin + len(one.p)])
        begin += len(one.p)
    return Claims(family, int(rejected.sum()), rate, asked, above)


def _ask(contest: Contest) -> _Asked:
    strata, names = contest.strata, contest.strata[0].names
    if contest.pairs is None:
        first, second = np.triu_indices(len(names), 1)
    else:
        chosen = [(names.index(one), names.index(other)) for one, other in contest.pairs]
        first, second = (np.array([pair[side] for pair in chosen], dtype=np.intp) for side in (0, 1))
    found = _over([one.differences(first, second) for one in strata])
    counted = np.min([np.minimum(one.counts[first], one.counts[second]) for one in strata], axis=0) >= _fewest(contest)
    told = [
        (one.pooled > 0) | (one.means[first] == one.means[second]) for one in strata
    ]  # without spread: of equals alone
    fit = counted & np.all(told, axis=0) & np.any([one.pooled > 0 for one in strata])
    p = np.where(counted, 1.0, 2.0)  # 2: not asked
    p[fit] = 2 * stdtr(found.freedom[fit], -np.abs(found.value[fit]) / np.sqrt(found.variance[fit]))
    return _Asked(contest, first, second, found, counted, fit, p)


def _fewest(contest: Contest) -> int:
    """Seeds of each side that a claim takes; contestants with a single seed help nobody."""
    helping = min(int((one.counts > 1).sum()) for one in contest.strata)
    return FEWEST if helping > 2 else ALONE


def _over(parts: Sequence[Differences]) -> Differences:
    """The mean over tasks of differences, each task with the same weight."""
    if len(parts) == 1:
        return parts[0]
    count = len(parts)
    variance = np.sum([one.variance for one in parts], axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):  # of pairs that no claim is made of
        freedom = 1 / np.sum([(one.variance / variance) ** 2 / one.freedom for one in parts], axis=0)
    return Differences(np.mean([one.value for one in parts], axis=0), variance / count**2, freedom)


def _winners(asked: _Asked, rejected: NDArray[np.bool_]) -> frozenset[tuple[str, str]]:
    names = asked.contest.strata[0].names
    pairs = zip(asked.first[rejected], asked.second[rejected], asked.found.value[rejected], strict=True)
    return frozenset((names[a], names[b]) if value > 0 else (names[b], names[a]) for a, b, value in pairs)
