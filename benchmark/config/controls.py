"""Controls: what every comparison of backbones is read against, each a few settings on top of the same run.

The backbone of the cloning controls is fixed, so that a task has one row of each. The three controls of memory differ in what
they see: `mlp` the present alone, `copier` what the contestants see at one timestep, their own last action included, and
`window` the last few timesteps. Where a task or a user says what everybody sees of previous actions, that holds for the copier
too: hidden from all, it is the same run as `mlp`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from dsbench.errors import UnknownName

CLONING_BACKBONE = "lstm"
CLONING = {"backbone": CLONING_BACKBONE, "wrapper": {"condition": "none"}}
CLONED = "wrapper.condition"  # the setting that tells a cloning control from its backbone
COPIED = "wrapper.previous_action"  # that which tells the copier from `mlp`


@dataclass(frozen=True)
class Control:
    """A control as settings, in the words of the configuration.

    Attributes:
        settings: on top of the run's.
        unsaid: those that hold where task, preset, file and user leave them open (null).
    """

    name: str
    summary: str
    settings: Mapping[str, Any]
    unsaid: Mapping[str, Any] = field(default_factory=dict)

    @property
    def columns(self) -> dict[str, Any]:
        """The settings in the words of the table of runs: ``{"backbone": "lstm", "wrapper.condition": "none"}``."""
        flat: dict[str, Any] = {}
        for part, value in (*self.settings.items(), *self.unsaid.items()):
            flat |= (
                {f"{part}.{name}": own for name, own in value.items()} if isinstance(value, Mapping) else {part: value}
            )
        return flat

    @property
    def says(self) -> frozenset[str]:
        """The columns that its name tells: of a control of memory also whether it sees its previous action."""
        of_memory = "backbone" in self.columns and CLONED not in self.columns
        return frozenset(self.columns) | ({COPIED} if of_memory else frozenset())


CONTROLS = {
    control.name: control
    for control in [
        Control("random", "uniformly random actions", {"policy": "random"}),
        Control("optimal", "the best scripted policy, which may see what is hidden", {"policy": "optimal"}),
        Control(
            "mlp", "an MLP of the present token, without the previous action (also: memoryless)", {"backbone": "mlp"}
        ),
        Control(
            "copier",
            "the same MLP of all that the contestants see at one timestep, their previous action included",
            {"backbone": "mlp"},
            unsaid={"wrapper": {"previous_action": True}},
        ),
        Control(
            "window",
            "an MLP of the last few tokens, without previous actions (also: framestack)",
            {"backbone": "framestack"},
        ),
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
ALIASES = {"memoryless": "mlp", "framestack": "window"}  # names that controls had before


def get_control(name: str) -> Control:
    """The control called `name`, or called so before; `UnknownName` with the closest match otherwise."""
    found = CONTROLS.get(ALIASES.get(name, name))
    if found is None:
        raise UnknownName("control", name, CONTROLS, where="dsbench list controls")
    return found


def control_of(row: Mapping[str, Any], varying: Collection[str] | None = None) -> Control | None:
    """The control that a run is, by its row in the table of runs; the one that asks for most, if it is several.

    Args:
        row: its settings by column (``backbone``, ``policy``, ``wrapper.condition``, ...).
        varying: columns in which the runs beside it differ. Cloning is a control only beside runs that are asked for a
            return; where all of them clone, their backbones are the contestants. None asks whatever stands beside it.
    """
    found = [
        control
        for control in CONTROLS.values()
        if all(row.get(name) == value for name, value in control.columns.items())
        and (varying is None or CLONED not in control.columns or not set(varying).isdisjoint(control.columns))
    ]
    return max(found, key=lambda control: len(control.columns), default=None)


def stands_for(row: Mapping[str, Any], name: str) -> bool:
    """Whether a run is what a table shows under a control's name: its own, or `mlp` for a copier with nothing to copy."""
    control = control_of(row)
    if control is None:
        return False
    if name == "copier" and control.name == "mlp":
        return bool(row.get(COPIED) == 0)  # False, which a null is not: hidden from everybody
    return control.name == name
