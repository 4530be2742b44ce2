"""Trains the PPO ensemble behind the recipe ``ppo`` of ``cartpole``, in minutes on one core::

    pip install -r requirements-behaviour.txt
    python -m dsbench.envs.behaviour_training.cartpole --out cartpole_ppo.npz

PPO (Schulman et al. 2017, arXiv:1707.06347) of stable-baselines3 under its default settings, one run a seed. The actor of
each run is kept at an early, a middle and a late timestep, so that the ensemble holds policies of many qualities. The file
holds no pickle: float32 arrays, and a header (JSON as bytes) with versions, settings and the measured return of each actor.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import json
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dsbench.envs.tasks.cartpole_episodes import WHOLE, CartPoleEpisodes
from dsbench.envs.tasks.cartpole_ppo import Ensemble, push_right

SEEDS = (0, 1, 2, 3)
CHECKPOINTS = (6_144, 16_384, 65_536)  # timesteps; multiples of the 2048 of one PPO rollout
MAX_STEPS = 500
MEASURED_EPISODES = 1000
PACKAGES = ("stable-baselines3", "torch", "gymnasium", "numpy")


def train(seed: int, checkpoints: Sequence[int]) -> list[dict[str, np.ndarray]]:
    """The actor's weights at each checkpoint of one PPO run."""
    from stable_baselines3 import PPO

    model = PPO("MlpPolicy", "CartPole-v1", seed=seed, device="cpu", policy_kwargs={"net_arch": [64, 64]})
    actors = []
    for timesteps in checkpoints:
        model.learn(timesteps - model.num_timesteps, reset_num_timesteps=False)
        actors.append(_actor(model.policy))
    return actors


def measured_returns(ensemble: Ensemble, max_steps: int = MAX_STEPS, episodes: int = MEASURED_EPISODES) -> list[float]:
    """Mean return of each member, actions sampled, over the environment's seeds 0 .. episodes - 1."""
    means = []
    for member in range(len(ensemble)):
        env, generator = CartPoleEpisodes(range(episodes), max_steps, WHOLE), np.random.default_rng(member)
        lengths = np.zeros(episodes)
        while not env.over.all():
            probability = push_right(ensemble, np.full(episodes, member), np.asarray(env.observations))
            lengths += env.step((generator.random(episodes) < probability).astype(np.int64))[1]
        means.append(float(lengths.mean()))
    return means


def save(path: Path, ensemble: Ensemble, header: dict[str, Any]) -> None:
    """Write the ensemble and its header, not compressed: the same weights and header give the same bytes everywhere."""
    text = np.frombuffer(json.dumps(header, indent=1).encode(), np.uint8)
    weights = {name: array.astype(np.float32) for name, array in ensemble.arrays().items()}
    np.savez(path, allow_pickle=False, header=text, **weights)


def _actor(policy: Any) -> dict[str, np.ndarray]:
    """The linear layers of stable-baselines3's actor, inputs first, with the names of `Ensemble`."""
    hidden = policy.mlp_extractor.policy_net
    layers = {"first": hidden[0], "second": hidden[2], "last": policy.action_net}
    arrays = {f"{name}_weight": layer.weight.detach().numpy().T.copy() for name, layer in layers.items()}
    return arrays | {f"{name}_bias": layer.bias.detach().numpy().copy() for name, layer in layers.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the PPO ensemble of the recipe ppo of cartpole.")
    parser.add_argument("--out", type=Path, required=True, help="file to write, .npz")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument(
        "--checkpoints", type=int, nargs="+", default=CHECKPOINTS, help="timesteps at which to keep actors"
    )
    options = parser.parse_args()
    actors = [actor for seed in options.seeds for actor in train(seed, options.checkpoints)]
    ensemble = Ensemble(**{name: np.stack([actor[name] for actor in actors]).astype(np.float64) for name in actors[0]})
    returns = measured_returns(ensemble)
    members = [
        {"seed": seed, "timesteps": timesteps, "mean_return": returns.pop(0)}
        for seed in options.seeds
        for timesteps in options.checkpoints
    ]
    versions = {name: importlib.metadata.version(name) for name in PACKAGES} | {"python": platform.python_version()}
    settings = "PPO, MlpPolicy, net_arch 64 64, tanh, all else at stable-baselines3's defaults, CPU"
    measured = f"{MEASURED_EPISODES} episodes of at most {MAX_STEPS} timesteps, actions sampled"
    save(
        options.out,
        ensemble,
        {"env": "CartPole-v1", "training": settings, "mean_return": measured, "versions": versions, "members": members},
    )
    for member in members:
        print(member)
    print("sha256", hashlib.sha256(options.out.read_bytes()).hexdigest())


if __name__ == "__main__":
    main()
