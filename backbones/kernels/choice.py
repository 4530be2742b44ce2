"""Which implementation of an operation runs: the fastest that works here, or the one asked for.

    SELECTIVE_SCAN = Operation("selective scan", [c_route(...), torch_route(...)])
    scan, kernel = SELECTIVE_SCAN.choose("auto", x.device.type)

Routes are probed on first use and the answer is kept: what can run does not change within a process.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from dsbench.backbones.contract import Kernel
from dsbench.backbones.kernels import c_library, triton_probe
from dsbench.errors import UsageError, suggestion

AUTO = "auto"


@dataclass(frozen=True)
class Route:
    """One way to run an operation.

    Attributes:
        name: what users ask for (``c``, ``torch``, ``triton``, ...).
        device: type of the device it runs on; None is any.
        source: ``module:function``, imported when first used.
        why: why it is taken when it can be.
        unavailable: why it cannot run here and the way out, or None.
        automatic: whether ``auto`` may take it.
    """

    name: str
    device: str | None
    source: str
    why: str
    unavailable: Callable[[], str | None] = lambda: None
    automatic: bool = True

    @cached_property
    def missing(self) -> str | None:
        return self.unavailable()

    @cached_property
    def function(self) -> Callable[..., Any]:
        module, name = self.source.split(":")
        return getattr(importlib.import_module(module), name)

    def serves(self, device: str) -> bool:
        return self.device in (None, device)


def c_route(source: str) -> Route:
    """The route through the compiled library."""
    return Route("c", "cpu", source, "compiled C, the fastest on a CPU", c_library.unavailable)


def triton_route(source: str) -> Route:
    """The route through a Triton kernel."""
    device = "cpu" if triton_probe.interpreted() else "cuda"
    return Route("triton", device, source, "a Triton kernel, the fastest on CUDA", triton_probe.unavailable)


def torch_route(source: str) -> Route:
    """The route that runs everywhere."""
    return Route("torch", None, source, "plain torch")


@dataclass(frozen=True)
class Operation:
    """An operation and its routes, the fastest first; the last one runs everywhere."""

    name: str
    routes: Sequence[Route]
    _chosen: dict[tuple[str, str], tuple[Callable[..., Any], Kernel]] = field(default_factory=dict)

    def validated(self, requested: str) -> str:
        """`requested` itself, if it is ``auto`` or a route that can run on this machine.

        Raises:
            UsageError: there is no such route, or it cannot run here.
        """
        names = [AUTO, *(route.name for route in self.routes)]
        if requested not in names:
            hint = suggestion(str(requested), names) or f"Known: {', '.join(names)}."
            raise UsageError(f"the {self.name} has no implementation {requested!r}. {hint}")
        for route in self.routes:
            if route.name == requested and route.missing is not None:
                raise UsageError(f"implementation {requested!r} of the {self.name} cannot run here: {route.missing}")
        return requested

    def if_known(self, requested: str) -> str:
        """For an operation beside the one that `requested` is asked of: the same if it is a route of this one too."""
        return requested if any(route.name == requested for route in self.routes) else AUTO

    def choose(self, requested: str, device: str) -> tuple[Callable[..., Any], Kernel]:
        """The function to call for tensors on a device type, and its name with the reason.

        Raises:
            UsageError: what was asked for does not run there.
        """
        if (requested, device) not in self._chosen:
            self._chosen[requested, device] = self._choose(self.validated(requested), device)
        return self._chosen[requested, device]

    def kernel(self, requested: str, device: str) -> Kernel:
        """Name and reason of what `choose` would pick."""
        return self.choose(requested, device)[1]

    def _choose(self, requested: str, device: str) -> tuple[Callable[..., Any], Kernel]:
        passed_over: list[str] = []
        for route in self.routes:
            if requested != route.name and not (requested == AUTO and route.automatic):
                continue
            if not route.serves(device):
                if requested != AUTO:
                    raise UsageError(
                        f"implementation {requested!r} of the {self.name} runs on {route.device}, and the tensors are "
                        f"on {device}; use implementation='auto'"
                    )
                continue
            if route.missing is None:
                reason = "asked for" if requested != AUTO else "; ".join([route.why, *passed_over])
                return route.function, Kernel(route.name, reason)
            passed_over.append(f"no {route.name}: {route.missing}")
        raise UsageError(f"the {self.name} has no implementation for {device}")
