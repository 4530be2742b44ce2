"""A worker that obeys ``FAKE_WORKER`` and needs no torch: what a parent may meet, on demand.

``FAKE_WORKER`` is ``ok``, ``raise``, ``crash``, ``kill``, ``memory``, ``exit`` (without a word), ``usage``, ``hang`` (ends at a
signal, as after a checkpoint), ``deaf`` (ignores signals), ``full`` (the disk is) or ``removed`` (the folder is, then it dies).
Each start adds a line to RESULTS/starts. The folder of this file is to be in ``PYTHONPATH``.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from dsbench.config import from_dict, run_id, to_dict
from dsbench.records.run_folder import RunFolder
from dsbench.stopping import STOPPING, not_ignored


def prepare() -> list[str]:
    return ["cpu", "auto"]


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--results", type=Path)
    parser.add_argument("--request", type=Path)
    parser.add_argument("--force", action="store_true")
    arguments = parser.parse_args(argv)
    config = from_dict(json.loads(arguments.request.read_text())["config"])
    behaviour = os.environ["FAKE_WORKER"].split(",")
    behaviour = behaviour[config.seed % len(behaviour)]
    pipe = int(os.environ["DSBENCH_PROGRESS_FD"])

    def send(**event: object) -> None:
        os.write(pipe, (json.dumps(event) + "\n").encode())

    if behaviour == "usage":
        send(error="backbone 's4' has no option 'x'.", exit_code=2)
        return 2
    folder = RunFolder.open(arguments.results, run_id(config))
    with folder.claim(force=arguments.force) as plan:
        send(attempt=plan.attempt, folder=folder.identity())
        with (arguments.results / "starts").open("a") as file:
            way = "forked" if "dsbench.running.forking" in sys.modules else "fresh"
            file.write(f"{folder.run_id} {way} {os.environ['OMP_WAIT_POLICY']} {os.environ['OMP_NUM_THREADS']}\n")
        if behaviour == "hang":
            for number in not_ignored():
                signal.signal(number, lambda got, _frame: sys.exit(128 + got))
        if behaviour == "deaf":
            for number in STOPPING:
                signal.signal(number, signal.SIG_IGN)
        folder.write_config(to_dict(config))
        print("noise of a library")
        send(phase="train", done=1, total=2, message="loss 0.5")
        if behaviour == "full":
            send(error="cannot write journal.jsonl: the disk is full", exit_code=73)
            return 73
        if behaviour == "removed":
            shutil.rmtree(folder.path)
            os.kill(os.getpid(), signal.SIGXCPU)
        if behaviour == "raise":
            raise RuntimeError("a wheel came off")
        if behaviour == "memory":
            raise MemoryError("too big")
        if behaviour == "crash":
            signal.raise_signal(signal.SIGSEGV)
        if behaviour == "exit":
            sys.stdout.flush()
            os._exit(0)
        if behaviour == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        while behaviour in ("hang", "deaf"):
            time.sleep(0.02)
        send(phase="train", done=2, total=2, message="loss 0.1")
        row = {"backbone": config.backbone.name, "env": config.env.name, "seed": config.seed, "regret": 0.25}
        folder.finish(
            "ok",
            {**row, "success_metric": "accuracy", "accuracy": 0.97, "parameters_total": 12345, "state_bytes": 2048},
        )
    return 0
