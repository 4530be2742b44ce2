"""The base class: what it refuses, and that the views which it derives are one function."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from dsbench.backbones import Backbone, Mixer, ResidualBackbone, build
from dsbench.backbones.check import check_backbone
from dsbench.backbones.contract import mark_dynamics, options_of, stretches
from dsbench.backbones.state import State
from dsbench.errors import UsageError

WIDTH = 3


class Sum(Mixer):
    """Written as `step`: y_t = sum of x up to t."""

    def initial_state(self, batch_size: int) -> State:
        return torch.zeros(batch_size, self.d_model, dtype=torch.float64)

    def step(self, x_t: Tensor, state: State) -> tuple[Tensor, State]:
        assert isinstance(state, Tensor)
        return state + x_t, state + x_t


class ScanSum(Sum):
    """The same, written as `scan` too."""

    def scan(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        assert isinstance(state, Tensor)
        y = state.unsqueeze(1) + x.cumsum(1)
        return y, y[:, -1]


class WindowSum(Mixer):
    """Written as `parallel`, without parameters: the sum of the last `window` tokens, weighted by their age."""

    def __init__(self, d_model: int, window: int = 3) -> None:
        super().__init__(d_model)
        self.receptive_field = window

    def parallel(self, x: Tensor) -> Tensor:
        assert self.receptive_field is not None
        aged = [
            nn.functional.pad(x, (0, 0, age, 0))[:, : x.shape[1]] / (age + 1) for age in range(self.receptive_field)
        ]
        return torch.stack(aged).sum(0)


def window_sum(x: Tensor, window: int) -> Tensor:
    """The definition, one number at a time: (L, D)."""
    return torch.stack([sum((x[i - age] / (age + 1) for age in range(min(window, i + 1))), torch.zeros(x.shape[1]))
                        for i in range(len(x))])  # fmt: skip


def draw_tokens(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# ---------------------------------------------------------------------- classes that cannot be


def test_a_class_with_no_view_is_refused_at_its_definition() -> None:
    with pytest.raises(TypeError, match="none of step, scan, parallel"):

        class Nothing(Backbone):
            def forward(self, x: Tensor, state: Any = None, resets: Any = None) -> tuple[Tensor, State]:
                return x, ()


@pytest.mark.parametrize("view", ["step", "scan"])
def test_a_stateful_view_without_initial_state_is_refused(view: str) -> None:
    with pytest.raises(TypeError, match=f"Half writes {view} but no initial_state"):
        type("Half", (Backbone,), {view: lambda self, x, state: (x, state)})


def test_a_residual_backbone_without_a_mixer_is_refused() -> None:
    with pytest.raises(TypeError, match="make_mixer"):
        type("Empty", (ResidualBackbone,), {})


def test_an_abstract_class_may_write_nothing() -> None:
    class Base(Backbone, abstract=True):
        pass

    with pytest.raises(TypeError, match="none of"):
        type("Child", (Base,), {})


@pytest.mark.parametrize("width", [0, -1, 2.0, "8", True])
def test_a_width_that_is_no_positive_integer_is_refused(width: Any) -> None:
    with pytest.raises(UsageError, match="expected a positive integer"):
        Sum(width)


@pytest.mark.parametrize("field", [None, 0, 2.5])
def test_parallel_without_a_receptive_field_is_refused_at_first_use(field: Any) -> None:
    mixer = WindowSum(WIDTH)
    mixer.receptive_field = field
    with pytest.raises(UsageError, match=f"receptive_field={field}"):
        mixer(torch.zeros(1, 2, WIDTH))


@pytest.mark.parametrize("shape", [(2, 5, WIDTH + 1), (2, WIDTH)])
def test_tokens_of_a_wrong_shape_are_refused_with_both_numbers(shape: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match=rf"d_model={WIDTH}.*{shape[-1]}\)"):
        Sum(WIDTH)(torch.zeros(shape))


@pytest.mark.parametrize("resets", [torch.zeros(2, 4, dtype=torch.bool), torch.zeros(2, 5)])
def test_resets_of_a_wrong_shape_or_dtype_are_refused(resets: Tensor) -> None:
    with pytest.raises(UsageError, match="resets must be bool of shape"):
        Sum(WIDTH)(torch.zeros(2, 5, WIDTH), None, resets)


# ---------------------------------------------------------------------- derived views


@given(
    st.integers(1, 6),
    st.integers(0, 12),
    st.lists(st.integers(1, 5), max_size=4),
    st.sampled_from([Sum, ScanSum, WindowSum]),
)
@settings(max_examples=60, deadline=None)
def test_chunks_of_any_lengths_and_steps_give_the_definition(
    window: int, length: int, sizes: list[int], cls: type[Mixer]
) -> None:
    mixer = WindowSum(WIDTH, window) if cls is WindowSum else cls(WIDTH)
    total = length + sum(sizes)
    x = draw_tokens(total, 2, total, WIDTH)
    expected = torch.stack([window_sum(row, window) for row in x]) if cls is WindowSum and total else x.cumsum(1)
    state = mixer.initial_state(2)
    outputs = []
    for chunk in torch.split(x, [length, *sizes], 1):
        y, state = mixer(chunk, state)
        outputs.append(y)
    torch.testing.assert_close(torch.cat(outputs, 1), expected, rtol=0, atol=1e-12)
    stepper = mixer.make_stepper(2)
    for t in range(total):
        torch.testing.assert_close(stepper.step(x[:, t]), expected[:, t], rtol=0, atol=1e-12)


@given(st.integers(1, 5), st.lists(st.lists(st.booleans(), min_size=9, max_size=9), min_size=3, max_size=3))
@settings(max_examples=40, deadline=None)
def test_rows_with_different_resets_give_their_episodes_alone(window: int, resets: list[list[bool]]) -> None:
    mixer, starts = WindowSum(WIDTH, window), torch.tensor(resets)
    x = draw_tokens(window, 3, 9, WIDTH)
    _, before = mixer(draw_tokens(99, 3, 4, WIDTH))
    y = mixer(x, before, starts)[0]
    for row in range(3):
        edges = [i for i in range(9) if starts[row, i]]
        for begin, end in pairwise([*edges, 9]):
            torch.testing.assert_close(y[row, begin:end], window_sum(x[row, begin:end], window), rtol=0, atol=1e-12)


def test_a_window_of_a_map_without_parameters_keeps_the_precision_of_its_tokens() -> None:
    class Stack(ResidualBackbone):
        def make_mixer(self) -> Backbone:
            return WindowSum(self.d_model)

    for cls in (WindowSum, Stack):
        report = check_backbone(cls)
        assert report.ok, report.failures()


@given(st.integers(0, 8), st.lists(st.integers(0, 7), max_size=5))
@settings(max_examples=40, deadline=None)
def test_stretches_cover_the_row_and_begin_wherever_any_row_resets(length: int, columns: list[int]) -> None:
    resets = torch.zeros(2, length, dtype=torch.bool)
    for i, column in enumerate(columns):
        if column < length:
            resets[i % 2, column] = True
    spans = list(stretches(resets, length))
    assert [i for begin, end in spans for i in range(begin, end)] == list(range(length))
    assert {begin for begin, _ in spans} == ({0} if length else set()) | {c for c in columns if c < length}


def test_rows_of_no_tokens_keep_the_state() -> None:
    for mixer in (Sum(WIDTH), WindowSum(WIDTH)):
        y, state = mixer(torch.zeros(2, 0, WIDTH, dtype=torch.float64), None, torch.zeros(2, 0, dtype=torch.bool))
        assert y.shape == (2, 0, WIDTH)
        assert mixer.step(torch.ones(2, WIDTH, dtype=torch.float64), state)[0].eq(1).all()


# ---------------------------------------------------------------------- services


class LearnedStart(Sum):
    """An initial state that is learned."""

    def __init__(self, d_model: int) -> None:
        super().__init__(d_model)
        self.start = nn.Parameter(torch.ones(d_model, dtype=torch.float64))

    def initial_state(self, batch_size: int) -> State:
        return self.start.expand(batch_size, -1)


def test_a_learned_initial_state_is_what_resets_go_to_and_leaves_steppers_no_graph() -> None:
    mixer = LearnedStart(WIDTH)
    assert check_backbone(LearnedStart).ok
    stepper = mixer.make_stepper(2)
    state = stepper.state()
    assert isinstance(state, Tensor)
    assert not state.requires_grad
    stepper.load(mixer.initial_state(2))
    assert not next(iter([stepper.state()])).requires_grad  # type: ignore[union-attr]
    stepper.step(torch.ones(2, WIDTH, dtype=torch.float64))
    stepper.reset(torch.tensor([True, False]))
    state = stepper.state()
    assert isinstance(state, Tensor)
    assert state[:, 0].tolist() == [1.0, 2.0]


class Grouped(Sum):
    """A matrix, a vector and a marked rate; and an option of either kind."""

    def __init__(self, d_model: int, width: int = 2, *, rate: float = 0.1) -> None:
        super().__init__(d_model)
        self.matrix, self.bias = nn.Parameter(torch.zeros(width, 2)), nn.Parameter(torch.zeros(2))
        self.log_dt = mark_dynamics(nn.Parameter(torch.zeros(2, 2)), rate)


def test_parameter_groups_separate_decay_and_dynamics() -> None:
    groups = {group["name"]: group for group in Grouped(WIDTH).param_groups()}
    assert {name: (len(g["params"]), g["lr_scale"], g["decay"]) for name, g in groups.items()} == {
        "decay": (1, 1.0, True),
        "no_decay": (1, 1.0, False),
        "rate_0.1": (1, 0.1, False),
    }


def test_frozen_dynamics_leave_the_groups() -> None:
    backbone = Grouped(WIDTH)
    backbone.freeze_dynamics()
    assert {group["name"] for group in backbone.param_groups()} == {"decay", "no_decay"}


def test_options_are_all_that_the_constructor_takes_by_name_inherited_ones_included() -> None:
    class Child(Grouped):
        def __init__(self, d_model: int, *, depth: int = 1, **options: Any) -> None:
            super().__init__(d_model, **options)

    assert set(options_of(Child)) == {"depth", "width", "rate"}
    assert set(options_of(Sum)) == set()
    assert {"n_layers", "block"} <= set(options_of(ResidualBackbone))


def test_build_refuses_an_unknown_option_with_the_closest_one() -> None:
    with pytest.raises(UsageError, match="Did you mean 'n_layers'"):
        build("lstm", 8, n_layer=3)


@pytest.mark.parametrize(("options", "message"), [({"n_layers": 0}, "n_layers is 0"), ({"block": "big"}, "'big'")])
def test_a_residual_backbone_refuses_bad_options(options: dict[str, Any], message: str) -> None:
    class Stack(ResidualBackbone):
        def make_mixer(self) -> Backbone:
            return Sum(self.d_model)

    with pytest.raises(UsageError, match=message):
        Stack(WIDTH, **options)
