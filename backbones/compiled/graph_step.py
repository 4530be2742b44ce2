"""A step as a captured CUDA graph: the kernels of one token, launched together, without Python between them."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from dsbench.backbones.compiled.functional import FunctionalStep

WARM_UP = 3  # runs before capture: libraries allocate their workspaces and choose their kernels in the first ones


class GraphStep:
    """Captured once; every replay reads `token`, and reads and writes the state in place.

    New leaves are copied over the old ones at the end of the graph: a replay always uses the addresses it was captured
    with, so the outputs of one step can only become the inputs of the next by a copy, which the graph launches too.
    """

    name: ClassVar[str] = "cuda-graph"
    reason: ClassVar[str] = "parameters are on CUDA"

    def __init__(self, function: FunctionalStep, batch_size: int) -> None:
        self.token, *self._leaves = function.example(batch_size)
        initial = [leaf.clone() for leaf in self._leaves]
        device = self.token.device
        with torch.cuda.device(device), torch.no_grad():
            side = torch.cuda.Stream(device)
            side.wait_stream(torch.cuda.current_stream(device))
            with torch.cuda.stream(side):
                for _ in range(WARM_UP):
                    self._step(function)
            torch.cuda.current_stream(device).wait_stream(side)
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph):
                self._output = self._step(function)
            for leaf, first in zip(self._leaves, initial, strict=True):
                leaf.copy_(first)  # warming up moved the state

    def run(self) -> Tensor:
        self._graph.replay()
        return self._output

    def leaves(self) -> list[Tensor]:
        return self._leaves

    def _step(self, function: FunctionalStep) -> Tensor:
        output, *new = function(self.token, *self._leaves)
        # A new leaf may be a view of another old one (a shifted window): all are taken before any is overwritten.
        taken = [leaf.clone() for leaf in new]
        for leaf, value in zip(self._leaves, taken, strict=True):
            leaf.copy_(value)
        return output.clone()
