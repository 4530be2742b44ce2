"""How this dsbench was installed, and the line that installs more of it the same way: from a clone, a wheel or an index.

The distribution has another name than the package: `dsbench` on the package index is a project of somebody else, so that
``pip install 'dsbench[hf]'`` would bring a stranger's code.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shlex
import shutil
import sys
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

DISTRIBUTION = "decision-sequence-bench"
_KINDS = ("dir_info", "vcs_info", "archive_info")


def origin() -> dict[str, Any]:
    """What pip noted of where it installed from (PEP 610, ``direct_url.json``); empty for an index or when unknown."""
    try:
        noted = json.loads(metadata.distribution(DISTRIBUTION).read_text("direct_url.json") or "{}")
    except (metadata.PackageNotFoundError, ValueError):
        return {}
    sound = isinstance(noted, dict) and all(isinstance(noted.get(kind, {}), dict) for kind in _KINDS)
    return noted if sound else {}


def installed_commit() -> str | None:
    """The commit that pip noted when it installed from a git address."""
    commit = (origin().get("vcs_info") or {}).get("commit_id")
    return commit if isinstance(commit, str) else None


def extra_line(extra: str) -> str:
    """The command that adds an extra to this installation."""
    return shlex.join([*_installer(), "install", *_requirement(extra)])


def reinstall_line() -> str:
    """The command that builds and installs this dsbench again, with nothing else touched."""
    return shlex.join([*_installer(), "install", "--force-reinstall", "--no-deps", *_requirement(None)])


def _requirement(extra: str | None) -> list[str]:
    """The words after ``pip install``: the place that this installation came from, and its constraints."""
    suffix = f"[{extra}]" if extra else ""
    noted = origin()
    url = str(noted.get("url", ""))
    if "dir_info" in noted:
        folder = Path(unquote(urlsplit(url).path))
        if not (folder / "pyproject.toml").is_file():
            return [f"{DISTRIBUTION}{suffix}"]  # the clone has gone
        constraints = folder / "constraints.txt"
        given = ["-c", _shown(constraints)] if extra and constraints.is_file() else []
        editable = ["-e"] if noted["dir_info"].get("editable") else []
        return [*given, *editable, f"{_shown(folder)}{suffix}"]
    if vcs := noted.get("vcs_info"):
        return [f"{DISTRIBUTION}{suffix} @ {vcs.get('vcs', 'git')}+{url}@{vcs.get('commit_id', '')}"]
    if "archive_info" in noted and (urlsplit(url).scheme != "file" or Path(unquote(urlsplit(url).path)).is_file()):
        return [f"{DISTRIBUTION}{suffix} @ {url}"]
    return [f"{DISTRIBUTION}{suffix}"]


def _installer() -> list[str]:
    """`pip` where that is this environment's own, else the words that reach it."""
    python = Path(sys.executable)
    found = shutil.which("pip")
    if found and Path(found).parent == python.parent:
        return ["pip"]
    if importlib.util.find_spec("pip") is None and shutil.which("uv"):
        return ["uv", "pip", "--python", _shown(python)]
    return [_shown(python), "-m", "pip"]


def _shown(path: Path) -> str:
    """A path as short as it can be typed here, never a bare name (which would be one of an index)."""
    here = Path.cwd()
    if path == here:
        return "."
    return f".{os.sep}{path.relative_to(here)}" if path.is_relative_to(here) else str(path)
