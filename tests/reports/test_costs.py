"""What a bench measured stands in the report, with the crossover where two lines meet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dsbench.records.encoding import seal
from dsbench.records.journal import Journal
from dsbench.records.store import Stored, stored_in
from dsbench.reports.content.bench_headline import newest_headline
from dsbench.reports.content.build import build
from dsbench.reports.content.costs import costs
from dsbench.reports.content.ways import core_of, newest, overlap
from dsbench.reports.contention import Core
from dsbench.reports.document import Table


def bench(
    results: Path,
    name: str,
    times: dict[tuple[str, str], dict[int, float]],
    loop: str = "model",
    batch: int = 1,
    shared: dict[int, int] | None = None,
) -> None:
    """A bench with these microseconds; a cell without a number is one that took too long.

    Args:
        shared: context -> rounds of ten in which others had the core.
    """
    (results / "bench" / name).mkdir(parents=True, exist_ok=True)
    journal = Journal(results / "bench" / name / "journal.jsonl")
    for (backbone, mode), cells in times.items():
        for context, value in cells.items():
            key = {
                "cell_id": f"{backbone}-{mode}-{loop}-{context}-{batch}",
                "backbone": backbone,
                "mode": mode,
                "context": context,
            }
            setting = {
                "loop": loop,
                "batch": batch,
                "env": "hopper",
                "parameters_backbone": 66_000,
                "threads": 1,
                "device": "cpu",
            }
            journal.append({"kind": "planned", **key, **setting})
            told = {
                "status": "ok",
                "p50_us": value,
                "p50_low_us": 0.9 * value,
                "p50_high_us": 1.1 * value,
                "reason": None,
                "rounds": 10,
                "contended_rounds": (shared or {}).get(context, 0),
            }
            lost = {"status": "timeout", "reason": "took too long"}
            journal.append({"kind": "timed", "cell_id": key["cell_id"], **(told if value > 0 else lost)})
            journal.append(
                {"kind": "counted", "cell_id": key["cell_id"], "state_bytes": 1024, "peak_allocated_bytes": 2**21}
            )


def train(results: Path, name: str, backbone: str, speeds: dict[int, float]) -> None:
    (results / "bench" / name).mkdir(parents=True, exist_ok=True)
    journal = Journal(results / "bench" / name / "journal.jsonl")
    for length, speed in speeds.items():
        key = {"cell_id": f"{backbone}.train.L{length}", "backbone": backbone, "mode": "train", "length": length}
        journal.append({"kind": "planned", **key, "batch": 16})
        told = {
            "status": "ok",
            "p50_us": 16e6 * length / speed,
            "train_tokens_per_second": speed,
            "rounds": 5,
            "contended_rounds": 0,
        }
        journal.append({"kind": "timed", "cell_id": key["cell_id"], "implementation": "c", **told})
        journal.append({"kind": "counted", "cell_id": key["cell_id"], "peak_allocated_bytes": 3 * 2**20})


def texts(table: Table) -> list[list[str]]:
    return [[cell.text for cell in row] for row in table.rows]


TIMES = {
    ("gpt", "kv_cache"): {1: 100.0, 101: 200.0, 201: 300.0, 1000: -1.0},
    ("s4", "recurrent"): {1: 150.0, 201: 150.0, 1000: 150.0},
}


def test_the_crossover_is_where_the_lines_meet(tmp_path: Path) -> None:
    bench(tmp_path, "20260101t000000-quick", {("gpt", "kv_cache"): {1: 7.0}})
    bench(tmp_path, "20260102t000000-quick", TIMES)
    section = costs(newest(stored_in(tmp_path)), tmp_path.name)
    found = {table.name: table for table in section.tables}
    assert "Bench 20260102t000000-quick, the newest of several" in section.paragraphs[0]
    assert texts(found["latency-context"])[0][:5] == ["gpt", "kv cache", "model alone", "100 ± 10", "200 ± 20"]
    assert "Batch 1." in found["latency-context"].notes[0]
    (crossing,) = found["crossover"].rows
    assert crossing[2].value == pytest.approx(51.0)
    # 90 to 180 against 165: the ends of the intervals meet five sixths of the way to t = 101
    assert crossing[3].value == pytest.approx(1 + 100 * 75 / 90)
    assert [cell.text for cell in found["bench-missing"].rows[0]][5:] == ["timeout", "took too long"]
    assert [figure.name for figure in section.figures] == ["latency-context", "memory-context"]
    assert "s4 recurrent takes less than gpt KV cache from t = 51" in section.figures[0].caption


def test_the_environment_in_the_loop_and_larger_batches_stand_beside(tmp_path: Path) -> None:
    for loop, batch in (("model", 1), ("env", 1), ("model", 64)):
        bench(tmp_path, "20260101t000000-full", {("s4", "recurrent"): {1: 100.0 * batch}}, loop, batch)
    section = costs(newest(stored_in(tmp_path)), tmp_path.name)
    latency, memory = section.tables
    assert [row[2:5] for row in texts(latency)] == [
        ["model alone", "1", "100 ± 10"], ["with hopper", "1", "100 ± 10"], ["model alone", "64", "6,400 ± 640"]
    ]  # fmt: skip
    assert [row[2] for row in texts(memory)] == ["1", "64"]
    assert texts(memory)[0][4:] == ["66,000", "–", "1.0 KiB", "1.0 KiB", "2.0 MiB", "–"]
    assert [figure.name for figure in section.figures] == ["latency-context", "latency-context-b64", "memory-context"]


def test_training_speed_stands_against_the_length_of_a_row(tmp_path: Path) -> None:
    train(tmp_path, "20260101t000000-quick", "s4", {64: 2e5, 1024: 4e5})
    section = costs(newest(stored_in(tmp_path)), tmp_path.name)
    (table,) = section.tables
    assert [row[2:6] for row in texts(table)] == [["64", "16", "200,000", "5.1"], ["1024", "16", "400,000", "41.0"]]
    assert texts(table)[0][7] == "3.0 MiB"
    assert [figure.name for figure in section.figures] == ["throughput"]


def test_the_headline_says_who_is_fastest_and_whose_interval_overlaps(tmp_path: Path) -> None:
    bench(tmp_path, "20260101t000000-quick", TIMES | {("lstm", "recurrent"): {1: 500.0, 201: 500.0, 1000: 160.0}})
    (sentence,) = newest_headline(newest(stored_in(tmp_path)))
    assert "gpt KV cache (100 µs, 95 % interval 90 to 110, overlapping no other) at t = 1" in sentence
    assert (
        "s4 recurrent (150 µs, 95 % interval 135 to 165, which overlaps that of lstm recurrent) at t = 1,000"
        in sentence
    )
    assert (
        "gpt KV cache is overtaken by recurrent steps from t = 51 on (s4) and is not overtaken up to t = 201 by lstm"
        in sentence
    )
    assert build(tmp_path, {}).report.headline == (sentence,)


def test_what_was_measured_beside_other_work_is_marked_hollow_and_compared_with_nothing(tmp_path: Path) -> None:
    bench(
        tmp_path, "20260101t000000-quick", TIMES, shared={201: 3, 1: 2}
    )  # of ten rounds; a fifth of them moves no median
    section = costs(newest(stored_in(tmp_path)), tmp_path.name)
    found = {table.name: table for table in section.tables}
    assert [row[3:6] for row in texts(found["latency-context"])] == [
        ["100 ± 10", "200 ± 20", "300 ± 30*"], ["150 ± 15", "–", "150 ± 15*"]
    ]  # fmt: skip
    assert all(cell.text.endswith("*") for cell in found["crossover"].rows[0][2:])
    captions = {figure.name: figure.caption for figure in section.figures}
    assert "Hollow: others had the core in more than 25 % of the rounds" in captions["latency-context"]
    assert "from t = 51*" in captions["latency-context"]
    assert "Hollow" not in captions["memory-context"]
    (sentence,) = newest_headline(newest(stored_in(tmp_path)))
    assert "gpt KV cache (100 µs, 95 % interval 90 to 110, overlapping no other) at t = 1" in sentence
    assert "from t = 51 on (s4), others had the core" in sentence


@pytest.mark.parametrize("told", [{"threads": 2}, {"device": "cuda"}, {"contended_rounds": None}])
def test_what_cpu_time_cannot_tell_is_not_known(told: dict[str, Any]) -> None:
    row = {"threads": 1, "device": "cpu", "rounds": 10, "contended_rounds": 0}
    assert core_of(row) is Core.ALONE
    assert core_of(row | told) is Core.UNKNOWN
    p50 = {"p50_us": 1.0, "p50_low_us": 0.9, "p50_high_us": 1.1}
    far = {name: 100 * value for name, value in p50.items()}
    assert not overlap(row | p50, row | far)
    assert overlap(row | p50, row | far | told)


def test_without_a_bench_one_line_says_how_to_make_one(tmp_path: Path) -> None:
    section = costs(newest(Stored()), tmp_path.name)
    assert section.paragraphs == (f"No bench is here; measure with: dsbench bench --results {tmp_path.name}",)
    assert not section.tables and not section.figures


def test_a_bench_alone_makes_a_report(tmp_path: Path) -> None:
    bench(tmp_path, "20260101t000000-quick", {("s4", "recurrent"): {1: 150.0}})
    assert build(tmp_path, {}).report.sections[0].name == "costs"


def test_a_bench_says_on_which_machine_it_was_measured(tmp_path: Path) -> None:
    bench(tmp_path, "20260101t000000-quick", TIMES)
    assert not costs(newest(stored_in(tmp_path)), tmp_path.name).paragraphs[0].count("commit")
    origin = {
        "dsbench": "0.1.0",
        "machine": {"cpu_model": "Abacus 3", "cores_usable": 4},
        "packages": {"torch": "2.13.0"},
        "torch": {"threads": 1},
        "git": {"commit": "0123456789abcdef", "dirty": False},
    }
    (tmp_path / "bench" / "20260101t000000-quick" / "provenance.json").write_bytes(seal(origin))
    expected = "; Abacus 3, 4 cores · torch 2.13.0 · threads 1 · dsbench 0.1.0 · commit 0123456789ab."
    assert costs(newest(stored_in(tmp_path)), tmp_path.name).paragraphs[0].endswith(expected)


def test_a_report_of_a_bench_alone_speaks_of_no_runs_and_cites_what_was_measured(tmp_path: Path) -> None:
    bench(tmp_path, "20260101t000000-quick", TIMES)
    sections = {section.name: section for section in build(tmp_path, {}).report.sections}
    assert set(sections) == {"costs", "citations"}
    assert "radford2019language" in sections["citations"].preformatted  # gpt
    assert "gu2022efficiently" in sections["citations"].preformatted  # s4
