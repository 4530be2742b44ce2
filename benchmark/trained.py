"""A finished run with its trained policy, opened from its folder: to be watched, or to be looked into."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dsbench.config import RunConfig, from_dict
from dsbench.config.naming import RESULT_VERSION
from dsbench.config.outside_code import BACKBONE, ENV
from dsbench.decision import DecisionSequence
from dsbench.decision.loading import described_backbone, non_finite_weights
from dsbench.decision.policy import read_policy
from dsbench.decision.spaces import same_form
from dsbench.envs.spec import EnvSpec
from dsbench.errors import UsageError
from dsbench.outside.source import Source
from dsbench.outside.trust import using
from dsbench.records.run_folder import RunFolder
from dsbench.run_code import code_of_run, name_in

EPISODES_OF_TASK = 2  # the result version from which on seeds of evaluation episodes contain the task


@dataclass(frozen=True)
class TrainedRun:
    """What `open_trained` found.

    Attributes:
        path: the run's folder.
        row: its final row.
        config: its settings.
        policy: trained, on the CPU.
        meta: what the final checkpoint says beside the weights.
        weights_note: a sentence where some weights are no numbers, None where all are.
        sources: its own code from outside, for `dsbench.outside.trust.using`.
        result_version: under which it was made.
    """

    path: Path
    row: Mapping[str, Any]
    config: RunConfig
    policy: DecisionSequence
    meta: Mapping[str, Any]
    weights_note: str | None
    sources: Mapping[str, Source]
    result_version: int = RESULT_VERSION


def open_trained(run: str | Path, *, trust_code: bool = False) -> TrainedRun:
    """The run in this folder.

    Args:
        trust_code: code from outside that the run names may be run.

    Raises:
        Untrusted: it names code from outside that the user never did.
        UsageError: no such run, not finished, nothing trained was kept in it, or its settings are gone.
    """
    folder = RunFolder(Path(run))
    row = (folder.latest_result() if folder.path.is_dir() else None) or {}
    checkpoints = folder.checkpoints_of(row.get("attempt", 1))
    if row.get("status") == "ok" and "final" not in checkpoints.names():
        raise UsageError(
            f"{run} keeps no trained policy (scripted actions, a probe, or checkpoints left out); "
            "expected a run that was trained here"
        )
    policy = read_policy(run, trust_code=trust_code)
    stored = folder.read_config()
    if stored is None:
        raise UsageError(f"{run} has no config.yaml, which says how its environment and data were made")
    final = checkpoints.load("final")
    sources = code_of_run(folder, BACKBONE, described_backbone(final), trust_code=trust_code)
    sources |= code_of_run(folder, ENV, name_in(stored, ENV), trust_code=trust_code)
    with using(sources):
        config = from_dict(stored)
    origin = folder.read_provenance()
    version = RESULT_VERSION if origin is None else origin.get("result_version") or 1
    return TrainedRun(folder.path, row, config, policy, final.meta, non_finite_weights(policy), sources, version)


def played_otherwise(result_version: int) -> str | None:
    """A sentence where a run of this result version was evaluated on other episodes than its settings give today."""
    if result_version >= EPISODES_OF_TASK:
        return None
    return (
        f"The run is of result version {result_version}, under which evaluation episodes were drawn otherwise: those played "
        "here are what its settings give today, and none of those that it was scored on."
    )


def check_task(policy: DecisionSequence, spec: EnvSpec, run: str | Path) -> None:
    """`UsageError` where the policy is for other observations or actions than the task of the run's settings has."""
    for kind in ("observation", "action"):
        own, expected = getattr(policy, f"{kind}_space"), getattr(spec.spaces, kind)
        if not same_form(own, expected):
            raise UsageError(
                f"{run} keeps a policy for {kind}s {str(own)[:100]}, and its settings name env {spec.name!r}, which has "
                f"{str(expected)[:100]}; expected the policy of that env"
            )
