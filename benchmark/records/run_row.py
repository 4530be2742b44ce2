"""The row of one run in the table of runs; a run that cannot be read is a row that says why."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from dsbench.config import naming
from dsbench.config.naming import is_named_by_settings_alone, run_id
from dsbench.config.settings import RunConfig
from dsbench.errors import CorruptFile, UsageError
from dsbench.records.config_text import flat
from dsbench.records.run_records import CONFIG, RunRecords

UNREADABLE = "unreadable"  # the status of a run whose files cannot be read
COLUMNS = ("run_id", "backbone", "env", "seed", "attempt", "status", "reason")  # then the settings, then result.*
_OWN_NAME = re.compile(r"[a-z0-9_]+-[a-z0-9_]+-s[0-9]+-[0-9a-f]{10}\Z")


def run_row(records: RunRecords) -> dict[str, Any]:
    """The names of `COLUMNS`, its settings as dotted names, and ``result.*`` of the attempt that counts.

    Raises:
        CorruptFile: a file cannot be read, or two of them contradict each other.
        UsageError: written by a newer dsbench.
    """
    result = records.latest_result() or {"attempt": records.attempt, "status": records.status(), "reason": None}
    settings = records.read_flat_config()
    _check_one_run(records, settings, result)
    if result["attempt"] == records.attempt and "run_id" in result:
        records.check_journal(result)
    outcome = flat({name: value for name, value in result.items() if name != "journal"})
    identity = {"run_id": records.run_id, "seed": settings.pop("seed", None)}
    identity |= {part: settings.pop(f"{part}.name", None) for part in ("backbone", "env")}
    identity |= {name: outcome.pop(name, None) for name in ("attempt", "status", "reason")}
    measured = {f"result.{name}": value for name, value in outcome.items() if name not in identity}
    return settings | measured | identity


def row_whatever_comes(records: RunRecords) -> dict[str, Any]:
    """The same; of a run that cannot be read the row with status ``unreadable`` and the reason."""
    try:
        return run_row(records)
    except (CorruptFile, UsageError) as error:
        return unreadable_row(records.run_id, str(error))


def unreadable_row(name: str, reason: str) -> dict[str, Any]:
    """The row of a run of which nothing but its name is known."""
    return dict.fromkeys(COLUMNS) | {"run_id": name, "status": UNREADABLE, "reason": reason}


def _check_one_run(records: RunRecords, settings: Mapping[str, Any], result: Mapping[str, Any]) -> None:
    """`UnreadableRecord` where the final row is not of these settings, or these settings are not of this run's name."""
    if not settings:
        return
    place = records.files.place
    for key, mine in (("backbone", "backbone.name"), ("env", "env.name"), ("seed", "seed")):
        said = result.get(key)
        if said is not None and said != settings.get(mine):
            raise records.unreadable(
                f"result-{result['attempt']}.json",
                f"says {key} {said!r}, and {place(CONFIG)} says {settings.get(mine)!r}",
            )
    if _OWN_NAME.match(records.run_id) and not _is_named(records):
        raise records.unreadable(CONFIG, "holds the settings of another run than its folder's name says")


def _is_named(records: RunRecords) -> bool:
    """Whether the settings give the run its name; what depends on code or data of elsewhere is believed."""
    try:
        config = RunConfig.model_validate(records.read_config())
    except ValidationError:
        return False
    if not is_named_by_settings_alone(config):
        return True
    versions = range(naming.RESULT_VERSION, 0, -1)
    if any(run_id(config, result_version=version) == records.run_id for version in versions):
        return True
    made_by = (records.read_provenance() or {}).get("result_version", 1)
    if made_by > naming.RESULT_VERSION:
        raise UsageError(
            f"{records.run_id} has results of version {made_by}, and this dsbench reads up to {naming.RESULT_VERSION}; "
            "upgrade dsbench to read it"
        )
    return False
