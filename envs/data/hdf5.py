"""Reading HDF5 files that nobody vouches for: sizes before bytes, nothing followed out of the file, plain numbers only.

HDF5 can do more than hold arrays: link to other files, map raw data of other files into a data set, name compression
plug-ins for the library to load, declare terabytes in a kilobyte. All of that is refused before anything is read. Every
chunk that a shape promises must be there, whole, in its own place, because HDF5 itself fills gaps with zeros.

Data without a checksum (no gzip, no Fletcher-32) cannot show a flipped bit; `SafeFile.checksummed` tells whether it can.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from dsbench.envs.data.faults import DEFAULT_MAX_BYTES, check_file, fault
from dsbench.errors import DatasetError, MissingExtra

MAGIC = b"\x89HDF\r\n\x1a\n"
MAX_CHUNK_BYTES = 1 << 28
MAX_RANK = 8
GZIP, SHUFFLE, FLETCHER32, LZF = 1, 2, 3, 32000  # registered numbers of HDF5 filters; these come with h5py
AGAIN = "get the file again"
NO_CHECKSUMS = "the file carries no checksums: a flipped bit in it cannot be noticed unless its --sha256 is given"


@contextmanager
def open_hdf5(path: Path, max_bytes: int = DEFAULT_MAX_BYTES) -> Iterator[SafeFile]:
    """The file, opened for reading; whatever the HDF5 library stumbles over becomes a `DatasetError`.

    Args:
        max_bytes: largest file, and largest sum of what is read from it.
    """
    size = check_file(path, max_bytes)
    with path.open("rb") as file:
        head = file.read(len(MAGIC))
    if head != MAGIC:
        found = "an HTML page" if head.lstrip()[:1] == b"<" else f"bytes {head!r}"
        raise fault(path, "", f"not an HDF5 file but begins with {found}", AGAIN)
    h5py = load_h5py()
    try:
        with h5py.File(path, "r", locking=False) as opened:
            yield SafeFile(h5py, opened.id, path, size, max_bytes)
    except DatasetError:
        raise
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, MemoryError, OverflowError, UnicodeError) as error:
        text = " ".join(str(error).split())
        raise fault(path, "", f"damaged or no data set that can be read ({text})", AGAIN) from error


class SafeFile:
    """The data sets and groups of one open file, by slash-separated names.

    Attributes:
        size: of the file, in bytes.
        checksummed: whether all that was read so far carries checksums.
    """

    def __init__(self, h5py: Any, root: Any, path: Path, size: int, max_bytes: int) -> None:
        self._h5, self._root, self.path, self.size = h5py, root, path, size
        self._left = self._max = max_bytes
        self._ranges: list[tuple[int, int]] = []  # (offset, bytes) in the file of all that was read
        self.checksummed = True
        integers = [f"STD_{kind}{bits}LE" for kind in "IU" for bits in (8, 16, 32, 64)]
        self._types = [getattr(h5py.h5t, name) for name in (*integers, "IEEE_F16LE", "IEEE_F32LE", "IEEE_F64LE")]

    def names(self, group: str = "") -> list[str]:
        """What a group holds, in order of name; "" is the root."""
        found = sorted(name.decode("utf-8", "backslashreplace") for name in self._group(group))
        if len(set(found)) < len(found):
            raise fault(self.path, group, "has two things of one name", AGAIN)
        return found

    def is_group(self, name: str) -> bool:
        """Whether `name` is a group; a link that leads elsewhere is a fault."""
        return bool(self._kind(name) == self._h5.h5o.TYPE_GROUP)

    def read(self, name: str) -> np.ndarray:
        """A whole data set of plain numbers or truth values."""
        if self._kind(name) != self._h5.h5o.TYPE_DATASET:
            raise fault(self.path, name, "not a data set", AGAIN)
        dataset = self._h5.h5d.open(self._root, name.encode())
        self._check_type(name, dataset.get_type())
        self._check_size(name, dataset)
        self._check_storage(name, dataset)
        # Truth values are read as the bytes that they are, so that a byte which is neither 0 nor 1 can be seen.
        array = np.empty(dataset.shape, np.int8 if dataset.dtype == bool else dataset.dtype)
        if array.size:
            everything = self._h5.h5s.ALL
            dataset.read(everything, everything, array, dataset.get_type() if dataset.dtype == bool else None)
        return array

    def finish(self) -> None:
        """Two data sets that claim the same bytes are a fault; to be called when all is read."""
        if not self._ranges:
            return
        ranges = np.array(self._ranges, np.int64)
        ranges = ranges[np.argsort(ranges[:, 0])]
        ends = ranges.sum(1)
        if (ends[:-1] > ranges[1:, 0]).any() or ends[-1] > self.size or ranges[0, 0] < 0:
            raise fault(self.path, "", "data sets overlap or reach past the end of the file", AGAIN)

    def _group(self, name: str) -> Any:
        if name and not self.is_group(name):
            raise fault(self.path, name, "not a group", AGAIN)
        return self._h5.h5g.open(self._root, name.encode()) if name else self._root

    def _kind(self, name: str) -> int:
        """Type of the object, every step to it being a hard link."""
        parts = name.split("/")
        for depth in range(1, len(parts) + 1):
            link = "/".join(parts[:depth]).encode()
            if self._root.links.get_info(link).type != self._h5.h5l.TYPE_HARD:
                raise fault(self.path, name, "a link to elsewhere, which is never followed", "copy the data itself")
        return int(self._h5.h5o.get_info(self._root, name.encode()).type)

    def _check_type(self, name: str, kind: Any) -> None:
        types = self._types
        if kind.get_class() == self._h5.h5t.ENUM:  # h5py's form of truth values
            names = [(kind.get_member_name(i), kind.get_member_value(i)) for i in range(kind.get_nmembers())]
            if names == [(b"FALSE", 0), (b"TRUE", 1)] and kind.get_super().equal(self._h5.h5t.STD_I8LE):
                return
        elif any(kind.equal(plain) for plain in types):
            return
        raise fault(
            self.path, name, "holds something other than plain little-endian numbers",
            "convert it to float32, float64, an integer type or bool",
        )  # fmt: skip

    def _check_size(self, name: str, dataset: Any) -> None:
        if dataset.get_space().get_simple_extent_type() != self._h5.h5s.SIMPLE or len(dataset.shape) > MAX_RANK:
            raise fault(self.path, name, f"not an array of 1 to {MAX_RANK} axes", AGAIN)
        declared = math.prod(dataset.shape) * dataset.dtype.itemsize
        if declared > self._left:
            raise fault(
                self.path, name, f"declares {declared:,} bytes and {self._left:,} of {self._max:,} are left to read",
                "raise the limit with --max-gb if that is right",
            )  # fmt: skip
        self._left -= declared

    def _check_storage(self, name: str, dataset: Any) -> None:
        """Everything inside this file, without plug-ins, and all there."""
        plan, h5d = dataset.get_create_plist(), self._h5.h5d
        filters = {plan.get_filter(i)[0] for i in range(plan.get_nfilters())}
        if plan.get_external_count() or plan.get_layout() == h5d.VIRTUAL:
            raise fault(self.path, name, "its data lies in another file", "copy the data itself")
        if foreign := filters - {GZIP, SHUFFLE, FLETCHER32, LZF}:
            raise fault(self.path, name, f"compressed by filter {min(foreign)}", "write it with gzip instead")
        self.checksummed &= bool(filters & {GZIP, FLETCHER32}) or not math.prod(dataset.shape)
        if plan.get_layout() == h5d.CHUNKED:
            self._check_chunks(name, dataset, plan.get_chunk(), bool(filters))
            return
        declared = math.prod(dataset.shape) * dataset.dtype.itemsize
        if dataset.get_storage_size() != declared:
            raise fault(self.path, name, f"declares {declared:,} bytes and holds {dataset.get_storage_size():,}", AGAIN)
        if plan.get_layout() == h5d.CONTIGUOUS and declared:
            self._ranges.append((dataset.get_offset(), declared))

    def _check_chunks(self, name: str, dataset: Any, chunk: tuple[int, ...], filtered: bool) -> None:
        chunk_bytes = math.prod(chunk) * dataset.dtype.itemsize
        if not 0 < chunk_bytes <= MAX_CHUNK_BYTES:
            raise fault(self.path, name, f"chunks of {chunk_bytes:,} bytes", "write it with smaller chunks")
        counts = [-(-size // step) for size, step in zip(dataset.shape, chunk, strict=True)]
        expected = math.prod(counts)
        if expected > self.size:  # each takes at least a byte; a list of all of them would not fit in memory either
            raise fault(self.path, name, f"{expected:,} chunks in {self.size:,} bytes", AGAIN)
        found: list[Any] = []
        if expected:
            dataset.chunk_iter(found.append)
        corners = {tuple(a * b for a, b in zip(place, chunk, strict=True)) for place in np.ndindex(*counts)}
        if len(found) != expected or {one.chunk_offset for one in found} != corners:
            raise fault(self.path, name, f"{len(found)} of {expected} chunks are in their places", AGAIN)
        for one in found:  # fetched the way that reading does it: what is listed and not found would be read as zeros
            if len(dataset.read_direct_chunk(one.chunk_offset)[1]) != one.size:
                raise fault(self.path, name, "a chunk is not whole", AGAIN)
        if any(one.filter_mask or (not filtered and one.size != chunk_bytes) for one in found):
            raise fault(self.path, name, "a chunk is not whole", AGAIN)
        self._ranges += [(one.byte_offset, one.size) for one in found]


def load_h5py() -> Any:
    """The module; `MissingExtra` where it is not installed."""
    try:
        import h5py
    except ModuleNotFoundError as error:
        raise MissingExtra("reading HDF5 files", "d4rl") from error
    return h5py
