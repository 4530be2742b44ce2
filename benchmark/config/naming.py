"""The name of a run: what it is, and a hash of all that can change its result."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from typing import Any

from dsbench.config.outside_code import identities_of
from dsbench.config.settings import LEARNED, ROLES, RunConfig, to_dict
from dsbench.registry import Catalogue

RESULT_VERSION = 2  # raised when the same settings begin to give other numbers; part of every run's name

NOT_NAMED = ("preset", "time_limit_s", "stall_limit_s", "train.log_every", "train.checkpoint_every")
# Settings that came later: at these values everything is as it was before them, so that old runs keep their names.
LATER: dict[str, Any] = {
    "policy": "learned",
    "match": None,
    "data.top_percent": None,
    "data.timesteps": None,
    "eval.target_return": None,
    "train.objective": "action",
    "train.balance_returns": False,
    "data.allow_other_physics": False,
    "wrapper.token_activation": "none",
    "wrapper.time_std": 0.02,
    "wrapper.return_scale": None,
    "wrapper.head_bias": True,
    "train.weight_decay_on": "matrices",
    "train.one_rate": False,
    "train.window_anchor": "end",
    "train.length_weighted": False,
    "eval.target_sweep": [],
    "vary": list(ROLES),
    "train.seconds": None,
}


def run_id(config: RunConfig, *, result_version: int | None = None) -> str:
    """``<backbone>-<env>-s<seed>-<hash>``: the folder of a run, the same for the same settings on any machine.

    The hash covers all that can change a result, `RESULT_VERSION`, code from outside and the content of data from elsewhere
    included; paths, logging, time limits and the version of dsbench are left out.

    Args:
        config: the settings.
        result_version: under which the run is named; None is the present `RESULT_VERSION`.

    Raises:
        UsageError: code or data from elsewhere is not there.
    """
    return run_id_by_seed(config, result_version=result_version)(config.seed)


def run_id_by_seed(config: RunConfig, *, result_version: int | None = None) -> Callable[[int], str]:
    """From a seed to the `run_id` of these settings with that seed: thousands of runs differ in nothing else."""
    settings = to_dict(config)
    for path in NOT_NAMED:
        _remove(settings, path)
    for path, before in LATER.items():
        _remove(settings, path, only=before)
    for part, identity in identities_of(config).items():
        settings[part]["name"] = identity
    if ":" in config.data.recipe:
        from dsbench.envs.data.source import source_hash as data_hash

        settings["data"]["recipe"] = data_hash(config.data.recipe)
    settings["versions"] = _versions(RESULT_VERSION if result_version is None else result_version)
    text = json.dumps(settings | {"seed": _ANY_SEED}, sort_keys=True, allow_nan=False, separators=(",", ":"))
    before, key, after = text.rpartition(f'"seed":{_ANY_SEED}')
    name = words_of(config)

    def named(seed: int) -> str:
        whole = f"{before}{key.replace(str(_ANY_SEED), str(seed))}{after}"
        return f"{name}-s{seed}-{hashlib.sha256(whole.encode()).hexdigest()[:10]}"

    return named


def words_of(config: RunConfig) -> str:
    """``<backbone>-<env>``, with which the `run_id` begins."""
    from dsbench.backbones.catalogue import BACKBONES
    from dsbench.envs import ENVS

    return f"{_slug(config.backbone.name, BACKBONES)}-{_slug(config.env.name, ENVS)}"


def is_named_by_settings_alone(config: RunConfig) -> bool:
    """Whether `run_id` needs nothing but the settings: no code from elsewhere, no data from a path."""
    from dsbench.backbones.catalogue import BACKBONES
    from dsbench.envs import ENVS

    own = BACKBONES.is_own(config.backbone.name) or config.policy != LEARNED
    return own and ENVS.is_own(config.env.name) and ":" not in config.data.recipe


def _versions(result: int) -> dict[str, Any]:
    # The first release hashed its own version too; frozen here, so that its runs keep their names.
    return {"dsbench": "0.1.0", "result": 1} if result == 1 else {"result": result}


_ANY = object()
_ANY_SEED = 2**63  # one more than the largest


def _remove(settings: dict[str, Any], path: str, only: Any = _ANY) -> None:
    """Take out the setting at a dotted path, or only when it has the value `only`."""
    *parents, key = path.split(".")
    for parent in parents:
        settings = settings[parent]
    if only is _ANY or settings[key] == only:
        del settings[key]


def _slug(name: str, catalogue: Catalogue) -> str:
    """`name` as a part of a file name: ``path/file.py:MyClass`` becomes ``myclass``, ``hf:gpt2`` ``hf_gpt2``."""
    short = name.rpartition(":")[2] if catalogue.is_reference(name) else name
    return re.sub(r"[^a-z0-9]+", "_", short.lower()).strip("_")[:40] or "x"
