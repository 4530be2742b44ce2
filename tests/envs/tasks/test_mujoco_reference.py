"""D4RL's figures: consistent among themselves, and shown beside one's own data."""

from __future__ import annotations

from pathlib import Path

import pytest

from dsbench.cli import main
from dsbench.envs import get_spec
from dsbench.envs.tasks.mujoco_reference import D4RL, RETURNS, published
from tests.envs.tasks.simulated_actors import ship


# Normalised means as printed beside the returns: 100 * (mean - random) / (expert - random).
@pytest.mark.parametrize(
    ("which", "normalised"),
    [
        (("hopper", "medium"), 44.3),
        (("hopper", "medium-replay"), 15.0),
        (("hopper", "expert"), 108.5),
        (("halfcheetah", "medium"), 40.7),
        (("halfcheetah", "medium-replay"), 27.2),
        (("halfcheetah", "expert"), 88.1),
        (("walker2d", "medium"), 62.1),
        (("walker2d", "medium-replay"), 14.8),
        (("walker2d", "expert"), 107.1),
    ],
)
def test_returns_and_constants_give_the_normalised_scores(which: tuple[str, str], normalised: float) -> None:
    random, expert = RETURNS[which[0]]
    # The means are rounded to whole returns.
    assert 100 * (D4RL[which].mean - random) / (expert - random) == pytest.approx(normalised, abs=0.07)
    assert D4RL[which].lowest < D4RL[which].mean < D4RL[which].highest


def test_a_set_without_a_published_one_has_nothing_beside_it() -> None:
    assert published("hopper-v4", "medium") == "return 1422 ± 379 in D4RL's hopper-medium-v2"
    assert published("hopper-v5", "random") is published("umbrella-v0", "mixed") is None


def test_made_data_are_shown_beside_the_published_ones(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    pytest.importorskip("mujoco")
    monkeypatch.setenv("DSBENCH_DATA", str(tmp_path))
    ship(monkeypatch, "walker2d")
    assert main(["data", "make", "--env", "walker2d", "--recipe", "medium", "--timesteps", "300"]) == 0
    shown = capsys.readouterr().out
    assert "return 2852 ± 1095 in D4RL's walker2d-medium-v2; " in shown
    (made,) = (tmp_path / get_spec("walker2d").id).glob("medium-300steps-*")
    assert main(["data", "info", str(made)]) == 0
    assert "D4RL's walker2d-medium-v2" in capsys.readouterr().out
