"""The row of one run in the table of runs; a run that cannot be read is a row that says why."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from pydantic import ValidationError

from dsbench.config import naming
from dsbench.config.naming import is_named_by_settings_alone, names_of
from dsbench.config.settings import RunConfig
from dsbench.errors import CorruptFile, UsageError
from dsbench.records.config_text import flat, parse_config, without_seed
from dsbench.records.run_records import CONFIG, FINAL, RunRecords

UNREADABLE = "unreadable"  # the status of a run whose files cannot be read
COLUMNS = (
    "run_id",
    "backbone",
    "env",
    "seed",
    "attempt",
    "status",
    "reason",
    "source",
)  # then the settings, then result.*
_OWN_NAME = re.compile(r"[a-z0-9_]+-[a-z0-9_]+-s[0-9]+-[0-9a-f]{10}\Z")


def run_row(records: RunRecords) -> dict[str, Any]:
    """The names of `COLUMNS`, its settings as dotted names, and ``result.*`` of the attempt that counts.

    Raises:
        CorruptFile: a file cannot be read, or two of them contradict each other.
        UsageError: written by a newer dsbench.
    """
    newest, row = records.newest_and_result()
    result = row or {"attempt": newest, "status": records.status(), "reason": None}
    text = records.config_text()
    settings = records.flat_settings(text)
    if text is None and result["status"] in FINAL:
        raise records.unreadable(CONFIG, "is missing, and the run has a result")
    _check_one_run(records, text, settings, result)
    if result["attempt"] == newest and "run_id" in result:
        records.check_journal(result)
    outcome = flat({name: value for name, value in result.items() if name != "journal"})
    identity = {"run_id": records.run_id, "seed": settings.pop("seed", None)}
    identity |= {part: settings.pop(f"{part}.name", None) for part in ("backbone", "env")}
    identity |= {name: outcome.pop(name, None) for name in ("attempt", "status", "reason")}
    identity["source"] = source_text(result.get("sources"))
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


def source_text(sources: Any) -> str | None:
    """``backbone 1f2e3d4c5b6a, env mine==1.2``: what code from outside made a run; None where none did.

    Args:
        sources: role -> hash or installed distribution, as rows and provenances hold it.
    """
    known = sources if isinstance(sources, Mapping) else {}
    told = [f"{role} {short_source(known[role])}" for role in ("backbone", "env") if isinstance(known.get(role), str)]
    return ", ".join(told) or None


def short_source(text: str) -> str:
    """A hash to be read by people: its kind and first 12 digits; an installed distribution as it is."""
    kind, colon, digest = text.rpartition(":")
    return text if "==" in text else f"{kind}{colon}{digest[:12]}"


def _check_one_run(
    records: RunRecords, text: str | None, settings: Mapping[str, Any], result: Mapping[str, Any]
) -> None:
    """`UnreadableRecord` where the final row is not of these settings, or these settings are not of this run's name."""
    if text is None:
        return
    place = records.files.place
    for key, mine in (("backbone", "backbone.name"), ("env", "env.name"), ("seed", "seed")):
        said = result.get(key)
        if said is not None and said != settings.get(mine):
            kind = "interrupted" if result["status"] == "interrupted" else "result"
            raise records.unreadable(
                f"{kind}-{result['attempt']}.json",
                f"says {key} {said!r}, and {place(CONFIG)} says {settings.get(mine)!r}",
            )
    if _OWN_NAME.match(records.run_id) and not _is_named(records, text, settings.get("seed", 0)):
        raise records.unreadable(CONFIG, "holds the settings of another run than its folder's name says")


def _is_named(records: RunRecords, text: str, seed: int) -> bool:
    """Whether the settings give the run its name; what depends on code or data of elsewhere is believed."""
    namings = _namings(without_seed(text), naming.RESULT_VERSION)
    if namings is None or any(name(seed) == records.run_id for name in namings):
        return True
    made_by = (records.read_provenance() or {}).get("result_version", 1)
    if made_by > naming.RESULT_VERSION:
        raise UsageError(
            f"{records.run_id} has results of version {made_by}, and this dsbench reads up to {naming.RESULT_VERSION}; "
            "upgrade dsbench to read it"
        )
    return False


@lru_cache(maxsize=2048)
def _namings(text: str, newest: int) -> Sequence[Callable[[int], str]] | None:
    """What names runs of these settings, from a seed, under each version of results up to the `newest`; None where more than settings does."""
    try:
        config = RunConfig.model_validate(parse_config(text))
    except ValidationError:
        return ()
    if not is_named_by_settings_alone(config):
        return None
    return [names_of(config, result_version=version) for version in range(newest, 0, -1)]
