"""Trains the behaviour policies of hopper, halfcheetah and walker2d, in hours on one core each::

    pip install -c constraints.txt -r requirements-behaviour.txt
    python -m dsbench.envs.behaviour_training.mujoco --env halfcheetah --timesteps 600000 --out training/halfcheetah

Soft actor-critic (Haarnoja et al. 2018, arXiv:1801.01290), or its truncated-quantile variant TQC (Kuznetsov et al. 2020,
arXiv:2005.04269), of sbx under default settings but for two layers of 128 and eight updates after every eight timesteps
(one a timestep, as usual; in groups of eight they run 1.8 times as fast). The folder holds what was learned, no pickle:

* ``state.safetensors`` and ``replay.npz``: all that training needs to go on; the same command resumes it;
* ``actors.safetensors``: the actor after every ``ACTOR_EVERY`` timesteps, one row of each array an actor;
* ``curve.csv``: timestep, mean return of the training episodes since the row before, their number, seconds of training.

A resumed training begins a new episode, so it is not equal, timestep for timestep, to one that was never interrupted.
"""

from __future__ import annotations

import argparse
import csv
import importlib.metadata
import json
import os
import time
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from safetensors.numpy import load_file, save_file

ENVS = {"hopper": "Hopper-v5", "halfcheetah": "HalfCheetah-v5", "walker2d": "Walker2d-v5"}
HIDDEN = (128, 128)
UPDATE_GROUP = 8
BUFFER_SIZE = 1_000_000
ACTOR_EVERY = 10_000  # timesteps
SAVE_EVERY = 50_000  # timesteps; a replay buffer of 300 MB takes a second to write
BUFFER_ARRAYS = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts")
LAYERS = {"Dense_0": "first", "Dense_1": "second", "Dense_2": "mean", "Dense_3": "log_std"}
PACKAGES = ("sbx-rl", "stable-baselines3", "jax", "flax", "optax", "gymnasium", "mujoco", "numpy")


class Training:
    """One training that can be left and taken up again."""

    def __init__(self, env: str, algorithm: str, seed: int, folder: Path) -> None:
        import sbx

        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        made = getattr(sbx, algorithm.upper())
        self.model: Any = made(
            "MlpPolicy",
            gymnasium.make(ENVS[env]),
            policy_kwargs={"net_arch": list(HIDDEN)},
            train_freq=UPDATE_GROUP,
            gradient_steps=UPDATE_GROUP,
            learning_starts=10_000,
            buffer_size=BUFFER_SIZE,
            seed=seed,
        )
        self.seconds = 0.0
        self.actors: dict[str, list[np.ndarray]] = {}
        header = {"env": ENVS[env], "algorithm": algorithm, "seed": seed, "hidden": list(HIDDEN)}
        header["versions"] = {name: importlib.metadata.version(name) for name in PACKAGES}
        self.header = {"training": json.dumps(header)}

    @property
    def timestep(self) -> int:
        return int(self.model.num_timesteps)

    def run(self, timesteps: int) -> None:
        """Train until ``timesteps`` in all, saving on the way."""
        if (self.folder / "state.safetensors").exists():
            self._restore()
        while self.timestep < timesteps:
            self._stretch()
            if self.timestep % SAVE_EVERY < ACTOR_EVERY or self.timestep >= timesteps:
                self._save()

    def _stretch(self) -> None:
        start = time.monotonic()
        self.model.learn(ACTOR_EVERY, reset_num_timesteps=False, log_interval=10**9)
        self.seconds += time.monotonic() - start
        for name, array in _actor(self.model.policy.actor_state.params).items():
            self.actors.setdefault(name, []).append(array)
        episodes = [episode["r"] for episode in self.model.ep_info_buffer]
        self.model.ep_info_buffer.clear()
        row = [self.timestep, np.mean(episodes) if episodes else float("nan"), len(episodes), round(self.seconds)]
        with (self.folder / "curve.csv").open("a", newline="") as file:
            csv.writer(file).writerow(row)
        print(*row, flush=True)

    def _learned(self) -> dict[str, Any]:
        """All that is learned, as one tree of arrays."""
        model, policy = self.model, self.model.policy
        states = {name: value for name, value in vars(policy).items() if name.endswith("_state")}
        return {"policy": states, "entropy": model.ent_coef_state, "keys": [model.key, policy.key, policy.noise_key]}

    def _save(self) -> None:
        import jax

        leaves = jax.tree_util.tree_leaves_with_path(self._learned())
        arrays = {
            f"{index} {jax.tree_util.keystr(path)}": np.asarray(leaf) for index, (path, leaf) in enumerate(leaves)
        }
        arrays["timestep"] = np.asarray(self.timestep)
        arrays["updates"] = np.asarray(self.model._n_updates)
        arrays["seconds"] = np.asarray(self.seconds)
        buffer = self.model.replay_buffer
        held = BUFFER_SIZE if buffer.full else buffer.pos
        stored = {name: getattr(buffer, name)[:held].astype(np.float32) for name in BUFFER_ARRAYS}
        self._write("replay.npz", lambda path: np.savez(path, position=buffer.pos, full=buffer.full, **stored))
        actors = {name: np.stack(rows) for name, rows in self.actors.items()}
        self._write("actors.safetensors", lambda path: save_file(actors, path, self.header))
        self._write("state.safetensors", lambda path: save_file(arrays, path, self.header))

    def _write(self, name: str, write: Any) -> None:
        """All or nothing: written beside the old file, then put into its place."""
        beside = self.folder / f"part-{name}"
        write(beside)
        os.replace(beside, self.folder / name)

    def _restore(self) -> None:
        import jax

        arrays = load_file(self.folder / "state.safetensors")
        paths, structure = jax.tree_util.tree_flatten_with_path(self._learned())
        leaves = [
            jax.numpy.asarray(arrays[f"{index} {jax.tree_util.keystr(path)}"]) for index, (path, _) in enumerate(paths)
        ]
        learned = jax.tree_util.tree_unflatten(structure, leaves)
        for name, state in learned["policy"].items():
            setattr(self.model.policy, name, state)
        self.model.ent_coef_state = learned["entropy"]
        self.model.key, self.model.policy.key, self.model.policy.noise_key = learned["keys"]
        self.model.num_timesteps, self.model._n_updates = int(arrays["timestep"]), int(arrays["updates"])
        self.seconds = float(arrays["seconds"])
        self.actors = {name: list(rows) for name, rows in load_file(self.folder / "actors.safetensors").items()}
        self._restore_replay()
        self._cut_curve()
        self.model.set_random_seed(self.model.seed + self.timestep)  # new draws, not those of the beginning again
        self.model.key = learned["keys"][0]

    def _restore_replay(self) -> None:
        buffer = self.model.replay_buffer
        with np.load(self.folder / "replay.npz", allow_pickle=False) as stored:
            buffer.pos, buffer.full = int(stored["position"]), bool(stored["full"])
            for name in BUFFER_ARRAYS:
                getattr(buffer, name)[: len(stored[name])] = stored[name]

    def _cut_curve(self) -> None:
        """Rows after the state that was saved are trained again."""
        path = self.folder / "curve.csv"
        rows = [row for row in csv.reader(path.open(newline="")) if int(row[0]) <= self.timestep]
        with path.open("w", newline="") as file:
            csv.writer(file).writerows(rows)


def _actor(params: Any) -> dict[str, np.ndarray]:
    """The actor's linear layers by our names: ``first``, ``second``, ``mean`` and ``log_std``."""
    layers = params["params"]
    return {
        f"{ours}_{'weight' if part == 'kernel' else 'bias'}": np.asarray(layers[theirs][part], np.float32)
        for theirs, ours in LAYERS.items()
        for part in ("kernel", "bias")
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the behaviour policies of a MuJoCo task, or go on with it.")
    parser.add_argument("--env", choices=sorted(ENVS), required=True)
    parser.add_argument("--algorithm", choices=("sac", "tqc"), default="sac")
    parser.add_argument("--timesteps", type=int, required=True, help="in all, those of earlier runs counted")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, help="folder of the training; resumed where it holds one")
    options = parser.parse_args()
    Training(options.env, options.algorithm, options.seed, options.out).run(options.timesteps)


if __name__ == "__main__":
    main()
