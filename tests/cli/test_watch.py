"""`dsbench watch`: what it prints, and one sentence for each mistake."""

from __future__ import annotations

from pathlib import Path

import pytest
from gymnasium import spaces

from dsbench.cli import main
from dsbench.config import resolve, run_id, to_dict
from dsbench.decision.policy import build_policy, policy_spec
from dsbench.envs import get_spec
from dsbench.records.run_folder import RunFolder


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A results folder with one finished run on umbrella."""
    config = resolve(backbone="gru", env="umbrella", overrides=["backbone.d_model=8"])
    seen = get_spec("umbrella").make().observation_space
    spec = policy_spec(
        observation_space=seen, action_space=spaces.Discrete(2), backbone="gru", d_model=8, backbone_options={}
    )
    folder = RunFolder.open(tmp_path, run_id(config))
    with folder.claim():
        folder.write_config(to_dict(config))
        meta = {"policy": spec, "targets": {"target": 6.0, "opposite": -6.0}}
        folder.checkpoints.save("final", build_policy(spec).state_dict(), meta)
        folder.finish("ok", {"env": "umbrella"})
    return tmp_path


def test_a_run_is_named_by_id_or_by_folder(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run,) = (results / "runs").iterdir()
    by_id, by_folder = results / "a.gif", results / "b.gif"
    assert main(["watch", run.name, "--results", str(results), "--out", str(by_id), "--episode", "3"]) == 0
    shown = capsys.readouterr().out
    assert str(by_id) in shown and "3, 10 timesteps" in shown and "asked for 6" in shown and "11 frames" in shown
    assert main(["watch", str(run), "--out", str(by_folder), "--episode", "3", "--target", "6"]) == 0
    assert by_id.read_bytes() == by_folder.read_bytes()


def test_without_a_name_the_file_is_called_after_the_run(
    results: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (run,) = (results / "runs").iterdir()
    monkeypatch.chdir(results)
    assert main(["watch", run.name, "--results", "."]) == 0
    assert (results / f"{run.name}.gif").read_bytes()[:3] == b"GIF"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing-here"], "holds no run"),
        (["../runs"], "holds no run '../runs'"),
        (["RUN", "--out", "x.png"], "expected a file name that ends in .gif"),
        (["RUN", "--decode", "best"], "--decode is 'best'"),
        (["RUN", "--target", "nan"], "--target is nan"),
        (["RUN", "--episode", "-1"], "Invalid value for '--episode'"),
    ],
)
def test_a_mistake_is_one_sentence(
    results: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    (run,) = (results / "runs").iterdir()
    given = [run.name if argument == "RUN" else argument for argument in arguments]
    assert main(["watch", *given, "--results", str(results)]) == 2
    shown = capsys.readouterr().err
    assert message in shown and shown.count("\n") == 1
