"""The process that measures, started by `dsbench bench` as ``python -m dsbench.measuring.worker --request FILE``.

Progress goes as JSON lines to the file descriptor named by ``DSBENCH_PROGRESS_FD``, and the folder as ``{"folder": ...}``.
Exit codes: 0 measured, 2 bad input (nothing written), 70 internal, 130/143 stopped by a signal with what was measured kept.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

import torch

from dsbench.errors import DsbenchError, Internal
from dsbench.files import read_json
from dsbench.measuring.bench import Measuring
from dsbench.measuring.bench_records import new_folder
from dsbench.measuring.plan import estimated_seconds
from dsbench.measuring.request import Request
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
    except DsbenchError as error:
        pipe.send({"error": str(error), "exit_code": error.exit_code})
        return error.exit_code
    except Exception as error:
        traceback.print_exc()
        pipe.send({"error": f"internal: {type(error).__name__}: {error}", "exit_code": Internal.exit_code})
        return Internal.exit_code


def work(request: Request, pipe: ProgressPipe) -> int:
    """Measure what is asked for; returns the exit code."""
    torch.set_num_threads(request.threads)
    pipe("prepare", 0, 1)
    measuring = Measuring(request, pipe)  # bad names and options end here, before anything is written
    received: list[int] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        if received:
            os._exit(128 + number)
        received.append(number)
        measuring.stopped = True

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    folder = new_folder(Path(request.results), request.kind)
    seconds = estimated_seconds(measuring.cells, request.rounds, request.seconds_limit)
    note = f"{len(measuring.cells)} cells, about {max(1, round(seconds / 60))} min where nothing else runs"
    pipe.send({"folder": str(folder), "note": f"{note}; at most {request.seconds_limit:g} s of timing a cell"})
    measuring.run(folder)
    return 128 + received[0] if received else 0


if __name__ == "__main__":
    sys.exit(main())
