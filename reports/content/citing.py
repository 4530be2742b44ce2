"""BibTeX of what a results folder really used: its backbones, environments, data, the papers shown beside it, dsbench."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

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


def bibtex(groups: Sequence[Group], shown: Iterable[str] = (), pooled: bool = False) -> tuple[str, list[str]]:
    """Entries for what the runs used, and the names that nothing is known to cite for.

    Args:
        groups: of `read_groups`; only runs that ended ok count as used.
        shown: keys of the published sources that stand in the report.
        pooled: whether scores were pooled over tasks.
    """
    known, unknown = citations(), list[str]()
    keys = list(known["always"]) + (known["pooled"] if pooled else [])
    for part, names in _used(groups).items():
        for name in names:
            found = known["of"][part].get(name)
            keys += found or []
            if found is None:
                unknown.append(name)
    recipes = {str(run.settings.get("data.recipe", "")) for group in groups for run in group.runs if run.status == "ok"}
    for prefix, found in known["of"]["data"].items():
        keys += found if any(recipe.startswith(prefix) for recipe in recipes) else []
    texts = [_own()] + [known["entries"][key].strip() for key in sorted(set(keys))]
    sources = published().sources
    cited = "\n".join(texts)
    texts += [_of_source(key, sources[key]) for key in sorted(set(shown)) if not _has(cited, sources[key])]
    return "\n\n".join(texts) + "\n", unknown


def citing(groups: Sequence[Group], shown: Iterable[str], pooled: bool) -> Section:
    """The section of what to cite."""
    text, unknown = bibtex(groups, shown, pooled)
    told = ["What was used here, for a bibliography; dsbench cite prints it alone."]
    if unknown:
        told.append(f"Nothing to cite is known for: {', '.join(unknown)}; cite where they come from.")
    return Section("citations", "Citations", tuple(told), preformatted=text)


def _used(groups: Sequence[Group]) -> dict[str, list[str]]:
    finished = [group for group in groups if any(run.status == "ok" for run in group.runs)]
    return {
        "backbone": sorted({group.backbone for group in finished if group.backbone}),
        "env": sorted({group.env for group in finished if group.env}),
    }


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
