"""A step exported to ONNX and run by ONNX Runtime on the CPU, on bound buffers: no array is made or copied in a step.

Two bindings alternate: the leaves that one step writes are the leaves that the next one reads.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from dsbench.backbones.compiled.functional import FunctionalStep
from dsbench.errors import MissingExtra, UsageError

OPSET = 20  # the first with GELU
CHATTY = (
    "torch.onnx",
    "onnxscript",
    "onnx_ir",
    "torch.fx.experimental.symbolic_shapes",
)  # loggers, silent in an export
_SOMEWHERE = torch.zeros(1)  # a leaf without entries has no address, and a binding wants one


def require_onnx() -> None:
    """`MissingExtra` unless the packages of the extra ``onnx`` are installed."""
    if any(importlib.util.find_spec(name) is None for name in ("onnx", "onnxscript", "onnxruntime")):
        raise MissingExtra("a step in ONNX", "onnx")


def export_onnx(
    module: nn.Module, example: tuple[Tensor, ...], *, inputs: Sequence[str], outputs: Sequence[str]
) -> bytes:
    """`module` with the shapes of `example` as an ONNX model; parameters and constants are initialisers.

    Raises:
        MissingExtra: no onnx here.
        UsageError: torch cannot export it, with its reason.
    """
    require_onnx()
    try:
        with torch.no_grad(), _quiet():
            program: Any = torch.onnx.export(
                module, example, dynamo=True, opset_version=OPSET, verbose=False,
                input_names=list(inputs), output_names=list(outputs),
            )  # fmt: skip
    except torch.onnx.OnnxExporterError as error:
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        line = next(iter(str(cause).strip().splitlines()), "")
        raise UsageError(
            f"this step cannot be exported to ONNX ({type(cause).__name__}: {line}); use compiled=False, or write the "
            "step in torch operators of fixed shapes without branches on values"
        ) from error
    _rename_inner(program.model.graph, {*inputs, *outputs})
    model: bytes = program.model_proto.SerializeToString()
    return model


def _rename_inner(graph: Any, taken: set[str]) -> None:
    """Give values inside the graph other names where they have one of `taken`: the exporter calls parts of a gated
    linear unit ``first`` and ``second``, whatever the inputs are called."""
    outer = {id(value) for value in (*graph.inputs, *graph.outputs)}
    inner = [value for node in graph for value in node.outputs if id(value) not in outer]
    for value in (*inner, *graph.initializers.values()):
        if value.name in taken and id(value) not in outer:
            value.name = f"inner/{value.name}"


def session(model: bytes) -> Any:
    """An ONNX Runtime session of one thread, which does not spin while it waits."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


class Bound:
    """A session on fixed buffers: a call reads and writes them, no array is made or copied."""

    def __init__(self, runner: Any, inputs: Mapping[str, Tensor], outputs: Mapping[str, Tensor]) -> None:
        self._buffers = {**inputs, **outputs}  # the binding knows their addresses alone
        self._execute, self._binding = runner.run_with_iobinding, runner.io_binding()
        for name, tensor in inputs.items():
            self._binding.bind_input(name, "cpu", 0, *_layout(tensor))
        for name, tensor in outputs.items():
            self._binding.bind_output(name, "cpu", 0, *_layout(tensor))

    def __call__(self) -> None:
        self._execute(self._binding)


class OnnxStep:
    """An ONNX Runtime session on torch buffers."""

    name: ClassVar[str] = "onnx"
    reason: ClassVar[str] = "parameters are on the CPU"

    def __init__(self, function: FunctionalStep, batch_size: int) -> None:
        example = function.example(batch_size)
        inputs = ["x", *(f"state/{name}" for name in function.names)]
        outputs = ["y", *(f"new/{name}" for name in function.names)]
        runner = session(export_onnx(function, example, inputs=inputs, outputs=outputs))
        self.token, *first = (value.contiguous() for value in example)
        second = [leaf.clone() for leaf in first]
        self._output = torch.empty_like(self.token)
        self._leaves, self._other = first, second
        self._step, self._other_step = (
            Bound(
                runner,
                dict(zip(inputs, [self.token, *read], strict=True)),
                dict(zip(outputs, [self._output, *written], strict=True)),
            )
            for read, written in ((first, second), (second, first))
        )

    def run(self) -> Tensor:
        self._step()
        self._step, self._other_step = self._other_step, self._step
        self._leaves, self._other = self._other, self._leaves
        return self._output

    def leaves(self) -> list[Tensor]:
        return self._leaves


def _layout(tensor: Tensor) -> tuple[Any, list[int], int]:
    """Element type, shape and address, as a binding wants them."""
    return tensor.numpy().dtype.type, list(tensor.shape), tensor.data_ptr() or _SOMEWHERE.data_ptr()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's progress, its remarks on packages that are not here, and graphs that it could not finish."""
    loggers = [logging.getLogger(name) for name in CHATTY]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        aside = io.StringIO()
        with warnings.catch_warnings(), contextlib.redirect_stdout(aside), contextlib.redirect_stderr(aside):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
