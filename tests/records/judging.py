"""What commands say of results with one forged document in them, held against what the sound documents say.

Run as a program it tries many in one process, whose memory is watched:

    python -m tests.records.judging --from 0 --to 10000 --drawn
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import re
import shutil
import socket
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

import dsbench
from dsbench.cli import main
from dsbench.records.config_text import flat
from dsbench.reports import figures
from tests.records.forging import Forged, Sound, forged
from tests.records.sound import BENCH, put, sound_results

MOST_SECONDS, MOST_BYTES = 1.0, 100 << 20  # beyond what the sound one takes
_LONGEST_REASON = 1_000
_ENDED = ("ok", "diverged")
# What a missing file may mean: a run that has not ended yet, or one whose machine nobody knows.
_MAY_LACK = {"result": "interrupted", "result of before": "interrupted", "interrupted note": "interrupted"}
_HARMLESS = ("provenance", "provenance of before", "claim", "bench provenance", "bench journal", "pack")


class Judge:
    """Tries forgeries of `sound` in folders below `place`."""

    def __init__(self, sound: Sound, place: Path, drawn: bool = False) -> None:
        self.sound, self.place, self.undrawn = sound, place, True
        self.runs = {path.split("/")[1] for path in sound.files if path.startswith("runs/")} | set(sound.packed)
        self._lay(Forged(-1, "", "nothing", False))
        self.rows, self.long = _loaded(place / "results")
        self.seconds = {}
        for name, command in self._commands().items():
            for self.undrawn in (False, True) if drawn else (True,):
                self.seconds[name, self.undrawn] = self._timed(command)[0]
        self.scores = _metrics(self._timed(self._commands()["json"])[2])

    def complaints(self, case: Forged, command: str) -> list[str]:
        """What is wrong with what is said of a forgery, by `dsbench.load` and by one command."""
        self._lay(case)
        before = _listing(self.place)
        found = self._loaded(case)
        if not found or "load took" not in found[0]:
            found += self._commanded(case, command)
        found += [f"{path} was changed" for path in before.items() ^ _listing(self.place).items()]
        return found

    # ------------------------------------------------------------------ laying

    def _lay(self, case: Forged) -> None:
        lay(self.place / "results", self.place / "outside", self.sound, case)
        shutil.rmtree(self.place / "out", ignore_errors=True)
        (self.place / "out").mkdir()

    # ------------------------------------------------------------------ python

    def _loaded(self, case: Forged) -> list[str]:
        results = self.place / "results"
        start = time.process_time()
        rows, long = _loaded(results)
        took = time.process_time() - start
        if took > MOST_SECONDS + self.seconds["load", True]:
            return [f"load took {took:.1f} s"]
        victim = self._victim(case)
        found = [
            f"the row of {name} is {row}"
            for name, row in self.rows.items()
            if name not in victim and rows.get(name) != row
        ]
        for name in rows.keys() - self.rows.keys():
            found += _unreadable(rows[name], case)
        for name in self.runs - victim:
            if not long.get(name, pd.DataFrame()).equals(self.long.get(name, pd.DataFrame())):
                found.append(f"the numbers of {name} differ")
        for name in victim & self.runs:
            found += self._of_victim(case, name, rows.get(name), long.get(name))
        return found

    def _victim(self, case: Forged) -> set[str]:
        if case.kind == "pack":
            return set(self.sound.packed)
        return {self.sound.documents[case.kind].split("/")[1]} if case.kind else set()

    def _of_victim(self, case: Forged, name: str, row: dict[str, Any] | None, long: pd.DataFrame | None) -> list[str]:
        if row is None:
            gone = case.kind == "pack"  # told as a row of the pack
            return [] if gone else [f"{name} has no row"]
        if row["status"] == "unreadable":
            return _unreadable(row, case) + ([f"{name} has numbers"] if long is not None else [])
        found = [] if row == self.rows[name] else self._another(case, name, row)
        if not case.sealed and long is not None and not long.equals(self.long.get(name)) and "journal" not in case.kind:
            found.append(f"the numbers of {name} differ")
        if "journal" in case.kind and not case.sealed and long is not None and not _begins(self.long[name], long):
            found.append(f"the journal of {name} has other numbers")
        return found

    def _another(self, case: Forged, name: str, row: dict[str, Any]) -> list[str]:
        """Why a row of a victim, which is not the sound one, is none that its documents tell; nothing if they do."""
        sound = self.rows[name]
        if not case.sealed:
            results = any(key.startswith("result.") for key in row)
            taken = case.special.get(self.sound.documents[case.kind]) == "nothing"
            if taken and not results and row["status"] == _MAY_LACK.get(case.kind):
                return []
            return [f"{name} differs: {_difference(sound, row)}"]
        content = case.files[self.sound.documents[case.kind]]
        if content is None:
            return [f"{name} differs: {_difference(sound, row)}"]
        if case.kind in ("result", "result of before", "interrupted note"):
            told = json.loads(content)
            expected = {key: value for key, value in sound.items() if not key.startswith("result.") and key != "reason"}
            expected |= {f"result.{key}": value for key, value in told.items() if key not in _OWN and value is not None}
            expected |= {"reason": told["reason"]} if told.get("reason") is not None else {}
            expected |= {"status": told["status"]}
        elif case.kind == "settings":
            told = flat(yaml.safe_load(content.partition(b"\n")[2]))
            expected = {key: value for key, value in sound.items() if key.startswith("result.") or key in _IDENTITY}
            expected |= {key: value for key, value in told.items() if key not in _NAMED and value is not None}
        elif case.kind == "pack":
            return []  # its documents are forged as those of folders are
        else:
            expected = sound
        return [] if row == expected else [f"{name} differs: {_difference(expected, row)}"]

    # ------------------------------------------------------------------ commands

    def _commands(self) -> dict[str, list[str]]:
        results, out = str(self.place / "results"), str(self.place / "out")
        return {
            "load": [], "json": ["report", results, "--json"], "table": ["report", results], "cite": ["cite", results],
            "export": ["export", results, "--out", f"{out}/tables"], "pack": ["pack", results, "--out", f"{out}/all.dsb"],
            "report": ["report", results, "--out", f"{out}/report"],
        }  # fmt: skip

    def _timed(self, command: list[str]) -> tuple[float, int, str, str]:
        """Seconds of the processor, exit code, output, errors."""
        out, err, start = io.StringIO(), io.StringIO(), time.process_time()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), _drawing(self.undrawn):
            if command:
                code = main([*command, "--debug"])
            else:
                code, _ = 0, _loaded(self.place / "results")
        return time.process_time() - start, code, out.getvalue(), err.getvalue()

    def _commanded(self, case: Forged, name: str) -> list[str]:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            seconds, code, out, errors = self._timed(self._commands()[name])
        found = []
        if code not in ((0, 1) if name == "pack" else (0,)):
            found.append(f"{name} ended with {code}: {errors[-1500:]}")
        elif "Traceback" in errors or "Warning" in errors:
            found.append(f"{name} says {errors[-800:]}")
        if seconds > self.seconds[name, self.undrawn] + MOST_SECONDS:
            found.append(f"{name} took {seconds:.1f} s")
        if name == "json" and code == 0:
            victim = self._victim(case)
            scores = _metrics(out)
            for run, metrics in self.scores.items():
                if run not in victim and len(self._group(run) & victim) == 0 and scores.get(run) != metrics:
                    found.append(f"the report says {scores.get(run)} of {run}; expected {metrics}")
        if name == "report" and code == 0 and "bench" in case.kind:
            found += self._of_bench(case)
        return found

    def _group(self, run: str) -> set[str]:
        return {name for name in self.runs if name.split("-s")[0] == run.split("-s")[0]}

    def _of_bench(self, case: Forged) -> list[str]:
        """The report shows the bench, or says why not."""
        text = (self.place / "out/report/report.md").read_text()
        gone = case.special.get(self.sound.documents[case.kind]) in ("nothing", "link to nothing", "link to itself")
        return [] if gone or BENCH in text else ["the report is silent about the bench"]


_IDENTITY = ("run_id", "backbone", "env", "seed", "attempt", "status", "reason")
_OWN = (*_IDENTITY, "journal", "format", "sha256")
_NAMED = ("backbone.name", "env.name", "seed")


@contextlib.contextmanager
def _drawing(undrawn: bool) -> Any:
    """Pictures are most of the time of a report."""
    render = figures.render
    if undrawn:
        figures.render = lambda canvas, name, title: ("<svg/>", b"")
    try:
        yield
    finally:
        figures.render = render


def _loaded(results: Path) -> tuple[dict[str, dict[str, Any]], dict[str, pd.DataFrame]]:
    """run id -> its cells without the empty ones, and run id -> its numbers."""
    tables = dsbench.load(results)
    rows = {str(row["run_id"]): row for row in tables.runs.to_dict("records")}
    return {name: {key: cell for key, cell in row.items() if not pd.isna(cell)} for name, row in rows.items()}, {
        str(name): own.reset_index(drop=True) for name, own in tables.long.groupby("run_id")
    }


def _unreadable(row: Mapping[str, Any], case: Forged) -> list[str]:
    """What is wrong with a row of a run that cannot be read."""
    reason = str(row.get("reason", ""))
    names = {Path(path).name for path in (*case.files, *case.special)}
    found = []
    if row["status"] != "unreadable":
        found.append(f"an unknown row {row}")
    if not any(name in reason for name in names):
        found.append(f"the reason does not name the file: {reason[:500]}")
    if len(reason) > _LONGEST_REASON or re.search(r"[\r\n]|\binternal\b|Traceback", reason):
        found.append(f"the reason is no sentence: {reason[:300]!r} of {len(reason)} characters")
    return found


def _begins(sound: pd.DataFrame, other: pd.DataFrame) -> bool:
    """Whether all rows of a table are rows of the sound one."""
    return set(map(tuple, other.astype(object).fillna("").to_numpy())) <= set(
        map(tuple, sound.astype(object).fillna("").to_numpy())
    )


def _difference(expected: Mapping[str, Any], row: Mapping[str, Any]) -> str:
    names = [name for name in sorted({*expected, *row}) if expected.get(name) != row.get(name)]
    return ", ".join(f"{name} {str(row.get(name))[:80]!r} for {str(expected.get(name))[:80]!r}" for name in names[:4])


def _metrics(text: str) -> dict[str, Any]:
    """run id -> what its group's means are, out of the JSON of a report, which must be strict."""

    def no_constant(word: str) -> Any:
        raise ValueError(f"{word} in JSON")

    groups = json.loads(text, parse_constant=no_constant)
    return {run["run_id"]: (run["status"], group["metrics"]) for group in groups for run in group["runs"]}


def _listing(folder: Path) -> dict[str, tuple[int, int, int]]:
    """What lies in results and outside, with sizes and times."""
    found = {}
    for top in ("results", "outside"):
        for parent, folders, names in os.walk(folder / top):
            for name in (*folders, *names):
                state = os.lstat(os.path.join(parent, name))
                found[os.path.join(parent, name)] = (state.st_mode, state.st_size, state.st_mtime_ns)
    return found


def lay(results: Path, outside: Path, sound: Sound, case: Forged) -> None:
    """The sound files in a folder, and over them the forged ones."""
    for folder in (results, outside):
        shutil.rmtree(folder, ignore_errors=True)
    put(results, sound.files)
    outside.mkdir()
    for path, data in case.files.items():
        (results / path).unlink()
        if data is not None:
            (results / path).write_bytes(data)
    for path, place in case.special.items():
        _make(results, path, place, outside, sound)


def _make(results: Path, path: str, place: str, outside: Path, sound: Sound) -> None:
    """Something else in the place of a file."""
    target = results / path
    target.unlink()
    if place == "a pipe":
        os.mkfifo(target)
    elif place == "a folder":
        (target / "within").mkdir(parents=True)
    elif place == "a socket":
        here = os.getcwd()  # the name of a socket may have some hundred characters
        os.chdir(target.parent)
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(target.name)
        os.chdir(here)
    elif place == "a terabyte of nothing":
        with target.open("wb") as file:
            file.truncate(1 << 40)
    elif place == "70 MiB of zeros":
        with target.open("wb") as file:
            file.truncate(70 << 20)
    elif place == "60 MiB of line ends":
        target.write_bytes(b"\n" * (60 << 20))
    elif place.startswith("link"):
        name = target.name
        others = [other for other in sorted(sound.files) if other.endswith(f"/{name}") and other != path] or ["bench"]
        (outside / name).write_bytes(sound.files[path])
        target.symlink_to(
            {
                "link to a copy outside": outside / name,
                "link to the same of another run": results / others[0],
                "link to itself": target,
                "link to nothing": outside / "nothing",
                "link to a folder": outside,
            }.get(place, Path(place.removeprefix("link to ")))
        )


def try_all(numbers: range, place: Path, drawn: bool, say: Callable[[str], None]) -> dict[str, Any]:
    """Tries forgeries by their numbers; how many, what was complained of, and by how much the process grew."""
    sound = sound_results()
    judge = Judge(sound, place, drawn)
    names = ["json", "table", "json", "export", "cite", "json", "pack", "table"]
    wrong: list[str] = []
    most = 0
    kinds: dict[str, int] = {}
    for number in numbers:
        case = forged(number, sound)
        kinds[case.kind] = kinds.get(case.kind, 0) + 1
        command = "report" if ("bench" in case.kind and number % 3) or number % 16 == 5 else names[number % 8]
        judge.undrawn = not (drawn and number % 100 in (5, 21))
        before = peak_bytes(anew=True)
        found = judge.complaints(case, command)
        grown = peak_bytes() - before
        most = max(most, grown)
        for complaint in found + ([f"took {grown >> 20} MiB"] if grown > MOST_BYTES else []):
            wrong.append(f"{described(case)}: {complaint}")
            say(wrong[-1])
    return {"tried": len(numbers), "kinds": kinds, "wrong": wrong, "most_bytes": most}


def peak_bytes(anew: bool = False) -> int:
    """The largest resident memory of this process so far; 0 where the system does not tell.

    Args:
        anew: from now on count from what is resident now, which is returned.
    """
    try:
        if anew:
            Path("/proc/self/clear_refs").write_text("5")
        (line,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    except OSError:
        return 0
    return int(line) << 10


def described(case: Forged) -> str:
    """Which forgery it was."""
    sealed = "sealed" if case.sealed else "not sealed"
    return f"{case.number}, {case.kind}, {sealed}: {case.how} {''.join(case.special.values())}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--from", type=int, default=0, dest="first")
    parser.add_argument("--to", type=int, default=200)
    parser.add_argument("--drawn", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = try_all(
            range(asked.first, asked.to),
            Path(folder),
            asked.drawn,
            lambda text: print(text, file=sys.stderr, flush=True),
        )
    print(json.dumps(found, indent=2))
