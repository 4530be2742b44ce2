"""An ensemble of policies that PPO learned on CartPole-v1, as behaviour: plain arrays, run in numpy.

Scripted behaviour errs evenly; a learner in the middle of its training errs in ways of its own. Each episode is played by
one member of the ensemble from beginning to end, with actions sampled from its softmax. The members are actors of several
PPO runs at several timesteps of each; ``dsbench.envs.behaviour_training.cartpole`` made them, the header in the file says
with which versions and how good each of them is.
"""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import dataclass, fields
from functools import cache
from importlib import resources
from typing import Any

import numpy as np

from dsbench.errors import CorruptFile

ASSET = "assets/cartpole_ppo.npz"
SHA256 = "07dc1ef724aba4d1c9760c9af01ffd595b32fb0230e36c62eb1ba1a5089b4f51"


@dataclass(frozen=True)
class Ensemble:
    """Actors with two hidden layers of tanh, one a row of each float64 array.

    Attributes:
        first_weight, first_bias: (members, 4, hidden) and (members, hidden).
        second_weight, second_bias: (members, hidden, hidden) and (members, hidden).
        last_weight, last_bias: (members, hidden, 2) and (members, 2); their output is the logits of left and right.
    """

    first_weight: np.ndarray
    first_bias: np.ndarray
    second_weight: np.ndarray
    second_bias: np.ndarray
    last_weight: np.ndarray
    last_bias: np.ndarray

    def __len__(self) -> int:
        return len(self.first_bias)

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def push_right(ensemble: Ensemble, member: np.ndarray, observations: np.ndarray) -> np.ndarray:
    """(rows,) probability of action 1 under each row's own member.

    Computed in float64: a matrix product may round differently with other rows beside it, and an episode must not depend on
    how many are stepped together. Differences of 1e-16 move one draw past its probability in 1e15 or so.

    Args:
        member: (rows,) index of the member that plays the row.
        observations: (rows, 4) x, its velocity, theta, its velocity.
    """
    probability = np.empty(len(member))
    for index in np.unique(member):
        rows = member == index
        hidden = np.tanh(observations[rows] @ ensemble.first_weight[index] + ensemble.first_bias[index])
        hidden = np.tanh(hidden @ ensemble.second_weight[index] + ensemble.second_bias[index])
        left, right = (hidden @ ensemble.last_weight[index] + ensemble.last_bias[index]).T
        probability[rows] = 1 / (1 + np.exp(left - right))
    return probability


def ppo_ensemble(env: Any, timestep: int, draws: np.ndarray, episode_draw: np.ndarray) -> np.ndarray:
    """The shipped ensemble: the episode's draw picks the member, the second draw of a timestep its action."""
    ensemble, going_on = load()[0], ~env.over
    member = (episode_draw[going_on] * len(ensemble)).astype(np.int64)
    actions = np.zeros(len(draws), np.int64)
    actions[going_on] = draws[going_on, 1] < push_right(ensemble, member, env.observations[going_on])
    return actions


@cache
def load() -> tuple[Ensemble, dict[str, Any]]:
    """The shipped ensemble and the header that says how it was made.

    Raises:
        CorruptFile: its bytes are not those that were published.
    """
    file = resources.files("dsbench.envs") / ASSET
    content = file.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != SHA256:
        raise CorruptFile(f"{file} has sha256 {found}, expected {SHA256}; install dsbench again")
    with np.load(io.BytesIO(content), allow_pickle=False) as stored:
        arrays = dict(stored)
    header = json.loads(arrays.pop("header").tobytes())
    return Ensemble(**{name: array.astype(np.float64) for name, array in arrays.items()}), header
