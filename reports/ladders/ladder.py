"""A ladder as a report knows it: what a run has to be to stand on one of its rungs, and when it has passed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Columns = Mapping[str, Any]  # column of the table of runs -> value


@dataclass(frozen=True)
class Rung:
    """One difficulty.

    Attributes:
        label: what it is called on the ladder's scale.
        settings: that make it.
        of_backbone: backbone -> what the ladder sets for it alone on this rung, such as a window as long as the episode.
        value: where it lies on the scale; None where the scale has no numbers.
        mark: the success measure from which on it is passed, where that is not the ladder's.
    """

    label: str
    settings: Columns
    of_backbone: Mapping[str, Columns] = field(default_factory=dict)
    value: float | None = None
    mark: float | None = None


@dataclass(frozen=True)
class Ladder:
    """A task made harder rung by rung.

    Attributes:
        name: of its file.
        skill: in a few words, for a sentence.
        scale: what the labels of the rungs count.
        mark: the success measure from which on a seed has passed a rung that says nothing else.
        settings: of all rungs, but for those of the training, which are the budget of a climb.
        rungs: the easiest first.
        takes_memory: whether controls without memory must stay below the first rung.
    """

    name: str
    title: str
    question: str
    skill: str
    scale: str
    env: str
    mark: float
    settings: Columns
    rungs: tuple[Rung, ...]
    takes_memory: bool = False

    def rung_of(self, backbone: str, settings: Columns) -> int | None:
        """The number of the rung, from 1, that a run with these settings stands on; None off the ladder."""
        if not _has(settings, self.settings):
            return None
        for number, rung in enumerate(self.rungs, 1):
            if _has(settings, rung.settings) and _has(settings, rung.of_backbone.get(backbone, {})):
                return number
        return None

    @property
    def marks(self) -> tuple[float, ...]:
        """Of every rung."""
        return tuple(self.mark if rung.mark is None else rung.mark for rung in self.rungs)

    def chosen(self, backbone: str) -> set[str]:
        """Columns that the ladder decides for a backbone, on whatever rung."""
        found = set(self.settings)
        for rung in self.rungs:
            found |= {*rung.settings, *rung.of_backbone.get(backbone, {})}
        return found

    def at(self, reach: float, top: int) -> str:
        """A reach on the ladder's own scale: ``≥ 1,280`` at the top, ``< 10`` at the foot, between rungs what lies there."""
        if reach >= top:
            return f"≥ {self.rungs[top - 1].label}"
        if reach < 1:
            return f"< {self.rungs[0].label}"
        below, above = self.rungs[int(reach) - 1], self.rungs[int(reach)]
        share = reach - int(reach)
        if not share or below.value is None or above.value is None:
            return below.label
        if below.value > 0 and above.value > 0:
            return _three(below.value * (above.value / below.value) ** share)
        return _three(below.value + share * (above.value - below.value))


def _three(value: float) -> str:
    """Three significant digits, without an exponent."""
    places = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{float(f'{value:.3g}'):,.{places}f}" if value >= 1 else f"{value:.3g}"


def _has(settings: Columns, needed: Columns) -> bool:
    return all(_plain(settings.get(name)) == _plain(value) for name, value in needed.items())


def _plain(value: Any) -> Any:
    """Tables keep lists as JSON; what is not given is absent."""
    return json.dumps(value) if isinstance(value, Sequence) and not isinstance(value, str) else value
