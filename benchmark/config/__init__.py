"""Settings of a run: typed, checked before any work, from presets, files and the command line."""

from dsbench.config.naming import run_id
from dsbench.config.resolution import from_dict, resolve
from dsbench.config.settings import SCRIPTED, RunConfig, TrainConfig, to_dict

__all__ = ["SCRIPTED", "RunConfig", "TrainConfig", "from_dict", "resolve", "run_id", "to_dict"]
