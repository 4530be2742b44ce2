"""The ladders that a report looks for: those that ship, and those whose climbs left a copy in a results folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from pydantic import TypeAdapter

from dsbench.files import write_below
from dsbench.ladders.ladder_file import MOST_RUNGS, load_ladder, shipped
from dsbench.ladders.plan import Wishes, plan_of
from dsbench.reading import Limits, Unparsable, parse_json, read_regular
from dsbench.reading.models import checked
from dsbench.reports.ladders.ladder import Ladder

FOLDER, SUFFIX = "ladders", ".ladder.json"
_LIMITS = Limits(size=1 << 20, entries=20_000)
_MOST = 1_000  # copies in one folder
_KIND = TypeAdapter(Ladder)


def shipped_ladders(envs: Iterable[str] | None = None) -> list[Ladder]:
    """Those that come with dsbench, with all rungs that they offer.

    Args:
        envs: only ladders on these environments; None for all.
    """
    found, wanted = [], None if envs is None else set(envs)
    for name in shipped():
        _, file = load_ladder(name)
        if wanted is None or file.env in wanted:
            backbones = list(dict.fromkeys([*file.of_backbone, file.backbones[0]]))
            found.append(plan_of(name, file, Wishes(backbones=backbones, controls=[], to=file.farthest)).ladder)
    return found


def remember(ladder: Ladder, results: Path) -> None:
    """Lay a copy beside the runs, so that a report of them finds the climb.

    Raises:
        CannotWrite: disk full or no rights.
    """
    text = json.dumps(asdict(ladder), indent=1, sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    write_below(results / FOLDER, f"{ladder.name}-{digest}{SUFFIX}", text.encode())


def remembered(results: Sequence[Path]) -> list[Ladder]:
    """The ladders whose copies lie in results folders; what is no such copy is passed over, as it only names rungs."""
    found: dict[str, Ladder] = {}
    for place in results:
        folder = place / FOLDER
        for path in sorted(folder.glob(f"*{SUFFIX}"))[:_MOST]:
            ladder = _read(path, folder)
            if ladder is not None:
                found[json.dumps(asdict(ladder), sort_keys=True)] = ladder
    return list(found.values())


def _read(path: Path, folder: Path) -> Ladder | None:
    try:
        ladder = checked(_KIND, parse_json(read_regular(path, _LIMITS.size, inside=folder), _LIMITS))
    except (Unparsable, FileNotFoundError):
        return None
    return ladder if 2 <= len(ladder.rungs) <= MOST_RUNGS else None
