"""The format of a ladder and what is wrong with a file of it; the shipped ones stand beside this module. Imports no torch.

A ladder in ten lines::

    format: 1
    title: How long is a bit kept?
    env: memory-len                      # or my_env.py:task
    pass: 0.9                            # of the task's success measure
    doubling: {setting: env.memory_length, from: 10, to: 1280}   # times: 0.5 would halve
    scale: timesteps from seeing to asking

In the place of a doubling there may be rungs from the easiest to the hardest, labels with settings as ``--set`` takes them::

    rungs:
      "parity, 8 bits": {env.group: parity, env.length: 8}
      "S3, 8 letters": {env.group: s3, env.length: 8}
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from dsbench.config.controls import CONTROLS
from dsbench.config.presets import DEFAULT
from dsbench.config.settings import LEARNED, Section
from dsbench.errors import UnknownName, UsageError, suggestion
from dsbench.studies.study_file import Settings, load_file

FOLDER = Path(__file__).parent
EPISODE = "episode"  # in the place of a number of timesteps: those of the longest episode of the rung
MOST_RUNGS = 100
Number = Annotated[float, Field(gt=0, lt=1e15)]


class Doubling(Section):
    """Rungs at ``from``, ``from`` x ``times``, ... up (or, with ``times`` below 1, down) to ``to``, whole numbers as such."""

    setting: str = Field(min_length=1)
    first: Number = Field(alias="from")
    last: Number = Field(alias="to")
    times: Number = 2.0
    beyond: Number | None = None  # rungs on offer to who asks for them with --to

    @model_validator(mode="after")
    def _leads_there(self) -> Doubling:
        for name, end in (("to", self.last), ("beyond", self.beyond)):
            if end is None:
                continue
            if self.times == 1 or (end - self.first) * (self.times - 1) < 0:
                raise ValueError(
                    f"from {self.first:g} no {name}: {end:g} is reached by times: {self.times:g}; expected it above 1 to go "
                    "up and below 1 to go down"
                )
            if math.log(end / self.first, self.times) + 1 > MOST_RUNGS:
                raise ValueError(f"from {self.first:g} to {end:g} has more than {MOST_RUNGS} rungs; expected fewer")
        return self

    def values(self) -> list[int | float]:
        """Of all rungs on offer, the easiest first; the last one counts where it lies between two."""
        up, found = self.times > 1, [self.first]
        for end in (self.last, self.beyond):
            while end is not None and (found[-1] < end if up else found[-1] > end):
                value = found[-1] * self.times
                found.append(min(value, end) if up else max(value, end))
        whole = all(float(one).is_integer() for one in (self.first, self.last))
        rounded = [round(one) if whole else float(f"{one:.12g}") for one in found]
        return list(dict.fromkeys(rounded))


class LadderFile(Section):
    """A ladder as it stands in its file."""

    format: Literal[1]
    title: str = Field(min_length=1)
    question: str = ""
    skill: str = ""  # in a few words; the name of the file where it is empty
    env: str = Field(min_length=1)
    mark: float = Field(alias="pass")
    doubling: Doubling | None = None
    rungs: dict[str, Settings] | None = Field(default=None, min_length=2, max_length=MOST_RUNGS)
    parts: str | None = None  # the rung at which backbones began to part in the reference climb
    marks: dict[str, float] = Field(default={})  # label -> its own, where tasks have other best scores rung by rung
    scale: str = "rung"
    preset: str = DEFAULT
    seeds: int = Field(default=5, ge=1, le=1000)
    backbones: list[str] = Field(default=["gpt", "s4d", "mamba", "lstm"], min_length=1)
    controls: list[str] = Field(default=["mlp", "copier", "window"])
    set: Settings = Field(default={})
    of_backbone: dict[str, Settings] = Field(default={})

    @model_validator(mode="after")
    def _fits(self) -> LadderFile:
        if (self.rungs is None) == (self.doubling is None):
            raise ValueError("expected either doubling or rungs, and one of them")
        for name, labels in (("marks", self.marks), ("parts", [self.parts] if self.parts is not None else [])):
            for label in labels:
                if label not in self._labels():
                    hint = suggestion(label, self._labels()) or ""
                    raise ValueError(f"{name} has {label!r}, which is no rung. {hint}".rstrip())
        for name in self.controls:
            if name not in CONTROLS or "policy" in CONTROLS[name].settings:
                learned = [one for one, control in CONTROLS.items() if "policy" not in control.settings]
                raise ValueError(f"controls has {name!r}; expected those that learn: {', '.join(learned)}")
        for place, settings in self._settings().items():
            for path in settings:
                if path in ("seed", "env", "env.name", "policy") or (path == "backbone.name"):
                    raise ValueError(f"{place} has {path}, which a ladder decides otherwise; leave it out")
        return self

    def _settings(self) -> dict[str, Settings]:
        found = {"set": self.set} | {f"of_backbone.{name}": own for name, own in self.of_backbone.items()}
        if self.doubling is not None:
            return found | {"doubling": {self.doubling.setting: None}}
        return found | {f"rungs.{label}": own for label, own in (self.rungs or {}).items()}

    def steps(self, to: str | None = None) -> dict[str, Settings]:
        """Label -> settings of the rungs, the easiest first, up to the one called `to`.

        Raises:
            UsageError: there is no such rung.
        """
        rungs = self._every_rung()
        last = to or (self.farthest if self.doubling is None else _label(self.doubling.last))
        named = next((label for label in rungs if label.replace(",", "") == last.replace(",", "")), None)
        if named is None:
            raise UnknownName("rung", last, list(rungs), where="--to")
        labels = list(rungs)
        return {label: rungs[label] for label in labels[: labels.index(named) + 1]}

    @property
    def turned(self) -> frozenset[str]:
        """The settings by which rungs differ."""
        return frozenset(path for settings in self._every_rung().values() for path in settings)

    @property
    def farthest(self) -> str:
        """The label of the last rung on offer."""
        return self._labels()[-1]

    def _every_rung(self) -> dict[str, Settings]:
        if self.doubling is None:
            return dict(self.rungs or {})
        return {_label(one): {self.doubling.setting: one} for one in self.doubling.values()}

    def _labels(self) -> list[str]:
        return list(self._every_rung())


def _label(value: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:g}"


def shipped() -> dict[str, Path]:
    """Name -> file of the ladders that come with dsbench."""
    return {path.stem: path for path in sorted(FOLDER.glob("*.yaml"))}


def load_ladder(name: str | Path) -> tuple[str, LadderFile]:
    """A shipped ladder by its name, or one of your own by its path; returns its name too.

    Raises:
        UnknownName: no such ladder ships.
        UsageError: the file cannot be read, or naming all that is wrong in it.
    """
    return load_file("ladder", name, shipped(), LadderFile)


def actors(ladder: LadderFile, backbones: list[str] | None, controls: list[str] | None) -> dict[str, Mapping[str, Any]]:
    """Name -> what `settle` takes to make that contestant."""
    from dsbench.config.controls import get_control

    found: dict[str, Mapping[str, Any]] = {name: {"backbone": name} for name in backbones or ladder.backbones}
    for name in ladder.controls if controls is None else controls:
        control = get_control(name)
        if control.settings.get("policy", LEARNED) != LEARNED:
            raise UsageError(f"control {name!r} is scripted and climbs nothing; expected one that learns, such as mlp")
        found[control.name] = {**control.settings, "unsaid": control.unsaid}
    return found
