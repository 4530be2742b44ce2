"""Frame stacking sees its last k tokens, whatever the number of layers, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dsbench.backbones import build
from dsbench.backbones.framestack import FrameStackMixer
from dsbench.backbones.state import leaves
from dsbench.decision import DecisionSequence
from dsbench.errors import UsageError


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def by_the_definition(mixer: FrameStackMixer, x: Tensor, resets: Tensor) -> Tensor:
    """Each window of each row collected token by token, walking back until the episode's start."""
    y = torch.zeros_like(x)
    for row in range(x.shape[0]):
        for t in range(x.shape[1]):
            window = torch.zeros(mixer.frames, x.shape[2], dtype=x.dtype)
            for back in range(min(mixer.frames, t + 1)):
                window[-1 - back] = x[row, t - back]
                if resets[row, t - back]:
                    break
            y[row, t] = mixer.map(window.flatten())
    return y


@settings(max_examples=20, deadline=None)
@given(
    frames=st.integers(1, 5), rows=st.integers(1, 3), length=st.integers(1, 12),
    share=st.sampled_from([0.0, 0.1, 0.6]), seed=st.integers(0, 99),
)  # fmt: skip
def test_the_mixer_is_its_definition(frames: int, rows: int, length: int, share: float, seed: int) -> None:
    mixer = FrameStackMixer(3, frames=frames).double()
    x = randn(rows, length, 3, seed=seed)
    resets = torch.rand(rows, length, generator=torch.Generator().manual_seed(seed)) < share
    y, after = mixer(x, None, resets)
    torch.testing.assert_close(y, by_the_definition(mixer, x, resets), rtol=0, atol=1e-12)
    state = mixer.initial_state(rows)
    for t in range(length):
        y_t, state = mixer.step(x[:, t], mixer.reset(state, resets[:, t]))
        torch.testing.assert_close(y_t, y[:, t], rtol=0, atol=1e-12)
    torch.testing.assert_close(after, state, rtol=0, atol=0)


@pytest.mark.parametrize(("frames", "n_layers"), [(1, 2), (2, 1), (4, 1), (4, 3)])
def test_the_window_of_the_whole_stack_is_frames_whatever_the_layers(frames: int, n_layers: int) -> None:
    backbone = build("framestack", 8, frames=frames, n_layers=n_layers).double()
    x = randn(1, 12, 8).requires_grad_()
    y, state = backbone(x)
    y[0, 9].square().sum().backward()
    assert x.grad is not None
    seen = x.grad[0].abs().sum(-1).nonzero().flatten().tolist()
    assert seen == list(range(10 - frames, 10))
    assert sum(leaf[0].numel() for leaf in leaves(state)) == (frames - 1) * 8


def test_one_frame_is_the_pointwise_control() -> None:
    torch.manual_seed(0)
    one = build("framestack", 8, frames=1)
    torch.manual_seed(0)
    mlp = build("mlp", 8)
    x = torch.randn(2, 5, 8)
    assert torch.equal(one(x)[0], mlp(x)[0])


def test_live_parameters_have_a_closed_form() -> None:
    d, layers, frames = 64, 2, 4
    mlp = 2 * d * 2 * d + 2 * d + d
    wider = (frames - 1) * d * 2 * d
    assert sum(p.numel() for p in build("mlp", d).parameters()) == layers * (2 * mlp + 2 * d) + d
    assert sum(p.numel() for p in build("framestack", d, frames=frames).parameters()) == (
        layers * (2 * mlp + 2 * d) + d + wider
    )


def test_under_autocast_the_window_stays_in_float32() -> None:
    backbone = build("framestack", 8)
    with torch.autocast("cpu", torch.bfloat16):
        _, state = backbone(torch.randn(2, 5, 8))
        _, state = backbone.step(torch.randn(2, 8), state)
    assert {leaf.dtype for leaf in leaves(state)} == {torch.float32}


@pytest.mark.parametrize("frames", [0, -1, 2.0, True, "4"])
def test_frames_that_are_no_count_are_refused(frames: Any) -> None:
    with pytest.raises(UsageError, match="frames is .*expected a positive number of tokens"):
        build("framestack", 8, frames=frames)


@pytest.mark.parametrize(("frames", "taken"), [(1, False), (2, False), (3, True), (4, True)])
def test_separate_tokens_need_a_window_that_holds_a_timestep(frames: int, taken: bool) -> None:
    backbone = build("framestack", 8, frames=frames)
    assert backbone.memoryless
    sides: dict[str, Any] = {"tokens": "separate", "previous_action": False}
    if taken:
        DecisionSequence(backbone, spaces.Discrete(3), spaces.Discrete(2), **sides)
    else:
        with pytest.raises(UsageError, match="separate"):
            DecisionSequence(backbone, spaces.Discrete(3), spaces.Discrete(2), **sides)


@pytest.mark.parametrize(("asked", "seen"), [(None, False), (False, False), (True, True)])
def test_it_sees_its_own_action_only_when_told_to_for_a_copied_action_is_memory(asked: bool | None, seen: bool) -> None:
    policy = DecisionSequence(build("framestack", 8), spaces.Discrete(3), spaces.Discrete(2), previous_action=asked)
    assert policy.previous_action is seen
    assert ("action" in policy.parts) is seen
