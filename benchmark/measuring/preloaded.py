"""Imported by the process that those which count memory are forked from, and by nothing else.

The profiler takes a second of computing when it is first used, so that it is used once here, before the forks.
"""

from __future__ import annotations

import torch

from dsbench.measuring.memory import peak_allocated

PEAK = peak_allocated(lambda: None, torch.device("cpu"))
