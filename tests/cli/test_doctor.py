"""``dsbench doctor``: what works here, why, and the way out."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from dsbench.backbones.kernels.choice import Operation
from dsbench.backbones.kernels.linear import LINEAR_SCAN
from dsbench.cli import main


def test_doctor_tells_and_never_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json", "--results", str(tmp_path)]) == 0
    found = {item["what"]: item for item in json.loads(capsys.readouterr().out)}
    assert {"python", "torch", "threads", "gpu", "kernel of s4", "extra hf", "locks", "free space"} <= found.keys()
    assert found["locks"]["ok"]


def test_doctor_has_a_line_for_every_way_to_run_each_recurrence_and_a_compiled_step(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor", "--json", "--results", str(tmp_path)]) == 0
    found = {item["what"]: item["found"] for item in json.loads(capsys.readouterr().out)}
    for operation in ("selective scan", "diagonal scan", "linear scan", "diagonal system"):
        lines = {what.split(": ")[1]: line for what, line in found.items() if what.startswith(f"{operation}: ")}
        assert {"c", "torch"} <= lines.keys()
        assert lines["torch"].startswith("runs: plain torch")
        assert sum("auto takes it on cpu" in line for line in lines.values()) == 1
    assert {"selective scan: triton", "selective scan: mamba_ssm", "diagonal scan: triton"} <= found.keys()
    assert {"compiled step: onnx", "compiled step: cuda-graph"} <= found.keys()


def test_doctor_says_that_there_was_no_compiler_and_the_way_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    why = "there was no C compiler at installation; pip install it"
    routes = [replace(one, unavailable=lambda: why) if one.name == "c" else one for one in LINEAR_SCAN.routes]
    monkeypatch.setattr("dsbench.backbones.kernels.linear.LINEAR_SCAN", Operation("linear scan", routes))
    assert main(["doctor", "--json", "--results", str(tmp_path)]) == 0
    found = {item["what"]: item for item in json.loads(capsys.readouterr().out)}
    assert not found["linear scan: c"]["ok"]
    assert found["linear scan: c"]["way_out"] == why
    assert found["linear scan: torch"]["found"].startswith("runs: plain torch; auto takes it on cpu")
