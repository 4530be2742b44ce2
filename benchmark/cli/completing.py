"""What the shell offers after a tab: names of everything that has one, and the runs of the folder that is named.

Called by the completion that ``dsbench --install-completion`` sets up; imports no torch, runs no code of a user's, and offers
nothing rather than raising.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

Offer = Callable[[Any, str], list[str]]  # the command as far as it was typed, and the word to complete


def _offering(names: Callable[[Any], Iterable[str]], *, several: bool = False) -> Offer:
    """Names that begin like the word; where several may stand with commas between, like the part after the last."""

    def offer(ctx: Any, incomplete: str) -> list[str]:
        before, comma, last = incomplete.rpartition(",") if several else ("", "", incomplete)
        taken = before.split(",")
        with suppress(Exception):
            return [f"{before}{comma}{name}" for name in names(ctx) if name.startswith(last) and name not in taken]
        return []

    return offer


def _backbones(ctx: Any) -> list[str]:
    from dsbench.backbones.catalogue import BACKBONES

    return [*BACKBONES.names(), *BACKBONES.members(), *(str(path) for path in Path().glob("*.py"))]


def _envs(ctx: Any) -> list[str]:
    from dsbench.envs.catalogue import ENVS

    return ENVS.names()


def _presets(ctx: Any) -> list[str]:
    from dsbench.config.presets import PRESETS

    return list(PRESETS)


def _controls(ctx: Any) -> list[str]:
    from dsbench.config.controls import CONTROLS

    return list(CONTROLS)


def _recipes(ctx: Any) -> list[str]:
    """Those of the environment that was named, else those that most have."""
    from dsbench.envs.catalogue import ENVS, spec_of

    env = ctx.params.get("env")
    return list(spec_of(env if env in ENVS.names() else "umbrella", {}).recipes)


def _studies(ctx: Any) -> list[str]:
    from dsbench.studies.study_file import shipped

    return [*shipped(), *(str(path) for path in Path().glob("*.yaml"))]


def _ladders(ctx: Any) -> list[str]:
    from dsbench.ladders.ladder_file import shipped

    return [*shipped(), *(str(path) for path in Path().glob("*.yaml"))]


def _runs(ctx: Any) -> list[str]:
    from dsbench.records.finding import LAST
    from dsbench.records.store import run_folders

    results = Path(ctx.params.get("results") or "results")
    return [LAST, *(run.run_id for run in run_folders(results, {}))]


def _kinds(ctx: Any) -> list[str]:
    from dsbench.cli.browse import ALL, KINDS, PUBLISHED, SETTINGS

    return [*KINDS, SETTINGS, PUBLISHED, ALL]


def _settings(ctx: Any) -> list[str]:
    from dsbench.config.errors import known_paths
    from dsbench.config.settings import RunConfig

    return [f"{path}=" for path in known_paths(RunConfig)]


backbone, backbones = _offering(_backbones), _offering(_backbones, several=True)
env, envs = _offering(_envs), _offering(_envs, several=True)
controls = _offering(_controls, several=True)
presets, recipes, settings = _offering(_presets), _offering(_recipes), _offering(_settings)
kinds = _offering(_kinds)
studies, ladders, runs = _offering(_studies), _offering(_ladders), _offering(_runs)
