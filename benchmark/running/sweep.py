"""The runs of a sweep: backbones and controls x environments x seeds."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dsbench.config import RunConfig, resolve, run_id
from dsbench.config.controls import get_control
from dsbench.config.outside_code import sources_of
from dsbench.envs import ENVS
from dsbench.errors import UsageError
from dsbench.outside.trust import using
from dsbench.running.matched import matched
from dsbench.running.process import available_cores

_SEED = re.compile(r"\d{1,19}", re.ASCII)
EVERY = "all"  # in the place of names: every built-in environment


def expand(
    backbones: str,
    envs: str,
    seeds: str,
    *,
    controls: str = "",
    preset: str | None = None,
    config_file: Path | None = None,
    overrides: Sequence[str] = (),
    match: str | None = None,
    check: Callable[[int], None] = lambda runs: None,
    trust_code: bool = False,
) -> list[RunConfig]:
    """Every combination, seeds innermost; the same run twice counts once.

    Args:
        backbones: names separated by commas.
        envs: names separated by commas, or ``all``.
        controls: names of `dsbench.config.controls` separated by commas; at least one of them or of the backbones.
        seeds: a number N for 0 .. N - 1, or a list such as ``0,5,7`` (``5,`` for seed 5 alone).
        preset, config_file, overrides: as for `resolve`, the same for all.
        match: size that chooses the width of each backbone, such as ``params=100k``; scripted controls have none.
        check: told the number of combinations before any is made; may raise.
        trust_code: code from outside that the file names may run.
    """
    actors: list[Mapping[str, Any]] = [{"backbone": name} for name in names_in(backbones)]
    actors += [{**(one := get_control(name)).settings, "unsaid": one.unsaid} for name in names_in(controls)]
    actors = [actor if "policy" in actor else {**actor, "match": match} for actor in actors]
    if not actors:
        raise UsageError("nothing to run: give --backbone names, or --control random,optimal,bc")
    if not names_in(envs):
        raise UsageError("--env is empty; give names separated by commas, or all")
    environments, numbers = ENVS.names() if EVERY in names_in(envs) else names_in(envs), parse_seeds(seeds)
    check(len(environments) * len(actors) * len(numbers))
    runs = [
        resolve(
            preset=preset,
            config_file=config_file,
            overrides=overrides,
            env=env,
            seed=seed,
            trust_code=trust_code,
            **actor,
        )
        for env in environments
        for actor in actors
        for seed in numbers
    ]
    with using(sources_of(runs)):
        return list({run_id(config): config for config in matched(runs)}.values())


def parse_seeds(text: str) -> list[int]:
    """``3`` is 0, 1, 2; ``0,5,7`` is itself; ``5,`` is 5."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts or not all(_SEED.fullmatch(part) for part in parts):
        raise UsageError(f"--seeds is {text!r}; expected a number such as 3, or a list such as 0,5,7")
    numbers = [int(part) for part in parts]
    if "," in text:
        return list(dict.fromkeys(numbers))
    if not 1 <= numbers[0] <= 1000:
        raise UsageError(f"--seeds is {text}: 1 to 1000 seeds; write {text}, for seed {text} alone")
    return list(range(numbers[0]))


def default_jobs(threads: int) -> int:
    """Runs at once that fill the cores when each computes with `threads` threads."""
    return max(1, available_cores() // threads)


def names_in(text: str) -> list[str]:
    """Names separated by commas, each once."""
    return list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
