"""Actors as behaviour: against the same network in torch, the same whoever plays beside them, mixed as D4RL mixes."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save

from dsbench.envs import get_spec
from dsbench.envs.data import generate
from dsbench.envs.tasks import mujoco_actors
from dsbench.envs.tasks.mujoco_actors import RANDOM, Actors, act, parse_actors
from dsbench.errors import CorruptFile
from tests.envs.tasks.simulated_actors import random_actors, ship

pytest.importorskip("mujoco")


def by_torch(actors: Actors, actor: int, observations: np.ndarray, draws: np.ndarray) -> np.ndarray:
    one = {name: torch.from_numpy(array[actor]) for name, array in actors.arrays().items()}
    hidden = torch.relu(torch.from_numpy(observations) @ one["first_weight"] + one["first_bias"])
    hidden = torch.relu(hidden @ one["second_weight"] + one["second_bias"])
    mean = hidden @ one["mean_weight"] + one["mean_bias"]
    spread = (hidden @ one["log_std_weight"] + one["log_std_bias"]).clamp(-20, 2).exp()
    return torch.tanh(torch.distributions.Normal(mean, spread).icdf(torch.from_numpy(draws))).numpy()


def test_actions_are_those_of_the_network_in_torch() -> None:
    actors, rng = random_actors("walker2d", 3), np.random.default_rng(0)
    observations, draws, who = rng.normal(0, 3, (50, 17)), rng.random((50, 6)), rng.integers(3, size=50)
    actions = act(actors, who, observations, draws)
    assert actions.dtype == np.float32
    for actor in range(3):
        rows = who == actor
        assert np.allclose(actions[rows], by_torch(actors, actor, observations[rows], draws[rows]), atol=1e-6)


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_a_row_s_action_does_not_depend_on_the_rows_beside_it(data: st.DataObject) -> None:
    actors, rng = random_actors("hopper", 2), np.random.default_rng(data.draw(st.integers(0, 9)))
    observations, draws, who = rng.normal(0, 3, (40, 11)), rng.random((40, 3)), rng.integers(2, size=40)
    some = np.array(sorted(data.draw(st.sets(st.integers(0, 39), min_size=1))))
    every = act(actors, who, observations, draws)
    assert np.array_equal(every[some], act(actors, who[some], observations[some], draws[some]))


def test_episodes_are_the_same_however_many_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    ship(monkeypatch, "hopper")
    spec = get_spec("hopper")
    few, many = generate(spec, "medium-replay", 5, seed=1), generate(spec, "medium-replay", 40, seed=1)
    assert all(np.array_equal(array, many.select(range(5)).arrays()[name]) for name, array in few.arrays().items())


@pytest.mark.parametrize(
    ("recipe", "lengths"),
    [
        ("medium", {2: 300}),
        ("expert", {3: 400}),
        ("medium-expert", {2: 300, 3: 400}),
        ("medium-replay", {RANDOM: 50, 0: 100, 1: 200, 2: 300}),
    ],
)
def test_the_actors_of_a_recipe_have_equal_shares_of_its_timesteps(
    recipe: str, lengths: dict[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = ship(monkeypatch, "hopper")
    played: list[int] = []
    rows = 20_000

    def noted(actors: Actors, who: np.ndarray, *_: np.ndarray) -> np.ndarray:
        played.extend(who.tolist())
        return np.zeros((len(who), 3), np.float32)

    class Env:
        over = np.zeros(rows, bool)
        observations = np.zeros((rows, 11), np.float32)

    monkeypatch.setattr(mujoco_actors, "act", noted)
    rng = np.random.default_rng(0)
    get_spec("hopper").recipe(recipe).behaviour(Env, 0, rng.random((rows, 4)), rng.random(rows))
    assert len(shipped.actors) == 4
    counts = {who: played.count(who) if who != RANDOM else rows - len(played) for who in lengths}
    assert sum(counts.values()) == rows
    timesteps = {who: counts[who] * lengths[who] for who in lengths}
    share = sum(timesteps.values()) / len(timesteps)
    assert all(abs(part / share - 1) < 0.1 for part in timesteps.values())


def test_actors_come_out_of_a_file_as_they_went_in() -> None:
    arrays = {name: array.astype(np.float32) for name, array in random_actors("hopper", 2).arrays().items()}
    header = {"actors": [{"level": "medium"}, {"level": "expert"}], "random": {"mean_length": 20.5}}
    content = save(arrays, {name: json.dumps(value) for name, value in header.items()})
    shipped = parse_actors(content)
    assert shipped.header == header
    assert (len(shipped.actors), shipped.of_level("expert"), shipped.mean_length(RANDOM)) == (2, [1], 20.5)
    assert all(np.array_equal(array, arrays[name]) for name, array in shipped.actors.arrays().items())
    assert len(shipped.actors.select([1])) == 1


@pytest.mark.parametrize("name", sorted(mujoco_actors.SHA256))
def test_the_shipped_actors_are_those_that_were_published(name: str) -> None:
    shipped = mujoco_actors.load(name)
    assert [len(shipped.of_level(level)) for level in ("medium", "expert")] == [1, 1]
    assert shipped.actors.first_weight.shape[1:] == random_actors(name, 1).first_weight.shape[1:]


def test_a_changed_file_of_actors_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mujoco_actors, "ASSET", "assets/cartpole_ppo.npz")
    monkeypatch.setattr(mujoco_actors, "SHA256", {"hopper": hashlib.sha256(b"").hexdigest()})
    mujoco_actors.load.cache_clear()
    with pytest.raises(CorruptFile, match=r"cartpole_ppo.npz has sha256 .*; install dsbench again"):
        mujoco_actors.load("hopper")
    with pytest.raises(CorruptFile, match="is missing, so walker2d has no recipe but random"):
        mujoco_actors.load("walker2d")
    mujoco_actors.load.cache_clear()
