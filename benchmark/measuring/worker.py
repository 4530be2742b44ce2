"""The process that measures, started by `dsbench bench` through `dsbench.running.start` with ``--request FILE``.

Progress goes as JSON lines to the file descriptor named by ``DSBENCH_PROGRESS_FD``, and the folder as ``{"folder": ...}``.
Exit codes: 0 measured, 2 bad input (nothing written), 70 internal, 73 cannot write, 128 and the number of the signal that
stopped it, with what was measured kept.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

import torch

from dsbench import stopping
from dsbench.errors import DsbenchError, Internal
from dsbench.files import read_json
from dsbench.measuring.bench import Measuring
from dsbench.measuring.bench_records import new_folder
from dsbench.measuring.plan import estimated_seconds
from dsbench.measuring.request import Request
from dsbench.outside.blame import blamed
from dsbench.outside.trust import received, using
from dsbench.running.pipe import ProgressPipe, end_with_parent


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m dsbench.measuring.worker", description=__doc__)
    parser.add_argument("--request", type=Path, required=True, help="a Request and the code that it names, JSON")
    asked = read_json(parser.parse_args(argv).request)
    request = Request.from_json(asked["request"])
    end_with_parent()
    pipe = ProgressPipe.from_environment()
    try:
        with using(received(asked["sources"])):
            return work(request, pipe)
    except Exception as error:
        known = blamed(error) or error
        if isinstance(known, DsbenchError):
            pipe.send({"error": str(known), "exit_code": known.exit_code})
            return known.exit_code
        traceback.print_exc()
        pipe.send({"error": f"internal: {type(error).__name__}: {error}", "exit_code": Internal.exit_code})
        return Internal.exit_code


def work(request: Request, pipe: ProgressPipe) -> int:
    """Measure what is asked for; returns the exit code."""
    torch.set_num_threads(request.threads)
    pipe("prepare", 0, 1)
    measuring = Measuring(
        request, pipe, lambda done, total: pipe.send({"overall": [done, total]})
    )  # bad names and options end here, before anything is written
    stopping.listen()
    folder = new_folder(Path(request.results), request.kind)
    seconds = estimated_seconds(measuring.cells, request.rounds, request.seconds_limit)
    note = f"{len(measuring.cells)} cells, about {max(1, round(seconds / 60))} min where nothing else runs"
    pipe.send({"folder": str(folder), "note": f"{note}; at most {request.seconds_limit:g} s of timing a cell"})
    measuring.run(folder)
    stopped_by = stopping.asked()
    if stopped_by is None:
        return 0
    sys.stderr.flush()
    os._exit(128 + stopped_by)  # all is on disk; threads that wait for a process to begin would be waited for


if __name__ == "__main__":
    sys.exit(main())
