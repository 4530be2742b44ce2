"""A compiled step is the backbone's step: for every built-in one, and for backbones that this package has never seen."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from dsbench.backbones import BACKBONES, Backbone, Mixer, ResidualBackbone, State, build
from dsbench.backbones.state import leaves
from dsbench.errors import MissingExtra, UsageError

pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

ROWS, WIDTH, STEPS, BOUND = 3, 16, 50, 1e-5
USERS = Path(__file__).parent / "examples" / "user_backbones.py"
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA here"))]


class OuterMixer(Mixer):
    """A user's mixer with an integer, a matrix and a nested state: a decayed sum of outer products, and a clock."""

    def __init__(self, d_model: int) -> None:
        super().__init__(d_model)
        self.map = nn.Linear(d_model, 3 * d_model)

    def initial_state(self, batch_size: int) -> State:
        zeros = self.map.weight.new_zeros(batch_size, self.d_model, self.d_model)
        return {
            "memory": (zeros, zeros[:, 0] + 1.0),
            "clock": torch.zeros(batch_size, dtype=torch.long).to(zeros.device),
        }

    def step(self, x_t: Tensor, state: State) -> tuple[Tensor, State]:
        q, k, v = self.map(x_t).tanh().chunk(3, -1)
        memory, total = state["memory"]
        memory = 0.9 * memory + k.unsqueeze(-1) * v.unsqueeze(-2)
        total = torch.where((state["clock"] % 7 == 3).unsqueeze(-1), 1.0, total + k.abs())
        y = (q.unsqueeze(-2) @ memory).squeeze(-2) / total
        return y, {"memory": (memory, total), "clock": state["clock"] + 1}


class Outer(ResidualBackbone):
    def make_mixer(self) -> Backbone:
        return OuterMixer(self.d_model)


def trained(backbone: Backbone) -> Backbone:
    """Parameters away from their initialisation, so that zero biases hide nothing."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in backbone.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator).to(parameter.device))
    return backbone.eval()


def worst_gap(backbone: Backbone) -> float:
    """Largest gap to `step`, relative to the largest value, over outputs and states of `STEPS` tokens with resets."""
    device = next(backbone.parameters()).device
    generator = torch.Generator().manual_seed(1)
    stepper, state = backbone.make_stepper(ROWS, compiled=True), backbone.initial_state(ROWS)
    gaps = []
    with torch.no_grad():
        for t in range(STEPS):
            x_t = torch.randn(ROWS, backbone.d_model, generator=generator).to(device)
            if t in (4, 17, 18, 40):
                done = torch.tensor([t != 40, t == 17, False], device=device)
                stepper.reset(done)
                state = backbone.reset(state, done)
            y_t, state = backbone.step(x_t, state)
            gaps.append(gap(stepper.step(x_t), y_t))
            if t % 9 == 0:
                gaps.append(state_gap(stepper.state(), state))
    return max(gaps)


def gap(a: Tensor, b: Tensor) -> float:
    a, b = a.double(), b.double()
    return float((a - b).abs().max() / b.abs().max().clamp(min=1)) if b.numel() else 0.0


def state_gap(a: State, b: State) -> float:
    pairs = list(zip(leaves(a), leaves(b), strict=True))
    assert all(x.dtype == y.dtype and x.shape == y.shape for x, y in pairs)
    return max((gap(x, y) for x, y in pairs), default=0.0)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", [name for name in BACKBONES.names() if ":" not in name])
def test_a_compiled_step_is_the_step(name: str, device: str) -> None:
    torch.manual_seed(0)
    assert worst_gap(trained(build(name, WIDTH, n_layers=2).to(device))) < BOUND


@pytest.mark.parametrize("name", ["s4d", "mamba", "lstm", "gpt"])
def test_a_compiled_step_is_the_step_in_the_papers_block_too(name: str) -> None:
    torch.manual_seed(0)
    assert worst_gap(trained(build(name, WIDTH, n_layers=2, block="paper"))) < BOUND


def test_a_compiled_step_is_the_step_of_decision_s4() -> None:
    torch.manual_seed(0)
    assert worst_gap(trained(build("s4d", WIDTH, n_layers=2, preset="decision-s4"))) < BOUND


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("user", ["GRU", "LinearAttention", "ShortConv", "ConvStack", "Outer"])
def test_the_route_is_general(user: str, device: str) -> None:
    torch.manual_seed(0)
    backbone = Outer(WIDTH) if user == "Outer" else build(f"{USERS}:{user}", WIDTH)
    assert worst_gap(trained(backbone.to(device))) < BOUND


def test_a_full_window_slides_as_in_the_step() -> None:
    torch.manual_seed(0)
    assert worst_gap(trained(build("gpt", WIDTH, n_layers=2, context_len=6))) < BOUND
    assert worst_gap(trained(build("gpt", WIDTH, n_layers=2, context_len=1))) < BOUND


@pytest.fixture(scope="module")
def lstm() -> Backbone:
    torch.manual_seed(0)
    return trained(build("lstm", WIDTH))


def test_states_travel_between_both_forms(lstm: Backbone) -> None:
    x = torch.randn(9, 2, WIDTH)
    compiled, other, state = lstm.make_stepper(2, compiled=True), lstm.make_stepper(2), lstm.initial_state(2)
    with torch.no_grad():
        for x_t in x[:4]:
            _, state = lstm.step(x_t, state)
        compiled.load(state)
        for x_t in x[4:7]:  # an odd number of steps: the buffers have changed their roles
            compiled.step(x_t)
        other.load(compiled.state())
        for x_t in x[7:]:
            assert gap(compiled.step(x_t), other.step(x_t)) < BOUND


def test_what_a_stepper_returned_stays_as_it_was(lstm: Backbone) -> None:
    stepper = lstm.make_stepper(1, compiled=True)
    returned, state = stepper.step(torch.ones(1, WIDTH)), stepper.state()
    kept, kept_state = returned.clone(), [leaf.clone() for leaf in leaves(state)]
    for _ in range(3):
        stepper.step(torch.randn(1, WIDTH))
    stepper.reset(torch.tensor([True]))
    assert torch.equal(returned, kept)
    assert all(torch.equal(a, b) for a, b in zip(leaves(state), kept_state, strict=True))


def test_a_reset_leaves_nothing_of_a_nan(lstm: Backbone) -> None:
    stepper, fresh = lstm.make_stepper(2, compiled=True), lstm.make_stepper(2)
    stepper.step(torch.tensor([[float("nan")], [0.5]]).expand(-1, WIDTH))
    fresh.step(torch.full((2, WIDTH), 0.5))
    for one in (stepper, fresh):
        one.reset(torch.tensor([True, False]))
    x_t = torch.randn(2, WIDTH)
    assert gap(stepper.step(x_t), fresh.step(x_t)) < BOUND


def test_a_later_update_does_not_reach_a_stepper(lstm: Backbone) -> None:
    backbone = trained(build("s4d", WIDTH))
    stepper, x_t = backbone.make_stepper(1, compiled=True), torch.randn(1, WIDTH)
    before = stepper.step(x_t)
    trained(backbone)
    stepper.reset(torch.tensor([True]))
    assert torch.equal(stepper.step(x_t), before)


def test_a_compiled_stepper_names_its_implementation(lstm: Backbone) -> None:
    stepper = lstm.make_stepper(1, compiled=True)
    assert (stepper.implementation, stepper.reason) == ("onnx", "parameters are on the CPU")


def test_without_onnxruntime_the_message_is_the_install_line(lstm: Backbone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"install .*\[onnx\]"):
        lstm.make_stepper(1, compiled=True)


def test_what_cannot_be_compiled_is_said_in_one_sentence(capfd: pytest.CaptureFixture[str]) -> None:
    class Branching(Backbone):
        def __init__(self, d_model: int) -> None:
            super().__init__(d_model)
            self.map = nn.Linear(d_model, d_model)

        def initial_state(self, batch_size: int) -> State:
            return ()

        def step(self, x_t: Tensor, state: State) -> tuple[Tensor, State]:
            return (self.map(x_t) if float(x_t.sum()) > 0 else x_t), state

    with pytest.raises(UsageError, match="cannot be exported"):
        Branching(WIDTH).make_stepper(1, compiled=True)
    assert capfd.readouterr() == ("", "")
    with pytest.raises(UsageError, match="float32"):
        build("mlp", WIDTH).double().make_stepper(1, compiled=True)
