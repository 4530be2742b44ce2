"""What is usable here: versions, threads, kernels, GPU, extras, the results folder. Never fails; it tells."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from dsbench.running.process import available_cores, process_environment

_EXTRAS = {"hf": "transformers", "parquet": "pyarrow", "onnx": "onnxruntime"}  # extra -> the module that it brings
_ENOUGH_BYTES = 1 << 30


def examine(results: Path) -> list[dict[str, Any]]:
    """One dictionary a finding: ``what``, ``found``, ``ok`` and, when not ok, ``way_out``."""
    findings = [
        _finding("dsbench", f"{version('dsbench')} in {Path(__file__).parent}"),
        _finding("python", f"{platform.python_version()} ({sys.executable})"),
        _finding("cores", f"{available_cores()} usable"),
    ]
    probes = [_torch, _gpu, _kernels, _fast_mamba, _extras, lambda: _results_folder(results)]
    return findings + [finding for probe in probes for finding in _safely(probe)]


def _safely(probe: Callable[[], list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """What cannot be examined is a finding too."""
    try:
        return probe()
    except Exception as error:
        name = getattr(probe, "__name__", "probe").strip("_")
        return [
            _finding(
                name, f"{type(error).__name__}: {error}", way_out="reinstall: pip install --force-reinstall dsbench"
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


def _fast_mamba() -> list[dict[str, Any]]:
    import torch

    if importlib.util.find_spec("mamba_ssm"):
        return [_finding("mamba-ssm", version("mamba-ssm"))]
    if not torch.cuda.is_available():
        return [_finding("mamba-ssm", "not installed; needs a CUDA machine")]
    return [_finding("mamba-ssm", "not installed", way_out="pip install --no-build-isolation -r requirements-cuda.txt")]


def _extras() -> list[dict[str, Any]]:
    findings = []
    for extra, module in _EXTRAS.items():
        if importlib.util.find_spec(module):
            findings.append(_finding(f"extra {extra}", f"{module} {version(module)}"))
        else:
            findings.append(_finding(f"extra {extra}", "not installed", way_out=f"pip install 'dsbench[{extra}]'"))
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
