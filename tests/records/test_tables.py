"""Tables say what the journals say: all of it, once, sorted, with nothing made up."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import dsbench
from dsbench.errors import MissingExtra, UnknownName, UsageError
from dsbench.records import tables
from dsbench.records.run_folder import RunFolder
from dsbench.records.tables import LONG_COLUMNS, event_record, export, load, long_table, metric_record, runs_table

CONFIG = {
    "backbone": {"name": "s4", "d_model": 64},
    "env": {"name": "umbrella", "chain_length": 10},
    "train": {"lr": 1e-3, "window": None},
    "eval": {"decode": ["argmax", "sample"]},
    "seed": 3,
}


def loss(value: float, step: int) -> dict[str, Any]:
    return metric_record(phase="train", metric="loss", value=value, step=step)


def make_run(results: Path, run_id: str, window: int | None = None) -> RunFolder:
    run = RunFolder.open(results, run_id)
    with run.claim():
        run.write_config({**CONFIG, "train": {"lr": 1e-3, "window": window}})
        run.journal.append_many(loss(1 / step, step) for step in (1, 2))
        run.journal.append(event_record("checkpoint", step=2, detail={"x": 1}))
        run.finish("ok", {"backbone": "s4", "return": 0.5, "regret": None, "reason": None})
    return run


def test_runs_has_a_row_a_run_with_its_settings_and_outcome(tmp_path: Path) -> None:
    make_run(tmp_path, "b")
    make_run(tmp_path, "a", window=7)
    with RunFolder.open(tmp_path, "c").claim():
        runs = runs_table(tmp_path)
    assert list(runs["run_id"]) == ["a", "b", "c"]
    assert list(runs["status"]) == ["ok", "ok", "running"]
    assert list(runs_table(tmp_path)["status"]) == ["ok", "ok", "interrupted"]
    first = runs.iloc[0]
    assert (first["backbone"], first["env"], first["seed"], first["attempt"]) == ("s4", "umbrella", 3, 1)
    assert (first["train.lr"], first["env.chain_length"], first["eval.decode"]) == (
        1e-3,
        10,
        '["argmax", "sample"]',
    )
    assert (first["train.window"], first["result.return"]) == (7, 0.5)
    assert runs["train.window"].dtype == "Int64"
    assert runs["result.regret"].isna().all()
    assert "result.backbone" not in runs


def test_long_has_fixed_columns_and_types_whatever_was_recorded(tmp_path: Path) -> None:
    make_run(tmp_path, "a")
    long = long_table(tmp_path)
    assert tuple(long.columns) == LONG_COLUMNS
    assert list(long["value"]) == [1.0, 0.5]
    assert list(long["attempt"]) == [1, 1]
    assert long["decode"].isna().all()
    (tmp_path / "empty" / "runs").mkdir(parents=True)
    empty = load(tmp_path / "empty")
    assert list(empty.long.dtypes) == list(long.dtypes)
    assert len(empty.long) == len(empty.runs) == 0


def test_a_number_written_again_after_a_resume_is_there_once_and_the_last_stands(tmp_path: Path) -> None:
    run = make_run(tmp_path, "a")
    run.journal.append(loss(9.0, step=2))
    run.journal.append(metric_record(phase="train", metric="loss", value=8.0, step=2, decode="argmax"))
    with run.claim(force=True):
        run.journal.append(loss(7.0, step=2))
    long = long_table(tmp_path)
    assert list(zip(long["attempt"], long["step"], long["value"], strict=True)) == [
        (1, 1, 1.0), (1, 2, 9.0), (1, 2, 8.0), (2, 2, 7.0),
    ]  # fmt: skip
    assert runs_table(tmp_path)["attempt"].tolist() == [1]  # the forced attempt has no result yet


def test_a_value_that_is_no_number_is_missing_with_its_reason(tmp_path: Path) -> None:
    run = RunFolder.open(tmp_path, "a")
    run.journal.append(metric_record(metric="loss", value=float("nan"), target_return=float("inf")))
    run.journal.append(metric_record(metric="power", value=None, reason="no meter"))
    long = long_table(tmp_path)
    assert long["value"].isna().all()
    assert list(long["reason"]) == ["nan", "no meter"]


def test_columns_and_events_are_checked_when_recorded() -> None:
    with pytest.raises(TypeError):
        metric_record(metric="loss", value=1.0, stepp=3)  # type: ignore[call-arg]
    assert set(metric_record(metric="loss", value=1)) == {"kind", "metric", "value", "time"}
    with pytest.raises(UnknownName, match="Did you mean 'resume'"):
        event_record("resumed")


def test_the_tables_do_not_depend_on_the_order_of_writing(tmp_path: Path) -> None:
    records = [metric_record(metric=name, value=1.0, step=step) for name in "ab" for step in range(3)]
    for name, order in (("x", records), ("y", records[::-1])):
        RunFolder.open(tmp_path / name, "run").journal.append_many(order)
    pd.testing.assert_frame_equal(long_table(tmp_path / "x"), long_table(tmp_path / "y"))


def test_a_torn_tail_is_skipped_and_damage_is_named(tmp_path: Path) -> None:
    run = make_run(tmp_path, "a")
    with run.journal.path.open("ab") as file:
        file.write(b'0123abcd {"kind":"met')
    assert len(long_table(tmp_path)) == 2
    run.journal.path.write_bytes(run.journal.path.read_bytes().replace(b"0.5", b"0.6"))
    (row,) = runs_table(tmp_path).to_dict("records")
    assert row["status"] == "unreadable" and "runs/a/journal.jsonl line 2" in row["reason"]
    assert len(long_table(tmp_path)) == 0


def test_csv_reads_back_exactly(tmp_path: Path) -> None:
    run = make_run(tmp_path, "a")
    nasty = 'he said "no",\r\nthen ü'
    run.journal.append(metric_record(metric="x", value=0.1 + 0.2, reason=nasty, round=1))
    paths = export(tmp_path, tmp_path / "tables")
    assert [path.name for path in paths] == ["runs.csv", "long.csv", "schema.json"]
    with paths[1].open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, strict=True))
    assert tuple(rows[0]) == LONG_COLUMNS
    row = next(row for row in rows if row["metric"] == "x")
    assert (float(row["value"]), row["reason"], row["step"], row["round"]) == (0.1 + 0.2, nasty, "", "1")
    first = {path.name: path.read_bytes() for path in paths}
    assert {path.name: path.read_bytes() for path in export(tmp_path, tmp_path / "tables")} == first


def test_parquet_is_the_same_table_and_needs_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pyarrow")
    make_run(tmp_path, "a")
    paths = export(tmp_path, tmp_path / "tables", "parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(paths[1]), long_table(tmp_path), check_dtype=False)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(MissingExtra, match=r"\[parquet\]"):
        export(tmp_path, tmp_path / "tables", "parquet")


def test_wrong_requests_name_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no results in .*--results DIR"):
        load(tmp_path / "nowhere")
    with pytest.raises(UnknownName, match="parquet"):
        export(tmp_path, tmp_path, "parket")
    run = RunFolder.open(tmp_path, "a")
    run.journal.append({"kind": "metric", "metric": "loss", "value": 1, "universe": 2})
    (row,) = load(tmp_path).runs.to_dict("records")
    assert row["status"] == "unreadable" and "'universe'" in row["reason"] and "upgrade" in row["reason"]


def test_reading_changes_nothing_and_needs_no_write_rights(tmp_path: Path) -> None:
    make_run(tmp_path, "a")
    paths = [tmp_path, *sorted(tmp_path.rglob("*"))]
    before = {path: path.stat().st_mtime_ns for path in paths}
    for path in paths:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        load(tmp_path)
        assert [tmp_path, *sorted(tmp_path.rglob("*"))] == paths
        assert {path: path.stat().st_mtime_ns for path in paths} == before
    finally:
        for path in paths:
            path.chmod(0o755)


def test_reading_loads_no_torch_and_recording_no_pandas(tmp_path: Path) -> None:
    make_run(tmp_path, "a")
    code = (
        "import sys, dsbench.records.tables as t, dsbench.records.run_folder; "
        "assert not {'torch', 'pandas'} & set(sys.modules); t.load(sys.argv[1]); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, cwd=tmp_path)


def test_the_records_never_unpickle() -> None:
    folder = Path(dsbench.__file__).parent / "records"
    sources = "".join(path.read_text() for path in folder.glob("*.py"))
    assert not any(word in sources for word in ("import pickle", "torch.load", "torch.save", "yaml.unsafe", "eval("))
    assert tables.SCHEMA_VERSION == 2
