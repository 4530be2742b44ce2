"""What `dsbench bench` is asked for, as it goes from the command to the process that measures. Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from pydantic import TypeAdapter

from dsbench.config.matching import parse_match
from dsbench.config.settings import DEVICE
from dsbench.errors import UnknownName, UsageError
from dsbench.measuring.plan import MODES, Grid

Kind = Literal["quick", "full"]


@dataclass(frozen=True)
class Request:
    """One measuring.

    Attributes:
        backbones: catalogue names or references.
        env: whose spaces the policies have, and which is stepped where an environment is in the loop.
        grid: the situations.
        kind: name of the grid.
        results: results folder.
        modes: of the grid's cells that are measured; none means all.
        overrides: ``a.b=value`` texts, as given to ``--set``; an option of some backbones is given to those alone.
        match: size that chooses the width of every backbone, ``params=100k``; None leaves the widths.
        threads: of the processes that measure.
        device: ``auto``, ``cpu`` or ``cuda[:i]``.
        rounds: of the timing of decisions; half as many of training.
        seconds_limit: for the timing of one cell, and for counting its memory.
    """

    backbones: tuple[str, ...]
    env: str
    grid: Grid
    kind: Kind
    results: str
    modes: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    match: str | None = None
    threads: int = 1
    device: str = "auto"
    rounds: int = 20
    seconds_limit: float = 120.0

    def check(self) -> None:
        """`UsageError` for what no process need be started to see."""
        for mode in self.modes:
            if mode not in MODES:
                raise UnknownName("mode", mode, MODES)
        if not re.fullmatch(DEVICE, self.device):
            raise UsageError(f"device is {self.device!r}; expected auto, cpu, cuda or cuda:<number>")
        if not self.env:
            raise UsageError("env is ''; expected the name of an environment (dsbench list envs)")
        try:
            if self.match is not None:
                parse_match(self.match)
        except ValueError as error:
            raise UsageError(f"match: {error}") from None

    def to_json(self) -> dict[str, Any]:
        """JSON data that `from_json` reads."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Request:
        """Inverse of `to_json`."""
        return TypeAdapter(cls).validate_python(data)
