"""From a ladder's file and what a user asks for to the runs of every rung. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dsbench.config import RunConfig, run_id, to_dict
from dsbench.envs.catalogue import spec_of
from dsbench.errors import UsageError
from dsbench.ladders.ladder_file import EPISODE, LadderFile, actors
from dsbench.records.config_text import flat
from dsbench.reports.ladders.ladder import Ladder, Rung
from dsbench.studies.grid import Asked, configured
from dsbench.studies.study_file import Settings

_OF_THE_LADDER = ("env.", "data.recipe", "wrapper.")  # settings without which it would be another; the rest is budget


@dataclass(frozen=True)
class Wishes:
    """What a user asks for beyond a ladder's file; None leaves it to the file.

    Attributes:
        to: label of the last rung.
        preset: whose budget stands in the place of the file's.
        overrides: ``a.b=value`` texts.
        match: size that chooses the width of each backbone.
        twice: twice the updates (or seconds of training).
    """

    backbones: list[str] | None = None
    controls: list[str] | None = None
    seeds: tuple[int, ...] | None = None
    to: str | None = None
    preset: str | None = None
    overrides: tuple[str, ...] = ()
    match: str | None = None
    trust_code: bool = False
    twice: bool = False


@dataclass(frozen=True)
class Plan:
    """All that a climb may come to.

    Attributes:
        ladder: as a report knows it, with the rungs that are asked for.
        rungs: of each rung a run of seed 0 for every contestant.
        seeds: of every contestant.
        same: contestant -> the one whose runs would be the same, as those of a copier with nothing to copy.
    """

    ladder: Ladder
    rungs: tuple[Mapping[str, RunConfig], ...]
    seeds: tuple[int, ...]
    same: Mapping[str, str]

    @property
    def contestants(self) -> list[str]:
        return list(self.rungs[0])

    def runs_at(self, rung: int, contestants: Sequence[str]) -> list[RunConfig]:
        """Of one rung, counted from 0."""
        return [self.rungs[rung][name].model_copy(update={"seed": seed}) for name in contestants for seed in self.seeds]


def plan_of(name: str, file: LadderFile, wishes: Wishes) -> Plan:
    """The plan of a climb.

    Raises:
        Untrusted: the file names code from outside, and the user does not.
        UsageError: a setting, a name or a combination that cannot be used.
    """
    who = actors(file, wishes.backbones, wishes.controls)
    steps = file.steps(wishes.to)
    if len(steps) < 2:
        raise UsageError(f"{name} would have a single rung; expected two or more: give a later one with --to")
    scratch = _settled(file, wishes, steps, {"mlp": {"backbone": "mlp"}}, {})
    specs = {label: spec_of(one["mlp"].env.name, one["mlp"].env.options) for label, one in scratch.items()}
    lengths = {label: specs[label].horizon * _tokens(one["mlp"]) for label, one in scratch.items()}
    settled = _settled(file, wishes, steps, who, lengths)
    if wishes.twice:
        settled = {label: {name: _doubled(config) for name, config in row.items()} for label, row in settled.items()}
    rungs, same = _without_repeats(list(settled.values()))
    ladder = _ladder(name, file, steps, settled, lengths, all(spec.needs_memory for spec in specs.values()))
    return Plan(ladder, tuple(rungs), wishes.seeds or tuple(range(file.seeds)), same)


def _settled(
    file: LadderFile,
    wishes: Wishes,
    steps: Mapping[str, Settings],
    who: Mapping[str, Mapping[str, Any]],
    lengths: Mapping[str, int],
) -> dict[str, dict[str, RunConfig]]:
    """Label -> contestant -> its run of seed 0."""
    chosen = file.set
    if wishes.preset is not None:  # it brings a budget of its own
        chosen = {path: value for path, value in file.set.items() if path.startswith(_OF_THE_LADDER)}
    places = [(label, name) for label in steps for name in who]
    asked = []
    for label, name in places:
        backbone = str(who[name].get("backbone", name))
        own = _with_length(file.of_backbone.get(backbone, {}), lengths.get(label))
        actor = {**who[name], "match": wishes.match}
        asked.append(Asked(file.env, actor, ({"preset": wishes.preset or file.preset}, chosen, steps[label], own)))
    found: dict[str, dict[str, RunConfig]] = {label: {} for label in steps}
    for (label, name), config in zip(
        places, configured(asked, wishes.overrides, trust_code=wishes.trust_code), strict=True
    ):
        found[label][name] = config
    return found


def _tokens(config: RunConfig) -> int:
    """Of a timestep, at most."""
    return 3 if config.wrapper.tokens == "separate" else 1


def _with_length(settings: Settings, length: int | None) -> Settings:
    return {path: length if value == EPISODE and length is not None else value for path, value in settings.items()}


def _doubled(config: RunConfig) -> RunConfig:
    """The same with twice the updates, or twice the seconds where those are the budget."""
    train = config.train
    update = {"updates": 2 * train.updates} if train.seconds is None else {"seconds": 2 * train.seconds}
    return config.model_copy(update={"train": train.model_copy(update=update)})


def _without_repeats(rungs: Sequence[Mapping[str, RunConfig]]) -> tuple[list[dict[str, RunConfig]], dict[str, str]]:
    """Contestants whose runs are those of one before them climb with it."""
    first: dict[str, str] = {}
    same: dict[str, str] = {}
    for name, config in rungs[0].items():
        other = first.setdefault(run_id(config), name)
        if other != name:
            same[name] = other
    return [{name: config for name, config in rung.items() if name not in same} for rung in rungs], same


def _ladder(
    name: str,
    file: LadderFile,
    steps: Mapping[str, Settings],
    settled: Mapping[str, Mapping[str, RunConfig]],
    lengths: Mapping[str, int],
    takes_memory: bool,
) -> Ladder:
    """As a report knows it; values are those that the runs have, after all that a user set."""
    rungs = []
    for label, row in settled.items():
        columns = {one: flat(to_dict(config)) for one, config in row.items()}
        any_of = next(iter(columns.values()))
        of_backbone = {
            str(config.backbone.name): {path: columns[one].get(path) for path in file.of_backbone[config.backbone.name]}
            for one, config in row.items()
            if config.backbone.name in file.of_backbone
        }
        settings = {path: any_of.get(path) for path in steps[label]}
        rungs.append(Rung(label, settings, of_backbone, _value(file, label), file.marks.get(label)))
    first = flat(to_dict(next(iter(next(iter(settled.values())).values()))))
    chosen = {path for rung in steps.values() for path in rung}
    kept = [path for path in file.set if path.startswith(_OF_THE_LADDER) and path not in chosen]
    return Ladder(
        name=name, title=file.title, question=file.question or file.title, skill=file.skill or name.replace("-", " "),
        scale=file.scale, env=file.env, mark=file.mark, settings={path: first.get(path) for path in kept},
        rungs=tuple(rungs), takes_memory=takes_memory,
    )  # fmt: skip


def _value(file: LadderFile, label: str) -> float | None:
    return float(label.replace(",", "")) if file.doubling is not None else None
