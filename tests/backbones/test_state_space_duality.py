"""The chunked recurrence of outer products against its definition, and linear attention against its own."""

from __future__ import annotations

import math
from typing import NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from dsbench.backbones import build
from dsbench.backbones.linear_attention import LinearAttentionMixer
from dsbench.backbones.state_space_duality import CHUNK, chunked_scan, recurrent_step


class Case(NamedTuple):
    x: Tensor
    a: Tensor
    b: Tensor
    c: Tensor
    state: Tensor


def draw(rows: int, length: int, heads: int, groups: int, steep: float = 1.0, seed: int = 0) -> Case:
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    return Case(
        normal(rows, length, heads, 3),
        -steep * normal(rows, length, heads).square(),
        normal(rows, length, groups, 2),
        normal(rows, length, groups, 2),
        normal(rows, heads, 3, 2),
    )


def loop(case: Case, resets: Tensor | None) -> tuple[Tensor, Tensor]:
    x, a, b, c, state = case
    copies, outputs = x.shape[2] // b.shape[2], []
    for t in range(x.shape[1]):
        if resets is not None:
            state = torch.where(resets[:, t].view(-1, 1, 1, 1), 0.0, state)
        b_t, c_t = b[:, t].repeat_interleave(copies, 1), c[:, t].repeat_interleave(copies, 1)
        state = a[:, t].exp()[..., None, None] * state + torch.einsum("bhp,bhn->bhpn", x[:, t], b_t)
        outputs.append(torch.einsum("bhpn,bhn->bhp", state, c_t))
    return torch.stack(outputs, 1), state


@settings(max_examples=25, deadline=None)
@given(
    rows=st.integers(1, 3), length=st.integers(1, 40), groups=st.sampled_from([1, 2]), copies=st.sampled_from([1, 3]),
    chunk=st.sampled_from([1, 2, 7, 32]), steep=st.sampled_from([0.0, 1e-3, 1.0, 80.0]),
    density=st.sampled_from([None, 0.0, 0.1, 0.5, 1.0]), seed=st.integers(0, 99),
)  # fmt: skip
def test_chunks_are_the_recurrence(
    rows: int, length: int, groups: int, copies: int, chunk: int, steep: float, density: float | None, seed: int
) -> None:
    case = draw(rows, length, groups * copies, groups, steep, seed)
    resets = None
    if density is not None:
        resets = torch.rand(rows, length, generator=torch.Generator().manual_seed(seed)) < density
    y, state = chunked_scan(*case, resets, chunk)
    expected, last = loop(case, resets)
    assert (y - expected).abs().max() <= 1e-10 * max(1.0, float(expected.abs().max()))
    assert (state - last).abs().max() <= 1e-10 * max(1.0, float(last.abs().max()))


def test_steep_decays_before_a_reset_do_not_overflow_behind_it() -> None:
    case = draw(2, 32, 4, 1)
    single = [part.float() for part in case._replace(a=torch.full_like(case.a, -10.0))]
    single = [part.requires_grad_() for part in single]
    resets = torch.zeros(2, 32, dtype=torch.bool)
    resets[0, 20] = True
    y, state = chunked_scan(*single, resets)  # type: ignore[misc]
    (y.square().sum() + state.square().sum()).backward()  # type: ignore[no-untyped-call]
    assert (y - loop(Case(*(part.detach() for part in single)), resets)[0]).abs().max() <= 1e-4
    assert all(part.grad is not None and part.grad.isfinite().all() for part in single)


@pytest.mark.parametrize("packed", [False, True])
def test_gradients_are_those_of_the_recurrence(packed: bool) -> None:
    inputs = [part.requires_grad_() for part in draw(2, 9, 4, 2)]
    resets = torch.zeros(2, 9, dtype=torch.bool)
    resets[0, 4] = resets[1, 0] = True
    assert torch.autograd.gradcheck(lambda *parts: chunked_scan(*parts, resets if packed else None, 4), inputs)


def test_a_step_is_the_recurrence() -> None:
    case = draw(2, 1, 4, 2)
    y, state = recurrent_step(*(part[:, 0] for part in case[:4]), case.state)
    expected, last = loop(case, None)
    assert (y - expected[:, 0]).abs().max() <= 1e-12
    assert (state - last).abs().max() <= 1e-12


@pytest.mark.parametrize("steep", [1e-4, 5.0, 200.0])
def test_float32_is_within_its_rounding_however_steep_the_decay(steep: float) -> None:
    case = draw(2, 300, 4, 1, steep)
    single = [part.float().requires_grad_() for part in case]
    y, state = chunked_scan(*single)
    (y.square().sum() + state.square().sum()).backward()  # type: ignore[no-untyped-call]
    expected, _ = loop(case, None)
    # A decay is the exponential of a difference of sums over the chunk; their rounding is its relative error.
    bound = 1e-5 + torch.finfo(torch.float32).eps * CHUNK * steep
    assert (y.double() - expected).abs().max() <= bound * expected.abs().max()
    assert all(part.grad is not None and part.grad.isfinite().all() for part in single)


def test_a_nan_before_a_reset_is_forgotten_and_one_without_is_not() -> None:
    case = draw(2, 8, 4, 1)
    resets = torch.zeros(2, 8, dtype=torch.bool)
    resets[0, 5] = True
    case.x[:, 2] = math.nan
    y, state = chunked_scan(*case, resets, 4)
    assert y[0, 5:].isfinite().all() and state[0].isfinite().all()
    assert y[1, 2:].isnan().all()


@pytest.mark.parametrize("n_heads", [1, 2])
def test_linear_attention_is_a_weighted_mean_of_values(n_heads: int) -> None:
    """Katharopoulos et al. 2020, equation 9, with all weights in sight."""
    torch.manual_seed(0)
    mixer = build("linear-attention", 8, n_layers=1, n_heads=n_heads).layers[0].mixer.double()  # type: ignore[union-attr]
    assert isinstance(mixer, LinearAttentionMixer)
    x = torch.randn(2, 70, 8, dtype=torch.float64)
    with torch.no_grad():
        q, k, v = mixer.qkv(x).unflatten(-1, (3, n_heads, -1)).permute(2, 0, 3, 1, 4)  # (B, H, L, E) each
        weights = ((F.elu(q) + 1) @ (F.elu(k) + 1).mT).tril()
        mean = weights / weights.sum(-1, keepdim=True) @ v
        expected = mixer.out(mean.transpose(1, 2).flatten(2))
        assert (mixer(x)[0] - expected).abs().max() <= 1e-10


def test_linear_attention_has_the_parameters_of_attention() -> None:
    d, layers = 64, 2
    layer = 4 * d * d + 4 * d + (4 * d * d + 3 * d) + 2 * d  # q, k, v, output with biases; MLP; two norms
    model = build("linear-attention", d, n_layers=layers)
    assert sum(p.numel() for p in model.parameters()) == layers * layer + d
