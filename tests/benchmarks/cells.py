"""The comparisons that dsbench makes claims about: one cell is one shape, what it is compared with, and our routes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dsbench.backbones import BACKBONES, build
from dsbench.backbones.kernels import c_library
from dsbench.backbones.kernels.diagonal import diagonal_scan
from dsbench.backbones.kernels.selective import selective_scan
from dsbench.backbones.s4d import S4DMixer
from tests.benchmarks import rivals
from tests.benchmarks.rivals import D_MODEL, N_LAYERS, Run, training


@dataclass(frozen=True)
class Cell:
    """One comparison; every function is built only when the cell is measured.

    Attributes:
        name: unique, begins with the operation.
        rival: name of what is compared with.
        make_rival: builds the rival's pass.
        ours: by name of the route, what builds its pass and how many times as fast as the rival it should be.
        slow: whether the rival takes seconds, so that few rounds must do.
        calls: how often a pass does what is timed.
    """

    name: str
    rival: str
    make_rival: Callable[[], Run]
    ours: dict[str, tuple[Callable[[], Run], float]]
    slow: bool = False
    calls: int = 1


def every_cell() -> list[Cell]:
    """All of them, in the order of the table; without the routes that cannot run here."""
    cells = [
        *selective_scans(), *s4d_cores(), *s5_layers(), *models("mamba"), *models("mamba2"), *models("gpt"),
        *recurrent_networks(), *s4d_models(), *family(),
    ]  # fmt: skip
    missing = {"c"} if c_library.unavailable() else set()
    return [
        replace(cell, ours={name: ours for name, ours in cell.ours.items() if name not in missing}) for cell in cells
    ]


def selective_scans() -> Iterator[Cell]:
    """B 16, 128 channels, N 16."""
    for length in (64, 256, 1024):
        goals = {"c": 8.0, "torch": 0.9}
        yield Cell(
            f"selective scan, L {length}",
            "torch loop, unbound",
            lambda length=length: _over(selective_inputs(length), rivals.unbound_selective_scan),
            {
                name: (lambda length=length, name=name: _over(selective_inputs(length), _route(name)), goal)
                for name, goal in goals.items()
            },
        )


def selective_inputs(length: int, rows: int = 16, channels: int = 128, states: int = 16) -> list[Tensor]:
    """u, delta, a, b, c and a zero state, with gradients asked for as in training."""
    wide, narrow = (rows, length, channels), (rows, length, states)
    inputs = [torch.randn(shape) for shape in (wide, wide, (channels, states), narrow, narrow)]
    inputs[1], inputs[2] = 0.1 * torch.sigmoid(inputs[1]), -torch.exp(inputs[2])
    return [*(x.requires_grad_() for x in inputs), torch.zeros(rows, channels, states)]


def s4d_cores() -> Iterator[Cell]:
    """B 16, H 64, N 64: discretise and run, without the projections around."""
    goals = {64: {"c": 3.0, "torch": 2.0}, 1024: {"c": 5.5, "torch": 4.5}, 4096: {"c": 6.0, "torch": 5.0}}
    for length, goal in goals.items():
        yield Cell(
            f"s4d core, L {length}",
            "the paper's listing",
            lambda length=length: _minimal_core(length),
            {name: (lambda length=length, name=name: _core(name, length), goal[name]) for name in goal},
        )


def s5_layers() -> Iterator[Cell]:
    """B 16, H 64, N 64, 2 % resets, with both matrix products; the products alone are the limit."""
    for length in (64, 256, 1024):
        ours = {name: (lambda length=length, name=name: _s5(name, length), goal)
                for name, goal in {"c": 1 / 1.5, "torch": 1 / 5}.items()}  # fmt: skip
        yield Cell(f"s5 layer, L {length}", "its two products alone", lambda length=length: _products(length), ours)
        yield Cell(
            f"s5 scan between its products, L {length}",
            "its two products alone",
            lambda length=length: _products(length),
            {name: (lambda length=length, name=name: _s5_scan(name, length), goal)
             for name, goal in {"c": 1 / 1.5, "torch": 1 / 5}.items()},
        )  # fmt: skip
        for name, scan in {"complex loop": rivals.looped, "associative_scan": rivals.associative}.items():
            yield Cell(
                f"s5 layer against {name}, L {length}",
                name,
                lambda length=length, scan=scan: _straightforward_s5(scan, length),
                {route: (make, 1.0) for route, (make, _) in ours.items()},
            )


def models(name: str) -> Iterator[Cell]:
    """Whole models of 3 layers, d_model 64, in the paper's block, against transformers' of the same size."""
    goals: dict[str, list[tuple[str, int, dict[str, float]]]] = {
        "mamba": [("mamba", 64, {"c": 25.0, "torch": 7.0}), ("mamba", 128, {"c": 45.0, "torch": 12.0})],
        "mamba2": [(f"mamba2 chunk {chunk}", length, {"torch": goal})
                   for length in (64, 256, 1024) for chunk, goal in ((64, 1.4), (256, 2.2))],
        "gpt": [("gpt2", length, {"torch": 1.1}) for length in (64, 256, 1024)],
    }  # fmt: skip
    for kind, length, routes in goals[name]:
        yield Cell(
            f"{name} model against {kind}, L {length}",
            f"transformers {kind}",
            lambda kind=kind, length=length: training(rivals.from_transformers(kind, length), 16, length),
            {
                route: (lambda length=length, route=route: _model(name, length, route), goal)
                for route, goal in routes.items()
            },
            slow=kind == "mamba",
        )


def recurrent_networks() -> Iterator[Cell]:
    """3 layers of width 64 with nothing around them, against torch.nn's own stack."""
    for name in ("lstm", "gru", "rnn"):
        for length in (64, 1024):
            yield Cell(
                f"{name}, L {length}",
                _named(name),
                lambda name=name, length=length: _torch_network(name, length),
                {_kernel(name): (lambda name=name, length=length: _model(name, length, None), 1 / 1.1)},
            )


def _named(network: str) -> str:
    """The class of torch.nn and the kernel that it runs in, on which any claim about "RNNs" depends."""
    return f"torch.nn.{network.upper()} ({_kernel(network)})"


def _kernel(network: str) -> str:
    return build(network, D_MODEL).kernel().name


def s4d_models() -> Iterator[Cell]:
    """3 layers, d_model 64, in the paper's block, against torch.nn's LSTM (oneDNN) and GRU (a loop)."""
    for network, goals in {"lstm": {1024: 1.0, 4096: 1.0}, "gru": {64: 2.0, 1024: 3.5}}.items():
        for length, goal in goals.items():
            rows = 4 if length == 4096 else 16
            yield Cell(
                f"s4d model against {network}, B {rows}, L {length}",
                _named(network),
                lambda network=network, length=length, rows=rows: _torch_network(network, length, rows),
                {
                    route: (lambda length=length, rows=rows, route=route: _model("s4d", length, route, rows), floor)
                    for route, floor in {"c": goal, "torch": 0.0}.items()
                },
            )


def family() -> Iterator[Cell]:
    """Every backbone as it is compared: 2 layers of the shared block, d_model 64, against the LSTM."""
    for rows, length in ((128, 10), (16, 64), (16, 1024)):
        for name in [entry.name for entry in BACKBONES if entry.name != "lstm"]:
            yield Cell(
                f"{name} in the shared block, B {rows}, L {length}",
                "lstm",
                lambda rows=rows, length=length: _in_shared_block("lstm", rows, length),
                {build(name, D_MODEL).kernel().name: (
                    lambda name=name, rows=rows, length=length: _in_shared_block(name, rows, length), 0.0
                )},
            )  # fmt: skip


def _in_shared_block(name: str, rows: int, length: int) -> Run:
    backbone = build(name, D_MODEL, **({"context_len": length} if name == "gpt" else {}))
    return training(lambda x: backbone(x)[0], rows, length)


def _over(inputs: list[Tensor], scan: Callable[..., Tensor]) -> Run:
    """A pass of a scan whose inputs need gradients."""

    def run() -> None:
        for x in inputs:
            x.grad = None
        y = scan(*inputs)
        y.backward(torch.ones_like(y))

    return run


def _route(name: str) -> Callable[..., Tensor]:
    return lambda *inputs: selective_scan(*inputs, implementation=name)[0]


def _minimal_core(length: int) -> Run:
    minimal = rivals.MinimalS4D(64, 64)
    return _over([torch.randn(16, 64, length, requires_grad=True)], minimal)


def _core(name: str, length: int) -> Run:
    mixer = S4DMixer(64, d_state=64, implementation=name)
    inputs = [torch.randn(16, length, 64, requires_grad=True)]
    return _over(inputs, lambda u: mixer.respond(mixer.discretise(), u, None, None)[0])


def _resets(length: int) -> Tensor:
    return torch.rand(16, length) < 0.02


def _s5(name: str, length: int) -> Run:
    """The mixer without the gate behind it: discretise, product, scan, product."""
    mixer = build("s5", 64, n_layers=1, d_state=64).layers[0].mixer
    return _over([torch.randn(16, length, 64, requires_grad=True)], _s5_response(mixer.discretise, name, length))


def _s5_scan(name: str, length: int) -> Run:
    """The same with a system that was discretised before: what the scan alone adds to the products."""
    system = build("s5", 64, n_layers=1, d_state=64).layers[0].mixer.discretise()
    leaves = type(system)(*(part.detach().requires_grad_() for part in system))
    return _over([torch.randn(16, length, 64, requires_grad=True)], _s5_response(lambda: leaves, name, length))


def _s5_response(system: Callable[[], Any], name: str, length: int) -> Callable[[Tensor], Tensor]:
    resets, zero = _resets(length), torch.zeros(16, 64)

    def respond(u: Tensor) -> Tensor:
        z, b, c = system()
        return F.linear(diagonal_scan(z, F.linear(u, b), zero, resets, name)[0], c)

    return respond


def _products(length: int) -> Run:
    return _over([torch.randn(16, length, 64, requires_grad=True)], rivals.RealProducts(64, 64))


def _straightforward_s5(scan: Callable[[Tensor, Tensor], Tensor], length: int) -> Run:
    layer, resets = rivals.StraightforwardS5(64, 64, scan), _resets(length)
    return _over([torch.randn(16, length, 64, requires_grad=True)], lambda u: layer(u, resets))


def _model(name: str, length: int, route: str | None, rows: int = 16) -> Run:
    options: dict[str, Any] = {"n_layers": N_LAYERS, "block": "paper"}
    if name in ("mamba", "s4d"):
        options["implementation"] = route
    if name == "mamba2":
        options |= rivals.MAMBA2_SIZES
    if name == "gpt":
        options |= {"context_len": length, "n_heads": 2}
    backbone = build(name, D_MODEL, **options)
    return training(lambda x: backbone(x)[0], rows, length)


def _torch_network(name: str, length: int, rows: int = 16) -> Run:
    network = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}[name](D_MODEL, D_MODEL, N_LAYERS, batch_first=True)
    return training(lambda x: network(x)[0], rows, length)
