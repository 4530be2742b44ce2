"""What `dsbench bench` is asked for, as it goes from the command to the process that measures. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from dsbench.measuring.plan import Grid

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
        overrides: ``a.b=value`` texts, as given to ``--set``; of every backbone.
        threads: of the processes that measure.
        device: ``auto``, ``cpu`` or ``cuda[:i]``.
        rounds: of the timing.
        seconds_limit: for the timing of one cell, and for counting its memory.
    """

    backbones: tuple[str, ...]
    env: str
    grid: Grid
    kind: Kind
    results: str
    overrides: tuple[str, ...] = ()
    threads: int = 1
    device: str = "auto"
    rounds: int = 10
    seconds_limit: float = 120.0

    def to_json(self) -> dict[str, Any]:
        """JSON data that `from_json` reads."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Request:
        """Inverse of `to_json`."""
        values = {name: tuple(value) if isinstance(value, list) else value for name, value in data.items()}
        grid = {name: tuple(value) if isinstance(value, list) else value for name, value in data["grid"].items()}
        return cls(**{field.name: values[field.name] for field in fields(cls)} | {"grid": Grid(**grid)})
