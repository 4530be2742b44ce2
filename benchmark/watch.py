"""An episode of a trained policy as a GIF: the environment's own picture, and under it what the policy was asked and did."""

from __future__ import annotations

import io
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
import torch
from PIL import Image

from dsbench.config import RunConfig
from dsbench.config.varying import seed_of
from dsbench.decision import Actor, DecisionSequence
from dsbench.decision.actions import NoDecision, for_environment
from dsbench.envs.catalogue import spec_of
from dsbench.envs.closing import close_quietly
from dsbench.envs.drawing import PALE, WIDTH, Canvas, picture_of
from dsbench.envs.spec import EnvSpec
from dsbench.episodes import Observations, map_observations
from dsbench.errors import UsageError
from dsbench.files import write_atomic
from dsbench.outside.trust import using
from dsbench.rollout import Decode, episode_seeds
from dsbench.seeds import seed_for
from dsbench.trained import check_task, open_trained, played_otherwise

DECODES: dict[str, Decode] = {"argmax": "argmax", "sample": "sample"}
MAX_FRAMES, MAX_BYTES = 150, 2_000_000
COLOURS, STRIP = 64, 48  # of a frame; pixels of it under the picture
PLAYING_TIME_MS, SHORTEST_MS, LONGEST_MS, LAST_MS = 12_000, 60, 800, 2_000


@dataclass(frozen=True)
class Watched:
    """What was written."""

    path: Path
    size: int  # bytes
    frames: int
    timesteps: int
    target: float | None
    total: float  # return
    weights_note: str | None = None  # where some weights are no numbers
    episode_note: str | None = None  # where it is none of those that the run was scored on


class _Run(NamedTuple):
    """A finished run, ready to act."""

    policy: DecisionSequence
    config: RunConfig
    spec: EnvSpec
    row: Mapping[str, Any]
    targets: Mapping[str, Any]
    weights_note: str | None
    episode_note: str | None


@dataclass
class _Film:
    """Frames of an episode of any length: when there are too many, every other one is dropped, and from then on taken."""

    frames: list[Image.Image] = field(default_factory=list)
    stride: int = 1

    def wants(self, timestep: int) -> bool:
        return timestep % self.stride == 0

    def add(self, frame: Image.Image) -> None:
        self.frames.append(frame)
        if len(self.frames) >= MAX_FRAMES:
            self.frames, self.stride = self.frames[::2], 2 * self.stride


def watch(
    run: str | Path,
    out: Path | None = None,
    *,
    episode: int = 0,
    target: float | None = None,
    decode: str | None = None,
    trust_code: bool = False,
) -> Watched:
    """Play one of the run's evaluation episodes again and write it as a GIF, whole or not at all.

    Args:
        run: the folder of a finished run.
        out: file to write; ``<run_id>.gif`` in the working folder if not given.
        episode: which evaluation episode.
        target: return to ask for; the run's own if not given.
        decode: ``argmax`` or ``sample``; the run's first one if not given.
        trust_code: code from outside that the run names may be run.

    Raises:
        UsageError: no such run, not finished, nothing trained in it, a policy whose actions are no numbers, or an argument that
            does not fit it.
    """
    path = out or Path(f"{Path(run).resolve().name}.gif")
    if path.suffix.lower() != ".gif":
        raise UsageError(f"--out is {str(path)!r}; expected a file name that ends in .gif")
    if decode is not None and decode not in DECODES:
        raise UsageError(f"--decode is {decode!r}; expected {' or '.join(DECODES)}")
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")  # pygame draws into memory here, and complains without a screen
    found = _load(run, trust_code)
    env = found.spec.make(render_mode="rgb_array")
    try:
        film, asked, rewards = _play(found, env, episode, target, DECODES[decode or found.config.eval.decode[0]])
    except NoDecision as error:
        raise UsageError(f"{run} cannot be watched: {found.weights_note or error}") from error
    finally:
        close_quietly(env)
    data, frames = _encode(film.frames)
    write_atomic(path, data)
    return Watched(
        path, len(data), frames, len(rewards), asked, math.fsum(rewards), found.weights_note, found.episode_note
    )


def _load(run: str | Path, trust_code: bool) -> _Run:
    found = open_trained(run, trust_code=trust_code)
    with using(found.sources):
        spec = spec_of(found.config.env.name, found.config.env.options)
    check_task(found.policy, spec, run)
    targets, note = found.meta.get("targets") or {}, played_otherwise(found.result_version)
    return _Run(found.policy, found.config, spec, found.row, targets, found.weights_note, note)


def _play(
    run: _Run, env: gym.Env[Any, Any], episode: int, target: float | None, decode: Decode
) -> tuple[_Film, float | None, list[float]]:
    """The frames, the return asked for and the rewards of one episode."""
    film, rewards = _Film(), list[float]()
    seed = seed_of(run.config, "eval", run.spec.task)
    observation, info = env.reset(seed=episode_seeds(seed, "eval", 1, first=episode)[0])
    asked = _target(run, target, observation)
    to_go, previous = asked or 0.0, None
    actor = _actor(run)
    generator = torch.Generator().manual_seed(seed_for(seed, "watch", episode))
    for timestep in range(run.spec.horizon):
        mask = info.get("action_mask")
        previous = actor.act(
            _row(observation),
            return_to_go=torch.tensor([to_go], dtype=torch.float64),
            previous_action=previous,
            first=torch.tensor([timestep == 0]),
            timestep=torch.tensor([timestep]),
            action_mask=None if mask is None else torch.from_numpy(np.asarray(mask, bool))[None],
            decode=decode,
            generator=generator,
        )
        action = for_environment(previous, env.action_space)[0]
        picture = _picture(env, observation) if film.wants(timestep) else None
        observation, reward, terminated, truncated, info = env.step(action)
        if picture is not None:
            words = " ".join(f"{round(float(part), 1):g}" for part in np.ravel(action)[:3])
            lines = [_asked(asked, to_go), f"timestep {timestep}", f"action {words}", f"reward {reward:.4g}"]
            film.add(_frame(picture, lines))
        rewards.append(float(reward))
        to_go -= float(np.float32(reward))  # as data and evaluation hold it
        if terminated or truncated:
            break
    end = [_asked(asked, to_go), f"end after {len(rewards)}", f"return {math.fsum(rewards):g}", ""]
    film.add(_frame(_picture(env, observation), end))
    return film, asked, rewards


def _actor(run: _Run) -> Actor:
    """Acts for one row, as the run's evaluation did."""
    if run.row.get("acting") != "windowed":
        return Actor(run.policy, 1)
    window = run.config.eval.window or run.config.train.window or run.spec.horizon
    return Actor(run.policy, 1, acting="windowed", window=min(window, run.spec.horizon))


def _target(run: _Run, given: float | None, first: Any) -> float | None:
    """The return to ask for in an episode that begins with this observation; None where the policy heeds none."""
    if run.policy.condition == "none":
        if given is not None:
            raise UsageError(f"--target is {given:g} and this run was trained without returns; leave --target out")
        return None
    if given is not None:
        if not math.isfinite(given):
            raise UsageError(f"--target is {given}; expected a finite number")
        return given
    target = run.targets.get("target")
    if isinstance(target, list):
        start_of = getattr(run.spec.target, "start_of", None)
        start = len(target) if start_of is None else int(start_of(_batch(first))[0])
        target = target[start] if start < len(target) else None
    if target is None:
        raise UsageError("this run names no return to ask for in this episode; give one with --target R")
    return float(target)


def _picture(env: gym.Env[Any, Any], observation: Any) -> np.ndarray:
    """(H, W, 3) what the environment draws; of one that draws nothing its observation."""
    try:
        drawn: Any = env.render()
    except NotImplementedError:
        drawn = None
    return picture_of(observation) if drawn is None else np.asarray(drawn, np.uint8)


def _frame(picture: np.ndarray, lines: list[str]) -> Image.Image:
    """The picture at its width of 320 pixels over a strip with four short texts."""
    image = Image.fromarray(picture)
    height = max(1, round(WIDTH * image.height / image.width))
    smooth = Image.Resampling.BOX if image.width > WIDTH else Image.Resampling.NEAREST
    canvas = Canvas(WIDTH, height + STRIP)
    canvas.image.paste(image.resize((WIDTH, height), smooth), (0, 0))
    canvas.draw.line((0, height, WIDTH, height), fill=PALE)
    for place, words in enumerate(lines):
        canvas.text((10 + place % 2 * 170, height + 7 + place // 2 * 20), words, size=14)
    return canvas.image.quantize(COLOURS)


def _encode(frames: list[Image.Image]) -> tuple[bytes, int]:
    """The GIF and its number of frames; of a file that would be too large every other frame is left out, but not the last."""
    while True:
        each = int(np.clip(PLAYING_TIME_MS / len(frames), SHORTEST_MS, LONGEST_MS))
        buffer = io.BytesIO()
        durations = [each] * (len(frames) - 1) + [LAST_MS]
        frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:], duration=durations, loop=0)
        if buffer.tell() <= MAX_BYTES or len(frames) <= 2:
            return buffer.getvalue(), len(frames)
        frames = [*frames[:-1:2], frames[-1]]


def _batch(observation: Any) -> Observations:
    """One observation as a batch of one."""
    if isinstance(observation, Mapping):
        return {key: np.asarray(value)[None] for key, value in observation.items()}
    return np.asarray(observation)[None]


def _row(observation: Any) -> Any:
    return map_observations(lambda array: torch.from_numpy(np.ascontiguousarray(array)), _batch(observation))


def _asked(asked: float | None, to_go: float) -> str:
    return "no return asked for" if asked is None else f"return-to-go {to_go:.4g}"
