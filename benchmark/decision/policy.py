"""Policies as data: a JSON description that rebuilds the wrapper and its backbone, and loading from a run's folder."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import gymnasium as gym

from dsbench.backbones.factory import make_backbone
from dsbench.decision.encoders import SCALING
from dsbench.decision.spaces import space_from_json, space_to_json
from dsbench.decision.wrapper import DecisionSequence
from dsbench.errors import UsageError


def policy_spec(
    *,
    observation_space: gym.Space[Any],
    action_space: gym.Space[Any],
    backbone: str,
    d_model: int,
    backbone_options: dict[str, Any],
    **wrapper: Any,
) -> dict[str, Any]:
    """Everything that `build_policy` needs, as JSON values; `wrapper` holds `DecisionSequence`'s options."""
    return {
        "backbone": backbone,
        "d_model": d_model,
        "backbone_options": backbone_options,
        "observation_space": space_to_json(observation_space),
        "action_space": space_to_json(action_space),
        "wrapper": wrapper,
        "scaling": SCALING,
    }


def build_policy(spec: dict[str, Any]) -> DecisionSequence:
    """A new policy from its description, with fresh weights."""
    return DecisionSequence(
        make_backbone(spec["backbone"], spec["d_model"], spec["backbone_options"]),
        space_from_json(spec["observation_space"]),
        space_from_json(spec["action_space"]),
        **spec["wrapper"],
        scaling=spec.get("scaling", 1),  # result version 1 did not say
    )


def load_policy(run: str | Path, results: str | Path = "results", *, trust_code: bool = False) -> DecisionSequence:
    """The trained policy of a finished run, in evaluation mode; code from outside is the run's own copy.

    A warning says if some of its weights are no numbers.

    Args:
        run: the run's folder, ``RESULTS/runs/<run_id>``; or its id, the beginning of it, or ``last``.
        results: where ids are looked for.
        trust_code: code from outside that the run names may be run.

    Raises:
        UsageError: the folder holds no finished run.
        Untrusted: it names code from outside that the user never did.
        CorruptFile: the checkpoint's hash is not what its manifest says, or what describes the policy contradicts the
            tensors, the run's settings or the size of the file.
    """
    from dsbench.decision.loading import non_finite_weights
    from dsbench.records.finding import find_run

    if isinstance(run, str):
        run = find_run(run, Path(results)).path
    policy = read_policy(run, trust_code=trust_code)
    if (wrong := non_finite_weights(policy)) is not None:
        warnings.warn(f"{run}: {wrong}", stacklevel=2)
    return policy


def read_policy(run: str | Path, *, trust_code: bool = False) -> DecisionSequence:
    """As `load_policy`, without a word on the weights."""
    from dsbench.config.outside_code import BACKBONE
    from dsbench.decision.loading import described_backbone, policy_of
    from dsbench.outside.trust import using
    from dsbench.records.run_folder import RunFolder
    from dsbench.run_code import code_of_run

    folder = RunFolder(Path(run))
    result = folder.latest_result() if folder.path.is_dir() else None
    if result is None or result["status"] != "ok":
        found = "no run" if result is None else f"a run with status {result['status']}"
        raise UsageError(f"{run} holds {found}; expected RESULTS/runs/<run_id> of a finished run")
    checkpoints = folder.checkpoints_of(result["attempt"])
    checkpoint = checkpoints.load("final")
    with using(code_of_run(folder, BACKBONE, described_backbone(checkpoint), trust_code=trust_code)):
        return policy_of(checkpoint, checkpoints.place("final"), folder.read_config()).eval()
