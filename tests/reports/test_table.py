"""The table counts every run once, averages over seeds, and says what it shows."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from dsbench.errors import UsageError
from dsbench.records.run_folder import RunFolder
from dsbench.records.tables import runs_table
from dsbench.reports.table import COLUMNS, markdown, rows

ORIGIN = {
    "dsbench": "0.1.0",
    "git": {"commit": "0123456789abcdef", "dirty": False},
    "machine": {"cpu_model": "Abacus 3", "cores_usable": 4},
    "packages": {"torch": "2.13.0"},
    "torch": {"threads": 1, "gpus": []},
}


def make_run(results: Path, backbone: str, seed: int, status: str = "ok", **given: Any) -> str:
    """A run as the worker leaves it; `given`: settings "a.b" -> value, result_<key>, or parts of the provenance."""
    config: dict[str, Any] = {
        "backbone": {"name": backbone, "d_model": 64},
        "env": {"name": "umbrella"},
        "data": {"permute_returns": False},
        "train": {"lr": 0.003, "window": None, "log_every": 20},
        "seed": seed,
        "preset": "quick",
    }
    result: dict[str, Any] = {"first_action_accuracy": 0.5, "regret": 1.0, "peak_rss_bytes": 3 * 2**20}
    origin: dict[str, Any] = dict(ORIGIN)
    for name, value in given.items():
        if name.startswith("result_") and name != "result_version":
            result[name.removeprefix("result_")] = value
        elif name in ORIGIN or name in ("result_version", "sources", "data_made_with"):
            origin[name] = value
        else:
            part, _, key = name.rpartition(".")
            (config[part] if part else config)[key] = value
    slug = re.sub(r"[^a-z0-9]+", "_", backbone.lower())
    number = len(list(results.glob("runs/*")))
    run = RunFolder.open(results, f"{slug}-umbrella-s{seed}-number{number}")  # no name of ours
    with run.claim():
        run.write_config(config)
        run.write_provenance(origin)
        if status in ("running", "interrupted"):
            return run.run_id
        run.finish(status, result if status == "ok" else {"reason": given.get("result_reason", "it broke")})
    return run.run_id


def cells(text: str) -> list[dict[str, str]]:
    head, _, *body = [line[2:-2].split(" | ") for line in text.splitlines() if line.startswith("|")]
    return [dict(zip(head, line, strict=True)) for line in body]


def test_mean_and_interval_over_seeds_are_those_of_scipy(tmp_path: Path) -> None:
    values = [0.91, 0.97, 0.88, 0.99, 0.93]
    for seed, value in enumerate(values):
        make_run(tmp_path, "s4", seed, result_first_action_accuracy=value)
    (row,) = rows(tmp_path)
    low, high = stats.t.interval(0.95, 4, loc=np.mean(values), scale=stats.sem(values))
    found = row["metrics"]["score"]
    assert (found["mean"], found["low"], found["high"], found["n"]) == pytest.approx((np.mean(values), low, high, 5))
    assert (row["n"], row["seeds"], row["failures"]) == (5, [0, 1, 2, 3, 4], {})
    half = (high - low) / 2
    (cell,) = cells(markdown(tmp_path))
    assert cell["score ↑"] == f"{np.mean(values):.3f} ± {half:.3f}"
    assert cell["process peak MiB"] == "3 ± 0"
    assert cell["latency p50 µs ↓"] == "–"
    assert "n < 5" not in markdown(tmp_path)


def test_few_seeds_are_warned_of_and_a_single_one_has_no_interval(tmp_path: Path) -> None:
    make_run(tmp_path, "s4", 0)
    assert cells(markdown(tmp_path))[0]["score ↑"] == "0.500"
    assert rows(tmp_path)[0]["metrics"]["regret"] == {"mean": 1.0, "low": None, "high": None, "n": 1}
    assert "n < 5" in markdown(tmp_path)


def test_setting_lists_what_differs_and_only_that(tmp_path: Path) -> None:
    make_run(tmp_path, "s4", 0)
    make_run(tmp_path, "s4", 1, preset="paper", **{"train.log_every": 1})
    make_run(tmp_path, "s4", 0, **{"env.chain_length": 20, "data.permute_returns": True})
    make_run(tmp_path, "lstm", 0, **{"env.chain_length": 5})
    make_run(tmp_path, "lstm", 0)
    found = [(row["backbone"], row["setting"], row["n"]) for row in rows(tmp_path)]
    assert found == [
        ("lstm", "data.permute_returns=false", 1),
        ("s4", "data.permute_returns=false", 2),
        ("lstm", "env.chain_length=5, data.permute_returns=false", 1),
        ("s4", "env.chain_length=20, data.permute_returns=true", 1),
    ]


def test_nothing_is_a_setting_where_nothing_differs(tmp_path: Path) -> None:
    for backbone in ("s4", "gpt"):
        make_run(tmp_path, backbone, 0)
    assert [(row["backbone"], row["setting"]) for row in rows(tmp_path)] == [("gpt", ""), ("s4", "")]


@pytest.mark.parametrize("status", ["diverged", "failed", "timeout", "out_of_memory"])
def test_a_failure_is_counted_and_listed_and_its_costs_are_not_averaged(tmp_path: Path, status: str) -> None:
    make_run(tmp_path, "s4", 0)
    lost = make_run(tmp_path, "s4", 1, status, result_reason="loss is nan\nat step | 7")
    (row,) = rows(tmp_path)
    assert (row["n"], row["failures"], row["unfinished"]) == (1, {status: 1}, {})
    assert row["metrics"]["regret"]["n"] == 1
    text = markdown(tmp_path)
    assert cells(text)[0]["failures"] == f"1 (1 {status})"
    assert f"- `{lost}` {status}: `loss is nan at step | 7`" in text.splitlines()


def test_a_group_of_failures_alone_still_has_its_row(tmp_path: Path) -> None:
    make_run(tmp_path, "s4", 0, "failed")
    (cell,) = cells(markdown(tmp_path))
    assert (cell["n"], cell["failures"], cell["score ↑"]) == ("0", "1 (1 failed)", "–")
    assert set(rows(tmp_path)[0]["metrics"].values()) == {None}


def test_runs_under_way_are_shown_and_are_no_failures(tmp_path: Path) -> None:
    make_run(tmp_path, "s4", 0)
    make_run(tmp_path, "s4", 1, "interrupted")
    with RunFolder.open(tmp_path, "s4-umbrella-s2-young").claim():  # nothing written yet but the claim
        found = rows(tmp_path)
        text = markdown(tmp_path)
    assert [(row["backbone"], row["n"], row["unfinished"]) for row in found] == [
        ("s4", 1, {"interrupted": 1}),
        (None, 0, {"running": 1}),
    ]
    assert [row["failures"] for row in found] == [{}, {}]
    assert [row["setting"] for row in found] == ["", ""], "a run without a configuration differs in nothing known"
    assert cells(text)[0]["failures"] == "0 (1 interrupted)"
    assert "- `s4-umbrella-s2-young` running" in text


def test_a_number_that_one_seed_lacks_says_how_many_have_it(tmp_path: Path) -> None:
    make_run(tmp_path, "s4", 0, result_regret=0.0)
    make_run(tmp_path, "s4", 1, result_regret=float("nan"))
    assert cells(markdown(tmp_path))[0]["regret ↓"] == "0.000 (n=1)"


def test_two_runs_of_one_seed_are_no_two_seeds(tmp_path: Path) -> None:
    for seed, value in ((0, 0.2), (0, 0.4), (1, 0.5)):
        make_run(tmp_path, "s4", seed, result_first_action_accuracy=value)
    (row,) = rows(tmp_path)
    found = row["metrics"]["score"]
    assert (row["n"], found["n"], found["mean"]) == (2, 2, pytest.approx((0.3 + 0.5) / 2))
    assert "same settings and seed" in markdown(tmp_path)


def test_runs_whose_settings_gave_other_numbers_are_not_averaged_together(tmp_path: Path) -> None:
    make_run(tmp_path, "s4", 0)
    make_run(tmp_path, "s4", 1, dsbench="0.2.0")
    assert [row["n"] for row in rows(tmp_path)] == [2], "another release gives the same numbers"
    make_run(tmp_path, "s4", 2, result_version=2)
    found = [(row["setting"], row["n"]) for row in rows(tmp_path)]
    assert found == [("result_version=1", 2), ("result_version=2", 1)]


def test_two_versions_of_a_file_are_two_rows_and_five_seeds_of_it_are_one(tmp_path: Path) -> None:
    for seed in range(5):
        make_run(tmp_path, "mine.py:Net", seed, result_sources={"backbone": "a" * 64})
    make_run(tmp_path, "there/mine.py:Net", 7, result_sources={"backbone": "a" * 64})
    make_run(tmp_path, "mine.py:Net", 5, result_sources={"backbone": "b" * 64})
    make_run(tmp_path, "mine.py:Net", 6, status="running", sources={"backbone": "b" * 64})
    found = [(row["source"], row["n"], row["unfinished"]) for row in rows(tmp_path)]
    assert found == [("a" * 12, 6, {}), ("b" * 12, 1, {"interrupted": 1})]
    assert list(runs_table(tmp_path)["source"].dropna().unique()) == [f"backbone {digit * 12}" for digit in "ab"]


def test_rows_of_other_data_under_one_path_are_told_apart(tmp_path: Path) -> None:
    for seed, digest in enumerate(("one", "one", "two")):
        make_run(tmp_path, "s4", seed, result_sources={"data": f"d4rl:{digest}"}, **{"data.recipe": "d4rl:x.hdf5"})
    assert [(row["setting"], row["n"]) for row in rows(tmp_path)] == [
        ("data.content=d4rl:one", 2), ("data.content=d4rl:two", 1),
    ]  # fmt: skip


def test_seeds_whose_data_other_versions_made_are_not_averaged_together(tmp_path: Path) -> None:
    make_run(tmp_path, "s4", 0, data_made_with="bsuite==0.3.6, numpy==2.4.6")
    make_run(tmp_path, "s4", 1, data_made_with="bsuite==0.3.6, numpy==2.4.6")
    make_run(tmp_path, "s4", 2)  # of before that was noted
    make_run(tmp_path, "gpt", 0, data_made_with="bsuite==0.3.6, numpy==2.4.6")
    assert [(row["backbone"], row["setting"], row["n"]) for row in rows(tmp_path)] == [("gpt", "", 1), ("s4", "", 3)]
    make_run(tmp_path, "s4", 3, data_made_with="bsuite==0.3.7, numpy==2.4.6")
    found = [(row["backbone"], row["settings"].get("data.made_with"), row["n"]) for row in rows(tmp_path)]
    assert found == [
        ("s4", None, 1), ("gpt", "bsuite==0.3.6, numpy==2.4.6", 1), ("s4", "bsuite==0.3.6, numpy==2.4.6", 2),
        ("s4", "bsuite==0.3.7, numpy==2.4.6", 1),
    ]  # fmt: skip


def test_machines_and_versions_stand_below(tmp_path: Path) -> None:
    make_run(tmp_path, "s4", 0)
    make_run(tmp_path, "s4", 1)
    lines = markdown(tmp_path).splitlines()
    assert "- Abacus 3, 4 cores · torch 2.13.0 · threads 1 · dsbench 0.1.0 · commit 0123456789ab (2 runs)" in lines
    assert not any("compare only" in line for line in lines)
    make_run(tmp_path, "s4", 3, git={"commit": "fedcba9876543210", "dirty": True})
    text = markdown(tmp_path)
    assert "· commit 0123456789ab, fedcba987654 with changes (3 runs)" in text
    assert "compare only" not in text, "one machine"
    make_run(tmp_path, "s4", 2, machine={"cpu_model": None}, git={"commit": None, "dirty": None})
    text = markdown(tmp_path)
    assert "unknown CPU" in text
    assert "compare only" in text


def test_memory_of_a_gpu_has_a_column_where_there_is_one(tmp_path: Path) -> None:
    make_run(tmp_path, "s4", 0)
    assert "GPU MiB" not in markdown(tmp_path)
    make_run(tmp_path, "gpt", 0, result_peak_device_bytes=5 * 2**20)
    assert [cell["process peak GPU MiB"] for cell in cells(markdown(tmp_path))] == ["5", "–"]


def test_what_a_user_named_cannot_break_the_table(tmp_path: Path) -> None:
    make_run(tmp_path, "s4", 0, **{"backbone.kind": "a|b`c"})
    make_run(tmp_path, "s4", 0)
    body = [line for line in markdown(tmp_path).splitlines() if line.startswith("|")]
    assert len({line.replace("\\|", "").count("|") for line in body}) == 1


def test_rows_are_strict_json_and_the_same_each_time(tmp_path: Path) -> None:
    make_run(tmp_path, "s4", 0, result_regret=float("inf"))
    make_run(tmp_path, "gpt", 3, "timeout")
    first = json.dumps(rows(tmp_path), allow_nan=False)
    assert first == json.dumps(rows(tmp_path), allow_nan=False)
    assert json.loads(first)[1]["metrics"].keys() == {column.key for column in COLUMNS}


def test_a_folder_that_cannot_be_written_can_be_read(tmp_path: Path) -> None:
    make_run(tmp_path, "s4", 0)
    before = sorted((path, path.stat().st_mtime_ns) for path in tmp_path.rglob("*"))
    for folder, _, _ in os.walk(tmp_path):
        os.chmod(folder, 0o555)
    try:
        assert rows(tmp_path)[0]["n"] == 1
        assert markdown(tmp_path)
    finally:
        for folder, _, _ in os.walk(tmp_path):
            os.chmod(folder, 0o755)
    assert before == sorted((path, path.stat().st_mtime_ns) for path in tmp_path.rglob("*"))


@pytest.mark.parametrize("made", ["", "runs"])
def test_a_folder_without_runs_says_how_to_make_some(tmp_path: Path, made: str) -> None:
    (tmp_path / "there" / made).mkdir(parents=True)
    for folder in (tmp_path / "there", tmp_path / "missing"):
        for show in (rows, markdown):
            with pytest.raises(UsageError, match="dsbench run") as caught:
                show(folder)
            assert str(folder) in str(caught.value)
            assert "\n" not in str(caught.value)


def test_a_table_needs_no_torch(tmp_path: Path) -> None:
    make_run(tmp_path, "s4", 0)
    make_run(tmp_path, "s4", 1)
    code = (
        "import sys; from dsbench.reports.table import markdown; markdown(sys.argv[1]); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, cwd="/")
    assert done.stdout.strip() == "False", done.stderr


def test_a_latency_measured_beside_other_work_stands_only_where_there_is_no_other(tmp_path: Path) -> None:
    for seed, (latency, share) in enumerate([(400.0, 0.0), (420.0, 0.1), (1900.0, 0.9)]):
        make_run(tmp_path, "s4", seed, result_latency_p50_us=latency, result_latency_contended=share)
    make_run(tmp_path, "gpt", 0, result_latency_p50_us=1700.0, result_latency_contended=1.0)
    found = {row["backbone"]: row["metrics"]["latency_p50_us"] for row in rows(tmp_path)}
    assert (found["s4"]["mean"], found["s4"]["n"]) == (410.0, 2)
    assert (found["gpt"]["mean"], found["gpt"]["n"]) == (1700.0, 1)
    text = markdown(tmp_path)
    assert "in 2 of 4 runs other work had the core for more than 25 % of the time" in text
    assert "(n=2)" in next(cell["latency p50 µs ↓"] for cell in cells(text) if cell["backbone"] == "s4")
