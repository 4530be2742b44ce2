"""Offline data: made from recipes, cached as arrays with a manifest of hashes, imported from and exported to other formats."""

from dsbench.envs.data.cache import data_folder, load_or_generate
from dsbench.envs.data.controls import best_episodes, permuted_returns
from dsbench.envs.data.folder import DataInfo
from dsbench.envs.data.generate import generate

__all__ = ["DataInfo", "best_episodes", "data_folder", "generate", "load_or_generate", "permuted_returns"]
