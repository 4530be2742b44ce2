"""What a bench measured stands in the report, with the crossover where two lines meet."""

from __future__ import annotations

from pathlib import Path

import pytest

from dsbench.records.journal import Journal
from dsbench.reports.content.build import build
from dsbench.reports.content.costs import costs


def bench(results: Path, name: str, times: dict[tuple[str, str], dict[int, float]]) -> None:
    """A bench with these microseconds; a cell without a number is one that took too long."""
    journal = Journal(results / "bench" / name / "journal.jsonl")
    for (backbone, mode), cells in times.items():
        for context, value in cells.items():
            key = {"cell_id": f"{backbone}-{mode}-{context}", "backbone": backbone, "mode": mode, "context": context}
            journal.append({"kind": "planned", **key, "loop": "model", "batch": 1, "parameters_backbone": 66_000})
            told = {
                "status": "ok",
                "p50_us": value,
                "p50_low_us": 0.9 * value,
                "p50_high_us": 1.1 * value,
                "reason": None,
            }
            lost = {"status": "timeout", "reason": "took too long"}
            journal.append({"kind": "timed", "cell_id": key["cell_id"], **(told if value > 0 else lost)})
            journal.append({"kind": "counted", "cell_id": key["cell_id"], "state_bytes": 1024})


def test_the_crossover_is_where_the_lines_meet(tmp_path: Path) -> None:
    times = {
        ("gpt", "kv_cache"): {1: 100.0, 101: 200.0, 201: 300.0, 1000: -1.0},
        ("s4", "recurrent"): {1: 150.0, 201: 150.0, 1000: 150.0},
    }
    bench(tmp_path, "20260101t000000-quick", {("gpt", "kv_cache"): {1: 7.0}})
    bench(tmp_path, "20260102t000000-quick", times)
    section = costs(tmp_path)
    found = {table.name: table for table in section.tables}
    assert "Bench 20260102t000000-quick, the newest of several" in section.paragraphs[0]
    assert [cell.text for cell in found["latency-context"].rows[0][:4]] == ["gpt", "kv cache", "100 ± 10", "200 ± 20"]
    (crossing,) = found["crossover"].rows
    assert crossing[2].value == pytest.approx(51.0)
    assert [cell.text for cell in found["bench-missing"].rows[0]][5:] == ["timeout", "took too long"]
    assert [figure.name for figure in section.figures] == ["latency-context", "memory-context"]
    assert "s4 recurrent beats gpt kv cache from t = 51" in section.figures[0].caption


def test_without_a_bench_one_line_says_how_to_make_one(tmp_path: Path) -> None:
    section = costs(tmp_path)
    assert section.paragraphs == (f"No bench is here; measure with: dsbench bench --results {tmp_path.name}",)
    assert not section.tables and not section.figures


def test_a_bench_alone_makes_a_report(tmp_path: Path) -> None:
    bench(tmp_path, "20260101t000000-quick", {("s4", "recurrent"): {1: 150.0}})
    assert build(tmp_path, {}).report.sections[0].name == "costs"
