"""dsbench: which sequence backbone should make decisions, and at what cost?

    dsbench.sweep("s4,lstm", "umbrella", preset="quick")  # runs in worker processes; a data frame with a row for each
    dsbench.run(backbone="s4", env="umbrella")            # one run; the same again returns the stored row
    dsbench.ladder("memory-span", backbone="gpt,s4d")     # how far each reaches
    dsbench.load("results")                               # tidy tables of every run
    dsbench.report("results", out="report")               # the whole report
    dsbench.load_policy("results/runs/RUN_ID")            # a trained policy, to act with

Importing this package imports nothing heavy; the names are loaded on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dsbench.api import ladder, report, run, sweep
    from dsbench.config import RunConfig, resolve
    from dsbench.decision.policy import load_policy
    from dsbench.records.tables import load
    from dsbench.running.process import configure_process

__version__ = "0.1.0"
_LAZY = {
    "RunConfig": "dsbench.config",
    "configure_process": "dsbench.running.process",
    "ladder": "dsbench.api",
    "load": "dsbench.records.tables",
    "load_policy": "dsbench.decision.policy",
    "report": "dsbench.api",
    "resolve": "dsbench.config",
    "run": "dsbench.api",
    "sweep": "dsbench.api",
}
__all__ = [
    "RunConfig", "__version__", "configure_process", "ladder", "load", "load_policy", "report", "resolve", "run", "sweep",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    """What is meant for users; the rooms of the house are importable all the same."""
    return __all__
