"""Actors that soft actor-critic learned on the three machines, as behaviour: plain arrays, run in numpy.

``envs/assets/mujoco_<task>.safetensors`` holds the actors of one training: its best (``expert``), one with about a third
of that return (``medium``), and some on the way there (``path``). From them come D4RL's five recipes, with actions drawn
from each actor's distribution as D4RL does:

- ``medium-replay`` stands for the replay buffer of a training up to medium: random actions, then the actors of the path,
  each with the same share of the timesteps;
- ``medium-expert`` has as many timesteps of either.

An episode is played by one actor from beginning to end. `dsbench.envs.behaviour_training.mujoco` trained them,
`dsbench.envs.behaviour_training.mujoco_levels` chose and measured them; the header of the file says how good each is.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load as parse
from scipy.special import ndtri

from dsbench.envs.behaviour import uniform_torques
from dsbench.envs.spec import Behaviour, Recipe
from dsbench.errors import CorruptFile

ASSET = "assets/mujoco_{name}.safetensors"
SHA256 = {
    "halfcheetah": "5a25792ac900dddcad6647dd4533181ca61c8398609152b4b66c07439d33410c",
    "hopper": "876c6966119d7d94ac1d3cc6111f37735136417fb1f11f8b1af17e5633a4b6ed",
    "walker2d": "129afc1f2af350d2a51a99f28374ddb34014cbb2d7782ce26021a245a9c1df4f",
}
LOG_STD = (-20.0, 2.0)  # what the logarithm of the standard deviation is clipped to, in training as here
RANDOM = -1  # in the place of an actor: uniformly random actions


@dataclass(frozen=True)
class Actors:
    """Actors with two hidden layers of rectified units, one a row of each float64 array.

    Attributes:
        first_weight, first_bias: (actors, observations, hidden) and (actors, hidden).
        second_weight, second_bias: (actors, hidden, hidden) and (actors, hidden).
        mean_weight, mean_bias: (actors, hidden, joints) and (actors, joints); of the action before tanh.
        log_std_weight, log_std_bias: the same, of the logarithm of its standard deviation.
    """

    first_weight: np.ndarray
    first_bias: np.ndarray
    second_weight: np.ndarray
    second_bias: np.ndarray
    mean_weight: np.ndarray
    mean_bias: np.ndarray
    log_std_weight: np.ndarray
    log_std_bias: np.ndarray

    def __len__(self) -> int:
        return len(self.first_bias)

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def select(self, actors: Sequence[int]) -> Actors:
        """Those with these indices."""
        return Actors(**{name: array[list(actors)] for name, array in self.arrays().items()})


@dataclass(frozen=True)
class Shipped:
    """The actors of a task and the header that says what each of them is.

    Attributes:
        header: ``actors``, a list with ``level`` (path, medium or expert), ``mean_return``, ``mean_length`` and more of
            each; ``random``, the same of uniformly random actions; versions and settings of the training.
    """

    actors: Actors
    header: dict[str, Any]

    def of_level(self, *levels: str) -> list[int]:
        """Actors of these levels, in the order of the file."""
        return [place for place, one in enumerate(self.header["actors"]) if one["level"] in levels]

    def mean_length(self, actor: int) -> float:
        """Timesteps of a mean episode."""
        one = self.header["random"] if actor == RANDOM else self.header["actors"][actor]
        return float(one["mean_length"])


Mixture = Callable[[Shipped], list[int]]  # actors that share the timesteps of a recipe equally


def recipes(name: str, joints: int) -> dict[str, Recipe]:
    """D4RL's recipes for the task `name`; the actors are read when the first action is asked for."""
    summaries: dict[str, tuple[str, Mixture]] = {
        "medium": ("one actor from the middle of its training, at about a third of the expert's return", _medium),
        "medium-replay": (
            "what training saw up to medium: random actions and actors on the way, in equal parts",
            _path,
        ),
        "medium-expert": ("as many timesteps of the medium actor as of the expert", _medium_and_expert),
        "expert": ("the best actor of its training, with noise as it explores", _expert),
    }
    made = {recipe: Recipe(text, _mixed(name, joints, who)) for recipe, (text, who) in summaries.items()}
    return {"random": Recipe("uniformly random torques", uniform_torques(joints)), **made}


def expert(name: str, joints: int) -> Behaviour:
    """The best actor, as the best policy known."""
    return _mixed(name, joints, _expert)


def act(actors: Actors, who: np.ndarray, observations: np.ndarray, draws: np.ndarray) -> NDArray[np.float32]:
    """(rows, joints) actions, each row's drawn by its own actor.

    Each row is multiplied alone: a product of matrices may round differently with other rows beside it, and an episode
    must not depend on how many are stepped together.

    Args:
        who: (rows,) index of the actor that plays the row.
        observations: (rows, columns).
        draws: (rows, joints) uniform on [0, 1).
    """
    actions = np.empty(draws.shape, np.float32)
    for actor in np.unique(who):
        rows = np.flatnonzero(who == actor)
        hidden = _layer(observations[rows].astype(np.float64), actors.first_weight[actor], actors.first_bias[actor])
        hidden = np.maximum(hidden, 0)
        hidden = np.maximum(_layer(hidden, actors.second_weight[actor], actors.second_bias[actor]), 0)
        mean = _layer(hidden, actors.mean_weight[actor], actors.mean_bias[actor])
        log_std = np.clip(_layer(hidden, actors.log_std_weight[actor], actors.log_std_bias[actor]), *LOG_STD)
        actions[rows] = np.tanh(mean + np.exp(log_std) * ndtri(draws[rows]))
    return actions


def _layer(inputs: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    return (inputs[:, None] @ weight)[:, 0] + bias


def _mixed(name: str, joints: int, mixture: Mixture) -> Behaviour:
    """The draw of the episode picks its actor, the draws of a timestep but the first its action."""
    random = uniform_torques(joints)

    def behave(env: Any, timestep: int, draws: np.ndarray, episode_draw: np.ndarray) -> np.ndarray:
        shipped, going_on = load(name), ~env.over
        members, bounds = _shares(shipped, mixture)
        who = members[np.searchsorted(bounds, episode_draw, side="right")]
        actions = random(env, timestep, draws, episode_draw)
        rows = going_on & (who != RANDOM)
        actions[rows] = act(shipped.actors, who[rows], env.observations[rows], draws[rows, 1:])
        return actions

    return behave


def _shares(shipped: Shipped, mixture: Mixture) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Actors, and the draws of episodes at which the next one's begin: who plays short episodes has more of them."""
    members = mixture(shipped)
    episodes = np.array([1 / shipped.mean_length(actor) for actor in members])
    return np.array(members), np.cumsum(episodes / episodes.sum())[:-1]


def _medium(shipped: Shipped) -> list[int]:
    return shipped.of_level("medium")


def _expert(shipped: Shipped) -> list[int]:
    return shipped.of_level("expert")


def _medium_and_expert(shipped: Shipped) -> list[int]:
    return shipped.of_level("medium", "expert")


def _path(shipped: Shipped) -> list[int]:
    return [RANDOM, *shipped.of_level("path", "medium")]


@cache
def load(name: str) -> Shipped:
    """The shipped actors of a task.

    Raises:
        CorruptFile: the file is not there, or its bytes are not those that were published.
    """
    file = resources.files("dsbench.envs") / ASSET.format(name=name)
    if name not in SHA256 or not file.is_file():
        raise CorruptFile(f"{file} is missing, so {name} has no recipe but random; install dsbench again")
    content = file.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != SHA256[name]:
        raise CorruptFile(f"{file} has sha256 {found}, expected {SHA256[name]}; install dsbench again")
    return parse_actors(content)


def parse_actors(content: bytes) -> Shipped:
    """The actors in the bytes of a safetensors file, whose metadata has the header as JSON under ``header``."""
    arrays = {name: array.astype(np.float64) for name, array in parse(content).items()}
    metadata = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])["__metadata__"]
    header = {name: json.loads(text) for name, text in metadata.items()}
    return Shipped(Actors(**arrays), header)
