"""Parameters of dynamics over the whole catalogue: their rates, their freezing, their precision, steep decays."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor

from dsbench.backbones import BACKBONES, Backbone, build, load_class
from dsbench.backbones.contract import options_of
from dsbench.backbones.rates import is_dynamics
from dsbench.backbones.state import State, leaves

WIDTH = 8
NAMES = [name for name in BACKBONES.names() if ":" not in name]
# The others have none: their gates are functions of the token (lstm, gru, mingru), or nothing decays.
DYNAMICS = {
    "s4": {"log_dt", "log_a_real", "a_imag", "p"},
    "s4d": {"log_dt", "log_a_real", "a_imag"},
    "s5": {"log_dt", "lambda_real", "lambda_imag"},
    "mamba": {"dt_bias", "a_log"},
    "mamba2": {"dt_bias", "a_log"},
}
SLOW = {"s4": {"b"}, "s5": {"b"}}  # at a rate of their own, yet not frozen
every_backbone = pytest.mark.parametrize("name", NAMES)


def make(name: str, **options: Any) -> Backbone:
    torch.manual_seed(0)
    return build(name, WIDTH, **options)


def tokens(rows: int, length: int) -> Tensor:
    return torch.randn(rows, length, WIDTH, generator=torch.Generator().manual_seed(1))


def last_names(backbone: Backbone, parameters: list[torch.nn.Parameter]) -> set[str]:
    chosen = {id(parameter) for parameter in parameters}
    return {name.rpartition(".")[2] for name, p in backbone.named_parameters() if id(p) in chosen}


def test_every_backbone_with_a_time_step_has_dynamics() -> None:
    assert {name for name in NAMES if "dt_min" in options_of(load_class(name))} == set(DYNAMICS)


@every_backbone
def test_dynamics_train_slowly_without_decay_and_are_what_freezing_freezes(name: str) -> None:
    model, dynamics = make(name), DYNAMICS.get(name, set())
    groups = model.param_groups()
    slow = [group for group in groups if group["lr_scale"] < 1]
    assert last_names(model, [p for group in slow for p in group["params"]]) == dynamics | SLOW.get(name, set())
    assert not any(group["decay"] for group in slow)
    assert all(group["lr_scale"] == 1 for group in groups if group not in slow)

    model.freeze_dynamics()
    assert last_names(model, [p for p in model.parameters() if not p.requires_grad]) == dynamics
    left = [parameter for group in model.param_groups() for parameter in group["params"]]
    assert {id(p) for p in left} == {id(p) for p in model.parameters() if p.requires_grad}


@pytest.mark.parametrize("name", DYNAMICS)
def test_an_update_with_weight_decay_leaves_frozen_dynamics_alone(name: str) -> None:
    model = make(name)
    model.freeze_dynamics()
    before = copy.deepcopy(model)
    groups = [{"params": group["params"], "weight_decay": 0.1 * group["decay"]} for group in model.param_groups()]
    optimiser = torch.optim.AdamW(groups, lr=0.1)
    model(tokens(2, 9))[0].square().sum().backward()
    optimiser.step()
    for parameter, old in zip(model.parameters(), before.parameters(), strict=True):
        assert torch.equal(parameter, old) == is_dynamics(parameter)


@every_backbone
def test_a_deep_copy_trains_at_the_same_rates(name: str) -> None:
    model = torch.nn.Sequential(make(name))
    twin, original = copy.deepcopy(model)[0], model[0]
    assert isinstance(twin, Backbone) and isinstance(original, Backbone)
    for mine, theirs in zip(twin.param_groups(), original.param_groups(), strict=True):
        assert {key: mine[key] for key in ("name", "lr_scale", "decay")} == {
            key: theirs[key] for key in ("name", "lr_scale", "decay")
        }
        for a, b in zip(mine["params"], theirs["params"], strict=True):
            assert a is not b
            assert torch.equal(a, b)
    assert [is_dynamics(p) for p in twin.parameters()] == [is_dynamics(p) for p in original.parameters()]
    x = tokens(2, 7)
    with torch.no_grad():
        assert torch.equal(twin(x)[0], original(x)[0])


@pytest.mark.parametrize("name", [name for name in NAMES if name != "gpt"])  # a cache follows the compute dtype
def test_under_autocast_states_and_decays_stay_in_float32(name: str) -> None:
    model, x = make(name), tokens(2, 512)
    with torch.no_grad():
        expected = model(x)[1]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            final = model(x)[1]
            _, stepped = model.step(x[:, 0], final)
    assert {leaf.dtype for leaf in [*leaves(final), *leaves(stepped)]} <= {torch.float32}
    # Measured 0.005 at most, the rounding of the inputs; a decay rounded to bfloat16 shows as 0.04 to 0.2.
    for a, b in zip(leaves(expected), leaves(final), strict=True):
        assert (a - b).norm() <= 0.02 * a.norm()


def unrolled(model: Backbone, x: Tensor) -> tuple[Tensor, State]:
    state, outputs = model.initial_state(len(x)), []
    for x_t in x.unbind(1):
        y_t, state = model.step(x_t, state)
        outputs.append(y_t)
    return torch.stack(outputs, 1), state


@pytest.mark.parametrize("dt", [1e-4, 1.0, 5.0])
@pytest.mark.parametrize("name", DYNAMICS)
def test_steep_and_flat_decays_are_finite_and_those_of_the_step(name: str, dt: float) -> None:
    """A product of 300 decays under- or overflows when it is divided out; float32 shows it."""
    model, x = make(name, dt_min=dt, dt_max=dt), tokens(2, 300)
    y, _ = model(x)
    y.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    with torch.no_grad():
        steps, _ = unrolled(model, x)
    assert (y - steps).abs().max() <= 1e-4 * steps.abs().max()


@pytest.mark.parametrize("block", ["shared", "paper"])
@pytest.mark.parametrize("name", ["mamba", "mamba2"])
def test_a_short_convolution_does_not_reach_over_a_reset(name: str, block: str) -> None:
    model, x = make(name, block=block, d_conv=4).double(), tokens(2, 12).double().requires_grad_()
    resets = torch.zeros(2, 12, dtype=torch.bool)
    resets[0, 5] = resets[1, 6] = resets[1, 7] = True
    y, state = model(x, None, resets)
    (reach,) = torch.autograd.grad(y[0, 5:].sum() + y[1, 7:].sum(), x, retain_graph=True)
    assert not reach[0, :5].any() and not reach[1, :7].any()
    assert reach[0, 5:].abs().sum(-1).all() and reach[1, 7:].abs().sum(-1).all()
    with torch.no_grad():  # other tokens before, the same after: neither outputs nor convolution states may tell
        other = torch.where(torch.arange(12).view(1, 12, 1) < torch.tensor([5, 7]).view(2, 1, 1), 1e3, x)
        y_other, state_other = model(other, None, resets)
    assert torch.equal(y_other[0, 5:], y[0, 5:]) and torch.equal(y_other[1, 7:], y[1, 7:])
    for a, b in zip(leaves(state), leaves(state_other), strict=True):
        assert torch.equal(a, b)
    alone = model(x[:1, 5:])[0]
    assert (y[:1, 5:] - alone).abs().max() < 1e-12
