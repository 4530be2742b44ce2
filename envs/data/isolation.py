"""Reading in a process of its own, because a damaged file can bring down the library that reads it.

The HDF5 library overwrites memory that it does not own on some damaged files (found by fuzzing: a few of ten thousand
end in ``malloc(): invalid size``), which no exception reports. So a forked child does the reading under limits of memory
and time, and hands over plain arrays through a file; when it dies, the data set is refused.
"""

from __future__ import annotations

import errno
import faulthandler
import json
import os
import resource
import select
import signal
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import numpy as np

from dsbench.envs.data.contract import RawData
from dsbench.envs.data.faults import GIB, fault
from dsbench.envs.data.minari_episodes import unflattened
from dsbench.episodes import observation_leaves
from dsbench.errors import CannotWrite, DatasetError, UsageError
from dsbench.stopping import raise_if_asked

Progress = Callable[[int, int], None]
ARRAYS = ("actions", "rewards", "terminated", "truncated", "starts", "action_mask")
PLAIN = ("names", "flat", "dropped_episodes", "dropped_timesteps", "warnings", "physics")
CPU_SECONDS, BYTES_PER_SECOND = 60, 5_000_000  # time for a file: a minute, and more by its size
WALL_FACTOR = 20  # times the time of computing may pass: waiting for a disk, or for ever for a lock, computes nothing
WAY_OUT = "get the file again"
_LOOK_UP_S = 0.2


def read_isolated(file: Path, read: Callable[[Progress], RawData], max_bytes: int, on_episode: Progress) -> RawData:
    """What `read` returns in a child process.

    Args:
        file: for messages and limits.
        read: reads the file; reports its progress to the function that it is given.
        on_episode: called here with what `read` reports.

    Raises:
        DatasetError, UsageError: as `read` raises them, or because the child died.
    """
    with tempfile.TemporaryFile() as handed_over:
        ours, theirs = os.pipe()
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", DeprecationWarning
            )  # of forking with threads: the child runs none of theirs
            child = os.fork()
        if child == 0:
            _child(read, handed_over, theirs, max_bytes, _size(file))
        os.close(theirs)
        status = None
        try:
            with os.fdopen(ours, "rb", buffering=0) as told:
                for line in _lines(told):
                    done, _, total = line.partition(b" ")
                    on_episode(int(done), int(total))
            raise_if_asked()  # the signal may have been the child's as well
            status = os.waitpid(child, 0)[1]
        finally:
            if status is None:  # interrupted
                with suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
        if os.WIFEXITED(status) and os.WEXITSTATUS(status) == CannotWrite.exit_code:
            raise CannotWrite(
                f"cannot hand over what is in {file}: the disk of {tempfile.gettempdir()} is full; free space there or set "
                "TMPDIR to another folder"
            )
        if status != 0:
            ended = f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else f"code {os.WEXITSTATUS(status)}"
            raise fault(file, "", f"so damaged that the process reading it ended by {ended}", WAY_OUT)
        handed_over.seek(0)
        return _received(handed_over, file)


def _child(read: Callable[[Progress], RawData], out: IO[bytes], pipe: int, max_bytes: int, size: int) -> None:
    """Read, write what came out, leave without any of the parent's cleaning up."""
    code = 1
    try:
        _limit(max_bytes, size)
        try:
            _send(read(lambda done, total: _tell(pipe, done, total)), out)
        except UsageError as error:
            kind = "data" if isinstance(error, DatasetError) else "usage"
            out.write(json.dumps({kind: str(error)}).encode() + b"\n")
        out.flush()
        code = 0
    except OSError as error:
        code = CannotWrite.exit_code if error.errno in (errno.ENOSPC, errno.EDQUOT) else 1
    finally:
        os._exit(code)


def _limit(max_bytes: int, size: int) -> None:
    """No core file, no words of a dying library on the terminal, bounded memory and time."""
    faulthandler.disable()
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 2)
    _lower(resource.RLIMIT_CORE, 0)
    seconds = CPU_SECONDS + size // BYTES_PER_SECOND
    _lower(resource.RLIMIT_CPU, seconds)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # ends the process
    signal.alarm(WALL_FACTOR * seconds)
    if sys.platform == "linux":
        mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        memory = mapped + 4 * max_bytes + GIB
        _lower(resource.RLIMIT_AS, memory)


def _lower(which: int, limit: int) -> None:
    """Set a limit, unless there is a stricter one: no process may ask for more than its hard limit, nor takes back a user's."""
    stricter = min((one for one in resource.getrlimit(which) if one != resource.RLIM_INFINITY), default=limit)
    lowest = min(limit, stricter)
    resource.setrlimit(which, (lowest, lowest))


def _lines(told: IO[bytes]) -> Iterator[bytes]:
    """Lines until the other end is closed; looks up between them, since the child may be busy with one for long."""
    rest = b""
    while True:
        while not select.select([told], [], [], _LOOK_UP_S)[0]:
            raise_if_asked()
        block = told.read(1 << 16)
        *lines, rest = (rest + block).split(b"\n")
        yield from lines
        if not block:
            return


def _tell(pipe: int, done: int, total: int) -> None:
    os.write(pipe, f"{done} {total}\n".encode())


def _send(raw: RawData, out: IO[bytes]) -> None:
    """A line of JSON, then the arrays it names, one after another."""
    arrays = dict(observation_leaves(raw.observations))
    if raw.final_observations is not None:
        arrays |= {f"final_{name}": array for name, array in observation_leaves(raw.final_observations)}
    arrays |= {name: getattr(raw, name) for name in ARRAYS if getattr(raw, name) is not None}
    plain = {name: getattr(raw, name) for name in PLAIN}
    out.write(json.dumps({"arrays": list(arrays), "plain": plain}).encode() + b"\n")
    for array in arrays.values():
        np.lib.format.write_array(out, np.ascontiguousarray(array), allow_pickle=False)


def _received(file: IO[bytes], path: Path) -> RawData:
    try:
        header: dict[str, Any] = json.loads(file.readline())
        for kind, error in (("data", DatasetError), ("usage", UsageError)):
            if kind in header:
                raise error(header[kind])
        arrays = {name: np.lib.format.read_array(file, allow_pickle=False) for name in header["arrays"]}
        seen = {name: array for name, array in arrays.items() if name.startswith("observations")}
        final = {name[6:]: array for name, array in arrays.items() if name.startswith("final_")}
        rest: dict[str, Any] = {name: arrays[name] for name in ARRAYS if name in arrays}
        rest |= header["plain"] | {"warnings": tuple(header["plain"]["warnings"])}
        return RawData(
            file=path,
            observations=unflattened(seen),
            final_observations=unflattened(final) if final else None,
            **rest,
        )
    except (ValueError, KeyError, TypeError, EOFError) as error:
        raise fault(path, "", f"so damaged that nothing came out ({error})", WAY_OUT) from error


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0
