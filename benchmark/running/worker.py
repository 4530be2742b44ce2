"""The worker process of one run: claims the folder, runs the experiment, writes the final row.

Started by the launcher as ``python -m dsbench.running.worker --results DIR --request FILE``. It alone writes the journal.
Progress goes as JSON lines to the file descriptor named by ``DSBENCH_PROGRESS_FD``.

Exit codes: 0 final row with status ok, 1 final row with another status, 2 bad input (nothing written), 75 held by another
process, 130/143 interrupted by a signal (resumable).
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
from typing import Any

import torch

from dsbench.config import RunConfig, run_id
from dsbench.config.outside_code import code_of
from dsbench.errors import DsbenchError
from dsbench.files import read_json
from dsbench.outside.trust import using
from dsbench.records.code import store_code
from dsbench.records.provenance import provenance
from dsbench.records.run_folder import RunFolder
from dsbench.records.tables import event_record
from dsbench.running.experiment import Experiment, Interrupted
from dsbench.running.pipe import ProgressPipe, end_with_parent
from dsbench.running.probe import ProbeExperiment
from dsbench.running.progress import Report
from dsbench.running.request import WorkerRequest
from dsbench.running.rows import identity_columns, sources_entry
from dsbench.running.scripted import ScriptedExperiment
from dsbench.train import Diverged


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m dsbench.running.worker", description=__doc__)
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument("--request", type=Path, required=True, help="a WorkerRequest, JSON")
    parser.add_argument("--force", action="store_true", help="start the next attempt even if the run is finished")
    arguments = parser.parse_args(argv)
    end_with_parent()
    pipe = ProgressPipe.from_environment()
    try:
        request = WorkerRequest.from_json(read_json(arguments.request))
        with using(request.sources):
            request.check()
            return work(request.config, arguments.results, arguments.force, pipe)
    except DsbenchError as error:
        pipe.send({"error": str(error), "exit_code": error.exit_code})
        print(f"Error: {error}", file=sys.stderr)
        return error.exit_code


def work(config: RunConfig, results: Path, force: bool, pipe: ProgressPipe) -> int:
    """Do the run in RESULTS/runs/<run_id>; returns the exit code."""
    torch.set_num_threads(config.threads)
    torch.use_deterministic_algorithms(True)
    pipe("prepare", 0, 1)
    experiment = experiment_for(config, pipe)  # bad names and options end here, before anything is written
    folder = RunFolder.open(results, run_id(config))
    with folder.claim(force=force) as plan:
        if plan.action == "done":
            return 0 if folder.status() == "ok" else 1
        folder.write_config(config.model_dump(mode="json"), mend=force)
        folder.write_provenance(provenance() | sources_entry(config))
        for role, source in code_of(config).items():
            store_code(folder.path, role, source)
        return _attempt(experiment, folder)


def experiment_for(config: RunConfig, report: Report) -> Experiment | ScriptedExperiment:
    """What kind of run this is: a scripted policy, a probe of memory, or a policy to be trained."""
    if config.policy != "learned":
        return ScriptedExperiment(config, report)
    return (ProbeExperiment if config.train.objective == "probe" else Experiment)(config, report)


def _attempt(experiment: Experiment | ScriptedExperiment, folder: RunFolder) -> int:
    received = _stop_on_signals(experiment)
    folder.journal.append(event_record("start", detail={"pid": os.getpid()}))
    base: dict[str, Any] = {**identity_columns(experiment.config, folder.run_id), **sources_entry(experiment.config)}
    try:
        row = experiment.run(folder)
    except Interrupted as error:
        folder.journal.append(event_record("interrupted", detail=str(error)))
        return 128 + (received[0] if received else signal.SIGTERM)
    except Diverged as error:
        return _finish(folder, "diverged", base | {"reason": str(error)})
    except (MemoryError, torch.OutOfMemoryError) as error:
        return _finish(folder, "out_of_memory", base | {"reason": _one_line(error)})
    except Exception as error:
        (folder.path / "error.txt").write_text(traceback.format_exc())
        return _finish(folder, "failed", base | {"reason": _one_line(error)})
    return _finish(folder, "ok", base | row | {"reason": None})


def _finish(folder: RunFolder, status: str, row: dict[str, Any]) -> int:
    folder.journal.append(event_record("end", detail={"status": status}))
    folder.finish(status, row)
    return 0 if status == "ok" else 1


def _stop_on_signals(experiment: Experiment | ScriptedExperiment) -> list[int]:
    """The first SIGINT or SIGTERM asks the experiment to stop at the next update; a second one ends the process."""
    received: list[int] = []

    def handle(number: int, _frame: FrameType | None) -> None:
        if received:
            os._exit(128 + number)
        received.append(number)
        experiment.stop_signal = number

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handle)
    return received


def _one_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


if __name__ == "__main__":
    sys.exit(main())
