"""The command line as a user meets it: what it prints, what it imports, how it fails."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dsbench.cli import main
from dsbench.cli.app import app
from dsbench.config import resolve, run_id, to_dict
from dsbench.records.run_folder import RunFolder
from dsbench.running import launcher

WORKERS = Path(__file__).parents[1] / "running"
COMMANDS = (
    "run",
    "sweep",
    "bench",
    "study",
    "ladder",
    "list",
    "results",
    "check",
    "report",
    "export",
    "export-model",
    "doctor",
)


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A results folder with three runs, one of them failed."""
    for seed, status in enumerate(("ok", "ok", "failed")):
        config = resolve(backbone="s4", env="umbrella", seed=seed)
        folder = RunFolder.open(tmp_path, run_id(config))
        with folder.claim():
            folder.write_config(to_dict(config))
            folder.finish(status, {"first_action_accuracy": 0.97} if status == "ok" else {"reason": "a wheel came off"})
    return tmp_path


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> None:
    """`launcher.run_all` as the commands call it, with the fake worker in place."""
    real = launcher.run_all
    monkeypatch.setattr(launcher, "run_all", lambda *args, **kwargs: real(*args, **kwargs, worker="fake_worker"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(WORKERS), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("FAKE_WORKER", "ok")


def dsbench(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "dsbench", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        timeout=60,
    )


def imported_by(*arguments: str) -> set[str]:
    """Top-level modules that a command imports."""
    code = "import sys; from dsbench.cli import main; code = main(sys.argv[1:]); print('\\x00' + ' '.join(sys.modules))"
    ended = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=60)
    return {name.partition(".")[0] for name in ended.stdout.rpartition("\x00")[2].split()}


@pytest.mark.parametrize(
    "command",
    [
        "--help",
        "list all",
        "list settings",
        "list published",
        "results list --results RESULTS",
        "report RESULTS",
        "export RESULTS",
        "run --backbone s6",
    ],
)
def test_no_command_imports_torch_that_does_not_compute(command: str, results: Path) -> None:
    modules = imported_by(*command.replace("RESULTS", str(results)).split())
    assert "dsbench" in modules
    assert not modules & {"torch", "transformers"}


def test_help_is_there_for_every_command_with_an_example() -> None:
    runner = CliRunner()
    overview = runner.invoke(app, ["--help"]).output
    for command in COMMANDS:
        shown = runner.invoke(app, [command, "--help"]).output
        assert command in overview
        assert f"dsbench {command}" in shown and "[setting" not in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("run --backbone s6 --env umbrella", "unknown backbone 's6'. Did you mean 's5'?   (dsbench list backbones)"),
        ("run --backbone s4 --env umbrela", "unknown env 'umbrela'. Did you mean 'umbrella'?   (dsbench list envs)"),
        ("run --backbone s4 --env umbrella --set train.lrr=1", "unknown setting 'train.lrr'. Did you mean 'train.lr'?"),
        ("run --backbone s4 --env umbrella --preset fast", "unknown preset 'fast'."),
        ("run --backbone s4 --env umbrella --seed x", "Invalid value for '--seed': "),
        ("rum", "No such command 'rum'. Did you mean 'run'?"),
        ("list backbone", "unknown kind of thing 'backbone'. Did you mean 'backbones'?"),
        ("sweep --backbone s4 --env umbrella --seeds x", "--seeds is 'x'; expected a number such as 3, or a list"),
        ("sweep --backbone s4,s6 --env umbrella", "unknown backbone 's6'. Did you mean 's5'?"),
        ("report nowhere", "no results in 'nowhere': it has no folder 'runs'"),
        ("export . --format xls", "unknown format 'xls'."),
        ("check nosuchmodule:Class", "cannot import 'nosuchmodule'"),
        ("check s4 --set", "requires an argument"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    arguments: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments.split()) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("Error: ")
    assert message in captured.err
    assert captured.err.count("\n") == 1


def test_debug_shows_the_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--backbone", "s6", "--env", "umbrella", "--debug"]) == 2
    assert "Traceback" in capsys.readouterr().err


def test_an_internal_error_asks_for_a_report(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("dsbench.config.presets.PRESETS", None)
    assert main(["list", "presets"]) == 70
    assert capsys.readouterr().err.startswith("Error: internal: AttributeError:")


@pytest.mark.usefixtures("fake")
def test_run_ends_with_the_table_and_repeats_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["run", "--backbone", "s4", "--env", "umbrella", "--results", str(tmp_path)]
    assert main(command) == 0
    first = capsys.readouterr().out
    for part in ("State   new", "0.970", "12,345 total", "2.0 KiB (2,048 bytes)"):
        assert part in first
    assert main(command) == 0
    second = capsys.readouterr().out
    assert "State   done before; --force makes the run again" in second
    assert second.partition("\n\n")[2] == first.partition("\n\n")[2]


@pytest.mark.usefixtures("fake")
def test_a_failed_run_is_one_line_and_exit_code_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FAKE_WORKER", "raise")
    assert main(["run", "--backbone", "s4", "--env", "umbrella", "--results", str(tmp_path)]) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("Error: failed: RuntimeError: a wheel came off")
    assert "error.txt" in error


@pytest.mark.usefixtures("fake")
def test_sweep_tells_every_run_and_fails_if_one_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["sweep", "--backbone", "s4,gpt", "--env", "umbrella", "--seeds", "0,2", "--results", str(tmp_path)]
    monkeypatch.setenv("FAKE_WORKER", "ok,ok,raise")
    assert main(command) == 1
    out = capsys.readouterr().out
    assert [out.count(word) for word in ("s4-umbrella-s0", "gpt-umbrella-s2", " ok ", " failed ")] == [1, 1, 2, 2]
    monkeypatch.setenv("FAKE_WORKER", "ok")
    assert main([*command, "--jobs", "2"]) == 0
    assert len((tmp_path / "starts").read_text().splitlines()) == 6


def test_run_says_what_it_does_within_a_second(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "dsbench", "run", "--backbone", "s4", "--env", "umbrella", "--preset", "smoke"]
    begin = time.monotonic()
    process = subprocess.Popen([*command, "--results", str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(3)]
    seconds = time.monotonic() - begin
    process.terminate()
    process.communicate(timeout=20)
    assert [line.split()[0] for line in lines] == [b"Run", b"Folder", b"State"]
    assert seconds < 3  # under 1 s on a quiet machine; this one may be shared


def test_list_as_json_names_all_catalogues(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {entry["name"] for entry in found["backbones"]} >= {"gpt", "s4", "s4d", "mamba", "lstm", "mlp"}
    assert {entry["name"]: entry["backbone"] for entry in found["presets"]} == {
        **dict.fromkeys(("smoke", "quick", "paper"), "any"),
        "decision-transformer": "gpt", "decision-s4": "s4d", "decision-mamba": "mamba", "ssm-for-offline-rl": "mamba",
    }  # fmt: skip
    assert {entry["env"] for entry in found["recipes"]} == {entry["name"] for entry in found["envs"]}


def test_list_envs_gives_numbers_as_numbers_and_takes_an_environment_of_one_s_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "mine.py"
    file.write_text("from dsbench.envs.tasks.umbrella import umbrella as mine\n")
    assert main(["list", "envs", "--env", f"{file}:mine", "--json"]) == 0
    (entry,) = json.loads(capsys.readouterr().out)
    assert (entry["name"], entry["horizon"], entry["optimal"]) == (f"{file}:mine", 10, 1.0)
    assert entry["tests"] == ["return noise", "credit"]
    assert main(["list", "envs", "--env", "umbrella"]) == 0
    assert "return noise, credit" in capsys.readouterr().out


def test_list_published_shows_papers_numbers_with_their_caveats_and_only_when_asked(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    assert main(["list", "published", "--env", "hopper"]) == 0
    shown = capsys.readouterr().out
    lines = [line.split() for line in shown.splitlines()]
    assert ["hopper", "medium", "DS4", "89.47", "-"] in [line[:5] for line in lines]
    assert "walker2d/" not in shown and "the best of the target returns 0.5, 0.75 and 1.0" in shown
    assert main(["list", "published", "--env", "hopper", "--json"]) == 0
    entries = json.loads(capsys.readouterr().out)
    expert = next(one for one in entries if (one["data"], one["method"]) == ("expert", "DS4"))
    assert expert["score"] == 110.52 and "medium-expert" in expert["caveats"]["expert-column"]
    assert main(["list", "published", "--env", "hoper"]) == 2
    assert "Did you mean 'hopper'?" in capsys.readouterr().err
    assert main(["list", "all"]) == 0
    assert "89.47" not in capsys.readouterr().out


def test_report_counts_failures_and_seeds(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(results), "--json"]) == 0
    (group,) = json.loads(capsys.readouterr().out)
    assert (group["n"], group["failures"], len(group["runs"])) == (2, {"failed": 1}, 3)
    assert group["metrics"]["score"]["mean"] == pytest.approx(0.97)
    assert main(["report", str(results), "--out", str(results / "table.md"), "--wide"]) == 0
    assert "0.970" in (results / "table.md").read_text()


def test_export_writes_the_tables(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", str(results), "--out", str(results / "t")]) == 0
    assert "runs.csv" in capsys.readouterr().out
    assert len((results / "t" / "runs.csv").read_text().splitlines()) == 4


def test_check_fails_with_exit_code_1_on_a_broken_backbone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "ahead.py").write_text(
        "from dsbench.backbones import Backbone\n"
        "class Ahead(Backbone):\n"
        "    receptive_field = 4\n"
        "    def parallel(self, x):\n"
        "        return x.flip(1)\n"
    )
    assert main(["check", f"{tmp_path}/ahead.py:Ahead", "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert not report["ok"]
    assert {check["check"]: check["status"] for check in report["checks"]}["causality"] == "failed"


def test_output_survives_odd_terminals() -> None:
    plain = dsbench("list", "all", PYTHONIOENCODING="ascii", LC_ALL="C", NO_COLOR="1", COLUMNS="40")
    assert plain.returncode == 0
    assert "\x1b" not in plain.stdout
    closed = subprocess.run(f"{sys.executable} -m dsbench list all >&-", shell=True, capture_output=True, timeout=60)
    assert b"Traceback" not in closed.stderr
    piped = subprocess.run(
        f"{sys.executable} -m dsbench list all | head -1", shell=True, capture_output=True, timeout=60
    )
    assert piped.stdout == b"BACKBONES\n"
    assert piped.stderr == b""


def test_version_is_the_package_s() -> None:
    import dsbench as package

    assert dsbench("--version").stdout == f"dsbench {package.__version__}\n"
