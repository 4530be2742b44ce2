"""Environments, their specs and their offline data."""

from dsbench.envs.catalogue import ENVS, get_spec
from dsbench.envs.marking import makes_spec
from dsbench.envs.spec import EnvSpec

__all__ = ["ENVS", "EnvSpec", "get_spec", "makes_spec"]
