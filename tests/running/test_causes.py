"""Which errors mean too little memory, which a fault of the machine; and what a control group counts."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from dsbench.errors import CannotWrite, DatasetError, EnvironmentFault
from dsbench.running.causes import is_machine_fault, is_out_of_memory, says_out_of_memory
from dsbench.running.cgroup import counter_files, kills_in, memory_kills

V2_MOUNTS = "25 1 0:22 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate"
V1_MOUNTS = """31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
36 31 0:33 / /sys/fs/cgroup/devices rw,relatime - cgroup cgroup rw,devices
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw"""
IN_DOCKER = "40 30 0:30 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory"


def caused(error: BaseException, by: BaseException) -> BaseException:
    error.__cause__ = by
    return error


def test_torchs_own_refusal_is_out_of_memory() -> None:
    with pytest.raises(RuntimeError) as refused:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(refused.value)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), True),
        (torch.OutOfMemoryError("CUDA out of memory."), True),
        (RuntimeError("not enough memory: you tried to allocate 17 bytes."), True),
        (ImportError("libtorch.so: cannot map: Cannot allocate memory"), True),
        (caused(EnvironmentFault("env x raised"), MemoryError()), True),
        (RuntimeError("the memory task needs a memory"), False),
        (ValueError("can't allocate memory"), False),  # of somebody who only writes so
        (OSError(errno.ENOENT, "no such file"), False),
    ],
)
def test_memory_that_was_refused_is_told_from_all_else(error: BaseException, expected: bool) -> None:
    assert is_out_of_memory(error) is expected


def test_the_last_line_of_a_dead_worker_tells_it_too() -> None:
    assert says_out_of_memory("numpy._core._exceptions._ArrayMemoryError: Unable to allocate 7 TiB")
    assert not says_out_of_memory("ValueError: 7")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (CannotWrite("cannot write x: the disk is full"), True),
        (caused(RuntimeError("x"), CannotWrite("y")), True),
        (OSError(errno.ENOSPC, ""), True),
        (OSError(errno.EDQUOT, ""), True),
        (OSError(errno.EROFS, ""), True),
        (caused(EnvironmentFault("env x raised OSError"), OSError(errno.ENOSPC, "")), True),
        (caused(DatasetError("cannot be read"), OSError(errno.EIO, "")), True),  # our own reading of our own file
        (caused(EnvironmentFault("env x raised OSError"), OSError(errno.EIO, "")), False),
        (FileNotFoundError(errno.ENOENT, ""), False),
        (PermissionError(errno.EACCES, ""), False),
        (ValueError("full"), False),
    ],
)
def test_faults_of_the_machine_are_told_from_the_runs_own(error: BaseException, expected: bool) -> None:
    assert is_machine_fault(error) is expected


@pytest.mark.parametrize(
    ("groups", "mounts", "expected"),
    [
        ("0::/user.slice/s-1.scope\n", V2_MOUNTS, ["/sys/fs/cgroup/user.slice/s-1.scope/memory.events"]),
        ("0::/\n", V2_MOUNTS, ["/sys/fs/cgroup/memory.events"]),
        (
            "5:devices:/a\n4:memory:/slurm/job_7\n0::/\n", V1_MOUNTS,
            ["/sys/fs/cgroup/memory/slurm/job_7/memory.oom_control", "/sys/fs/cgroup/unified/memory.events"],
        ),
        ("4:cpu,memory:/docker/abc/x\n", IN_DOCKER, ["/sys/fs/cgroup/memory/x/memory.oom_control"]),
        ("4:memory:/elsewhere\n", IN_DOCKER, []),
        ("", V2_MOUNTS, []),
        ("9:name=systemd:/a:b\n", V1_MOUNTS, []),
    ],
)  # fmt: skip
def test_the_counter_is_that_of_the_processs_own_group(groups: str, mounts: str, expected: list[str]) -> None:
    assert [str(path) for path in counter_files(groups, mounts)] == expected


@pytest.mark.parametrize(
    ("text", "kills"),
    [
        ("low 0\nhigh 0\nmax 12\noom 3\noom_kill 2\noom_group_kill 1\n", 3),
        ("oom_kill_disable 0\nunder_oom 0\noom_kill 5\n", 5),
        ("oom_kill_disable 0\nunder_oom 0\n", None),  # kernels before 4.13
        ("", None),
    ],
)
def test_kills_are_read_from_both_versions(text: str, kills: int | None) -> None:
    assert kills_in(text) == kills


HOG = """
import os, sys
open(sys.argv[1], "w").write(str(os.getpid()))
sys.path.insert(0, sys.argv[2])
from dsbench.running.cgroup import memory_kills
before = memory_kills()
if os.fork() == 0:
    held = bytearray(b"x" * (1 << 28))
    os._exit(0)
status = os.wait()[1]
print(os.waitstatus_to_exitcode(status), memory_kills() - before)
"""


def test_a_kill_for_memory_is_counted_by_the_group_it_happened_in(tmp_path: Path) -> None:
    group = Path("/sys/fs/cgroup/memory") / f"dsbench-test-{os.getpid()}"
    try:
        group.mkdir()
        (group / "memory.limit_in_bytes").write_text(str(64 << 20))
        (group / "memory.swappiness").write_text("0")
    except OSError as error:
        pytest.skip(f"no control group of memory can be made here: {error}")
    try:
        before = memory_kills()
        shown = subprocess.run(
            [sys.executable, "-c", HOG, str(group / "cgroup.procs"), str(Path(__file__).parents[2])],
            capture_output=True, text=True,
        )  # fmt: skip
        assert shown.stdout.split() == ["-9", "1"], shown.stderr
        assert memory_kills() == before  # not of this one
    finally:
        group.rmdir()


def test_limits_of_the_user_are_never_raised(tmp_path: Path) -> None:
    code = (
        "import resource; from dsbench.envs.data.isolation import _lower; kind = resource.RLIMIT_AS\n"
        "for limit in (7 << 30, 3 << 30, 5 << 30):\n"
        "    _lower(kind, limit); print(resource.getrlimit(kind)[0] >> 30)"
    )
    limited = lambda: resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))  # noqa: E731
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, preexec_fn=limited, check=True)
    assert shown.stdout.split() == ["6", "3", "3"]
