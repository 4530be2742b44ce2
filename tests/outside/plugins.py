"""Plug-ins to be written into folders: a backbone and a task, each with a neighbour, and canaries that show if they ran."""

from __future__ import annotations

from pathlib import Path

NET = """
from torch import nn
from dsbench.backbones import Backbone
from helper import SCALE

class Net(Backbone):
    memoryless = True

    def __init__(self, d_model):
        super().__init__(d_model)
        self.linear = nn.Linear(d_model, d_model)

    def initial_state(self, batch_size):
        return ()

    def step(self, x_t, state):
        return SCALE * self.linear(x_t), state
"""
TASK = """
from dataclasses import replace
from dsbench.envs import get_spec

def task(chain_length=3, reward=1.0):
    from rewards import BONUS
    return replace(get_spec("umbrella", chain_length=chain_length), id="own-v0", options={})
"""


def plugin(folder: Path, scale: float = 1.0) -> str:
    """A backbone with a neighbour; its reference."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "net.py").write_text(NET)
    (folder / "helper.py").write_text(f"SCALE = {scale}\n")
    return f"{folder}/net.py:Net"


def task(folder: Path, bonus: float = 1.0) -> str:
    """An environment with a neighbour that it imports late; its reference."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "own.py").write_text(TASK)
    (folder / "rewards.py").write_text(f"BONUS = {bonus}\n")
    return f"{folder}/own.py:task"


def canary(folder: Path, sign: Path) -> str:
    """A file that makes `sign` when it is imported; a reference to it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "evil.py").write_text(f"import pathlib\npathlib.Path({str(sign)!r}).touch()\ndef Evil(*a, **k): ...\n")
    return f"{folder}/evil.py:Evil"
