"""Where a number was made: code, package versions, machine and the settings that change bits or speed.

The name of the host is left out on purpose: results are published, machines' names are not.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

import dsbench
from dsbench.config import naming
from dsbench.installation import installed_commit

PACKAGES = (
    "torch", "numpy", "scipy", "pandas", "gymnasium", "bsuite", "dm-env", "minigrid", "safetensors", "transformers",
    "triton", "mamba-ssm", "causal-conv1d", "onnx", "onnxruntime", "popgym", "mujoco", "minari",
)  # fmt: skip
ISA = ("avx", "avx2", "fma", "avx512f", "avx512_bf16", "avx512_vnni", "amx_bf16", "asimd", "sve", "bf16")
ENVIRONMENT = (
    "OMP_",
    "GOMP_",
    "KMP_",
    "MKL_",
    "MALLOC_",
    "GLIBC_TUNABLES",
    "ATEN_",
    "ONEDNN_",
    "CUBLAS_",
    "CUDA_VISIBLE",
)
_CODE = ("benchmark", "backbones", "envs", "reports", "pyproject.toml")


def provenance() -> dict[str, Any]:
    """Everything about this process that can change a result; JSON data. Imports torch."""
    git, packages = loaded_code()
    return {
        "dsbench": dsbench.__version__,
        "result_version": naming.RESULT_VERSION,
        "git": git,
        "python": sys.version.split()[0],
        "packages": packages,
        "machine": machine(),
        "torch": torch_state(),
        "environment": relevant_environment(),
    }


@cache
def loaded_code() -> tuple[dict[str, Any], dict[str, str]]:
    """`git_state` and `package_versions` of the first call, here or in the process that this one is a fork of.

    What lies on the disk may be another version by the time that the last fork begins.
    """
    return git_state(), package_versions()


def git_state() -> dict[str, Any]:
    """Commit of the dsbench source and whether its code was changed since; null with a reason where unknown.

    Looks at the folder that dsbench was imported from, never at the user's current folder.
    """
    root = Path(dsbench.__file__).resolve().parents[1]
    if not (root / ".git").exists():
        return _installed_commit()
    try:
        commit = _git(root, "rev-parse", "HEAD")
        changed = _git(root, "--no-optional-locks", "status", "--porcelain", "--", *_CODE)
    except (OSError, subprocess.SubprocessError) as error:
        return {"commit": None, "dirty": None, "reason": f"git failed: {type(error).__name__}"}
    return {"commit": commit, "dirty": bool(changed), "reason": None}


def package_versions() -> dict[str, str]:
    """Installed versions of the packages that results depend on; absent ones are left out."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def machine() -> dict[str, Any]:
    """Processor, cores, memory (bytes) and system. Imports no torch."""
    model, flags = _processor()
    return {
        "system": platform.system(),
        "release": platform.release(),
        "architecture": platform.machine(),
        "cpu_model": model,
        "cpu_isa": [flag for flag in ISA if flag in flags],
        "cores_physical": psutil.cpu_count(logical=False),
        "cores_logical": psutil.cpu_count(logical=True),
        "cores_usable": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "memory_bytes": psutil.virtual_memory().total,
    }


def torch_state() -> dict[str, Any]:
    """Threads, vector instructions in use and GPUs, as torch sees them in this process."""
    import torch

    return {
        "threads": torch.get_num_threads(),
        "threads_interop": torch.get_num_interop_threads(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "parallel_info": torch.__config__.parallel_info().splitlines(),
        "cuda": torch.version.cuda,
        "gpus": [_gpu(index) for index in range(torch.cuda.device_count())],
    }


def relevant_environment() -> dict[str, str]:
    """Environment variables that steer threads, memory and kernels."""
    return {name: value for name, value in sorted(os.environ.items()) if name.startswith(ENVIRONMENT)}


def _gpu(index: int) -> dict[str, Any]:
    import torch

    properties = torch.cuda.get_device_properties(index)
    capability = f"{properties.major}.{properties.minor}"
    return {"name": properties.name, "capability": capability, "memory_bytes": properties.total_memory}


def _git(root: Path, *arguments: str) -> str:
    # GIT_DIR and its like would point git at another repository.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "-C", str(root), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=20, check=True)
    return done.stdout.strip()


def _installed_commit() -> dict[str, Any]:
    commit = installed_commit()
    if commit is None:
        return {"commit": None, "dirty": None, "reason": "installed from a release, not from a git checkout"}
    return {"commit": commit, "dirty": False, "reason": None}


def _processor() -> tuple[str, set[str]]:
    """Model name and feature flags; empty where the system does not tell."""
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    except OSError:
        return platform.processor(), set()
    fields: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        fields.setdefault(name.strip().lower(), value.strip())  # the first core stands for all
    return fields.get("model name", platform.processor()), set(fields.get("flags", fields.get("features", "")).split())
