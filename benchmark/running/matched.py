"""Configurations with ``match`` get their width, before a run is named. Imports no torch: a process of its own counts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from dsbench.config import RunConfig, to_dict
from dsbench.config.matching import parse_match
from dsbench.config.outside_code import sources_of
from dsbench.errors import DsbenchError, Internal, UsageError
from dsbench.outside.trust import environment, handed_over, using
from dsbench.running.pipe import parent_of_workers
from dsbench.running.process import process_environment

SIZING = ("-P", "-m", "dsbench.running.start", "dsbench.running.sizing")
MEASURED = {"params": "parameters_total", "state": "state_bytes"}  # column of what is matched
_PARTS = ("match", "backbone", "env", "wrapper")  # all that a model's size depends on


def matched(configs: Sequence[RunConfig]) -> list[RunConfig]:
    """The same configurations, ``backbone.d_model`` chosen where ``match`` asks for a size; once for equal models.

    Raises:
        UsageError: no width of a backbone comes near.
    """
    asked = {_key(config): to_dict(config) for config in configs if config.match is not None}
    if not asked:
        return list(configs)
    with using(sources_of(configs)):
        widths = dict(zip(asked, _ask(list(asked.values())), strict=True))
    return [config if config.match is None else _with_width(config, widths[_key(config)]) for config in configs]


def match_columns(config: RunConfig, costs: Mapping[str, Any]) -> dict[str, int | float | None]:
    """What was asked for and what the model has, and how far off that is as a share; empty where nothing was asked.

    Args:
        config: the run's.
        costs: columns of its final row.
    """
    if config.match is None:
        return {}
    match = parse_match(config.match)
    found = costs[MEASURED[match.kind]]
    return {"match_target": match.target, "match_found": found, "match_off": found / match.target - 1}


def _key(config: RunConfig) -> str:
    settings = to_dict(config)
    settings["backbone"].pop("d_model")
    return json.dumps([settings[part] for part in _PARTS], sort_keys=True)


def _with_width(config: RunConfig, width: int) -> RunConfig:
    return config.model_copy(update={"backbone": config.backbone.model_copy(update={"d_model": width})})


def _ask(settings: Sequence[Mapping[str, Any]]) -> list[int]:
    shown = subprocess.run(
        [sys.executable, *SIZING],
        input=json.dumps({"settings": settings, "sources": handed_over()}),
        capture_output=True,
        text=True,
        env={**os.environ, **process_environment(1), **parent_of_workers(), **environment()},
    )
    if shown.returncode:
        last = (shown.stderr.strip().splitlines() or ["no word"])[-1]
        raise Internal(f"the process that finds the width of a model ended with exit code {shown.returncode}: {last}")
    answers = json.loads(shown.stdout.splitlines()[-1])
    wrong = [answer for answer in answers if "error" in answer]
    if wrong:
        kind = UsageError if wrong[0]["exit_code"] == UsageError.exit_code else DsbenchError
        raise kind(*(line for answer in wrong for line in answer["error"].split("\n")))
    return [int(answer["d_model"]) for answer in answers]
