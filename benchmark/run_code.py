"""Code from outside of a run that is read again: its own copy, or where none was kept what lies there, if that made it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dsbench.backbones.catalogue import BACKBONES
from dsbench.config import from_dict, run_id
from dsbench.config.naming import RESULT_VERSION
from dsbench.config.outside_code import BACKBONE, ENV
from dsbench.envs import ENVS
from dsbench.errors import UsageError
from dsbench.outside import trust
from dsbench.outside.source import Source
from dsbench.records.code import stored_code
from dsbench.records.run_folder import RunFolder

_CATALOGUES = {BACKBONE: BACKBONES, ENV: ENVS}


def code_of_run(folder: RunFolder, role: str, name: str, *, trust_code: bool = False) -> dict[str, Source]:
    """What `name` stands for in this run, for `dsbench.outside.trust.using`; empty for what dsbench offers itself.

    Args:
        role: ``backbone`` or ``env``.
        name: as the run's records have it.
        trust_code: it may be run, whoever named it.

    Raises:
        Untrusted: the user never named this code.
        UsageError: the run keeps no copy, and what lies in the place of its code is not what made it.
        CorruptFile: the copy is damaged.
    """
    if not _CATALOGUES[role].is_outside(name):
        return {}
    kept = stored_code(folder.path, role, name)
    found = {name: trust.find(name) if kept is None else kept}
    with trust.using(found):
        if trust_code:
            trust.named(name)
        trust.check(found[name])
    if kept is None:
        _check_made_it(folder, found[name])
    return found


def name_in(stored: Mapping[str, Any], role: str) -> str:
    """The backbone or the environment of stored settings; empty where they have none."""
    part = stored.get(role)
    name = part.get("name") if isinstance(part, Mapping) else part
    return name if isinstance(name, str) else ""


def _check_made_it(folder: RunFolder, source: Source) -> None:
    """Runs of old keep no code, but their names hold its hash."""
    stored, row = folder.read_config(), folder.latest_result()
    if stored is None or row is None or not source.files:
        return
    try:
        config = from_dict(stored)
        names = {run_id(config, result_version=version) for version in range(1, RESULT_VERSION + 1)}
    except UsageError:  # its data is gone, without which nobody can tell
        return
    if row["run_id"] not in names:
        raise UsageError(
            f"{folder.path} keeps no copy of its code, and {source.place} is not what made it; put that file back as it "
            "was, or make the run again"
        )
