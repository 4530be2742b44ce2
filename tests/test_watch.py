"""`dsbench.watch`: the episode that was evaluated, frame by frame, in a file of bounded size."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from PIL import Image

from dsbench import envs, rollout
from dsbench import watch as module
from dsbench.config import resolve, run_id, to_dict
from dsbench.decision.policy import build_policy, load_policy, policy_spec
from dsbench.envs.targets import Target
from dsbench.errors import UsageError
from dsbench.records.run_folder import RunFolder
from dsbench.seeds import seed_for
from dsbench.watch import MAX_BYTES, MAX_FRAMES, watch

MakeRun = Callable[..., Path]


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Finished runs with fresh weights."""

    def make(
        env: str = "umbrella",
        targets: Any = 4.0,
        *,
        row: dict[str, Any] | None = None,
        trained: bool = True,
        status: str = "ok",
        **options: Any,
    ) -> Path:
        condition = options.pop("condition", "return")
        overrides = ["backbone.d_model=8", *(f"env.{key}={value}" for key, value in options.items())]
        config = resolve(backbone="lstm", env=env, overrides=overrides)
        environment = envs.get_spec(env, **options).make()
        spec = policy_spec(
            observation_space=environment.observation_space, action_space=environment.action_space, backbone="lstm",
            d_model=8, backbone_options={}, condition=condition,
        )  # fmt: skip
        torch.manual_seed(0)
        folder = RunFolder.open(tmp_path, run_id(config))
        with folder.claim():
            folder.write_config(to_dict(config))
            if trained:
                weights = build_policy(spec).state_dict()
                folder.checkpoints.save("final", weights, {"policy": spec, "targets": {"target": targets}})
            folder.finish(status, {"env": env, "acting": "stateful"} | (row or {}))
        return folder.path

    return make


def frames_of(path: Path) -> list[np.ndarray]:
    with Image.open(path) as image:
        frames = []
        for index in range(image.n_frames):
            image.seek(index)
            frames.append(np.asarray(image.convert("RGB")))
    return frames


@pytest.mark.parametrize("decode", ["argmax", "sample"])
def test_the_file_has_a_frame_for_every_timestep_and_one_for_the_end(
    make_run: MakeRun, tmp_path: Path, decode: str
) -> None:
    run = make_run(chain_length=6)
    seen = watch(run, tmp_path / "a.gif", decode=decode)
    frames = frames_of(seen.path)
    assert (seen.timesteps, seen.frames, len(frames)) == (6, 7, 7)
    assert seen.size == seen.path.stat().st_size and seen.target == 4.0
    strips = [frame[-module.STRIP :] for frame in frames]
    assert all((a != b).any() for a, b in pairwise(strips))  # what is printed goes on
    again = watch(run, tmp_path / "b.gif", decode=decode)
    assert again.path.read_bytes() == seen.path.read_bytes()


@pytest.mark.parametrize(("acting", "split"), [("stateful", "uniform"), ("windowed", "stitch")])
def test_it_is_the_episode_that_was_evaluated(make_run: MakeRun, tmp_path: Path, acting: Any, split: str) -> None:
    run = make_run("graph-walk", list(np.linspace(-6, -1, 20)), row={"acting": acting}, split=split)
    spec, start_of = envs.get_spec("graph-walk", split=split), lambda observations: observations
    target, seed = Target(0.0, np.linspace(-6, -1, 20), start_of), seed_for(0, spec.task, "eval")
    scores = rollout.evaluate(
        load_policy(run), spec, split="eval", episodes=5, seed=seed, target=target, decode="argmax", acting=acting, window=10,
    )  # fmt: skip
    for episode in range(5):
        seen = watch(run, tmp_path / "a.gif", episode=episode)
        assert seen.total == scores.metrics["return"][episode]
        start = spec.vector(rollout.episode_seeds(seed, "eval", 5)).observations[episode]
        assert seen.target == target.by_start[start]


def test_pygame_says_nothing_where_there_is_no_screen(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run("cartpole", 500.0, max_steps=100)
    code = "import sys; from pathlib import Path; from dsbench.watch import watch; watch(sys.argv[1], Path('a.gif'))"
    nowhere = {key: value for key, value in os.environ.items() if key not in ("DISPLAY", "XDG_RUNTIME_DIR")}
    arguments = [sys.executable, "-c", code, str(run)]
    ended = subprocess.run(arguments, cwd=tmp_path, env=nowhere, capture_output=True, timeout=60, check=False)
    assert ended.stderr == b""


def test_an_episode_far_away_takes_no_longer(make_run: MakeRun, tmp_path: Path) -> None:
    assert watch(make_run(chain_length=6), tmp_path / "a.gif", episode=10**12).timesteps == 6


def test_a_long_episode_keeps_its_end_and_few_enough_frames(make_run: MakeRun, tmp_path: Path) -> None:
    seen = watch(make_run(chain_length=400, n_distractor=0), tmp_path / "a.gif")
    assert seen.timesteps == 400
    assert MAX_FRAMES // 2 <= seen.frames <= MAX_FRAMES + 1
    assert seen.size < MAX_BYTES
    with Image.open(seen.path) as image:
        image.seek(seen.frames - 1)
        assert image.info["duration"] == module.LAST_MS


def test_a_file_that_would_be_too_large_loses_frames_but_not_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(0)
    frames = [Image.fromarray(generator.integers(0, 255, (60, 60, 3), dtype=np.uint8)).quantize(64) for _ in range(20)]
    monkeypatch.setattr(module, "MAX_BYTES", 40_000)
    data, count = module._encode(frames)
    assert len(data) <= 40_000 and 2 <= count < 20


class Silent(gym.Env[np.ndarray, int]):
    """An environment without pictures."""

    metadata = {"render_modes": []}  # noqa: RUF012

    def __init__(self, rendered: Any) -> None:
        self.rendered = rendered

    def render(self) -> Any:
        return super().render() if self.rendered is NotImplementedError else self.rendered


@pytest.mark.parametrize("rendered", [None, NotImplementedError])
def test_an_environment_that_draws_nothing_shows_its_observation(rendered: Any) -> None:
    picture = module._picture(Silent(rendered), np.array([1.0, -1.0], np.float32))
    assert picture.shape[1:] == (320, 3) and (picture != 255).any()


def test_the_return_asked_for_can_be_given_and_a_clone_heeds_none(make_run: MakeRun, tmp_path: Path) -> None:
    assert watch(make_run(), tmp_path / "a.gif", target=-2.5).target == -2.5
    clone = make_run(condition="none", targets=None, chain_length=3)
    assert watch(clone, tmp_path / "a.gif").target is None
    with pytest.raises(UsageError, match=r"--target is 2 .*trained without returns"):
        watch(clone, tmp_path / "a.gif", target=2)


def test_mistakes_are_told_before_anything_is_written(make_run: MakeRun, tmp_path: Path) -> None:
    run, out = make_run(targets=None), tmp_path / "a.gif"
    with pytest.raises(UsageError, match="ends in .gif"):
        watch(run, tmp_path / "a.png")
    with pytest.raises(UsageError, match="--decode is 'best'; expected argmax or sample"):
        watch(run, out, decode="best")
    with pytest.raises(UsageError, match="--target is inf; expected a finite number"):
        watch(run, out, target=float("inf"))
    with pytest.raises(UsageError, match="names no return to ask for"):
        watch(run, out)
    with pytest.raises(UsageError, match="keeps no trained policy"):
        watch(make_run(trained=False, chain_length=3), out)
    with pytest.raises(UsageError, match="holds no run"):
        watch(tmp_path / "runs" / "nothing", out)
    with pytest.raises(UsageError, match="a run with status failed"):
        watch(make_run(status="failed", chain_length=4), out)
    assert not list(tmp_path.glob("*.gif"))
