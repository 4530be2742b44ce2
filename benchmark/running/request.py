"""What a worker is asked for by its parent: the run, its name, and the code from outside that was found and hashed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from dsbench.config import RunConfig, run_id, to_dict
from dsbench.config.outside_code import sources_of
from dsbench.errors import CorruptFile, UsageError
from dsbench.outside.source import Source
from dsbench.outside.trust import received

_unproven: ContextVar[bool] = ContextVar("unproven", default=False)


@contextmanager
def unproven_may_run(yes: bool = True) -> Iterator[None]:
    """While the block lasts, workers train backbones from outside that fail what is proved of them first (``--unproven``)."""
    token = _unproven.set(yes)
    try:
        yield
    finally:
        _unproven.reset(token)


@dataclass(frozen=True)
class WorkerRequest:
    """One run.

    Attributes:
        run_id: its name as the parent knows it.
        sources: reference -> code from outside, which the worker runs whatever lies in its place by then.
        unproven: whether it trains a backbone from outside whatever that fails; no part of the run's name.
    """

    config: RunConfig
    run_id: str
    sources: Mapping[str, Source]
    unproven: bool = False

    @classmethod
    def of(cls, config: RunConfig) -> WorkerRequest:
        """With the code of now. Raises as `dsbench.config.outside_code.sources_of`."""
        return cls(config, run_id(config), sources_of([config]), _unproven.get())

    def check(self) -> None:
        """`UsageError` if the run, named anew, is another; call it under ``using(self.sources)``."""
        if run_id(self.config) != self.run_id:
            raise UsageError(
                f"something of {self.run_id} was changed since the run was asked for (its data, an installed package, or "
                "dsbench itself); nothing was written: ask for it again"
            )

    def to_json(self) -> dict[str, Any]:
        """JSON data that `from_json` reads."""
        sources = {reference: source.to_json() for reference, source in self.sources.items()}
        named = {"run_id": self.run_id, "sources": sources, "unproven": self.unproven}
        return {"config": to_dict(self.config), **named}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> WorkerRequest:
        """Inverse of `to_json`."""
        try:
            config, sources = RunConfig.model_validate(data["config"]), received(data["sources"])
            return cls(config, data["run_id"], sources, bool(data.get("unproven", False)))
        except (KeyError, TypeError, ValueError) as error:
            raise CorruptFile(f"the request of a run is damaged ({error}); ask for the run again") from error
