"""BibTeX of what a results folder really used: its backbones, environments, data, the papers shown beside it, dsbench."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

import dsbench
from dsbench.reports.document import Section
from dsbench.reports.groups import Group
from dsbench.reports.published import published
from dsbench.reports.published_file import Source

PATH = Path(__file__).parents[1] / "citations.yaml"


@cache
def citations() -> dict[str, Any]:
    """The file `citations.yaml`: what to cite (`entries`) for what (`of`)."""
    text = PATH.read_text(encoding="utf-8")
    loaded: dict[str, Any] = yaml.safe_load(text)
    return loaded


class Use(NamedTuple):
    """What something was made with; empty where there is none."""

    backbone: str
    env: str
    recipe: str = ""


def uses_of(groups: Sequence[Group]) -> set[Use]:
    """What the runs that ended ok were made with."""
    return {
        Use(group.backbone or "", group.env or "", str(run.settings.get("data.recipe", "")))
        for group in groups
        for run in group.runs
        if run.status == "ok"
    }


def bibtex(uses: Iterable[Use], shown: Iterable[str] = (), pooled: bool = False) -> tuple[str, list[str]]:
    """Entries for what was used, and the names that nothing is known to cite for.

    Args:
        uses: of the runs, as `uses_of`, and of what else was measured.
        shown: keys of the published sources that stand in the report.
        pooled: whether scores were pooled over tasks.
    """
    known, unknown, used = citations(), list[str](), set(uses)
    keys = list(known["always"]) + (known["pooled"] if pooled else [])
    for part in ("backbone", "env"):
        for name in sorted({getattr(use, part) for use in used} - {""}):
            found = known["of"][part].get(name)
            keys += found or []
            if found is None:
                unknown.append(name)
    for prefix, found in known["of"]["data"].items():
        keys += found if any(use.recipe.startswith(prefix) for use in used) else []
    texts = [_own()] + [known["entries"][key].strip() for key in sorted(set(keys))]
    sources = published().sources
    cited = "\n".join(texts)
    texts += [_of_source(key, sources[key]) for key in sorted(set(shown)) if not _has(cited, sources[key])]
    return "\n\n".join(texts) + "\n", unknown


def citing(uses: Iterable[Use], shown: Iterable[str], pooled: bool) -> Section:
    """The section of what to cite. Arguments as in `bibtex`."""
    text, unknown = bibtex(uses, shown, pooled)
    told = ["What was used here, for a bibliography; dsbench cite prints it alone."]
    if unknown:
        told.append(f"Nothing to cite is known for: {', '.join(unknown)}; cite where they come from.")
    return Section("citations", "Citations", tuple(told), preformatted=text)


def _own() -> str:
    return (
        "@software{dsbench,\n"
        "  author  = {{The dsbench authors}},\n"
        "  title   = {dsbench: which sequence backbone should make decisions, and at what cost?},\n"
        f"  version = {{{dsbench.__version__}}},\n"
        "  year    = {2026}\n"
        "}"
    )


def _of_source(key: str, source: Source) -> str:
    name = re.sub(r"[^a-z0-9]+", "", key.lower())
    authors = " and ".join(source.authors.split(", "))
    return (
        f"@misc{{{name}{source.year},\n"
        f"  author       = {{{authors}}},\n"
        f"  title        = {{{source.title}}},\n"
        f"  howpublished = {{{source.venue}}},\n"
        f"  year         = {{{source.year}}}\n"
        "}"
    )


def _has(cited: str, source: Source) -> bool:
    """Whether a paper stands there already under its own key."""
    return _letters(source.title) in _letters(cited)


def _letters(text: str) -> str:
    return re.sub(r"[^a-z]+", "", text.lower())
