"""Studies that measure: the page says what the cells hold, and the same is not measured twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dsbench.measuring.bench_records import COLUMNS, JOURNAL, NOT_REACHED, read_bench
from dsbench.records.journal import Journal
from dsbench.studies.latency import bench_report, measured_before, request_of
from dsbench.studies.study_file import load_study

TIMES = {("gpt", "kv_cache"): {1: 100.0, 300: 400.0}, ("s4", "recurrent"): {1: 250.0, 300: 250.0}}


def cell(backbone: str, mode: str, context: int, time: float | None, **others: Any) -> dict[str, Any]:
    status = {"status": "ok"} if time is not None else {"status": "timeout", "reason": "too slow"}
    own = {
        "cell_id": f"{backbone}.{mode}.t{context}", "backbone": backbone, "mode": mode, "context": context,
        "loop": "model", "batch": 1, "env": "umbrella", "p50_us": time, "state_bytes": 1_024 * context,
        "rounds": 10, "contended_rounds": 0,
    }  # fmt: skip
    return dict.fromkeys(COLUMNS) | own | status | others


def measuring(results: Path, request: Any, unfinished: bool = False) -> Path:
    """A folder as `dsbench bench` leaves it."""
    folder = results / "bench" / f"made-{unfinished}"
    folder.mkdir(parents=True)
    journal = Journal(folder / JOURNAL)
    journal.append({**request.to_json(), "kind": "bench"})
    cells = [cell(*key, context, time) for key, own in TIMES.items() for context, time in own.items()]
    cells.append(cell("gpt", "window", 300, None))
    for one in cells:
        journal.append({"kind": "planned", **{k: one[k] for k in ("cell_id", "backbone", "mode", "context")}})
        if not unfinished:
            journal.append({"kind": "timed", **one})
    return folder


def test_growth_crossover_and_failures_are_told(tmp_path: Path) -> None:
    name, study = load_study("latency-context")
    bench = read_bench(measuring(tmp_path, request_of(study, "quick", tmp_path)))
    report = bench_report(name, study, "quick", bench, "dsbench study latency-context")
    fastest, growth = report.headline
    assert "the least median is that of gpt KV cache (100 µs, interval not known" in fastest
    # 100 + 300 (t - 1) / 299 = 250 at 150.5
    assert "gpt KV cache is overtaken by recurrent steps from t = 150 on (s4)" in fastest
    assert growth == "Time at t = 300 over that at t = 1: gpt KV cache 4.00, s4 recurrent 1.00."
    sections = {section.name: section for section in report.sections}
    (table,) = sections["answer"].tables
    assert [[each.value for each in row] for row in table.rows] == [
        ["gpt KV cache", 100.0, 400.0, 4.0, 307_200], ["s4 recurrent", 250.0, 250.0, 1.0, 307_200]
    ]  # fmt: skip
    assert [row[0].text for row in sections["missing"].tables[0].rows] == ["gpt.window.t300"]
    assert [row[1].value for row in sections["published"].tables[0].rows][:2] == [2.1, 2.3]


def test_only_a_whole_measuring_of_the_same_is_taken_again(tmp_path: Path) -> None:
    _, study = load_study("latency-context")
    request = request_of(study, "quick", tmp_path)
    assert measured_before(request, tmp_path) is None
    measuring(tmp_path, request, unfinished=True)
    assert measured_before(request, tmp_path) is None
    folder = measuring(tmp_path, request)
    found = measured_before(request, tmp_path)
    assert found is not None and found.name == folder.name
    assert measured_before(request_of(study, "quick", tmp_path / "elsewhere"), tmp_path) is not None
    assert measured_before(request_of(study, "quick", tmp_path, ["backbone.d_model=64"]), tmp_path) is None
    assert measured_before(request_of(study, "full", tmp_path), tmp_path) is None
    assert all(row["reason"] == NOT_REACHED for row in read_bench(tmp_path / "bench" / "made-True").cells.values())
