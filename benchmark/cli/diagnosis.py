"""What is usable here: versions, threads, kernels, GPU, extras, the results folder. Never fails; it tells."""

from __future__ import annotations

import importlib
import importlib.util
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dsbench
from dsbench.installation import extra_line, reinstall_line
from dsbench.running.process import available_cores, process_environment

if TYPE_CHECKING:
    from dsbench.backbones.kernels.choice import Operation, Route

_EXTRAS = {  # extra -> the module that it brings
    "hf": "transformers", "popgym": "popgym", "d4rl": "h5py", "minari": "minari", "mujoco": "mujoco", "parquet": "pyarrow",
    "onnx": "onnxruntime", "robotics": "gymnasium_robotics", "tensorboard": "tensorboard",
}  # fmt: skip
_ENOUGH_BYTES = 1 << 30


def examine(results: Path) -> list[dict[str, Any]]:
    """One dictionary a finding: ``what``, ``found``, ``ok`` and, when not ok, ``way_out``."""
    findings = [
        _finding("dsbench", f"{dsbench.__version__} in {Path(__file__).parent}"),
        _finding("python", f"{platform.python_version()} ({sys.executable})"),
        _finding("cores", f"{available_cores()} usable"),
    ]
    probes = [_torch, _gpu, _kernels, _operations, _compiled_step, _extras, lambda: _results_folder(results)]
    return findings + [finding for probe in probes for finding in _safely(probe)]


def _safely(probe: Callable[[], list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """What cannot be examined is a finding too."""
    try:
        return probe()
    except Exception as error:
        name = getattr(probe, "__name__", "probe").strip("_")
        return [
            _finding(
                name,
                f"{type(error).__name__}: {error}",
                way_out=f"reinstall: {reinstall_line()}",
            )
        ]


def _torch() -> list[dict[str, Any]]:
    import torch

    unset = [name for name, value in process_environment(1).items() if os.environ.get(name) != value]
    note = "set by dsbench for its workers" if unset else "set"
    return [
        _finding("torch", torch.__version__),
        _finding("threads", f"torch would use {torch.get_num_threads()} here; OMP_WAIT_POLICY and malloc are {note}"),
    ]


def _gpu() -> list[dict[str, Any]]:
    import torch

    if not torch.cuda.is_available():
        return [_finding("gpu", f"none that torch {torch.__version__} sees; runs use the CPU")]
    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return [_finding("gpu", ", ".join(names))]


def _kernels() -> list[dict[str, Any]]:
    from dsbench.backbones import BACKBONES, build

    found = []
    for name in BACKBONES.names():
        try:
            kernel = build(name, 16).kernel()
            found.append(_finding(f"kernel of {name}", f"{kernel.name} ({kernel.reason})"))
        except Exception as error:  # an entry point of somebody else's may be broken
            found.append(
                _finding(f"kernel of {name}", f"{type(error).__name__}: {error}", way_out=f"dsbench check {name}")
            )
    return found


def _operations() -> list[dict[str, Any]]:
    """A line for every way to run each recurrence."""
    from dsbench.backbones.kernels.channels import CHANNEL_SYSTEM
    from dsbench.backbones.kernels.diagonal import DIAGONAL_SCAN
    from dsbench.backbones.kernels.linear import LINEAR_SCAN
    from dsbench.backbones.kernels.selective import SELECTIVE_SCAN

    operations = (SELECTIVE_SCAN, DIAGONAL_SCAN, LINEAR_SCAN, CHANNEL_SYSTEM)
    return [_route(operation, route) for operation in operations for route in operation.routes]


def _route(operation: Operation, route: Route) -> dict[str, Any]:
    import torch

    from dsbench.backbones.kernels import c_library

    what = f"{operation.name}: {route.name}"
    devices = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
    if route.device not in (None, *devices):
        return _finding(what, f"needs a {route.device} device")
    if route.missing is not None:
        return _finding(what, "does not run here", way_out=route.missing)
    chosen = [device for device in devices if operation.kernel("auto", device).name == route.name]
    notes = [route.why]
    if route.name == "c":
        notes.append(f"instruction set {c_library.library().chosen_set}")
    if chosen:
        notes.append(f"auto takes it on {' and '.join(chosen)}")
    return _finding(what, f"runs: {'; '.join(notes)}")


def _compiled_step() -> list[dict[str, Any]]:
    """What `make_stepper(compiled=True)` would use."""
    import torch

    from dsbench.backbones.compiled.onnx_step import require_onnx

    onnx, graph = "compiled step: onnx", "compiled step: cuda-graph"
    found = "runs: captures the kernels of a step" if torch.cuda.is_available() else "needs a cuda device"
    try:
        require_onnx()
        runtime = importlib.import_module("onnxruntime")
    except Exception as error:  # a broken installation raises what it likes
        return [_finding(onnx, "does not run here", way_out=str(error)), _finding(graph, found)]
    return [_finding(onnx, f"runs: onnxruntime {runtime.__version__}, on cpu, float32"), _finding(graph, found)]


def _extras() -> list[dict[str, Any]]:
    findings = []
    for extra, module in _EXTRAS.items():
        if importlib.util.find_spec(module):
            findings.append(_finding(f"extra {extra}", f"{module} {version(module)}"))
        else:
            findings.append(_finding(f"extra {extra}", "not installed", way_out=extra_line(extra)))
    return findings


def _results_folder(results: Path) -> list[dict[str, Any]]:
    place = next(path for path in (results.absolute(), *results.absolute().parents) if path.is_dir())
    elsewhere = "choose another folder with --results DIR"
    try:
        with tempfile.NamedTemporaryFile(dir=place, prefix=".dsbench-doctor-") as file:
            locks = _locks(Path(file.name))
    except OSError as error:
        return [_finding("results folder", f"{place} cannot be written: {error.strerror}", way_out=elsewhere)]
    free = shutil.disk_usage(place).free
    return [
        _finding("results folder", f"{results.absolute()} can be written"),
        _finding("locks", "work there" if locks else "do not work there", way_out=None if locks else elsewhere),
        _finding("free space", f"{free / 2**30:.1f} GiB", way_out=None if free > _ENOUGH_BYTES else elsewhere),
    ]


def _locks(path: Path) -> bool:
    """Whether a second open file is kept out."""
    from dsbench.errors import DsbenchError
    from dsbench.records.lock import exclusive_lock, is_locked

    try:
        with exclusive_lock(path, lambda: "dsbench doctor"):
            return is_locked(path)
    except DsbenchError:
        return False


def _finding(what: str, found: str, way_out: str | None = None) -> dict[str, Any]:
    return {"what": what, "found": found, "ok": way_out is None, "way_out": way_out}
