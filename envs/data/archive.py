"""Arrays in one file: .npz archives that are the same bytes for the same arrays, and that are read without trust."""

from __future__ import annotations

import hashlib
import io
import math
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import numpy as np

from dsbench.envs.data.faults import fault, make_anew
from dsbench.errors import DatasetError
from dsbench.stopping import raise_if_asked

ZIP_TIME = (1980, 1, 1, 0, 0, 0)
NOT_AN_ARCHIVE = (
    zipfile.BadZipFile, zlib.error, ValueError, OSError, EOFError, KeyError, NotImplementedError, RuntimeError,
    MemoryError, SyntaxError, OverflowError, TypeError,
)  # fmt: skip


def pack(arrays: Mapping[str, np.ndarray]) -> bytes:
    """An .npz archive whose bytes depend on nothing but the arrays (numpy's own carries the time of day)."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name in sorted(arrays):
            entry = zipfile.ZipInfo(f"{name}.npy", ZIP_TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3
            with archive.open(entry, "w", force_zip64=True) as file:
                np.lib.format.write_array(_Interruptible(file), np.ascontiguousarray(arrays[name]), allow_pickle=False)
    return buffer.getvalue()


class _Interruptible:
    """A file that is written in parts, between which a signal can end the writing: compressing takes long."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def write(self, data: bytes) -> int:
        raise_if_asked()
        return self._file.write(data)


def unpack(data: bytes, file: Path, max_bytes: int) -> dict[str, np.ndarray]:
    """The arrays of an .npz archive: nothing unpickled, nothing larger than it says, no more than `max_bytes` in all."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            if sum(member.file_size for member in members) > max_bytes:
                raise fault(
                    file, "", f"unpacks to more than the limit of {max_bytes:,} bytes", "raise it with --max-gb"
                )
            return {member.filename.removesuffix(".npy"): _array(archive.read(member)) for member in members}
    except DatasetError:
        raise
    except NOT_AN_ARCHIVE as error:
        raise fault(file, "", f"not an archive of plain arrays ({error})", make_anew(file.parent)) from error


def array_sha256(array: np.ndarray) -> str:
    """sha256 over dtype, shape and bytes."""
    digest = hashlib.sha256(f"{array.dtype.str}{array.shape}".encode())
    digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _array(data: bytes) -> np.ndarray:
    """The array of one .npy file, whose header must promise exactly the bytes that follow."""
    file = io.BytesIO(data)
    major = np.lib.format.read_magic(file)[0]
    read_header = np.lib.format.read_array_header_1_0 if major == 1 else np.lib.format.read_array_header_2_0
    shape, _, dtype = read_header(file)
    if dtype.hasobject or math.prod(shape) * dtype.itemsize != len(data) - file.tell():
        raise ValueError(f"a header of shape {shape} and {dtype} over {len(data) - file.tell()} bytes")
    file.seek(0)
    return np.lib.format.read_array(file, allow_pickle=False)
