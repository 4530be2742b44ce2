"""Pages that are read off the code, so that they cannot differ from it."""

from __future__ import annotations

from pathlib import Path

from making import backbones, command_line, elsewhere, tasks
from making.elsewhere import relinked

__all__ = ["relinked", "write_all"]


def write_all(folder: Path) -> None:
    """Write every page below the folder; a page that is as it was stays untouched, so that a second build is quick."""
    pages = {**command_line.pages(), **tasks.pages(), **backbones.pages(), **elsewhere.pages()}
    for name, content in pages.items():
        path = folder / name
        data = content if isinstance(content, bytes) else content.encode()
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_bytes() != data:
            path.write_bytes(data)
    for path in folder.rglob("*.*"):
        if str(path.relative_to(folder)) not in pages:
            path.unlink()
