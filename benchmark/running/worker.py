"""The worker process of one run: claims the folder, runs the experiment, writes the final row.

Started by the launcher, through `dsbench.running.start` or as a fork of `dsbench.running.forking`, with ``--results DIR
--request FILE``. It alone writes the journal. Progress goes as JSON lines to the file descriptor named by
``DSBENCH_PROGRESS_FD``.

Exit codes: 0 final row with status ok, 1 final row with another status, 2 bad input (nothing written), 73 the machine does not
let it write (resumable), 75 held by another process, 128 and the number of a signal that interrupted it (resumable).
"""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from dsbench import stopping
from dsbench.config import RunConfig, run_id
from dsbench.config.outside_code import code_of
from dsbench.errors import CannotWrite, DsbenchError
from dsbench.files import read_json, replace_file
from dsbench.outside.blame import FaultyCode, blamed, brief, one_line
from dsbench.outside.trust import using
from dsbench.records.code import store_code
from dsbench.records.provenance import loaded_code, provenance
from dsbench.records.run_folder import RunFolder
from dsbench.records.run_row import UNPROVEN
from dsbench.records.tables import event_record
from dsbench.running.causes import is_machine_fault, is_out_of_memory
from dsbench.running.experiment import Experiment
from dsbench.running.pipe import ProgressPipe, end_with_parent
from dsbench.running.probe import ProbeExperiment
from dsbench.running.progress import Report
from dsbench.running.proving import check_proven
from dsbench.running.request import WorkerRequest
from dsbench.running.rows import identity_columns, makers_entry, measure_columns, sources_entry
from dsbench.running.scripted import ScriptedExperiment
from dsbench.stopping import Interrupted
from dsbench.text import complain
from dsbench.train import Diverged

_SPOILT = 2  # something here has asked for CUDA: what a fork would be told of it is wrong


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
            return work(request.config, arguments.results, arguments.force, pipe, unproven=request.unproven)
    except Exception as error:
        known = _machine_fault(error) if is_machine_fault(error) else error
        if not is_out_of_memory(error):
            known = blamed(known) or known
        if not isinstance(known, DsbenchError):
            raise
        fault = {"reason": brief(known)} if isinstance(known, FaultyCode) else {}
        pipe.send({"error": str(known), "exit_code": known.exit_code, **fault})
        complain(*f"Error: {known}".split("\n"))
        return known.exit_code


def prepare() -> list[str]:
    """Import what every run imports at its first update; the settings of ``device`` whose runs this process may fork.

    Whether ``auto`` is CUDA is asked in a fork, since no fork of a process that has asked can use CUDA.
    """
    importlib.import_module("torch._dynamo")
    loaded_code()
    pid = os.fork()
    if pid == 0:
        try:
            os._exit(_SPOILT if torch.cuda._is_in_bad_fork() else int(torch.cuda.is_available()))
        finally:
            os._exit(_SPOILT)
    found = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return {0: ["cpu", "auto"], 1: ["cpu"]}.get(found, [])


def work(config: RunConfig, results: Path, force: bool, pipe: ProgressPipe, *, unproven: bool = False) -> int:
    """Do the run in RESULTS/runs/<run_id>; returns the exit code.

    Args:
        unproven: a backbone from outside may run whatever it fails, and is marked.
    """
    torch.set_num_threads(config.threads)
    torch.set_deterministic_debug_mode("error")  # as use_deterministic_algorithms(True), without importing the compiler
    pipe("prepare", 0, 1)
    experiment = experiment_for(config, pipe)  # bad names and options end here, before anything is written
    mark = {UNPROVEN: finding} if (finding := check_proven(config, unproven)) is not None else {}
    folder = RunFolder.open(results, run_id(config))
    stopping.listen()
    with folder.claim(force=force) as plan:
        if plan.action == "done":
            return 0 if folder.status() == "ok" else 1
        pipe.send({"attempt": plan.attempt, "folder": folder.identity()})
        folder.write_config(config.model_dump(mode="json"), mend=force)
        folder.write_provenance(provenance() | sources_entry(config) | makers_entry(experiment.spec, config))
        for role, source in code_of(config).items():
            store_code(folder.path, role, source)
        return _attempt(experiment, folder, pipe, mark)


def experiment_for(config: RunConfig, report: Report) -> Experiment | ScriptedExperiment:
    """What kind of run this is: a scripted policy, a probe of memory, or a policy to be trained."""
    if config.policy != "learned":
        return ScriptedExperiment(config, report)
    return (ProbeExperiment if config.train.objective == "probe" else Experiment)(config, report)


def _attempt(
    experiment: Experiment | ScriptedExperiment, folder: RunFolder, pipe: ProgressPipe, mark: dict[str, str]
) -> int:
    config = experiment.config
    base: dict[str, Any] = {**identity_columns(config, folder.run_id), **measure_columns(experiment.spec, config)}
    base |= sources_entry(config) | mark
    try:
        folder.journal.append(event_record("start", detail={"pid": os.getpid()}))
        row = experiment.run(folder)
        return _finish(folder, "ok", base | row | {"reason": None})
    except Interrupted:
        return _stopped(folder, base)
    except Diverged as error:
        return _finish(folder, "diverged", base | experiment.notes | {"reason": str(error)})
    except Exception as error:
        if is_machine_fault(error):
            fault = _machine_fault(error)
            _note_interruption(folder, base, str(fault))
            raise fault from error
        if stopping.asked() is not None:  # the same signal may have hit what the run needs
            return _stopped(folder, base)
        if is_out_of_memory(error):
            return _finish(folder, "out_of_memory", base | experiment.notes | {"reason": one_line(error)})
        theirs = blamed(error)
        if theirs is not None:  # who wrote it is told like somebody who gave a wrong name, beside the row
            pipe.send({"error": str(theirs), "exit_code": theirs.exit_code})
        told = traceback.format_exc() if theirs is None else f"{theirs}\n"
        replace_file(folder.path / "error.txt", told.encode(errors="backslashreplace"))
        return _finish(folder, "failed", base | experiment.notes | {"reason": brief(error)})


def _finish(folder: RunFolder, status: str, row: dict[str, Any]) -> int:
    """Write the final row, unless another process that the locks did not keep out has; the exit code of what stands."""
    folder.journal.append(event_record("end", detail={"status": status}))
    folder.finish(status, row)
    stored = folder.latest_result() or {}
    return 0 if stored.get("status") == "ok" else 1


def _stopped(folder: RunFolder, base: dict[str, Any]) -> int:
    number = signal.Signals(stopping.asked() or signal.SIGTERM)
    updates = folder.checkpoints.updates()
    where = f" after update {updates[-1]}" if updates else ""
    _note_interruption(folder, base, f"stopped by {number.name}; the same command continues{where}")
    return 128 + number


def _note_interruption(folder: RunFolder, base: dict[str, Any], reason: str) -> None:
    """Say why the attempt has no result yet, where that can be written; it resumes without."""
    with suppress(DsbenchError, OSError):
        folder.journal.append(event_record("interrupted", detail=reason))
        folder.finish("interrupted", base | {"reason": reason})


def _machine_fault(error: Exception) -> CannotWrite:
    if isinstance(error, CannotWrite):
        return error
    return CannotWrite(f"the machine does not let the run go on ({one_line(error)}); mend that and run it again")


if __name__ == "__main__":
    sys.exit(main())
