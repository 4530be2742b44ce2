"""What a measuring leaves on disk, read back while it goes on and afterwards."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from dsbench.errors import UsageError
from dsbench.measuring.bench_records import (
    COLUMNS,
    JOURNAL,
    NOT_REACHED,
    new_folder,
    read_bench,
    read_benches,
    write_cells,
)
from dsbench.records.journal import Journal


def planned(path: Path, *cells: str) -> Journal:
    journal = Journal(path / JOURNAL)
    journal.append({"kind": "bench", "backbones": ["s4"]})
    journal.append_many(
        {"kind": "planned", "cell_id": c, "backbone": "s4", "mode": "recurrent", "context": 1} for c in cells
    )
    return journal


def test_cells_are_read_while_they_are_measured(tmp_path: Path) -> None:
    path = new_folder(tmp_path, "quick")
    journal = planned(path, "a", "b")
    journal.append({"kind": "timed", "cell_id": "a", "status": "ok", "reason": None, "p50_us": 3.5, "rounds": 10})
    journal.append({"kind": "counted", "cell_id": "a", "state_bytes": 64, "moved": 9})
    journal.append({"kind": "machine", "noise_floor": 0.01})
    journal.append({"kind": "counted", "cell_id": "a", "memory_reason": "memory: too little"})
    bench = read_bench(path)
    assert (bench.asked["backbones"], bench.machine["noise_floor"]) == (["s4"], 0.01)
    (done,) = bench.rows(status="ok")
    assert (done["state_bytes"], done["reason"]) == (64, "memory: too little")
    assert [(row["cell_id"], row["reason"]) for row in bench.rows(status="skipped")] == [("b", NOT_REACHED)]


def test_the_table_has_the_columns_and_missing_is_empty(tmp_path: Path) -> None:
    paths = [new_folder(tmp_path, "quick") for _ in range(2)]
    assert len(set(paths)) == 2
    for path in paths:
        planned(path, "a").append({"kind": "timed", "cell_id": "a", "status": "ok", "p50_us": 3.5})
    table = read_benches(tmp_path)
    assert tuple(table.columns) == COLUMNS
    assert list(table["bench_id"]) == sorted(path.name for path in paths)
    assert table["state_bytes"].isna().all()
    assert table["p50_us"].tolist() == [3.5, 3.5]
    read = pd.read_csv(write_cells(paths[0]))
    assert tuple(read.columns) == COLUMNS
    assert read["p50_us"].tolist() == [3.5]


def test_no_measuring_is_an_empty_table_and_no_folder_an_error(tmp_path: Path) -> None:
    assert tuple(read_benches(tmp_path).columns) == COLUMNS
    assert not len(read_benches(tmp_path))
    with pytest.raises(UsageError, match="holds no measuring"):
        read_bench(tmp_path)


def test_reading_loads_no_torch() -> None:
    code = "import sys, dsbench.measuring.bench_records, dsbench.measuring.process; print('torch' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "False"
