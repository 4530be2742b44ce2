"""The row of one run in the table of runs; a run that cannot be read is a row that says why."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from pydantic import ValidationError

from dsbench.config import naming
from dsbench.config.naming import is_named_by_settings_alone, run_id_by_seed, words_of
from dsbench.config.settings import RunConfig
from dsbench.errors import CorruptFile, UsageError
from dsbench.records.config_text import flat, parse_config, without_seed
from dsbench.records.run_records import CONFIG, FINAL, RunRecords

UNPROVEN = (
    "unproven"  # of a final row: what its backbone from outside fails of the contract; absent where it fails nothing
)
# Sentences of a final row that say what to keep in mind with its score -> what they begin with.
NOTES = {
    "physics_note": "Learned from data of other physics",
    "scaling_note": "Scaling",
    "env_note": "The environment as tried",
    "budget_note": "Budget",
    UNPROVEN: "Unproven, its backbone fails a check",
}
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
    row = records.latest_result()
    result = row or {"attempt": records.attempt, "status": records.status(), "reason": None}
    text = records.config_text()
    settings = records.flat_settings(text)
    if text is None and result["status"] in FINAL:
        raise records.unreadable(CONFIG, "is missing, and the run has a result")
    _check_one_run(records, text, settings, result)
    if row is not None:
        records.check_journal(row)
        row.pop("journal", None)  # what seals the journal is no measurement
    outcome = flat(result)
    identity = {"run_id": records.run_id, "seed": settings.pop("seed", result.get("seed"))}
    identity |= {part: settings.pop(f"{part}.name", result.get(part)) for part in ("backbone", "env")}
    identity |= {name: outcome.pop(name, None) for name in ("attempt", "status", "reason")}
    identity["source"] = source_text(result.get("sources"))
    settings.update((f"result.{name}", value) for name, value in outcome.items() if name not in identity)
    return settings | identity


def names_run(records: RunRecords, name: str, seed: int) -> bool:
    """Whether the settings of `records`, with another seed, are those of the run called `name`."""
    text = records.config_text()
    ids = _naming(without_seed(text), naming.RESULT_VERSION)[1] if text is not None else None
    return any(run_id(seed) == name for run_id in ids or ())


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
    """Whether the settings give the run its name; the hash is believed where code or data of elsewhere are in it."""
    words, ids = _naming(without_seed(text), naming.RESULT_VERSION)
    if ids is None:
        return records.run_id.startswith(f"{words}-s{seed}-")
    if any(run_id(seed) == records.run_id for run_id in ids):
        return True
    made_by = (records.read_provenance() or {}).get("result_version") or 1
    if made_by > naming.RESULT_VERSION:
        raise UsageError(
            f"{records.run_id} has results of version {made_by}, and this dsbench reads up to {naming.RESULT_VERSION}; "
            "upgrade dsbench to read it"
        )
    return False


@lru_cache(maxsize=2048)
def _naming(text: str, newest: int) -> tuple[str, Sequence[Callable[[int], str]] | None]:
    """What names runs of these settings: the first words, and from a seed to the id under each version of results.

    Without ids where more than settings is in the hash; where no run can have such settings none fits.
    """
    try:
        config = RunConfig.model_validate(parse_config(text))
    except ValidationError:
        return "", ()
    if not is_named_by_settings_alone(config):
        return words_of(config), None
    return "", [run_id_by_seed(config, result_version=version) for version in range(newest, 0, -1)]
