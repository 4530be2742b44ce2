"""From a study to its runs: a cell for every combination of its axes, a run for every seed of a cell. Imports no torch."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, NamedTuple

from dsbench.config import RunConfig, run_id
from dsbench.config.outside_code import names_of
from dsbench.config.resolution import named_by, settle
from dsbench.config.sources import as_overrides
from dsbench.running.matched import matched
from dsbench.studies.study_file import BACKBONE, ENV, Settings, Study


@dataclass(frozen=True)
class Cell:
    """One place in the grid: axis -> label, and a run a seed."""

    labels: Mapping[str, str]
    configs: tuple[RunConfig, ...]


def cells_of(
    study: Study,
    size: str,
    overrides: Sequence[str] = (),
    check: Callable[[int], None] = lambda runs: None,
    *,
    trust_code: bool = False,
) -> list[Cell]:
    """The grid at a size, environments outermost, then backbones, then the axes in their order.

    Settings of the study are below those of the size, of the label and `overrides`; ``preset`` and ``backbone.name`` may
    be among them, so that a label can stand for another protocol. Code from outside may run if `overrides` name it.

    Args:
        check: told the number of runs before any combination is made; may raise.
        trust_code: what the study names may run too.

    Raises:
        Untrusted: the study names code from outside, and the user does not.
        UsageError: a setting, a name or a combination that cannot be used.
    """
    chosen, axes = study.size(size), study.axes_of(size)
    envs, backbones = chosen.envs or study.envs, chosen.backbones or study.backbones
    check(math.prod([len(envs), len(backbones), chosen.seeds, *map(len, axes.values())]))
    places = [(env, backbone, labels) for env in envs for backbone in backbones for labels in product(*axes.values())]
    asked = [
        Asked(env, {"backbone": backbone}, (
            {"preset": chosen.preset}, study.set, chosen.set,
            *(axes[name][label] for name, label in zip(axes, labels, strict=True)),
        ))
        for env, backbone, labels in places
    ]  # fmt: skip
    return [
        Cell(
            {ENV: env, BACKBONE: backbone, **dict(zip(axes, labels, strict=True))},
            tuple(first.model_copy(update={"seed": seed}) for seed in range(chosen.seeds)),
        )
        for (env, backbone, labels), first in zip(
            places, configured(asked, overrides, trust_code=trust_code), strict=True
        )
    ]


class Asked(NamedTuple):
    """What a file asks for in one place of its grid.

    Attributes:
        actor: arguments of `settle` that say who takes part.
        layers: settings, the later over the earlier.
    """

    env: str
    actor: Mapping[str, Any]
    layers: Sequence[Settings]


def configured(asked: Sequence[Asked], overrides: Sequence[str], *, trust_code: bool) -> list[RunConfig]:
    """The configuration of seed 0 in every place, `overrides` on top; widths are those that ``match`` chooses.

    Code from outside may run if `overrides` name it.

    Raises:
        Untrusted: a file names code from outside, and the user does not.
        UsageError: a setting, a name or a combination that cannot be used.
    """
    firsts = [
        settle(
            env=one.env, seed=0, overrides=[*(text for layer in one.layers for text in as_overrides(layer)), *overrides],
            **one.actor,
        )
        for one in asked
    ]  # fmt: skip
    named = named_by(overrides)
    for config in firsts:
        for part, catalogue, name in names_of(config):
            if trust_code or named.get(part) == name:
                catalogue.named(name)
    return matched(firsts)


def runs_of(cells: Sequence[Cell]) -> list[RunConfig]:
    """Every run once, in order; two labels may stand for the same settings."""
    return list({run_id(config): config for cell in cells for config in cell.configs}.values())
