"""A worker that does no run: it writes what it finds around it, as JSON, into RESULTS/told.

``TELLING_PREPARE`` is what goes wrong before the forks: ``thread`` (one is begun), ``raise``, ``exit``, ``none`` (no device may
be served) or ``slow``. ``TELLING_END=thread`` leaves a thread behind. The folder of this file is to be in ``PYTHONPATH``.
"""

from __future__ import annotations

import argparse
import atexit
import ctypes
import gc
import json
import locale
import os
import random
import resource
import signal
import sys
import threading
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

PR_GET_PDEATHSIG = 2  # linux/prctl.h
OPEN: list[IO[str]] = []


def prepare() -> list[str]:
    fault = os.environ.get("TELLING_PREPARE", "")
    if fault == "thread":
        threading.Thread(target=threading.Event().wait, daemon=True).start()
    if fault == "raise":
        raise RuntimeError("a wheel came off")
    if fault == "exit":
        os._exit(0)
    if fault == "slow":
        time.sleep(600)
    return [] if fault == "none" else ["cpu", "auto"]


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--results", type=Path)
    parser.add_argument("--request", type=Path)
    arguments = parser.parse_args(argv)
    arguments.results.mkdir(exist_ok=True)
    with (arguments.results / "told").open("a") as file:
        file.write(json.dumps({"forked": "dsbench.running.forking" in sys.modules, **surroundings()}) + "\n")
    leave_things_behind(arguments.results)
    return 0


def leave_things_behind(results: Path) -> None:
    """What the end of a process brings to its end: a file that is open, a function to be called, a thread."""

    def add(word: str, seconds: float = 0) -> None:
        time.sleep(seconds)
        with (results / "left").open("a") as file:
            file.write(f"{word}\n")

    OPEN.append((results / "open").open("a"))
    OPEN[0].write("not flushed\n")
    atexit.register(add, "at exit")
    if os.environ.get("TELLING_END") == "thread":
        threading.Thread(target=add, args=("thread", 0.3)).start()


def surroundings() -> dict[str, Any]:
    """``alike``: what a process begins with, the same for all. ``own``: what no two have in common."""
    import numpy as np  # a fresh process has not imported it before

    heard = ctypes.c_int()
    ctypes.CDLL(None).prctl(PR_GET_PDEATHSIG, ctypes.byref(heard))
    named = {name: value for name, value in os.environ.items() if name != "DSBENCH_PROGRESS_FD"}
    return {
        "alike": {
            "environment": named,
            "handlers": [str(signal.getsignal(number)) for number in sorted(signal.valid_signals())],
            "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
            "ends with its parent": heard.value,
            "leads its group": os.getpgrp() == os.getpid(),
            "arguments": [sys.argv[0], *(one for one in sys.argv[1:] if not one.endswith("request.json"))],
            "folder": os.getcwd(),
            "umask": os.umask(0o22),
            "limits": [resource.getrlimit(number) for number in range(10)],
            "threads": len(os.listdir("/proc/self/task")),
            "descriptors": descriptors(),
            "filters": [str(one) for one in warnings.filters],
            "garbage": (gc.isenabled(), gc.get_threshold()),
            "streams": [(one.isatty(), one.encoding, one.errors) for one in (sys.stdin, sys.stdout, sys.stderr)],
            "locale": locale.setlocale(locale.LC_ALL),
            "path": sys.path,
        },
        "own": [random.random(), float(np.random.random())],
    }


def descriptors() -> list[str]:
    """What each open one leads to, apart from the number of a pipe and the name of a temporary folder."""
    found = []
    for number in os.listdir("/proc/self/fd"):
        path = f"/proc/self/fd/{number}"
        if os.path.exists(path):  # not the one of the listing itself
            found.append(os.path.basename(os.readlink(path)).partition(":")[0])
    return sorted(found)
