"""The ladders that a report looks for: those that ship, and those whose climbs left a copy in a results folder."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from pydantic import TypeAdapter

from dsbench.files import write_below
from dsbench.ladders.ladder_file import MOST_RUNGS, LadderFile, load_ladder, shipped
from dsbench.ladders.plan import Wishes, plan_of
from dsbench.reading import Limits, Unparsable, parse_json, read_regular
from dsbench.reading.models import checked
from dsbench.reports.ladders.ladder import Ladder
from dsbench.text import slug

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
            found.append(whole(name, file, Wishes()))
    return found


def whole(name: str, file: LadderFile, wishes: Wishes) -> Ladder:
    """A ladder with all rungs on offer and what it sets for every backbone, whoever of them climbs how far now."""
    backbones = list(dict.fromkeys([*file.of_backbone, file.backbones[0]]))
    return plan_of(name, file, replace(wishes, backbones=backbones, controls=[], to=file.farthest)).ladder


def ladders_in(results: Sequence[Path], envs: Iterable[str]) -> list[Ladder]:
    """All that a report of results looks for; a copy beside the runs stands in the place of one that ships under its name."""
    return list({one.name: one for one in [*shipped_ladders(envs), *remembered(results)]}.values())


def remember(ladder: Ladder, results: Path) -> None:
    """Lay a copy beside the runs, so that a report of them finds the climb; in the place of an earlier one of that name.

    Args:
        ladder: as `whole` gives it.

    Raises:
        CannotWrite: disk full or no rights.
    """
    text = json.dumps(asdict(ladder), indent=1, sort_keys=True)
    write_below(results / FOLDER, f"{slug(ladder.name)}{SUFFIX}", text.encode())


def remembered(results: Sequence[Path]) -> list[Ladder]:
    """The ladders whose copies lie in results folders; what is no such copy is passed over, as it only names rungs."""
    read = [_read(path, place / FOLDER) for place in results for path in _copies(place / FOLDER)]
    return list({ladder.name: ladder for ladder in read if ladder is not None}.values())


def _copies(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"*{SUFFIX}"))[:_MOST]


def _read(path: Path, folder: Path) -> Ladder | None:
    try:
        ladder = checked(_KIND, parse_json(read_regular(path, _LIMITS.size, inside=folder), _LIMITS))
    except (Unparsable, FileNotFoundError):
        return None
    return ladder if 2 <= len(ladder.rungs) <= MOST_RUNGS else None
