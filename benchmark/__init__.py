"""dsbench: which sequence backbone should make decisions, and at what cost?

    config = dsbench.resolve(backbone="s4", env="umbrella", preset="quick")
    row = dsbench.run(config)                 # in a worker process; the same again returns the stored row
    tables = dsbench.load("results")          # tidy tables of every run
    policy = dsbench.load_policy("results/runs/" + row["run_id"])

Importing this package imports nothing heavy; the names below are loaded on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dsbench.config import RunConfig, resolve
    from dsbench.decision.policy import load_policy
    from dsbench.records.tables import load
    from dsbench.running.launcher import run
    from dsbench.running.process import configure_process

__version__ = "0.1.0"
_LAZY = {
    "RunConfig": "dsbench.config",
    "configure_process": "dsbench.running.process",
    "load": "dsbench.records.tables",
    "load_policy": "dsbench.decision.policy",
    "resolve": "dsbench.config",
    "run": "dsbench.running.launcher",
}
__all__ = ["RunConfig", "__version__", "configure_process", "load", "load_policy", "resolve", "run"]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_LAZY[name]), name)
