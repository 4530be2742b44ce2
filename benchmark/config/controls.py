"""Controls: what every comparison of backbones is read against, each a few settings on top of the same run.

The backbone of the cloning controls is fixed, so that a task has one row of each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dsbench.errors import UnknownName

CLONING_BACKBONE = "lstm"
CLONING = {"backbone": CLONING_BACKBONE, "wrapper": {"condition": "none"}}


@dataclass(frozen=True)
class Control:
    """A control as settings, in the words of the configuration."""

    name: str
    summary: str
    settings: Mapping[str, Any]

    @property
    def columns(self) -> dict[str, Any]:
        """The settings in the words of the table of runs: ``{"backbone": "lstm", "wrapper.condition": "none"}``."""
        flat: dict[str, Any] = {}
        for part, value in self.settings.items():
            flat |= (
                {f"{part}.{name}": own for name, own in value.items()} if isinstance(value, Mapping) else {part: value}
            )
        return flat


CONTROLS = {
    control.name: control
    for control in [
        Control("random", "uniformly random actions", {"policy": "random"}),
        Control("optimal", "the best scripted policy, which may see what is hidden", {"policy": "optimal"}),
        Control("memoryless", "an MLP of the present token, without the previous action", {"backbone": "mlp"}),
        Control("framestack", "an MLP of the last few tokens", {"backbone": "framestack"}),
        Control(
            "bc",
            f"behaviour cloning ({CLONING_BACKBONE}): no return is asked for",
            CLONING,
        ),
        Control(
            "top10-bc",
            f"behaviour cloning ({CLONING_BACKBONE}) of the 10 % of the episodes with the highest returns",
            {**CLONING, "data": {"top_percent": 10.0}},
        ),
    ]
}


def get_control(name: str) -> Control:
    """The control called `name`; `UnknownName` with the closest match otherwise."""
    if name not in CONTROLS:
        raise UnknownName("control", name, CONTROLS, where="dsbench list controls")
    return CONTROLS[name]


def cloning_control(row: Mapping[str, Any]) -> Control | None:
    """The cloning control that a run is, by its row in the table of runs; the one that asks for most, if it is several."""
    cloning = [control for control in CONTROLS.values() if "wrapper.condition" in control.columns]
    found = [one for one in cloning if all(row.get(name) == value for name, value in one.columns.items())]
    return max(found, key=lambda control: len(control.columns), default=None)
