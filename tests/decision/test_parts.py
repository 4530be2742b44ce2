"""Encoders, heads and spaces of the wrapper, each against a plain computation."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st

from dsbench.backbones import build
from dsbench.decision import DecisionSequence
from dsbench.decision.encoders import ActionEncoder, make_encoder
from dsbench.decision.heads import Categorical, Deterministic
from dsbench.decision.policy import build_policy, policy_spec
from dsbench.decision.returns import ReturnEncoder
from dsbench.decision.spaces import space_from_json, space_to_json
from dsbench.decision.times import SinusoidalTime
from dsbench.episodes import Episodes
from dsbench.errors import UsageError

SPACES = [
    spaces.Box(-1, 1, (3,), np.float32),
    spaces.Box(np.array([-np.inf, 0]), np.array([2, np.inf]), dtype=np.float64),
    spaces.Box(0, 255, (16, 20, 3), np.uint8),
    spaces.Discrete(5, start=2),
    spaces.Dict({"b": spaces.Discrete(3), "a": spaces.Box(-1, 1, (2, 2), np.float32)}),
]


@pytest.mark.parametrize("space", SPACES, ids=str)
def test_a_space_survives_json(space: spaces.Space) -> None:
    assert space_from_json(json.loads(json.dumps(space_to_json(space)))) == space


@pytest.mark.parametrize("space", SPACES, ids=str)
@pytest.mark.parametrize("leading", [(4,), (2, 3)])
def test_every_space_becomes_one_vector_a_timestep(space: spaces.Space, leading: tuple[int, ...]) -> None:
    samples = [space.sample() for _ in range(int(np.prod(leading)))]

    def stack(parts: list) -> torch.Tensor:
        return torch.as_tensor(np.stack(parts)).reshape(*leading, *np.shape(parts[0]))

    observation = (
        {key: stack([sample[key] for sample in samples]) for key in samples[0]}
        if isinstance(space, spaces.Dict)
        else stack(samples)
    )
    assert make_encoder(space, 8)(observation, None).shape == (*leading, 8)


def test_numbers_are_standardised_by_the_data_and_padding_is_zero_after_it() -> None:
    values = np.random.default_rng(0).normal(3, 5, size=(1000, 2)).astype(np.float32)
    values[:, 1] = 7  # a constant feature keeps its scale
    encoder = make_encoder(spaces.Box(-1, 1, (2,), np.float32), 2)
    encoder.fit(values)
    with torch.no_grad():
        encoder.linear.weight.copy_(torch.eye(2))
        encoder.linear.bias.zero_()
    mask = torch.ones(1000, dtype=torch.bool)
    mask[0] = False
    out = encoder(torch.from_numpy(values), mask)
    assert torch.allclose(
        out[1:, 0], torch.from_numpy((values[1:, 0] - values[:, 0].mean()) / values[:, 0].std()), atol=1e-5
    )
    assert (out[:, 1].abs() < 1e-5).all()
    assert (out[0] == 0).all()


def test_the_return_scale_is_the_spread_of_the_returns_unless_given() -> None:
    rewards = np.array([1, 2, 3, 4, 5, 6], np.float32)
    flags = np.zeros(6, bool)
    episodes = Episodes(
        np.zeros((6, 1)), np.zeros(6, int), rewards, flags, flags, np.array([0, 2, 4, 6]), np.zeros((3, 1))
    )
    encoder = ReturnEncoder(4, centred=True)
    encoder.fit(episodes, None)
    to_go = [3, 2, 7, 4, 11, 6]
    assert encoder.return_scale.tolist() == pytest.approx([np.std([3, 7, 11]), np.std(to_go)])
    assert encoder.return_centre is not None
    assert encoder.return_centre.tolist() == pytest.approx([7, np.mean(to_go)])
    divided = ReturnEncoder(4, centred=False)
    divided.fit(episodes, 1000.0)
    assert divided.return_scale.item() == 1000
    assert divided.scaled(torch.tensor([3600.0])).tolist() == [[pytest.approx(3.6)]]


def test_no_action_is_zeros_and_not_action_zero() -> None:
    encoder = ActionEncoder(spaces.Discrete(3), 4)
    out = encoder(torch.tensor([0, 0]), torch.tensor([False, True]))
    assert (out[0] == 0).all()
    assert (out[1] != 0).any()


@pytest.mark.parametrize("width", [7, 8])
def test_timesteps_have_distinct_codes_of_bounded_size(width: int) -> None:
    codes = SinusoidalTime(width)(torch.arange(1000))
    assert codes.shape == (1000, width)
    assert codes.abs().max() <= 0.5
    assert torch.pdist(codes).min() > 1e-3


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 999))
def test_a_masked_action_has_no_probability_and_no_gradient(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(5, 4, generator=generator, requires_grad=True)
    allowed = torch.rand(5, 4, generator=generator) < 0.5
    allowed[:, seed % 4] = True
    head = Categorical(logits, allowed)
    rows = torch.arange(5)
    assert allowed[rows, head.mode()].all()
    assert all(allowed[rows, head.sample(generator)].all() for _ in range(5))
    head.loss(torch.full((5,), seed % 4), torch.ones(5, dtype=torch.bool)).backward()
    assert (logits.grad[~allowed] == 0).all()


def test_losses_are_sums_over_real_entries_by_their_number() -> None:
    logits, action = torch.randn(2, 3, 4), torch.randint(4, (2, 3))
    mask = torch.tensor([[True, True, False], [True, False, False]])
    expected = -logits.log_softmax(-1).gather(-1, action.unsqueeze(-1)).squeeze(-1)[mask].sum() / 3
    assert torch.allclose(Categorical(logits).loss(action, mask), expected)
    assert torch.allclose(Categorical(logits).log_prob(action)[mask].sum() / -3, expected)
    mean, target = torch.randn(2, 3, 2), torch.randn(2, 3, 2)
    assert torch.allclose(Deterministic(mean).loss(target, mask), (mean - target)[mask].square().mean())


def test_samples_follow_the_probabilities_and_repeat_with_the_generator() -> None:
    probabilities = torch.tensor([0.1, 0.2, 0.7])
    head = Categorical(probabilities.log().expand(20_000, 3))
    first, again = (head.sample(torch.Generator().manual_seed(0)) for _ in range(2))
    assert torch.equal(first, again)
    assert torch.allclose(first.bincount() / 20_000, probabilities, atol=0.015)


def test_tanh_bounds_continuous_actions_to_their_space() -> None:
    box = spaces.Box(np.array([-2.0, 0.0]), np.array([1.0, 5.0]), dtype=np.float32)
    policy = DecisionSequence(build("lstm", 8), SPACES[0], box, action_tanh=True)
    with torch.no_grad():
        policy.head.weight.mul_(1e4)
        action = policy.distribution(torch.randn(50, 8)).mode()
    assert (action >= torch.tensor([-2.0, 0.0])).all()
    assert (action <= torch.tensor([1.0, 5.0])).all()
    assert action.max() == 5


def test_a_policy_is_rebuilt_from_its_description() -> None:
    spec = policy_spec(
        observation_space=SPACES[4], action_space=spaces.Discrete(3), backbone="s4d", d_model=8,
        backbone_options={"d_state": 8}, combine="concat", encoder_width=5, encoder_activation="relu",
    )  # fmt: skip
    first, second = build_policy(json.loads(json.dumps(spec))), build_policy(spec)
    second.load_state_dict(first.state_dict())
    assert sum(p.numel() for p in first.parameters()) == sum(p.numel() for p in second.parameters())


@pytest.mark.parametrize(
    ("observation", "action", "message"),
    [
        (spaces.MultiBinary(3), spaces.Discrete(2), "observation space MultiBinary"),
        (spaces.Box(0, 1, (2,)), spaces.MultiDiscrete([2, 2]), "action space MultiDiscrete"),
        (spaces.Box(0, 1, (2,)), spaces.Discrete(2, start=1), "action space Discrete"),
    ],
)
def test_other_spaces_are_refused_in_a_sentence(observation: spaces.Space, action: spaces.Space, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        DecisionSequence(build("lstm", 8), observation, action)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tokens": "separate", "previous_action": False}, "cannot use wrapper.tokens=separate"),
        ({"previous_action": False, "time": "table"}, "needs wrapper.max_timestep"),
    ],
)
def test_layouts_that_make_no_sense_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        DecisionSequence(build("mlp", 8), SPACES[0], spaces.Discrete(2), **options)
