"""Chooses the actors of one training that define the levels of hopper, halfcheetah or walker2d, and measures them::

    python -m dsbench.envs.behaviour_training.mujoco_levels --training training/hopper --env hopper \
        --out envs/assets/mujoco_hopper.safetensors

The training is a folder of `dsbench.envs.behaviour_training.mujoco`. Actors are judged as they act in data, with the noise
of their distributions, in version 5 of the physics:

* every snapshot plays some episodes, the best five many more, and the best of those is the *expert*;
* *medium* is the snapshot closest to a third of the expert's return, of those before the first over a half of it;
* the *path* is up to twelve snapshots, evenly spaced in training from the first one to medium.

Weights are rounded to float16 before anything is measured, which halves the file. All that are chosen are measured anew, on
other episodes: those that name a level, and the random policy, over many, for their figures are what a data set is held to.
What is written holds every figure in its metadata; its sha256 goes into ``SHA256`` of `dsbench.envs.tasks.mujoco_actors`.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import importlib.metadata
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

import dsbench
from dsbench.envs import EnvSpec, get_spec
from dsbench.envs.spec import Behaviour
from dsbench.envs.tabular import play
from dsbench.envs.tasks.mujoco_actors import Actors, Shipped, act, parse_actors
from dsbench.files import write_atomic

SNAPSHOT_EPISODES, BEST_EPISODES = 20, 100
MEASURED_EPISODES = {"path": 100, "medium": 500, "expert": 500, "random": 500}
BEST, PATH = 5, 12
SEEDS = {"snapshots": 1, "best": 2, "measured": 3}  # of the episodes of each comparison
STORED = np.float16
PACKAGES = ("gymnasium", "mujoco", "numpy")


def playing(actors: Actors, actor: int) -> Behaviour:
    """One actor, with the noise of its distribution."""

    def behave(env: Any, timestep: int, draws: np.ndarray, episode_draw: np.ndarray) -> np.ndarray:
        actions, rows = np.zeros((len(draws), draws.shape[1] - 1), np.float32), ~env.over
        actions[rows] = act(actors, np.full(rows.sum(), actor), env.observations[rows], draws[rows, 1:])
        return actions

    return behave


def measured(spec: EnvSpec, behaviour: Behaviour, episodes: int, seed: int) -> dict[str, float]:
    """What a behaviour reaches in so many episodes."""
    played = play(spec, behaviour, episodes, seed)
    returns, lengths = played.returns(), played.lengths
    return {
        "mean_return": round(float(returns.mean()), 2),
        "std_return": round(float(returns.std()), 2),
        "mean_length": round(float(lengths.mean()), 2),
        "normalised": round(spec.normalised(float(returns.mean())), 2),
        "episodes": episodes,
    }


def medium_of(returns: Sequence[float], expert: float) -> int:
    """The snapshot closest to a third of the expert's return, of those before the first over a half of it."""
    over = [place for place, value in enumerate(returns) if value > expert / 2]
    before = range(max(1, over[0]) if over else len(returns))
    return min(before, key=lambda place: abs(returns[place] - expert / 3))


def path_to(medium: int) -> list[int]:
    """Up to twelve snapshots before `medium`, evenly spaced from the first one."""
    return sorted(set(np.linspace(0, medium, PATH + 1)[:-1].round().astype(int).tolist()) - {medium})


def select(env: str, training: Path) -> tuple[Actors, dict[str, Any]]:
    """The chosen actors, path first, then medium and expert, and the header that tells all about them."""
    spec = get_spec(env)
    content = (training / "actors.safetensors").read_bytes()
    snapshots = parse_actors(content)
    actors = Actors(
        **{name: array.astype(STORED).astype(np.float64) for name, array in snapshots.actors.arrays().items()}
    )
    timesteps, seconds = _curve(training / "curve.csv", len(actors))

    def of(snapshot: int, episodes: int, part: str) -> dict[str, float]:
        return measured(spec, playing(actors, snapshot), episodes, SEEDS[part])

    returns = []
    for snapshot in range(len(actors)):
        returns.append(of(snapshot, SNAPSHOT_EPISODES, "snapshots")["mean_return"])
        print(f"{timesteps[snapshot]:>9,} timesteps  return {returns[-1]:8.1f}", flush=True)
    best = sorted(range(len(returns)), key=lambda snapshot: -returns[snapshot])[:BEST]
    again = {snapshot: of(snapshot, BEST_EPISODES, "best")["mean_return"] for snapshot in best}
    expert = max(again, key=lambda snapshot: again[snapshot])
    medium = medium_of(returns, again[expert])
    chosen = [*((snapshot, "path") for snapshot in path_to(medium)), (medium, "medium"), (expert, "expert")]
    figures = [
        {"level": level, "timesteps": timesteps[snapshot], "training_seconds": seconds[snapshot]}
        | of(snapshot, MEASURED_EPISODES[level], "measured")
        for snapshot, level in chosen
    ]
    header = {
        "env": spec.id,
        "simulator": dict(spec.simulator),
        "actors": figures,
        "random": measured(spec, spec.random, MEASURED_EPISODES["random"], SEEDS["measured"]),
        "snapshots": [list(pair) for pair in zip(timesteps, returns, strict=True)],
        "best": {str(timesteps[snapshot]): value for snapshot, value in again.items()},
        "training": snapshots.header.get("training"),
        "versions": {"dsbench": dsbench.__version__, **{name: importlib.metadata.version(name) for name in PACKAGES}},
    }
    return actors.select([snapshot for snapshot, _ in chosen]), header


def write(path: Path, actors: Actors, header: dict[str, Any]) -> Shipped:
    """Write the actors as a safetensors file with the header as metadata; returns what is read back."""
    arrays = {name: array.astype(STORED) for name, array in actors.arrays().items()}
    content = save(arrays, {name: json.dumps(value) for name, value in header.items()})
    write_atomic(path, content)
    return parse_actors(path.read_bytes())


def _curve(path: Path, snapshots: int) -> tuple[list[int], list[float]]:
    """(timesteps, seconds of training) of each snapshot; rows beyond the last saved one are left out."""
    with path.open(newline="") as file:
        rows = list(csv.reader(file))[:snapshots]
    if len(rows) < snapshots:
        raise ValueError(f"{path} has {len(rows)} rows for {snapshots} snapshots")
    return [int(row[0]) for row in rows], [float(row[3]) for row in rows]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Choose and measure the actors that define a MuJoCo task's levels.")
    parser.add_argument("--training", type=Path, required=True, help="folder of the training")
    parser.add_argument("--env", choices=("halfcheetah", "hopper", "walker2d"), required=True)
    parser.add_argument("--out", type=Path, required=True, help="file to write, .safetensors")
    options = parser.parse_args(arguments)
    shipped = write(options.out, *select(options.env, options.training))
    for one in shipped.header["actors"]:
        print(f"{one['level']:>7} at {one['timesteps']:>9,}: {one['mean_return']:8.1f} ± {one['std_return']:.1f}")
    print(f'"{options.env}": "{hashlib.sha256(options.out.read_bytes()).hexdigest()}",')


if __name__ == "__main__":
    main()
