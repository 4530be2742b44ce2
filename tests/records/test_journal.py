"""Nothing acknowledged is lost, nothing torn is read, and damage is never taken for a number."""

from __future__ import annotations

import errno
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsbench.errors import CannotWrite, CorruptFile
from dsbench.records.journal import Journal

RECORDS = [{"kind": "metric", "step": step, "value": step / 7, "note": "é\n"} for step in range(6)]

WRITER = """
import sys
from pathlib import Path
from dsbench.records.journal import Journal
journal, number = Journal(Path(sys.argv[1])), int(sys.argv[2])
while True:
    journal.append_many([{"n": number}, {"n": number + 1}])
    number += 2
    print(number, flush=True)
"""


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("journal") / "journal.jsonl"
    journal = Journal(path)
    for record in RECORDS:
        journal.append(record)
    return path.read_bytes()


def test_records_read_back_as_written(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl", attempt=3)
    journal.append(RECORDS[0])
    journal.append_many(RECORDS[1:])
    assert journal.read() == [{**record, "attempt": 3} for record in RECORDS]


def test_a_missing_journal_is_empty(tmp_path: Path) -> None:
    assert Journal(tmp_path / "journal.jsonl").read() == []
    Journal(tmp_path / "journal.jsonl").append_many([])
    assert not (tmp_path / "journal.jsonl").exists()


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (float("nan"), "nan"),
        (float("inf"), "inf"),
        (-np.inf, "-inf"),
        (np.float32("nan"), "nan"),
        (np.float64(2), None),
    ],
)
def test_no_nan_reaches_the_file(tmp_path: Path, value: float, reason: str | None) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    journal.append({"value": value, "detail": {"loss": value}, "list": [value]})
    (record,) = journal.read()
    assert record.get("reason") == reason
    assert record["detail"].get("loss_reason") == reason
    assert record["value"] == (None if reason else 2.0)
    line = journal.path.read_text()

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    json.loads(line[9:], parse_constant=refuse)


def test_truncated_at_every_byte_the_finished_lines_stay_and_appending_goes_on(tmp_path: Path, written: bytes) -> None:
    path = tmp_path / "journal.jsonl"
    for cut in range(len(written) + 1):
        path.write_bytes(written[:cut])
        finished = RECORDS[: written[:cut].count(b"\n")]
        assert Journal(path).read() == finished
        assert path.stat().st_size == cut  # reading repairs nothing
        Journal(path).append({"n": cut})
        assert Journal(path).read() == [*finished, {"n": cut}]


@given(data=st.data())
@settings(max_examples=200, deadline=None)
def test_a_changed_byte_is_a_torn_tail_or_an_error_never_a_wrong_record(
    tmp_path_factory: pytest.TempPathFactory, written: bytes, data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(written) - 1))
    change = data.draw(st.integers(1, 255))
    path = tmp_path_factory.mktemp("flip") / "journal.jsonl"
    path.write_bytes(written[:place] + bytes([written[place] ^ change]) + written[place + 1 :])
    try:
        records = Journal(path).read()
    except CorruptFile:
        return
    assert records == RECORDS[:-1]  # only the end of the last line may go unnoticed, as a tail


def test_damage_names_file_line_and_way_out_and_stops_the_writer(tmp_path: Path, written: bytes) -> None:
    path = tmp_path / "journal.jsonl"
    damaged = written.replace(b'"step":2', b'"step":9')
    path.write_bytes(damaged)
    with pytest.raises(CorruptFile, match=r"journal\.jsonl line 3 is damaged .*--force"):
        Journal(path).read()
    with pytest.raises(CorruptFile):
        Journal(path).append({"n": 1})
    assert path.read_bytes() == damaged


def test_zeros_left_by_a_power_cut_are_a_torn_tail(tmp_path: Path, written: bytes) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(written + b"\0" * 4096)
    journal = Journal(path)
    journal.append({"n": 1})
    assert journal.read() == [*RECORDS, {"n": 1}]


def test_kill_9_loses_nothing_acknowledged(tmp_path: Path) -> None:
    path, rng = tmp_path / "journal.jsonl", random.Random(0)
    acknowledged = 0
    for _ in range(6):
        start = len(Journal(path).read())
        command = [sys.executable, "-c", WRITER, str(path), str(start)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path) as process:
            assert process.stdout is not None
            process.stdout.readline()  # it is writing now
            time.sleep(rng.uniform(0, 0.05))
            process.kill()
            lines = process.stdout.read().split("\n")
        acknowledged = max([acknowledged, *(int(line) for line in lines[:-1])])
        numbers = [record["n"] for record in Journal(path).read()]
        assert numbers == list(range(len(numbers)))
        assert len(numbers) >= acknowledged
    assert acknowledged > 0


@pytest.mark.parametrize("call", range(1, 5))
@pytest.mark.parametrize("partial", [False, True])
def test_a_full_disk_leaves_the_journal_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: int, partial: bool
) -> None:
    journal, real, calls = Journal(tmp_path / "journal.jsonl"), os.write, 0

    def write(descriptor: int, data: bytes) -> int:
        nonlocal calls
        calls += 1
        if calls == call and partial:
            return real(descriptor, data[: len(data) // 2])
        if calls >= call:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(descriptor, data)

    monkeypatch.setattr(os, "write", write)
    done = call - 1
    for record in RECORDS[:done]:
        journal.append(record)
    with pytest.raises(CannotWrite, match="the disk is full"):
        journal.append(RECORDS[done])
    assert journal.read() == RECORDS[:done]
    monkeypatch.undo()
    journal.append(RECORDS[done])  # there is room again
    assert journal.read() == RECORDS[: done + 1]
