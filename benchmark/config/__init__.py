"""Settings of a run: typed, checked before any work, from presets, files and the command line."""

from dsbench.config.settings import RunConfig, TrainConfig, from_dict, resolve, run_id, to_dict

__all__ = ["RunConfig", "TrainConfig", "from_dict", "resolve", "run_id", "to_dict"]
