"""The run that somebody means: by its folder, its id, the beginning of its id, or as the last one."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from dsbench.errors import UsageError, suggestion
from dsbench.records.run_folder import RunFolder
from dsbench.records.store import run_folders

LAST = "last"  # the run of a results folder that was written to last
_LISTED = 8  # runs that a message names


def find_run(named: str, results: Path) -> RunFolder:
    """The folder of the run called `named`.

    Args:
        named: a path, an id, the beginning of one id and no other, or ``last``.
        results: where ids are looked for.

    Raises:
        UsageError: there is none, or there are several.
    """
    if os.path.isdir(named):
        return RunFolder(Path(named))
    return find_own_run(named, results)


def find_own_run(named: str, results: Path) -> RunFolder:
    """The same, of runs that lie in `results` alone; a path is none of them."""
    runs = {run.run_id: run for run in run_folders(results, {})}
    if named in runs:
        return runs[named]
    if named == LAST:
        if not runs:
            raise UsageError(f"no run in {str(results)!r} could be the last; name another folder with --results DIR")
        return max(runs.values(), key=written_at)
    found = [name for name in runs if named and name.startswith(named)]
    if len(found) == 1:
        return runs[found[0]]
    if found:
        more = [f"  and {len(found) - _LISTED:,} more"] if len(found) > _LISTED else []
        raise UsageError(
            f"{len(found):,} runs in {str(results)!r} begin with {named!r}; give more of the id:",
            *(f"  {name}" for name in found[:_LISTED]),
            *more,
        )
    if runs:
        hint = suggestion(named, runs) or "Expected an id, its beginning, 'last', or a run's folder."
        listing = shlex.join(["dsbench", "results", "list", "--results", str(results)])
        raise UsageError(f"{str(results)!r} holds no run {named!r}. {hint}   ({listing})")
    raise UsageError(f"{str(results)!r} holds no run at all, nor {named!r}; name another folder with --results DIR")


def written_at(run: RunFolder) -> float:
    """When a file of a run was last written, in seconds since 1970; 0 where nothing tells."""
    try:
        with os.scandir(run.path) as entries:
            return max((one.stat().st_mtime for one in entries if one.is_file(follow_symlinks=False)), default=0.0)
    except OSError:
        return 0.0
