"""Two runs side by side, as ``dsbench results compare`` shows them, and what a single pair cannot say."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dsbench.cli.kept import told
from dsbench.cli.summary import words
from dsbench.cli.tables import print_table
from dsbench.records.run_folder import RunFolder
from dsbench.records.run_row import UNPROVEN, run_row
from dsbench.text import say

_NEVER_SAME = ("run_id", "reason", "attempt", "status", "source")
_SCORED_BY = ("env", "env.", "eval.", "wrapper.condition", "data.")  # settings that say what a score is of
_NUMBERS = (
    ("return_mean", "return", "{:.3f}"),
    ("score_normalised", "normalised", "{:.1f}"),
    ("loss", "last loss", "{:.4f}"),
    ("parameters_total", "parameters", "{:,.0f}"),
    ("state_bytes", "state, bytes", "{:,.0f}"),
    ("updates", "updates", "{:,.0f}"),
    ("train_seconds", "training, s", "{:.1f}"),
    ("latency_p50_us", "decision, us", "{:,.0f}"),
)  # fmt: skip


class Pair:
    """Two runs. Raises `UsageError` or `CorruptFile` where one cannot be read."""

    def __init__(self, one: RunFolder, other: RunFolder) -> None:
        self.places: tuple[Path, Path] = (one.path, other.path)
        self.rows = run_row(one), run_row(other)
        self.machines = _machine(one), _machine(other)

    @property
    def settings(self) -> dict[str, tuple[Any, Any]]:
        """Setting -> its values, where they differ; code from outside as ``source``."""
        one, other = ({k: v for k, v in row.items() if not k.startswith("result.")} for row in self.rows)
        names = [name for name in dict.fromkeys([*one, *other]) if name not in _NEVER_SAME or name == "source"]
        return {name: (one.get(name), other.get(name)) for name in names if one.get(name) != other.get(name)}

    @property
    def measures(self) -> list[tuple[str, str, str]]:
        """(column, its words, its form) of what came out, the measures of the tasks first."""
        own = dict.fromkeys(name for row in self.rows if isinstance(name := row.get("result.success_metric"), str))
        first = [(name, words(name), "{:.3f}") for name in own if name != "return_mean"]
        known = [*first, *_NUMBERS]
        return [one for one in known if any(_number(row.get(f"result.{one[0]}")) is not None for row in self.rows)]

    def notes(self) -> list[str]:
        """What these numbers do not say."""
        differs = self.settings
        besides = [name for name in differs if name != "seed"]
        found = []
        if not besides:
            found.append("Nothing but the seed differs: what is between the two is what a seed does.")
        elif len(besides) > 1:
            found.append(f"{len(besides)} settings differ, so that no difference is the doing of one of them.")
        if any(name.startswith(_SCORED_BY) for name in besides):
            found.append("What they learned from, or were scored on, is not the same: their scores are of two tasks.")
        if self.machines[0] != self.machines[1]:
            found.append(
                f"Times are of two machines ({self.machines[0]}; {self.machines[1]}) and say nothing of the runs."
            )
        for place, row in zip(self.places, self.rows, strict=True):
            if row["status"] != "ok":
                found.append(f"{place.name} has status {row['status']}: it has no score that counts.")
            if row.get(f"result.{UNPROVEN}"):
                found.append(f"{place.name} is unproven: {row[f'result.{UNPROVEN}']}")
        found.append(
            "One run of each cannot tell a better one from a luckier one: that takes several seeds of both "
            "(dsbench sweep --seeds 5, then dsbench report)."
        )
        return found

    def show(self) -> None:
        """Print it."""
        names = [place.name for place in self.places]
        print_table(("", "first", "second"), [("run", *names), ("status", *(str(row["status"]) for row in self.rows))])
        say()
        differs = [(name, *map(told, both)) for name, both in self.settings.items()]
        if differs:
            print_table(("setting", "first", "second"), differs)
        else:
            say("No setting differs.")
        say()
        lines = [(text, *self._cells(name, form)) for name, text, form in self.measures]
        if lines:
            print_table(("came out", "first", "second", "second - first"), lines)
            say()
        say(*self.notes())

    def to_json(self) -> dict[str, Any]:
        """JSON data of the same."""
        return {
            "runs": [str(place) for place in self.places],
            "settings": {name: list(both) for name, both in self.settings.items()},
            "results": {
                name: [row.get(f"result.{name}") for row in self.rows] for name, _, _ in self.measures
            },
            "notes": self.notes(),
        }  # fmt: skip

    def _cells(self, name: str, form: str) -> tuple[str, str, str]:
        one, other = (_number(row.get(f"result.{name}")) for row in self.rows)
        shown = ["-" if value is None else form.format(value) for value in (one, other)]
        if one is None or other is None:
            return shown[0], shown[1], "-"
        return shown[0], shown[1], form.replace("{:", "{:+").format(other - one)


def _number(value: Any) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _machine(run: RunFolder) -> str:
    known: Mapping[str, Any] = (run.read_provenance() or {}).get("machine") or {}
    return f"{known.get('cpu_model') or 'unknown'}, {known.get('cores_usable') or '?'} cores"
