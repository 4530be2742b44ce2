"""A measuring in this process: an end in the middle keeps what there is."""

from __future__ import annotations

import signal
from pathlib import Path

import numpy as np
import pytest

from dsbench import stopping
from dsbench.measuring import bench
from dsbench.measuring.bench import Measuring
from dsbench.measuring.bench_records import NOT_REACHED, new_folder, read_bench
from dsbench.measuring.peaks import Peaks
from dsbench.measuring.plan import QUICK
from dsbench.measuring.request import Request

ENDLESS = 100_000  # rounds


def request(results: Path) -> Request:
    return Request(
        backbones=("lstm",), env="umbrella", grid=QUICK.with_contexts([3]), kind="quick", results=str(results),
        modes=("recurrent", "train"), overrides=("backbone.d_model=8",), rounds=ENDLESS, device="cpu",
    )  # fmt: skip


def test_a_request_survives_json(tmp_path: Path) -> None:
    assert Request.from_json(request(tmp_path).to_json()) == request(tmp_path)


def test_what_was_measured_before_a_signal_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "measure_peaks", lambda device, generator: Peaks(1e10, 1e11, 2**20, 1e11))

    def report(phase: str, done: int, total: int, message: str = "") -> None:
        if done >= 1500:  # more than the longest warm-up of three contestants
            monkeypatch.setattr(stopping, "_asked", signal.SIGTERM)

    measuring = Measuring(request(tmp_path), report)
    folder = new_folder(tmp_path, "quick")
    measuring.run(folder)
    found = read_bench(folder)
    decisions, training = found.rows(mode="recurrent"), found.rows(mode="train")
    assert [row["status"] for row in decisions] == ["ok", "ok"]
    assert all(str(row["reason"]).startswith("stopped after") and row["p50_us"] > 0 for row in decisions)
    assert {(row["status"], row["reason"]) for row in training} == {("skipped", NOT_REACHED)}
    assert (folder / "cells.csv").is_file()
    with np.load(folder / "samples.npz", allow_pickle=False) as samples:
        assert len(samples["lstm.recurrent.model.t3.b1"]) == decisions[0]["rounds"] >= 1
