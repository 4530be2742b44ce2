"""The shipped PPO ensemble: whose file it is, that numpy computes what torch computes, and that it is as good as it says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from dsbench.envs import get_spec
from dsbench.envs.behaviour_training.cartpole import measured_returns, save, train
from dsbench.envs.data import generate
from dsbench.envs.tasks import cartpole_ppo
from dsbench.envs.tasks.cartpole_ppo import ASSET, Ensemble, load, ppo_ensemble, push_right
from dsbench.errors import CorruptFile

ROOT = Path(__file__).parents[2]
ENSEMBLE, HEADER = load()


def in_torch(member: int) -> torch.nn.Module:
    """The same actor as stable-baselines3 builds it."""
    arrays = {name: torch.tensor(array[member]) for name, array in ENSEMBLE.arrays().items()}
    network = torch.nn.Sequential(
        torch.nn.Linear(4, 64), torch.nn.Tanh(), torch.nn.Linear(64, 64), torch.nn.Tanh(), torch.nn.Linear(64, 2)
    ).double()
    for index, name in ((0, "first"), (2, "second"), (4, "last")):
        network[index].load_state_dict({"weight": arrays[f"{name}_weight"].T, "bias": arrays[f"{name}_bias"]})
    return network


def test_the_actors_give_the_softmax_that_torch_gives() -> None:
    observations = np.random.default_rng(0).normal(size=(300, 4)).astype(np.float32)
    member = np.random.default_rng(1).integers(len(ENSEMBLE), size=300)
    got = push_right(ENSEMBLE, member, observations)
    for index in range(len(ENSEMBLE)):
        with torch.no_grad():
            expected = in_torch(index)(torch.tensor(observations[member == index]).double()).softmax(-1)[:, 1]
        np.testing.assert_allclose(got[member == index], expected.numpy(), rtol=0, atol=1e-12)


def test_each_episode_is_played_by_one_member_with_actions_drawn_from_its_softmax() -> None:
    rows, probability = 20_000, []
    env = get_spec("cartpole").vector([3] * rows)
    for index in range(len(ENSEMBLE)):
        episode_draw = np.full(rows, (index + 0.5) / len(ENSEMBLE))
        actions = ppo_ensemble(env, 0, np.random.default_rng(index).random((rows, 2)), episode_draw)
        probability.append(push_right(ENSEMBLE, np.array([index]), env.observations[:1])[0])
        assert abs(actions.mean() - probability[-1]) < 4 * 0.5 / np.sqrt(rows)
    assert len(set(probability)) == len(ENSEMBLE)  # no two members are the same


def test_the_ensemble_is_as_good_as_its_header_says_and_of_many_qualities() -> None:
    stated = [member["mean_return"] for member in HEADER["members"]]
    again = measured_returns(ENSEMBLE, episodes=150)  # standard error of a mean at most 160 / sqrt(150) = 13
    np.testing.assert_allclose(again, stated, atol=4 * 13)
    assert min(stated) < 100 < 200 < sorted(stated)[len(stated) // 2] < 350 < max(stated)
    returns = generate(get_spec("cartpole"), "ppo", 400, seed=0).returns()
    assert abs(returns.mean() - np.mean(stated)) < 4 * 200 / np.sqrt(400)


def test_an_episode_is_the_same_however_many_are_made() -> None:
    spec = get_spec("cartpole", max_steps=100)
    few, many = generate(spec, "ppo", 5, seed=2), generate(spec, "ppo", 300, seed=2).select(range(5))
    for name, array in few.arrays().items():
        assert np.array_equal(array, many.arrays()[name])


def test_the_file_is_small_float32_and_made_with_the_pinned_version() -> None:
    path = ROOT / "envs" / ASSET
    assert path.stat().st_size < 300_000
    with np.load(path, allow_pickle=False) as stored:
        assert {array.dtype for name, array in stored.items() if name != "header"} == {np.dtype(np.float32)}
    pinned = (ROOT / "requirements-behaviour.txt").read_text().splitlines()
    assert f"stable-baselines3=={HEADER['versions']['stable-baselines3']}" in pinned


def test_writing_the_shipped_ensemble_again_gives_the_shipped_bytes(tmp_path: Path) -> None:
    save(tmp_path / "again.npz", ENSEMBLE, HEADER)
    assert (tmp_path / "again.npz").read_bytes() == (ROOT / "envs" / ASSET).read_bytes()


def test_a_file_with_other_bytes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cartpole_ppo, "SHA256", "0" * 64)
    with pytest.raises(CorruptFile, match=r"cartpole_ppo\.npz has sha256 .* install dsbench again"):
        load.__wrapped__()


def test_training_keeps_the_actor_that_stable_baselines3_has(tmp_path: Path) -> None:
    """A file that was kept acts as the policy did (only where stable-baselines3 is installed)."""
    library = pytest.importorskip("stable_baselines3")
    (kept,) = train(seed=0, checkpoints=[2048])
    model = library.PPO("MlpPolicy", "CartPole-v1", seed=0, device="cpu").learn(2048)
    observations = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    ensemble = Ensemble(**{name: array[None].astype(np.float64) for name, array in kept.items()})
    with torch.no_grad():
        expected = model.policy.get_distribution(torch.tensor(observations)).distribution.probs[:, 1]
    np.testing.assert_allclose(push_right(ensemble, np.zeros(50, int), observations), expected.numpy(), atol=1e-6)
