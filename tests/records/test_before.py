"""What users of version 0.1.0 have on their disks is read for ever: listed, reported, loaded, done before, resumed."""

from __future__ import annotations

import json
import shutil
import tarfile
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import dsbench
from dsbench.config import RunConfig, naming, resolve, run_id
from dsbench.decision import DecisionSequence
from dsbench.decision.policy import load_policy
from dsbench.errors import UsageError
from dsbench.outside.trust import Untrusted
from dsbench.records.provenance import provenance
from dsbench.records.run_folder import RunFolder
from dsbench.records.tables import load, runs_table
from dsbench.reports.table import rows
from dsbench.running import launcher
from dsbench.studies.grid import cells_of
from dsbench.studies.study_file import load_study
from tests.records.before.measured import decisions, sha256

HERE = Path(__file__).parent / "before"
EXPECTED: dict[str, Any] = json.loads((HERE / "expected.json").read_text())
IDS: dict[str, str] = EXPECTED["ids"]
UNFINISHED: str = EXPECTED["unfinished"]["run_id"]
OF_A_FILE = ("diverged", "failed", "failed, then ok", "plug-in", "task of a file")  # code that a user wrote
UNSTARTED = "timeout"  # ended before it had settings
COSTS = ("latency", "train_seconds", "train_tokens", "train_contended", "peak_rss")  # differ from run to run
PLACE = Path("results")


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("before")
    with tarfile.open(HERE / "before.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return folder


@pytest.fixture
def results(unpacked: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The results as the user names them, beside their plug-in and data; tests leave them as they are."""
    monkeypatch.chdir(unpacked)
    return PLACE


def stored_settings(results: Path, name: str) -> RunConfig:
    return resolve(config_file=results / "runs" / name / "config.yaml")


def test_there_are_twenty_runs_of_every_end() -> None:
    statuses = {run["status"] for run in EXPECTED["runs"].values()}
    assert len(EXPECTED["runs"]) >= 20
    assert statuses == {"ok", "diverged", "failed", "timeout", "interrupted"}
    assert {run["result_attempt"] for run in EXPECTED["runs"].values()} == {1, 2}


def test_every_run_is_listed_with_its_status_and_its_score(results: Path) -> None:
    tables = load(results)
    runs = tables.runs.set_index("run_id")
    assert set(runs.index) == EXPECTED["runs"].keys()
    for name, before in EXPECTED["runs"].items():
        assert (runs.loc[name, "status"], runs.loc[name, "attempt"]) == (before["status"], before["attempt"]), name
        if before["score"] is not None:
            assert runs.loc[name, f"result.{before['metric']}"] == before["score"], name


def test_every_number_of_the_journals_is_read(results: Path) -> None:
    long = load(results).long
    found = {str(name): values for name, values in long.groupby("run_id")["value"]}
    assert found.keys() == EXPECTED["long"].keys()
    for name, before in EXPECTED["long"].items():
        assert len(found[name]) == before["rows"], name
        assert found[name].sum() == pytest.approx(before["sum"], rel=1e-12), name


def test_the_report_says_what_it_said(results: Path) -> None:
    """But for failures: one without settings now counts where its name says, and all stand in the scores at the floor."""
    found = {run["run_id"]: row for row in rows(results) for run in row["runs"]}
    early = next(name for name in found if name.startswith("gru-umbrella-s1"))
    for before in EXPECTED["rows"]:
        row = found[before["runs"][0]]
        joined = {run["run_id"] for run in row["runs"]}
        if early in joined:
            assert joined > set(before["runs"]) and (row["n"], row["failures"]) == (1, {"timeout": 1})
            continue
        assert joined == set(before["runs"])
        for key in ("measure", "n", "seeds", "failures", "unfinished"):
            assert row[key] == before[key]
        failed = sum(row["failures"].values())
        for metric in ("score", "return", "parameters_total"):
            then, now = before["metrics"][metric], row["metrics"][metric]
            if failed and metric != "parameters_total":
                assert now["n"] == row["n"] + failed
                assert then is None or now["mean"] <= then["mean"]
            else:
                assert (now is None) == (then is None)
                assert then is None or now["mean"] == pytest.approx(then["mean"], rel=1e-12)


@pytest.mark.parametrize("name", ["gpt", "s4d"])
def test_a_policy_that_was_kept_decides_as_it_did(results: Path, name: str) -> None:
    assert_decides_as_before(load_policy(results / "runs" / IDS[name]), IDS[name])


def test_so_does_that_of_a_plug_in(results: Path) -> None:
    run = results / "runs" / IDS["plug-in"]
    with pytest.raises(Untrusted):
        load_policy(run)
    assert_decides_as_before(load_policy(run, trust_code=True), IDS["plug-in"])


def test_the_journal_of_another_run_or_a_part_of_ones_own_is_found_out(unpacked: Path, tmp_path: Path) -> None:
    runs = runs_table(unpacked / PLACE)
    mine, other = runs[runs["status"].eq("ok") & runs["result.loss"].notna()]["run_id"].tolist()[:2]
    for name in (mine, other):
        shutil.copytree(unpacked / PLACE / "runs" / name, tmp_path / "runs" / name)
    journal = tmp_path / "runs" / mine / "journal.jsonl"
    whole = journal.read_bytes()
    for wrong in (
        (tmp_path / "runs" / other / "journal.jsonl").read_bytes(), b"\n".join(whole.split(b"\n")[:-3]) + b"\n", b"",
    ):  # fmt: skip
        journal.write_bytes(wrong)
        table = runs_table(tmp_path).set_index("run_id")
        assert table["status"].to_dict() == {mine: "unreadable", other: "ok"}
        assert "journal.jsonl" in table.loc[mine, "reason"]
    journal.write_bytes(whole)
    assert set(runs_table(tmp_path)["status"]) == {"ok"}


@pytest.mark.parametrize("name", [name for name in IDS if name not in (UNSTARTED, *OF_A_FILE)])
def test_a_run_keeps_its_name(results: Path, name: str) -> None:
    assert run_id(stored_settings(results, IDS[name]), result_version=1) == IDS[name]


SAME_NUMBERS = pytest.mark.skipif(naming.RESULT_VERSION != 1, reason="the same settings give other numbers by now")


@SAME_NUMBERS
@pytest.mark.parametrize("name", [name for name in IDS if name not in (UNSTARTED, *OF_A_FILE)])
def test_what_is_finished_was_done_before(results: Path, name: str) -> None:
    settings = stored_settings(results, IDS[name])
    assert launcher.state_of(settings, results).startswith("done before"), name


@pytest.fixture
def copy(unpacked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The unfinished run in a results folder of its own."""
    shutil.copytree(unpacked / PLACE / "runs" / UNFINISHED, tmp_path / PLACE / "runs" / UNFINISHED)
    monkeypatch.setenv("DSBENCH_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    return PLACE


@SAME_NUMBERS
def test_the_unfinished_run_ends_as_it_would_have(copy: Path, unpacked: Path) -> None:
    before = EXPECTED["unfinished"]
    settings, bits_agree = stored_settings(copy, UNFINISHED), as_then(RunFolder.open(copy, UNFINISHED))
    assert launcher.state_of(settings, copy) == f"resumed after update {before['resumed_after']} of 400"
    row = dsbench.run(settings, copy)
    folder = RunFolder.open(copy, UNFINISHED)
    assert (row["status"], row["attempt"], row["updates"]) == ("ok", 1, 400)
    assert ("resume", before["resumed_after"]) in [(one.get("event"), one.get("step")) for one in folder.journal.read()]
    weights, kept = folder.checkpoints_of(1).load("final").tensors, load_file(unpacked / "resumed.safetensors")
    if bits_agree:
        assert sha256(weights) == sha256(kept) == before["weights"]
        assert numbers(row) == numbers(before["row"])
    else:
        for name, tensor in kept.items():
            torch.testing.assert_close(weights[name], tensor, rtol=1e-2, atol=1e-3)


def test_once_results_have_changed_the_unfinished_run_is_refused(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(naming, "RESULT_VERSION", naming.RESULT_VERSION + 1)
    settings = stored_settings(results, UNFINISHED)
    with pytest.raises(UsageError, match=rf"{UNFINISHED} is unfinished .* result version 1,.* with dsbench 0\.1\.0,"):
        launcher.state_of(settings, results)
    assert launcher.state_of(settings, results, force=True) == "new"
    assert launcher.state_of(stored_settings(results, IDS["gpt"]), results) == "new"


def test_the_study_is_read(unpacked: Path) -> None:
    name, study = load_study(unpacked / "study.yaml")
    assert (name, study.title) == ("study", "Does a longer chain make umbrella harder?")
    assert [len(cells_of(study, size)) for size in ("smoke", "quick", "full")] == [4, 2, 4]


def assert_decides_as_before(policy: DecisionSequence, name: str) -> None:
    before = EXPECTED["policies"][name]
    assert sha256(policy.state_dict()) == before["weights"]
    torch.testing.assert_close(torch.tensor(decisions(policy)), torch.tensor(before["logits"]), rtol=1e-4, atol=1e-5)


def numbers(row: dict[str, Any]) -> dict[str, Any]:
    """The final row without what the machine decides."""
    return {
        name: value for name, value in row.items() if name not in ("sha256", "journal") and not name.startswith(COSTS)
    }


def as_then(folder: RunFolder) -> bool:
    """Whether torch and processor are those of the day, so that the bits of a sum are too."""
    then = folder.read_provenance() or {}
    now = provenance()
    return all(
        then[part].get(name) == now[part].get(name)
        for part, name in (("packages", "torch"), ("torch", "cpu_capability"), ("machine", "cpu_model"))
    )
