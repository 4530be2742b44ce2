"""Reading in a process of its own: one that waits for ever is ended like one that dies."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from dsbench.envs.data import isolation
from dsbench.envs.data.contract import RawData
from dsbench.errors import DatasetError


def test_a_reader_that_waits_for_ever_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def waits(progress: isolation.Progress) -> RawData:
        time.sleep(60)
        raise AssertionError

    monkeypatch.setattr(isolation, "CPU_SECONDS", 1)
    monkeypatch.setattr(isolation, "WALL_FACTOR", 1)
    began = time.monotonic()
    with pytest.raises(DatasetError, match="ended by signal 14; get the file again"):
        isolation.read_isolated(tmp_path / "x.hdf5", waits, 1 << 20, lambda done, total: None)
    assert time.monotonic() - began < 30
