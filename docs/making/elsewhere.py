"""Pages that lie outside of this folder and are linked to from it: the site has copies."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = (
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    *sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("results/reference/questions/studies/*/study.md")),
)
_LINK = re.compile(r"(\]\()((?:\.\./)+)([^)#:]+)")


def pages() -> dict[str, str | bytes]:
    """``elsewhere/PATH`` of each, with the pictures beside it."""
    found: dict[str, str | bytes] = {}
    for name in PAGES:
        path = ROOT / name
        found[f"elsewhere/{name}"] = "---\norphan: true\n---\n\n" + path.read_text()
        for picture in sorted((*path.parent.glob("figures/*.svg"), *path.parent.glob("figures/*.png"))):
            if path.parent != ROOT:
                found[f"elsewhere/{picture.relative_to(ROOT)}"] = picture.read_bytes()
    return found


def relinked(text: str) -> str:
    """A page of this folder with its links out of it turned to the copies."""

    def turned(match: re.Match[str]) -> str:
        start, _, target = match.groups()
        return f"{start}generated/elsewhere/{target}" if target in PAGES else match.group()

    return _LINK.sub(turned, text)
