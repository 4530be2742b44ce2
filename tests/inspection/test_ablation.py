"""Previous actions drawn at random: a trained copier falls to chance, who does not look at them keeps every score."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch

from dsbench.cli import main
from dsbench.config import resolve, run_id, to_dict
from dsbench.decision.encoders import ActionEncoder
from dsbench.inspection.ablation import RandomActions, ablation
from dsbench.inspection.ablation_section import ablation_section, ablation_sentence, spread
from dsbench.inspection.run import OpenedRun, open_run
from dsbench.records.provenance import provenance
from dsbench.records.run_folder import RunFolder
from dsbench.running.experiment import Experiment

EPISODES = 40
SMALL = [
    "data.episodes=400", "train.updates=150", "train.warmup=10", "train.batch_size=16", "train.eval_every=150",
    f"eval.episodes={EPISODES}", "eval.selection_episodes=2", "measure.steps=2", "measure.warmup=1", "device=cpu",
]  # fmt: skip


def made(results: Path, *overrides: str, env: str = "repeat-first") -> RunFolder:
    config = resolve(backbone="mlp", env=env, overrides=[*SMALL, *overrides])
    folder = RunFolder.open(results, run_id(config))
    with folder.claim() as plan:
        if plan.action != "done":
            folder.write_config(to_dict(config))
            folder.write_provenance(provenance())
            folder.finish("ok", {"env": env, **Experiment(config, lambda *_: None).run(folder)})
    return folder


@pytest.fixture(scope="module")
def copier(results: Path) -> RunFolder:
    return made(results, "wrapper.previous_action=true")


def test_a_trained_copier_falls_to_chance(copier: RunFolder) -> None:
    found = ablation(open_run(copier.path))
    assert found.own is not None and found.drawn is not None and len(found.own) == len(found.drawn) == EPISODES
    row = copier.latest_result() or {}
    assert found.metric == "correct" and found.own.mean() == pytest.approx(row["correct"], abs=1e-12)
    assert found.own.mean() > 0.95  # it has nothing but its own last answer
    answers = EPISODES * 51
    assert abs(found.drawn.mean() - 0.25) < 5 * math.sqrt(0.25 * 0.75 / answers)
    sentence = ablation_sentence(found)
    assert f"{found.own.mean():.4g}" in sentence and f"{found.drawn.mean():.4g}" in sentence and "argmax" in sentence


def test_of_many_episodes_the_first_are_played(copier: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    run = open_run(copier.path)
    whole = ablation(run)
    monkeypatch.setattr("dsbench.inspection.ablation.TIMESTEPS", 51 * 7 + 3)
    some = ablation(run)
    assert whole.own is not None and some.own is not None and np.array_equal(some.own, whole.own[:7])


def test_the_same_random_actions_are_drawn_each_time(copier: RunFolder) -> None:
    first, second = (ablation(open_run(copier.path)).drawn for _ in range(2))
    assert first is not None and second is not None and np.array_equal(first, second)


def test_a_policy_that_is_not_shown_its_actions_is_said_to_see_none(results: Path) -> None:
    folder = made(results)
    found = ablation(open_run(folder.path))
    assert found.drawn is None and found.own is not None
    assert found.own.mean() == pytest.approx((folder.latest_result() or {})["correct"], abs=1e-12)
    assert "does not see its previous actions" in ablation_sentence(found)
    assert len(ablation_section(found).tables[0].rows) == 1


@pytest.mark.parametrize("acting", ["stateful", "windowed"])
def test_a_policy_that_pays_no_heed_to_its_actions_keeps_every_score(copier: RunFolder, acting: str) -> None:
    run = open_run(copier.path)
    assert run.policy.action_encoder is not None
    with torch.no_grad():
        for parameter in run.policy.action_encoder.parameters():
            parameter.zero_()
    evaluation = run.config.eval.model_copy(update={"acting": acting, "window": 5})
    deaf = replace(run, config=run.config.model_copy(update={"eval": evaluation}))
    found = ablation(deaf)
    assert found.own is not None and found.drawn is not None and np.array_equal(found.own, found.drawn)


def test_a_target_for_each_start_is_asked_for_again(results: Path) -> None:
    folder = made(results, "wrapper.previous_action=true", "env.split=uniform", env="graph-walk")
    run = open_run(folder.path)
    assert isinstance(run.targets["target"], list)
    found = ablation(run)
    assert found.own is not None
    assert found.own.mean() == pytest.approx((folder.latest_result() or {})["optimal"], abs=1e-12)


def test_without_the_return_that_was_asked_for_it_says_so(copier: RunFolder) -> None:
    found = ablation(OpenedRun(**{**vars(open_run(copier.path)), "targets": {}}))
    assert found.own is None and "does not say which return" in ablation_sentence(found)
    assert ablation_section(found).tables == ()


def test_page_numbers_and_table_hold_both_scores(copier: RunFolder, tmp_path: Path) -> None:
    assert main(["inspect", str(copier.path), "--out", str(tmp_path)]) == 0
    found = json.loads((tmp_path / "inspect.json").read_text())["previous_actions"]
    assert found["metric"] == "correct" and found["episodes"] == EPISODES
    assert found["own"]["mean"] > 0.95 > 0.4 > found["drawn_at_random"]["mean"]
    lines = (tmp_path / "tables" / "previous_actions.csv").read_text().split()
    own, drawn = np.array([[float(cell) for cell in line.split(",")[1:]] for line in lines[1:]]).T
    for scores, name in ((own, "own"), (drawn, "drawn_at_random")):
        assert found[name]["mean"] == pytest.approx(scores.mean(), abs=1e-8)
        assert found[name]["standard_error"] == pytest.approx(scores.std(ddof=1) / math.sqrt(EPISODES), abs=1e-8)
    page = (tmp_path / "inspect.html").read_text()
    assert "Previous actions" in page and "drawn at random" in page


def test_one_episode_has_no_spread() -> None:
    of = spread(np.array([0.5]))
    assert of["mean"] == 0.5 and math.isnan(of["standard_error"])


@pytest.mark.parametrize(
    "space",
    [
        gym.spaces.Discrete(3),
        gym.spaces.Box(np.array([-2.0, 5.0], np.float32), np.array([-1.0, 9.0], np.float32)),
        gym.spaces.Box(-np.inf, np.inf, (2,)),
        gym.spaces.Box(np.array([0.0, -np.inf], np.float32), np.array([np.inf, 0.0], np.float32)),
    ],
)
def test_actions_are_drawn_over_the_whole_space(space: gym.Space) -> None:
    random = RandomActions(ActionEncoder(space, 4), space, root=0)
    discrete = isinstance(space, gym.spaces.Discrete)
    like = torch.zeros(4_000, dtype=torch.long) if discrete else torch.zeros(4_000, 2)
    drawn = random._drawn_like(like)
    assert drawn.shape == like.shape and drawn.dtype == like.dtype
    assert all(space.contains(one) for one in drawn[:200].numpy())
    values = drawn.double().numpy()
    if discrete:
        assert np.abs(np.bincount(drawn.numpy(), minlength=3) / 4_000 - 1 / 3).max() < 0.05
    elif np.isfinite(space.low).all():
        assert np.abs(values.mean(0) - [-1.5, 7.0]).max() < 0.1
    else:
        assert values.std(0).min() > 0.3
    assert not torch.equal(drawn, random._drawn_like(like))


@pytest.mark.parametrize(
    "space",
    [
        gym.spaces.Box(-3, 3, (2,), np.int32),
        gym.spaces.Box(0, 6, (2,), np.uint8),
        gym.spaces.Box(-(2**62), 2**62, (2,), np.int64),
        gym.spaces.Box(-1, 1, (2,), np.float64),
        gym.spaces.Box(-1, 1, (2,), np.float16),
        gym.spaces.Box(-3e38, 3e38, (2,), np.float32),
        gym.spaces.Box(-1.7e308, 1.7e308, (2,), np.float64),
        gym.spaces.Box(0, np.inf, (2,), np.float32),
    ],
    ids=str,
)
def test_boxes_of_every_type_and_width_have_random_actions(space: gym.spaces.Box) -> None:
    random = RandomActions(ActionEncoder(space, 4), space, root=0)
    action = torch.from_numpy(np.zeros((7_000, 2), space.dtype))
    drawn = random._drawn_like(action)
    assert drawn.dtype == action.dtype and all(space.contains(one) for one in drawn[:200].numpy())
    assert torch.isfinite(random(action, torch.ones(7_000, dtype=torch.bool))).all()
    if np.dtype(space.dtype).kind in "iu" and float(space.high[0]) - float(space.low[0]) == 6:
        shares = np.unique(drawn.numpy(), return_counts=True)[1] / drawn.numel()
        assert len(shares) == 7 and np.abs(shares - 1 / 7).max() < 0.02  # those at the ends as often as the others
