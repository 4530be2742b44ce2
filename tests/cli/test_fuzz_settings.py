"""Odd values for every option, setting and file: each is taken, or refused in one line at once; none is a fault of dsbench.

Nothing is trained: the results folder of every command lies below a file, so that what can be used ends in exit 73.
"""

from __future__ import annotations

import os
import time
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from dsbench.cli import main
from dsbench.config.errors import known_paths
from dsbench.config.settings import RunConfig

BLOCKED = ("--results", "blocked/results")  # `blocked` is a file
UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
LONGEST_S = 10.0  # of one, on a machine that others use too; a hang is what is looked for

VALUES = (
    "", " ", "\t", "\n", "\0", "\x1b[2J", "\x7f", "\u202e", "\u200b", "\u2028", "\ud800", "\udcff", "é", "模型", "🙂",
    "½", "٣", "１", "²",
    "0", "-0", "-1", "1.0", "1e3", "1E3", "0x10", "0o7", "1_000", "01", "+1", ".", ".5", "1.", "1e", "1e999",
    "1e-999", "-1e999",
    "inf", "-inf", ".inf", "nan", ".nan", "NaN", "Infinity", "9" * 19, "9" * 400, "9" * 5_000, "-" + "9" * 5_000,
    "0." + "9" * 5_000,
    "1e" + "9" * 50, "٣" * 300, "true", "True", "null", "None", "~", "yes", "on", "[]", "[,]", "[", "]", "[a", "a]",
    "[[]]", "[1,[2,[3]]]",
    "[1,,2]", "['a,b',c]", "['a", "[" * 5_000, "[" * 5_000 + "]" * 5_000, "[" + "1," * 5_000 + "1]", "[null]", "{}",
    "{", "{a: 1}", "'", "''",
    '"', '""', "'a", "a'b", "\"a'", "&a", "*a", "!!python/object:os.system",
    "<<", "%s%n", "${HOME}", "$(id)", "`id`", "; id", "=cmd()",
    "=", "==", "-", "--", "a=b", ",", ",,", "a,b", ":", "x:", ":x", "no.such:thing", "no_such.py:Thing", "a:b:c",
    ".", "..", "../..", "/",
    "/dev/zero", "/dev/stdin", "/dev/zero.py:X", "/proc/self/mem", "pipe", "pipe.yaml", "blocked", "loop",
    "loop.yaml", "*", "?", "x" * 300,
    "x" * 5_000, "a/" * 3_000, "a." * 3_000 + "a", "x y " * 2_000, "\u202e" * 2_000, "<script>", "../x.yaml",
    "x.yaml", "x.toml", "x.json",
)  # fmt: skip
KEYS = (
    "", ".", "a", "a.", ".a", "a..b", "A" * 5_000, "a." * 5_000 + "a", "a." * 9 + "a", "é", "a-b", "a b", "1a",
    "\ud800", "\x1b", "__class__",
    "options", "name", "d_model", "options.name", "options.d_model", "options.options", "options.a", "self", "cls",
    "lambda", "device", "seed",
)  # fmt: skip
RUN = ("run", "--backbone", "s4", "--env", "umbrella", *BLOCKED)
SWEEP = ("sweep", "--backbone", "s4", "--env", "umbrella", *BLOCKED)
STUDY = ("study", "umbrella-length", "--size", "smoke", *BLOCKED)
MAKE = ("data", "make", "--env", "umbrella", "--recipe", "no-such")  # no data are made
# What stands before the value: a command and an option of it, or a command whose argument it is.
BEFORE_VALUE = (
    *((*RUN, option) for option in ("--seed", "--preset", "--policy", "--data", "--config", "--set")),
    *((*SWEEP, option) for option in ("--seeds", "--jobs", "--control", "--data", "--preset", "--config", "--set")),
    ("run", "--backbone", "no-such", "--env", "umbrella", "--results"),
    ("run", "--env", "umbrella", *BLOCKED, "--backbone"), ("run", "--backbone", "s4", *BLOCKED, "--env"),
    ("sweep", "--backbone", "s4", *BLOCKED, "--env"), ("sweep", "--env", "umbrella", *BLOCKED, "--backbone"),
    *((*STUDY, option) for option in ("--size", "--out", "--jobs", "--set")), ("study", *BLOCKED),
    *(("bench", "--modes", "no-such", *BLOCKED, option) for option in ("--context", "--batch", "--length",
    "--threads", "--device",
                                                                      "--rounds", "--limit", "--match", "--env",
                                                                      "--set")),
    ("report",), ("report", "no-such", "--out"), ("cite",), ("export",), ("export", "no-such", "--out"), ("export",
    "no-such", "--format"),
    ("watch",), *(("watch", "no-such", option) for option in ("--out", "--episode", "--target", "--decode",
    "--results")),
    ("inspect",), ("inspect", "no-such", "--out"), ("export-model",), ("export-model", "no-such", "--out"),
    ("list",), ("list", "presets", "--env"),
    ("check",), ("check", "no-such", "--set"), (*MAKE, "--episodes"), (*MAKE, "--timesteps"), (*MAKE, "--seed"),
    (*MAKE, "--set"),
    ("data", "make", "--env", "umbrella", "--recipe"), ("data", "info"), ("data", "import", "--env", "umbrella",
    "--name", "a"),
    *(("data", "import", "d4rl:no-such", "--env", "umbrella", "--name", "a", option) for option in ("--name",
    "--max-gb", "--sha256",
                                                                                                   "--max-episode-steps")),
    ("data", "export", "--env", "umbrella", "--recipe", "no-such", "--to"), (), ("data",),
)  # fmt: skip
DOCUMENTS = {
    "yaml": ("{}", "train:\n  lr: {}\n", "train: {{lr: {}}}\n", "{}: 1\n", "backbone: {{name: s4, x: {}}}\n",
    "preset: {}\n", "data: {}\n"),
    "toml": ("{}", "[train]\nlr = {}\n", "train = {{lr = {}}}\n", "{} = 1\n", "[{}]\n", "preset = {}\n",
    'preset = "{}"\n'),
    "json": ("{}", '{{"train": {{"lr": {}}}}}', '{{"{}": 1}}', '{{"preset": {}}}', '{{"preset": "{}"}}',
    '{{"backbone": {{"x": {}}}}}'),
}  # fmt: skip


class Case(NamedTuple):
    """Arguments, and what the file ``given.EXTENSION`` among them holds."""

    arguments: tuple[str, ...]
    extension: str = ""
    content: str = ""


def cases() -> Iterator[Case]:
    for path in known_paths(RunConfig):
        for value in VALUES if path != "match" else (one for one in VALUES if "=" not in one):
            yield Case((*RUN, "--set", f"{path}={value}"))
    for part in ("", "backbone.", "env.", "train."):
        yield from (Case((*RUN, "--set", f"{part}{key}={value}")) for key in KEYS for value in ("1", "[a]", "''"))
    yield from (Case((*before, value)) for before in BEFORE_VALUE for value in VALUES)
    for extension, forms in DOCUMENTS.items():
        for form in forms:
            for value in VALUES:
                yield Case((*RUN, "--config", f"given.{extension}"), extension, form.format(value))
    yield from (Case(("study", "given.yaml", *BLOCKED), "yaml", f"format: 1\ntitle: {value}\n") for value in VALUES)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a file where the results would be, a pipe and a link to itself."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DSBENCH_DATA", str(tmp_path / "data"))
    (tmp_path / "blocked").write_text("")
    for name in ("pipe", "pipe.yaml"):
        os.mkfifo(tmp_path / name)
    for name in ("loop", "loop.yaml"):
        (tmp_path / name).symlink_to(name)
    return tmp_path


def wrong_with(case: Case, capsys: pytest.CaptureFixture[str]) -> str:
    """What the command did that it should not; empty where all is well."""
    if case.extension:
        Path(f"given.{case.extension}").write_bytes(case.content.encode(errors="surrogatepass"))
    began = time.monotonic()
    code = main(case.arguments)
    seconds = time.monotonic() - began
    said = capsys.readouterr()
    lines = [line for line in said.err.split("\n")[:-1] if not line.startswith("[")]  # those are of the progress
    several = (
        len(lines) > 1
        and lines[0].endswith("settings cannot be used:")
        and all(one.startswith("  ") for one in lines[1:])
    )
    if code not in (0, 2, 73) or "internal" in said.err:
        return f"exit {code}"
    if code and not (several or len(lines) == 1):
        return f"{len(lines)} lines"
    if max(map(len, lines), default=0) > 4_100 or len(lines) > 60:
        return "long"
    if {unicodedata.category(one) for one in said.out + said.err if one != "\n"} & UNSEEN:
        return "unseen characters"
    return f"{seconds:.1f} s" if seconds > LONGEST_S else ""


def faults(chosen: list[Case], capsys: pytest.CaptureFixture[str]) -> list[str]:
    main(["list", "presets"])  # what is imported at first takes a while
    found = [(case, wrong_with(case, capsys)) for case in chosen]
    return [f"{wrong}: {[text[:60] for text in (*case.arguments, case.content)]}" for case, wrong in found if wrong]


@pytest.mark.usefixtures("place")
def test_some_odd_values_are_refused_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    every = list(cases())
    assert faults(every[:: len(every) // 250], capsys) == []


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.usefixtures("place")
def test_thousands_of_odd_values_are_refused_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    chosen = list(cases())[::3]  # of some 20,000: each setting, option and form of a file with a third of the values
    assert len(chosen) >= 5_000
    assert faults(chosen, capsys) == []
