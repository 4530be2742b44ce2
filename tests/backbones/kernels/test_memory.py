"""The scans hold no tensor of the size of all states: peak memory of a training pass, read by a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from dsbench.backbones.kernels import c_library

PASS = """
import re, sys, torch
from pathlib import Path
from dsbench.backbones.kernels.selective import selective_scan

torch.set_num_threads(1)
route, rows, channels, states = sys.argv[1], 16, 128, 16

def most():  # KiB; ru_maxrss would begin with what the parent had at its fork
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])

def train(length):
    wide, narrow = (rows, length, channels), (rows, length, states)
    inputs = [torch.rand(shape) for shape in (wide, wide, (channels, states), narrow, narrow, (rows, channels, states))]
    inputs[2].neg_()
    for tensor in inputs:
        tensor.requires_grad_()
    before = most()
    selective_scan(*inputs, implementation=route)[0].sum().backward()
    return most() - before

train(8)
print(train(1024) * 1024 / (4 * rows * 1024 * channels * states))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(("route", "most"), [("c", 0.3), ("torch", 0.6)])
def test_a_training_pass_of_the_selective_scan_needs_a_part_of_the_tensor_of_all_states(
    route: str, most: float
) -> None:
    if route == "c" and (reason := c_library.unavailable()):
        pytest.skip(reason)
    environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536"}  # what is freed goes back at once: no fragments
    command = [sys.executable, "-c", PASS, route]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert 0.05 < float(ended.stdout) < most  # gradients and outputs alone are 0.2
