"""Backbones: the contract, its executable check, and one module per backbone.

``build`` is the one way to make a backbone, by built-in name, ``package.module:Class`` or ``path/file.py:Class``.
Importing this package imports no torch; the names below are loaded on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from dsbench.backbones.catalogue import BACKBONES

if TYPE_CHECKING:
    from dsbench.backbones.check import check_backbone
    from dsbench.backbones.contract import Backbone
    from dsbench.backbones.factory import build, load_class
    from dsbench.backbones.residual import Mixer, ResidualBackbone
    from dsbench.backbones.state import State

_LAZY = {
    "Backbone": "contract",
    "Mixer": "residual",
    "ResidualBackbone": "residual",
    "State": "state",
    "build": "factory",
    "load_class": "factory",
    "check_backbone": "check",
}
__all__ = ["BACKBONES", "Backbone", "Mixer", "ResidualBackbone", "State", "build", "check_backbone", "load_class"]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
