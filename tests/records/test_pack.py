"""A pack says what the folder says that it was made of; what was made to do harm is refused in a sentence."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import dsbench
from dsbench.cli import main
from dsbench.errors import UsageError
from dsbench.records.pack import pack_bytes, read_pack
from dsbench.records.packing import pack
from dsbench.records.tables import runs_table
from dsbench.reports import figures
from dsbench.reports.content.build import build
from dsbench.reports.markdown import markdown
from tests.records.hostile_packs import bombs, damaged, others, places, sound_pack, sound_runs, tricks
from tests.records.judging import MOST_BYTES, peak_bytes
from tests.records.sound import BENCH, Files, bench_files, put, run_files, sound_results
from tests.reports.synthetic import ORIGIN

ELSEWHERE = {"machine": {**ORIGIN["machine"], "cpu_model": "Babbage 9"}}


def lay(results: Path, *runs: tuple[str, Files]) -> Path:
    """A results folder of these runs."""
    for name, files in runs:
        put(results / "runs" / name, files)
    return results


def told(capsys: pytest.CaptureFixture[str], *command: object) -> str:
    assert main([str(word) for word in command]) == 0
    return capsys.readouterr().out


# ---------------------------------------------------------------------- what a pack says


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing is most of the time of a report."""
    monkeypatch.setattr(figures, "render", lambda canvas, name, title: ("<svg/>", b""))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    put(tmp_path / "results", {name: data for name, data in sound_results().files.items() if not name.endswith(".dsb")})
    return tmp_path / "results"


def test_the_same_records_give_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    first = pack(folder, tmp_path / "a.dsb").path.read_bytes()
    other = lay(
        tmp_path / "other",
        *[
            (run.name, {f.name: f.read_bytes() for f in sorted(run.iterdir(), reverse=True)})
            for run in (folder / "runs").iterdir()
        ],
    )
    put(other / "bench" / BENCH, bench_files())
    assert pack(other, tmp_path / "b.dsb").path.read_bytes() == first
    assert pack(tmp_path / "a.dsb", tmp_path / "c.dsb").path.read_bytes() == first


def test_everything_that_reads_says_of_a_pack_what_it_says_of_the_folder(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], undrawn: None
) -> None:
    packed = pack(folder, tmp_path / "results.dsb").path
    for command in (["report"], ["report", "--json"], ["cite"]):
        mine = told(capsys, command[0], packed, *command[1:]).replace("results.dsb", "results")
        assert mine == told(capsys, command[0], folder, *command[1:])
    mine, its = dsbench.load(packed), dsbench.load(folder)
    pd.testing.assert_frame_equal(mine.runs, its.runs)
    pd.testing.assert_frame_equal(mine.long, its.long)
    for place, out in ((packed, "a"), (folder, "b")):
        told(capsys, "export", place, "--out", tmp_path / out)
    assert (tmp_path / "a/long.csv").read_bytes() == (tmp_path / "b/long.csv").read_bytes()
    assert (tmp_path / "a/runs.csv").read_bytes() == (tmp_path / "b/runs.csv").read_bytes()
    pages = [markdown(build(place, {}).report).replace("results.dsb", "results") for place in (packed, folder)]
    assert pages[0] == pages[1]


def test_packs_in_a_folder_and_several_places_are_read_together(tmp_path: Path) -> None:
    one, other = lay(tmp_path / "one", run_files("gpt")), lay(tmp_path / "other", run_files("s4"))
    packed = pack(one, tmp_path / "other" / "one.dsb").path
    both = list(runs_table(other)["run_id"])
    assert len(both) == 2
    assert list(runs_table([one, other / "runs/.."])["run_id"]) == both
    assert list(runs_table([packed, other])["run_id"]) == both
    assert list(dsbench.load((str(packed), other)).runs["run_id"]) == both


# ---------------------------------------------------------------------- the same run in several places


def test_the_same_run_in_two_places_is_one_run(tmp_path: Path) -> None:
    one, other = (lay(tmp_path / name, run_files("gpt"), run_files("gpt", seed=1)) for name in ("one", "other"))
    (other / "runs" / run_files("gpt")[0] / "claim.json").unlink()  # who worked on it is no part of the run
    tables = dsbench.load([one, other, pack(one, tmp_path / "one.dsb").path])
    pd.testing.assert_frame_equal(tables.runs, dsbench.load(one).runs)
    pd.testing.assert_frame_equal(tables.long, dsbench.load(one).long)
    assert tables.copies.empty


def test_the_same_run_with_other_costs_is_one_seed_and_both_costs_are_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], undrawn: None
) -> None:
    costs = {"latency_p50_us": 9_999.5, "train_tokens_per_second": 123.0, "peak_rss_bytes": 7 * 2**20, "loss": 0.70001}
    one = lay(tmp_path / "one", run_files("gpt"), run_files("gpt", seed=1))
    other = lay(tmp_path / "other", run_files("gpt", result=costs, origin=ELSEWHERE))
    alone, both = (json.loads(told(capsys, "report", *places, "--json")) for places in ((one,), (one, other)))
    assert both == alone
    text = told(capsys, "report", one, other, "--wide")
    line = next(line for line in text.splitlines() if "Babbage 9" in line)
    assert all(cost in line for cost in ("9,999.5", "train tokens/s 123", "process peak MiB 7"))
    assert sum(run_files("gpt")[0] in line and "Abacus 3" in line for line in text.splitlines()) == 1
    page = markdown(build([one, other], {}).report)
    assert "The same runs on several machines" in page and "9,999.5" in page and "500.5" in page
    tables = dsbench.load([one, other])
    assert list(tables.copies["result.latency_p50_us"]) == [9_999.5]
    pd.testing.assert_frame_equal(tables.runs, dsbench.load(one).runs)


def test_the_same_run_with_other_scores_is_conflicting_and_in_no_mean(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], undrawn: None
) -> None:
    one = lay(tmp_path / "one", run_files("gpt", score=0.5), run_files("gpt", seed=1, score=0.9))
    other = lay(tmp_path / "other", run_files("gpt", score=0.4))
    (row,) = json.loads(told(capsys, "report", one, other, "--json"))
    assert row["n"] == 1 and row["metrics"]["score"]["mean"] == 0.9
    assert [run["status"] for run in row["runs"]] == ["conflicting", "ok"]
    tables = dsbench.load([one, other])
    conflicting = tables.runs[tables.runs["status"] == "conflicting"].iloc[0]
    assert "first_action_accuracy is 0.5 and 0.4" in conflicting["reason"] and "other" in conflicting["reason"]
    assert pd.isna(conflicting["result.first_action_accuracy"])
    assert set(tables.long["run_id"]) == {run_files("gpt", seed=1)[0]}
    page = markdown(build([one, other], {}).report)
    assert "conflicting" in page and "1 of 2 runs have no result" in page
    assert pack([one, other], tmp_path / "x.dsb").left_out.keys() == {conflicting["run_id"]}


def test_a_finished_run_stands_before_an_unfinished_one(tmp_path: Path) -> None:
    name, finished = run_files("gpt")
    _, stopped = run_files("gpt", status="interrupted")
    places = [lay(tmp_path / "a", (name, stopped)), lay(tmp_path / "b", (name, finished))]
    for order in (places, places[::-1]):
        assert list(runs_table(order)["status"]) == ["ok"]


# ---------------------------------------------------------------------- packing


def test_what_cannot_be_packed_is_left_out_and_said(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = run_files("gpt", score=0.6)[0]
    (folder / "runs" / name / "result-1.json").write_text("{}")
    assert main(["pack", str(folder), "--out", str(tmp_path / "x.dsb")]) == 1
    assert name in (out := capsys.readouterr().out) and "Left out" in out and "result-1.json" in out
    assert name not in set(runs_table(tmp_path / "x.dsb")["run_id"])


@pytest.mark.parametrize("out", ["x.tar", "x", "x.dsb/", "x.dsb.xz"])
def test_a_pack_is_called_dsb(folder: Path, tmp_path: Path, out: str) -> None:
    with pytest.raises(UsageError, match=r"expected a file name that ends in \.dsb"):
        pack(folder, tmp_path / out) if not out.endswith("/") else pack(folder, tmp_path / "x.xz")


def test_nothing_is_packed_of_nothing(tmp_path: Path) -> None:
    (tmp_path / "results" / "runs").mkdir(parents=True)
    with pytest.raises(UsageError, match="nothing to pack"):
        pack(tmp_path / "results", tmp_path / "x.dsb")
    assert not (tmp_path / "x.dsb").exists()


def test_code_is_packed_only_when_asked_and_weights_never(tmp_path: Path) -> None:
    name, files = run_files("gpt")
    kept = {"code/backbone/mine.py": b"print()\n", "checkpoints/1/final/tensors.safetensors": b"x", "claim.lock": b""}
    results = lay(tmp_path / "results", (name, files | kept))
    plain, whole = (read_pack(pack(results, tmp_path / f"{code}.dsb", code=code).path) for code in (False, True))
    assert set(plain.runs[name].names()) == files.keys() - {"claim.json"}
    assert set(whole.runs[name].names()) == files.keys() - {"claim.json"} | {"code/backbone/mine.py"}
    assert list(runs_table([results, tmp_path / "True.dsb", tmp_path / "False.dsb"])["status"]) == ["ok"]


# ---------------------------------------------------------------------- hostile ones


def judged(path: Path, data: bytes | None = None) -> str | None:
    """What is wrong with what is read of a hostile pack; None where it is refused, or gives nothing but sound rows."""
    if data is not None:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
    start = time.process_time()
    rows = runs_table(path.parent)
    seconds = time.process_time() - start
    if seconds > 1.0:
        return f"took {seconds:.1f} s"
    for row in rows.to_dict("records"):
        cells = {name: cell for name, cell in row.items() if not pd.isna(cell)}
        if cells["status"] == "unreadable":
            if path.name not in cells["reason"] or "\n" in cells["reason"] or len(cells["reason"]) > 1_000:
                return f"says {cells['reason'][:300]!r}"
        elif cells != SOUND.get(cells["run_id"]) and set(cells) != SETTINGS_ALONE:
            return f"gives {cells}"
    return None


def _sound_rows() -> dict[str, dict[str, Any]]:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        rows = runs_table(lay(Path(folder), *sound_runs().items())).to_dict("records")
    return {row["run_id"]: {name: cell for name, cell in row.items() if not pd.isna(cell)} for row in rows}


SOUND = _sound_rows()
# A run without its final row has not ended: it has settings and no number.
SETTINGS_ALONE = {name for row in SOUND.values() for name in row if not name.startswith("result.")}


def tried(tmp_path: Path, cases: Iterator[tuple[str, bytes]]) -> tuple[int, list[str]]:
    """How many were tried, and what was wrong; the folder that they lie in, and the one above, hold nothing new."""
    place = tmp_path / "above" / "results"
    place.mkdir(parents=True)
    wrong, count = [], 0
    for name, data in cases:
        count += 1
        if complaint := judged(place / "x.dsb", data):
            wrong.append(f"{name}: {complaint}")
    found = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*"))
    assert found == ["above", "above/results", "above/results/x.dsb"]
    return count, wrong


def test_a_sound_pack_is_read(tmp_path: Path) -> None:
    (tmp_path / "x.dsb").write_bytes(sound_pack())
    assert judged(tmp_path / "x.dsb") is None
    assert set(runs_table(tmp_path)["status"]) == {"ok"} and len(runs_table(tmp_path)) == 3


def test_tricks_of_archives_and_lies_write_nothing_and_give_no_other_number(tmp_path: Path) -> None:
    count, wrong = tried(tmp_path, chain(tricks(), others()))
    assert wrong == [] and count > 200


def test_damaged_packs_give_no_other_number(tmp_path: Path) -> None:
    assert tried(tmp_path, islice(damaged(60), 0, None, 3))[1] == []


@pytest.mark.slow
def test_a_thousand_damaged_packs_give_no_other_number(tmp_path: Path) -> None:
    count, wrong = tried(tmp_path, damaged(500))
    assert wrong == [] and count > 1_000


@pytest.mark.parametrize("name", places())
def test_what_else_is_called_so_is_a_row_that_says_so(tmp_path: Path, name: str) -> None:
    outside, place = tmp_path / "outside", tmp_path / "results"
    outside.mkdir()
    (outside / "sound.dsb").write_bytes(sound_pack())
    lay(place, run_files("lstm"))
    places()[name](place / "x.dsb", outside)
    rows = runs_table(place)
    assert list(rows["status"]) == ["ok", "unreadable"]
    assert "x.dsb" in rows["reason"].iloc[1]


def test_a_link_that_the_user_names_is_followed(tmp_path: Path) -> None:
    (tmp_path / "sound.dsb").write_bytes(sound_pack())
    (tmp_path / "x.dsb").symlink_to(tmp_path / "sound.dsb")
    assert set(runs_table(tmp_path / "x.dsb")["status"]) == {"ok"}


def test_zeros_that_become_more_than_records_do_are_refused(tmp_path: Path) -> None:
    name, files = next(iter(sound_runs().items()))
    (tmp_path / "x.dsb").write_bytes(pack_bytes({name: files | {"journal.jsonl": bytes(60 << 20)}}, {}))
    assert judged(tmp_path / "x.dsb") is None
    assert "as those of no records do" in runs_table(tmp_path)["reason"].iloc[0]


@pytest.mark.slow
def test_bombs_take_neither_time_nor_memory(tmp_path: Path) -> None:
    (tmp_path / "sound.dsb").write_bytes(sound_pack())
    runs_table(tmp_path / "sound.dsb")
    for name, data in bombs():
        before = peak_bytes(anew=True)
        if complaint := judged(tmp_path / "bomb" / "x.dsb", data):
            pytest.fail(f"{name}: {complaint}")
        assert peak_bytes() - before < MOST_BYTES + len(data), name
