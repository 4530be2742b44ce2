"""minGRU: against the paper's loop, its bound, counts, refusals."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from dsbench.backbones.mingru import MinGRU, MinGRUMixer
from dsbench.errors import UsageError


def _mixer(d_model: int, expand: int = 1) -> MinGRUMixer:
    torch.manual_seed(0)
    return MinGRUMixer(d_model, expand=expand, implementation="torch").double()


def _loop(mixer: MinGRUMixer, x: Tensor) -> Tensor:
    """Algorithm 1 of the paper, a row at a time."""
    w_z, w_h = mixer.input.weight.chunk(2)
    b_z, b_h = mixer.input.bias.chunk(2)
    rows = []
    for row in x:
        h, outputs = torch.zeros(mixer.d_inner, dtype=x.dtype), []
        for x_t in row:
            z = 1 / (1 + torch.exp(-(w_z @ x_t + b_z)))
            h = (1 - z) * h + z * (w_h @ x_t + b_h)
            outputs.append(h)
        rows.append(torch.stack(outputs))
    return torch.stack(rows)


@pytest.mark.parametrize("length", [1, 17, 70])
@pytest.mark.parametrize("expand", [1, 3])
def test_forward_is_the_loop_of_the_paper(length: int, expand: int) -> None:
    mixer = _mixer(4, expand)
    x = torch.randn(2, length, 4, dtype=torch.float64)
    y, state = mixer(x)
    h = _loop(mixer, x)
    torch.testing.assert_close(state, h[:, -1], rtol=0, atol=1e-10)
    expected = h if expand == 1 else h @ mixer.output.weight.T + mixer.output.bias
    torch.testing.assert_close(y, expected, rtol=0, atol=1e-10)


def test_the_state_is_an_average_of_candidates_and_zero() -> None:
    mixer = _mixer(4)
    x = 50 * torch.randn(3, 200, 4, dtype=torch.float64)
    candidates = mixer.input(x).chunk(2, -1)[1]
    assert (mixer(x)[0].abs().amax(1) <= candidates.abs().amax(1) + 1e-9).all()


def test_autocast_keeps_the_state_in_float32() -> None:
    mixer = _mixer(4).float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y, state = mixer(torch.randn(2, 30, 4))
    assert isinstance(state, Tensor) and state.dtype == torch.float32 and y.dtype == torch.float32


@pytest.mark.parametrize(("expand", "extra"), [(1, 0), (2, 2 * 6 * 6 + 6)])
def test_parameter_count_is_the_closed_form(expand: int, extra: int) -> None:
    mixer = MinGRUMixer(6, expand=expand, implementation="auto")
    assert sum(p.numel() for p in mixer.parameters()) == 2 * expand * (6 * 6 + 6) + extra


@pytest.mark.parametrize("options", [{"expand": 0}, {"expand": 1.5}, {"block": "paper"}, {"implementation": "cobol"}])
def test_options_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        MinGRU(4, **options)
