"""What the machine does to a run, such as a full disk or a folder that goes away, is never how the run ended."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from dsbench.config import resolve
from dsbench.records.run_folder import Plan, RunFolder
from dsbench.running.request import unproven_may_run
from tests.running.inline import TINY, Inline, tiny
from tests.running.storms import Launchers, ending

CALLS = ("write", "fsync", "replace", "link", "rename", "mkdir")  # of `os`, by which everything that is kept is written
ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EIO)


@pytest.fixture
def inline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Inline:
    return Inline(tmp_path, monkeypatch)


class Faults:
    """Refuses the `first`-th call that writes (and all that follow, with `lasting`)."""

    def __init__(self, first: int, number: int, lasting: bool) -> None:
        self.first, self.number, self.lasting, self.calls = first, number, lasting, 0

    def wrap(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def called(*arguments: Any, **options: Any) -> Any:
            self.calls += 1
            if self.calls == self.first or (self.lasting and self.calls > self.first):
                raise OSError(self.number, os.strerror(self.number))
            return call(*arguments, **options)

        return called

    @contextmanager
    def spoiling(self) -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            for name in CALLS:
                patch.setattr(os, name, self.wrap(getattr(os, name)))
            yield


@pytest.mark.parametrize("lasting", [False, True], ids=["once", "from then on"])
@pytest.mark.parametrize(
    "share", [12, pytest.param(1, marks=[pytest.mark.slow, pytest.mark.timeout(3000)])], ids=["some", "every"]
)
def test_a_write_that_is_refused_anywhere_leaves_a_run_that_goes_on(inline: Inline, share: int, lasting: bool) -> None:
    config = tiny()
    assert inline.run(config, "whole") == 0
    whole, first = ending(inline.folder(config, "whole")), 1
    while True:
        shutil.rmtree(inline.tmp / "data")
        faults = Faults(first, ERRORS[first // share % len(ERRORS)], lasting)
        with faults.spoiling():
            code = inline.run(config, f"r{first}")
        folder = inline.folder(config, f"r{first}")
        if faults.calls < first:
            break
        if code == 0:  # what was refused was not needed
            assert ending(folder) == whole
        else:
            assert code == 73
            assert str(inline.told["error"]).startswith(("cannot write", "cannot lock"))
            assert folder.status() in ("new", "interrupted", "ok")  # the result may have been the last that was written
        assert inline.run(config, f"r{first}") == 0
        assert ending(folder) == whole
        shutil.rmtree(inline.tmp / f"r{first}")
        first += share
    assert first > 50


def test_a_folder_that_is_removed_is_said_and_not_made_anew(inline: Inline) -> None:
    config = tiny()
    folder = inline.folder(config)

    def remove(phase: str, done: int, *_: object) -> None:
        if phase == "train" and done == 4:
            shutil.rmtree(folder.path, ignore_errors=True)

    assert inline.run(config, hook=remove) == 73
    assert inline.told["error"] == (
        f"cannot write {folder.path}: it was removed while the run was going on; give the same command again"
    )
    assert not folder.path.exists()
    assert inline.run(config) == 0


@pytest.mark.parametrize("moved", [False, True])
def test_whoever_made_a_removed_folder_anew_is_not_disturbed(inline: Inline, moved: bool) -> None:
    config = tiny()
    folder = inline.folder(config)
    others: list[Any] = []

    def replace(phase: str, done: int, *_: object) -> None:
        if phase == "train" and done == 5 and not others:
            shutil.move(folder.path, inline.tmp / "away") if moved else shutil.rmtree(folder.path)
            others.append(RunFolder(folder.path).claim())
            assert others[0].__enter__() == Plan("start", 1)

    assert inline.run(config, hook=replace) == 73
    assert "removed and made anew by another process" in str(inline.told["error"])
    assert sorted(path.name for path in folder.path.iterdir()) == ["claim.json", "claim.lock"]
    others[0].__exit__(None, None, None)


RAISES = """
from dsbench.backbones.mlp import MLP

class Raises(MLP):
    def forward(self, *arguments):
        if self.training:
            raise OSError({number}, "it says", "a-file")
        return super().forward(*arguments)
"""


@pytest.mark.parametrize(
    ("number", "code"), [(errno.ENOENT, 1), (errno.EACCES, 1), (errno.EIO, 1), (errno.ENOSPC, 73), (errno.EROFS, 73)]
)
def test_an_error_of_a_users_code_is_the_runs_unless_the_disk_is_full(inline: Inline, number: int, code: int) -> None:
    file = inline.tmp / "raises.py"
    file.write_text(RAISES.format(number=number))
    config = resolve(backbone=f"{file}:Raises", env="umbrella", preset="smoke", overrides=TINY)
    with unproven_may_run():
        assert inline.run(config) == code
    folder = inline.folder(config)
    assert folder.status() == ("failed" if code == 1 else "interrupted")
    if code == 73:
        assert folder.plan() == Plan("resume", 1)
        assert "a-file" in str((folder.result(1) or {})["reason"])


@contextmanager
def small_disk(place: Path, size: str) -> Iterator[None]:
    place.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", place], capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"no file system can be mounted here: {made.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", place], check=True)


@pytest.fixture
def launchers(tmp_path: Path) -> Iterator[Launchers]:
    launchers = Launchers(tiny("train.updates=60", "train.eval_every=20"), tmp_path)
    yield launchers
    launchers.close()


def test_a_full_disk_ends_the_launcher_with_73_and_loses_nothing(launchers: Launchers, tmp_path: Path) -> None:
    assert launchers.wait(launchers.start(tmp_path / "whole")) == 0
    for size in ("16k", "44k", "64k"):
        disk = tmp_path / size
        with small_disk(disk, size):
            assert launchers.wait(launchers.start(disk / "results")) == 73
            folder = launchers.folder(disk / "results")
            assert folder.status() in ("new", "interrupted")
            subprocess.run(["mount", "-o", "remount,size=10m", disk], check=True)
            assert launchers.wait(launchers.start(disk / "results")) == 0
            assert ending(folder) == ending(launchers.folder(tmp_path / "whole"))
