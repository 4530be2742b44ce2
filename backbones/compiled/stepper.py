"""`CompiledStepper`: a step on buffers of its own, run by whatever compiled it."""

from __future__ import annotations

from typing import ClassVar, Protocol

import torch
from torch import Tensor

from dsbench.backbones.compiled.functional import FunctionalStep
from dsbench.backbones.contract import Backbone
from dsbench.backbones.state import State, flatten
from dsbench.backbones.stepper import Stepper
from dsbench.errors import UsageError


class Engine(Protocol):
    """What runs a step on fixed buffers.

    Attributes:
        name, reason: the implementation and why that one.
        token: (B, D) buffer that a step reads.
    """

    name: ClassVar[str]
    reason: ClassVar[str]
    token: Tensor

    def run(self) -> Tensor:
        """One step on `token` and the current leaves, which are replaced; (B, D), valid until the next step."""

    def leaves(self) -> list[Tensor]:
        """The buffers that hold the current state; may be written."""


class CompiledStepper(Stepper):
    """Steps through an engine; `dsbench.backbones.stepper.Stepper` says what the methods do.

    Attributes:
        implementation: ``onnx`` or ``cuda-graph``.
        reason: why that one.
    """

    def __init__(self, function: FunctionalStep, engine: Engine) -> None:
        self._function, self._engine = function, engine
        self._token, self._run = engine.token, engine.run
        self._initial = [leaf.clone() for leaf in flatten(function.initial).values()]
        self.implementation, self.reason = engine.name, engine.reason

    def step(self, x_t: Tensor) -> Tensor:
        self._token.copy_(x_t.detach())  # no engine has gradients, and no_grad() would cost a twentieth of a step
        return self._run().clone()  # the engine will write there again

    @torch.no_grad()
    def reset(self, done: Tensor) -> None:
        for leaf, initial in zip(self._engine.leaves(), self._initial, strict=True):
            leaf[done] = initial[done]

    def state(self) -> State:
        return self._function.state_of([leaf.clone() for leaf in self._engine.leaves()])

    @torch.no_grad()
    def load(self, state: State) -> None:
        flat = flatten(state)
        for leaf, name in zip(self._engine.leaves(), self._function.names, strict=True):
            leaf.copy_(flat[name])


@torch.no_grad()
def compile_stepper(backbone: Backbone, batch_size: int) -> CompiledStepper:
    """A compiled stepper of `backbone` as its parameters are now.

    Raises:
        MissingExtra: on a CPU without onnxruntime.
        UsageError: parameters that are not float32, or a step that cannot be exported.
    """
    parameter = next(backbone.parameters(), torch.zeros(0))
    if parameter.dtype != torch.float32:
        raise UsageError(f"a compiled step is float32, the parameters are {parameter.dtype}; use compiled=False")
    function = FunctionalStep(backbone, batch_size)
    if parameter.is_cuda:
        from dsbench.backbones.compiled.graph_step import GraphStep

        return CompiledStepper(function, GraphStep(function, batch_size))
    from dsbench.backbones.compiled.onnx_step import OnnxStep

    return CompiledStepper(function, OnnxStep(function, batch_size))
