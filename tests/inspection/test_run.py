"""A real run, opened: the weights it began with are those of update 0, and what is written fits the numbers."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from dsbench.cli import main
from dsbench.config import from_dict, resolve, run_id, to_dict
from dsbench.config.varying import init_seed
from dsbench.errors import UsageError
from dsbench.inspection import rounding
from dsbench.inspection.findings import look_inside
from dsbench.inspection.run import OTHER_DATA, initial_policy, open_run
from dsbench.inspection.writing import summary, tables
from dsbench.records.provenance import provenance
from dsbench.records.run_folder import RunFolder
from dsbench.running.experiment import Experiment
from dsbench.running.training import make_trainer
from dsbench.watch import watch

SMALL = [
    "env.chain_length=4", "env.n_distractor=1", "backbone.d_model=8", "device=cpu", "train.batch_size=8",
    "train.updates=3", "train.warmup=1", "data.episodes=30", "eval.episodes=2", "eval.selection_episodes=2",
    "measure.steps=2", "measure.warmup=1",
]  # fmt: skip


def made(results: Path, backbone: str, *overrides: str) -> RunFolder:
    """A small run, made in this process unless it is there."""
    config = resolve(preset="smoke", backbone=backbone, env="umbrella", overrides=[*SMALL, *overrides])
    folder = RunFolder.open(results, run_id(config))
    with folder.claim() as plan:
        if plan.action != "done":
            folder.write_config(to_dict(config))
            folder.write_provenance(provenance())
            folder.finish("ok", {"env": "umbrella", **Experiment(config, lambda *_: None).run(folder)})
    return folder


@pytest.mark.parametrize("backbone", ["s4", "s4d", "s5"])
def test_the_untrained_policy_is_the_run_at_update_0(results: Path, backbone: str) -> None:
    folder = made(results, backbone)
    stored = folder.read_config()
    assert stored is not None
    experiment = Experiment(from_dict(stored), lambda *_: None)
    opened = open_run(folder.path)
    experiment.model.fit_normalisers(opened.episodes)
    trainer = make_trainer(experiment.config, experiment.model, opened.episodes, opened.env.task)
    at_zero = {name.removeprefix("model/"): value.clone() for name, value in trainer.tensors().items()}
    assert trainer.updates_done == 0
    untrained = opened.untrained.float().state_dict()
    assert untrained.keys() == at_zero.keys()
    assert all(torch.equal(untrained[name], at_zero[name]) for name in at_zero)
    # And from there on the updates of the run lead to what it kept.
    for _ in range(experiment.config.train.updates):
        trainer.update()
    kept = folder.checkpoints.load("final").tensors
    assert all(torch.equal(kept[name], value) for name, value in experiment.model.state_dict().items())
    assert any(not torch.equal(kept[name], at_zero[name]) for name in at_zero)


def test_another_seed_begins_elsewhere(results: Path) -> None:
    opened = open_run(made(results, "s4d").path)
    other = initial_policy(opened.spec, init_seed(opened.config.model_copy(update={"seed": 1}), opened.env.task, 2))
    assert not torch.equal(other.head.weight, opened.untrained.head.weight.float())


def test_the_page_its_figures_and_its_tables_are_written(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = made(results, "s4d")
    assert main(["inspect", folder.run_id, "--results", str(results)]) == 0
    shown = capsys.readouterr().out
    written = folder.path / "inspect"
    assert str(written / "inspect.html") in shown and "effective memory length" in shown
    content = json.loads((written / "inspect.json").read_text())
    assert content["run_id"] == folder.run_id and len(content["dynamics"]) == 2
    values = pd.read_csv(written / "tables" / "eigenvalues.csv")
    after = values[(values.layer == "layers.1.mixer") & (values.weights == "after")]
    assert after.radius.max() == pytest.approx(content["dynamics"][1]["after"]["largest_radius"])
    assert np.hypot(after.real, after.imaginary).to_numpy() == pytest.approx(after.radius.to_numpy())
    influence = pd.read_csv(written / "tables" / "influence.csv")
    assert len(influence) == 2 * 4 and set(influence.weights) == {"before", "after"}
    figures = {path.stem for path in (written / "figures").glob("*.svg")}
    assert {"eigenvalues-1", "rim-1", "powers-1", "powers-map-1", "kernels-1", "kernels-map-1", "influence"} <= figures
    assert figures == {path.stem for path in (written / "figures").glob("*.png")}
    page = (written / "inspect.html").read_text()
    assert "unit circle" in page and page.count("<svg") >= len(figures)
    links = re.findall(r"\((figures/[^)]+)\)", (written / "inspect.md").read_text())
    assert links and all((written / link).is_file() for link in links)
    assert folder.latest_result() is not None  # the run itself is as it was


def test_the_same_run_gives_the_same_files(results: Path, tmp_path: Path) -> None:
    folder = made(results, "gpt", "backbone.n_layers=1")
    for out in ("once", "again"):
        assert main(["inspect", str(folder.path), "--out", str(tmp_path / out)]) == 0
    once = sorted(path.relative_to(tmp_path / "once") for path in (tmp_path / "once").rglob("*") if path.is_file())
    assert len(once) > 5
    assert all((tmp_path / "once" / name).read_bytes() == (tmp_path / "again" / name).read_bytes() for name in once)
    weights = pd.read_csv(tmp_path / "once" / "tables" / "attention.csv")
    assert weights.groupby(["layer", "head", "token"]).weight.sum().to_numpy() == pytest.approx(1)
    assert (weights.looked_at <= weights.token).all()


@pytest.mark.parametrize(
    ("backbone", "reason"), [("mamba", "each token"), ("lstm", "not linear"), ("mlp", "no time-inv")]
)
def test_others_say_why_they_have_no_kernels(results: Path, backbone: str, reason: str) -> None:
    found = look_inside(open_run(made(results, backbone).path))
    assert found.dynamics == [] and found.reason is not None and reason in found.reason
    assert (len(found.half_lives) > 0) == (backbone == "mamba")
    assert "kernels" not in tables(found)
    assert math.isfinite(summary(found)["memory"]["after"]["influence_of_the_present"])


@pytest.mark.parametrize("backbone", ["mamba", "mamba2"])
def test_the_decays_of_a_selective_state_space_are_what_its_state_loses_without_an_input(backbone: str) -> None:
    # One token after which the state is known: with B = 0 nothing enters, and the state is the old one times lambda.
    from dsbench.backbones import build
    from dsbench.inspection.decays import _factors, _speed_of, selective_mixers

    torch.manual_seed(0)
    (mixer, *_) = selective_mixers(build(backbone, 64).double().eval()).values()
    seen: list[torch.Tensor] = []
    handle = _speed_of(mixer).register_forward_hook(lambda _module, _inputs, output: seen.append(output))
    x = torch.randn(1, 1, 64, dtype=torch.float64)
    start = mixer.initial_state(1)
    assert isinstance(start, dict)
    empty, full = dict(start), {**start, "ssm": torch.ones_like(start["ssm"])}
    with torch.no_grad():
        after = [mixer(x, state)[1]["ssm"] for state in (empty, full)]
        factors = _factors(mixer, seen[0][0])[0]
    handle.remove()
    lost = (after[1] - after[0])[0]
    torch.testing.assert_close(
        lost, factors.reshape(*factors.shape, *[1] * (lost.dim() - factors.dim())).expand_as(lost)
    )


def test_a_run_that_keeps_nothing_trained_is_refused(results: Path, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "runs" / "nothing")
    with folder.claim():
        folder.finish("ok", {"env": "umbrella"})
    with pytest.raises(UsageError, match="keeps no trained policy"):
        open_run(folder.path)
    with pytest.raises(UsageError, match="no run"):
        open_run(tmp_path / "nowhere")


def test_without_a_run_there_is_rounding_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounding, "rounding_study", partial(rounding.rounding_study, repeats=2))
    assert main(["inspect"]) == 2
    assert "--rounding" in capsys.readouterr().err
    assert main(["inspect", "--rounding", "--out", str(tmp_path)]) == 0
    content = json.loads((tmp_path / "inspect.json").read_text())
    assert [each["lambda"] for each in content["rounding"]["last_step"]] == [0.8, 1.0, 1.005]
    table = pd.read_csv(tmp_path / "tables" / "rounding.csv")
    assert len(table) == 3000 and (table.error_plain <= table.bound).all()


def test_a_page_on_a_part_of_the_data_says_so(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("dsbench.inspection.run.EPISODES", 7)
    folder = made(results, "lstm")
    assert main(["inspect", str(folder.path), "--out", str(tmp_path)]) == 0
    note = "Looked at are the first 7 of the 30 episodes of data that the run asked for."
    assert note in " ".join(capsys.readouterr().out.split())
    assert note in (tmp_path / "inspect.md").read_text()
    assert json.loads((tmp_path / "inspect.json").read_text())["data_note"] == note
    few = open_run(folder.path).episodes
    monkeypatch.setattr("dsbench.inspection.run.EPISODES", 30)
    every = open_run(folder.path).episodes
    assert (len(few), len(every)) == (7, 30)
    assert np.array_equal(every.select(range(7)).observations, few.observations)


def test_what_is_not_the_run_s_own_is_said(results: Path) -> None:
    own = open_run(made(results, "lstm").path)
    learned_from = {**own.row, "data_sha256": own._loaded[1].sha256}
    assert replace(own, row=learned_from).data_note is None
    assert replace(own, row={**own.row, "data_sha256": "0" * 64}).data_note == OTHER_DATA
    old = replace(own, row=learned_from, result_version=1).data_note
    assert old is not None and "none of those that it was scored on" in old


def test_an_episode_of_an_old_run_is_watched_with_a_word_on_it(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = made(results, "lstm")
    assert watch(folder.path, tmp_path / "new.gif").episode_note is None
    monkeypatch.setattr(RunFolder, "read_provenance", lambda _: {"result_version": 1})
    note = watch(folder.path, tmp_path / "old.gif").episode_note
    assert note is not None and "result version 1" in note
