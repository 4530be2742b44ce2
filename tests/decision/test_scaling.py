"""What is shown is standardised whatever its size, against float64, and what cannot be is said."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dsbench.backbones import build
from dsbench.batches import BatchSampler, whole_batch
from dsbench.config import TrainConfig
from dsbench.decision import Actor, DecisionSequence
from dsbench.decision.encoders import BoxEncoder
from dsbench.decision.policy import build_policy, policy_spec
from dsbench.decision.returns import FAR, ReturnEncoder
from dsbench.decision.scaling import note_on_target
from dsbench.episodes import Episodes
from dsbench.train import Trainer

NUMBERS = spaces.Box(-np.inf, np.inf, (2,), np.float32)


def episodes_with(
    rewards: np.ndarray, observations: np.ndarray | None = None, actions: np.ndarray | None = None
) -> Episodes:
    """Episodes of equal length from (E, T) rewards."""
    count, length = rewards.shape
    total, ends = rewards.size, np.zeros(rewards.shape, bool)
    ends[:, -1] = True
    seen = np.zeros((total, 2), np.float32) if observations is None else observations
    return Episodes(
        seen, np.zeros(total, np.int64) if actions is None else actions, rewards.astype(np.float32).ravel(), ends.ravel(),
        np.zeros(total, bool), np.arange(0, total + 1, length), seen[:count],
    )  # fmt: skip


def exact(values: list[float]) -> tuple[float, float]:
    """Mean and standard deviation with sums that round once."""
    mean = math.fsum(values) / len(values)
    return mean, math.sqrt(math.fsum((value - mean) ** 2 for value in values) / len(values))


@given(
    exponent=st.integers(-30, 27), ratio=st.integers(0, 9), place=st.sampled_from(["first", "each", "last"]),
    sign=st.sampled_from([-1, 1]), seed=st.integers(0, 99),
)  # fmt: skip
@settings(max_examples=100, deadline=None)
def test_return_tokens_are_the_standardised_returns_to_go(
    exponent: int, ratio: int, place: str, sign: int, seed: int
) -> None:
    """Signals of 10^exponent under offsets up to 10^9 times as large, in training and in acting, where float32 rewards
    carry them."""
    rng, (count, length) = np.random.default_rng(seed), (40, 5)
    signal = 10.0**exponent
    rewards = signal * rng.normal(size=(count, length))
    offset = sign * 2.0 ** round(math.log2(signal * 10.0**ratio))
    if place == "each":
        assume(ratio < 5)
        rewards += offset
    elif place == "last":
        assume(ratio < 5)
        rewards[:, -1] += offset
    else:
        rewards[:, 0] = offset
    episodes = episodes_with(rewards)
    paid = episodes.rewards.reshape(count, length).tolist()
    to_go = [[math.fsum(row[t:]) for t in range(length)] for row in paid]
    encoder = ReturnEncoder(4, centred=True)
    encoder.fit(episodes, None)
    (fine_mean, fine_std), (mean, std) = exact([row[0] for row in to_go]), exact([one for row in to_go for one in row])
    expected = np.stack(
        [np.clip((np.array(to_go) - fine_mean) / fine_std, -FAR, FAR), (np.array(to_go) - mean) / std], -1
    )
    in_training = encoder.scaled(whole_batch(episodes).return_to_go)
    np.testing.assert_allclose(in_training.numpy(), expected, rtol=1e-5, atol=1e-5)
    left, in_acting = torch.tensor([row[0] for row in to_go], dtype=torch.float64), []
    for t in range(length):
        in_acting.append(encoder.scaled(left))
        left = left - torch.from_numpy(episodes.rewards.reshape(count, length)[:, t]).to(left)
    np.testing.assert_allclose(torch.stack(in_acting, 1).numpy(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("change", [lambda e: e.double(), lambda e: e.float(), lambda e: e.to("cpu")])
def test_a_centre_is_not_rounded_with_the_weights(change: Any) -> None:
    encoder = ReturnEncoder(4, centred=True)
    encoder.fit(episodes_with(np.array([[2.0**20, 0.01], [2.0**20, -0.01]])), None)
    raw = torch.tensor([2.0**20 + 0.01], dtype=torch.float64)
    before = encoder.scaled(raw)[0, 0].item()
    assert before == pytest.approx(1, abs=1e-6)
    assert change(encoder).scaled(raw)[0, 0].item() == before


@given(
    exponent=st.integers(-37, 30), ratio=st.integers(0, 12), wide=st.booleans(), sign=st.sampled_from([-1, 1]),
    seed=st.integers(0, 99),
)  # fmt: skip
@settings(max_examples=150, deadline=None)
def test_observations_are_standardised_by_what_their_type_carries(
    exponent: int, ratio: int, wide: bool, sign: int, seed: int
) -> None:
    dtype = np.float64 if wide else np.float32
    signal = 10.0**exponent
    offset = sign * signal * 10.0**ratio
    assume(wide or abs(offset) < 1e37)
    raw = offset + signal * np.random.default_rng(seed).normal(size=(500, 2))
    values = raw.astype(dtype)
    encoder = BoxEncoder(spaces.Box(-np.inf, np.inf, (2,), dtype), 2, wide)
    notes = encoder.fit(values)
    with torch.no_grad():
        encoder.linear.weight.copy_(torch.eye(2))
        encoder.linear.bias.zero_()
        got = encoder(torch.from_numpy(values), None).double().numpy()
    spacing = np.spacing(np.abs(values).max(0)).astype(np.float64)
    unit = 10.0**exponent
    std = (values.astype(np.float64) / unit).std(0) * unit  # in units of the signal: its square must not vanish
    std[values.min(0) == values.max(0)] = 0
    for place in range(2):
        if std[place] > 8 * 2 * spacing[place]:
            mean = math.fsum(values[:, place].tolist()) / len(values)
            expected = (values[:, place].astype(np.float64) - mean) / std[place]
            np.testing.assert_allclose(got[:, place], expected, rtol=1e-5, atol=1e-5 + 2 * spacing[place] / std[place])
    if not (std > 4 * spacing).all():
        assert notes or (std == 0).any()
    if (std > 16 * spacing).all():
        assert not notes


@pytest.mark.parametrize("value", [0.0, 5e-7, 0.1, 1e6 / 3, -1e30, 1e-40])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_constant_feature_keeps_its_scale_whatever_its_size(value: float, dtype: Any) -> None:
    encoder = BoxEncoder(spaces.Box(-np.inf, np.inf, (1,), dtype), 2, dtype == np.float64)
    assert encoder.fit(np.full((1000, 1), value, dtype)) == []
    assert encoder.std.tolist() == [1]
    assert encoder.mean.item() == pytest.approx(dtype(value), rel=1e-6)


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_large_whole_numbers_keep_their_units(dtype: Any) -> None:
    values = (2**30 + np.arange(10)).astype(dtype)[:, None]
    space = spaces.Box(0, 2**31 - 1, (1,), dtype)
    policy = DecisionSequence(build("lstm", 8), space, spaces.Discrete(2))
    encoder = policy.observation_encoder
    assert isinstance(encoder, BoxEncoder)
    encoder.fit(values)
    with torch.no_grad():
        encoder.linear.weight.fill_(1)
        encoder.linear.bias.zero_()
        got = encoder(torch.from_numpy(values), None)[:, 0]
    np.testing.assert_allclose(got.numpy(), (np.arange(10) - 4.5) / np.arange(10).std(), rtol=1e-6)


def test_what_rounding_drowns_is_said_once_and_by_name() -> None:
    rng = np.random.default_rng(0)
    rough = (1e6 + 0.05 * rng.normal(size=(100, 2))).astype(np.float32)
    fine = rng.normal(size=(100, 2)).astype(np.float32)
    space = spaces.Dict({"place": NUMBERS, "speed": NUMBERS})
    policy = DecisionSequence(build("lstm", 8), space, spaces.Discrete(2))
    episodes = episodes_with(rng.normal(size=(20, 5)))
    seen = {"place": rough, "speed": fine}
    (note,) = policy.fit_normalisers(replace(episodes, observations=seen, final_observations=seen_last(seen)))
    assert note.startswith("observations.place[0] (and 1 more) varies by 0.05") and "show it in float64" in note
    noise = (8000 + rng.integers(0, 2, size=(20, 1)) * np.spacing(np.float32(8000))) * np.ones((20, 1))
    plain = DecisionSequence(build("lstm", 8), NUMBERS, spaces.Discrete(2))
    (note,) = plain.fit_normalisers(episodes_with(noise))
    assert "returns vary by" in note and "may say nothing but rounding" in note
    for quiet in (np.ones((20, 3)), rng.normal(size=(20, 3)), 8000 + 1.6 * rng.normal(size=(20, 1)), np.zeros((20, 1))):
        assert plain.fit_normalisers(episodes_with(quiet)) == []


def seen_last(seen: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {key: values[:20] for key, values in seen.items()}


def test_a_return_asked_for_far_from_the_data_is_said() -> None:
    episodes = episodes_with(8000 + 1.6 * np.random.default_rng(0).normal(size=(500, 1)))
    (note,) = note_on_target(9000.0, episodes)
    assert note.startswith("the return asked for, 9000, lies 6") and "spreads outside of the data's returns" in note
    assert note_on_target(float(episodes.returns().max()), episodes) == note_on_target(8000.0, episodes) == []
    assert note_on_target(1.0, episodes_with(np.ones((3, 1)))) == []
    assert "lies 4 outside" in note_on_target(5.0, episodes_with(np.ones((3, 1))))[0]


def test_a_given_scale_divides_and_no_more_and_so_do_policies_of_before() -> None:
    episodes = episodes_with(np.random.default_rng(0).normal(size=(20, 5)) + 100)
    spec = policy_spec(
        observation_space=spaces.Box(-1, 1, (2,), np.float64), action_space=spaces.Discrete(2), backbone="lstm", d_model=8,
        backbone_options={}, return_scale=1000.0,
    )  # fmt: skip
    given_scale = build_policy(spec)
    before = build_policy({name: value for name, value in spec.items() if name != "scaling"} | {"wrapper": {}})
    to_go = whole_batch(episodes).return_to_go
    for policy in (given_scale, before):
        policy.fit_normalisers(episodes)
        encoder = policy.return_encoder
        assert encoder is not None
        assert {name for name in policy.state_dict() if "return_encoder" in name} == {
            f"return_encoder.{name}" for name in ("linear.weight", "linear.bias", "return_scale")
        }
        assert encoder.return_scale.dtype == torch.float32
        assert torch.equal(encoder.scaled(to_go)[..., 0], to_go.float() / encoder.return_scale)
    assert given_scale.state_dict()["return_encoder.return_scale"] == 1000
    assert before.state_dict()["observation_encoder.mean"].dtype == torch.float32
    assert given_scale.state_dict()["observation_encoder.mean"].dtype == torch.float64


SHIFTS = {
    "as it is": lambda sign, t: 1.6 * sign,
    "8000 at the end": lambda sign, t: np.where(t == 3, 8000 + 1.6 * sign, 0),
    "8000 in all": lambda sign, t: 2000 + np.where(t == 3, 1.6 * sign, 0),
    "a million at first": lambda sign, t: np.where(t == 0, 2.0**20, np.where(t == 3, 0.01 * sign, 0)),
    "5e-7": lambda sign, t: np.where(t == 3, 5e-7 * sign, 0),
}


@pytest.mark.parametrize("name", SHIFTS)
def test_returns_are_obeyed_and_observations_heeded_at_every_size(name: str) -> None:
    """The first action is what the return says, each later one what the observation says: neither drowns the other."""
    rng, (count, length) = np.random.default_rng(1), (600, 4)
    observations = rng.normal(size=(count * length, 2)).astype(np.float32)
    first = rng.integers(2, size=count)
    actions = (observations[:, 0] > 0).astype(np.int64).reshape(count, length)
    actions[:, 0] = first
    rewards = SHIFTS[name](2.0 * first[:, None] - 1, np.arange(length)[None])
    episodes = episodes_with(np.broadcast_to(rewards, (count, length)), observations, actions.ravel())
    with torch.random.fork_rng():
        torch.manual_seed(0)
        policy = DecisionSequence(build("lstm", 16), NUMBERS, spaces.Discrete(2))
        policy.fit_normalisers(episodes)
        sampler = BatchSampler(episodes, batch_size=64, window=None, row_length=None, seed=0)
        trainer = Trainer(policy, sampler, TrainConfig(updates=150, warmup=10, lr=1e-2), seed=0)
        for _ in range(150):
            trainer.update()
    policy.eval()
    batch = whole_batch(episodes)
    actor, right = Actor(policy, count), []
    left = batch.return_to_go[:, 0]
    for t in range(length):
        done = actor.act(
            batch.observation[:, t], return_to_go=left, previous_action=batch.previous_action[:, t],  # type: ignore[index]
            first=batch.reset[:, t], timestep=batch.timestep[:, t],
        )  # fmt: skip
        left = left - batch.reward[:, t].double()
        right.append((done == batch.action[:, t]).double().mean().item())
    assert right[0] > 0.97, right
    assert min(right[1:]) > 0.9, right
