"""Pages of files that a process has in its memory, for a fork to have them too.

A fork shares what its parent has written, and that counts as resident in both; pages of files (libraries, above all) are left
out until it reads them. So its peak would seem a quarter less than that of a process that did the same from its start.
"""

from __future__ import annotations

import ctypes
import mmap
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

_PRESENT, _OF_FILE = 1 << 63, 1 << 61  # in an entry of a page map: proc_pid_pagemap(5)
_ENTRY_BYTES = 8


@dataclass(frozen=True)
class Resident:
    """Addresses of such pages, ascending."""

    pages: np.ndarray

    @classmethod
    def now(cls) -> Resident:
        """Those of this process. `OSError` where the system does not tell."""
        found = [np.empty(0, np.int64)]
        with open("/proc/self/pagemap", "rb", buffering=0) as entries:
            for first, last in _mapped_files():
                read = os.pread(entries.fileno(), _ENTRY_BYTES * (last - first), _ENTRY_BYTES * first)
                both = np.frombuffer(read, np.uint64) & (_PRESENT | _OF_FILE)
                found.append(mmap.PAGESIZE * (first + np.flatnonzero(both == _PRESENT | _OF_FILE)))
        return cls(np.concatenate(found))

    def touch(self) -> None:
        """Have them resident in this process, whose memory is laid out alike."""
        if len(self.pages):
            first, last = int(self.pages[0]), int(self.pages[-1])
            memory = np.ctypeslib.as_array((ctypes.c_ubyte * (last - first + 1)).from_address(first))
            memory[self.pages - first].max()


def _mapped_files() -> Iterator[tuple[int, int]]:
    """(first page, page behind the last) of every readable part of a file in the memory of this process."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        addresses, rights, _, _, node, *_ = line.split(maxsplit=5)
        if rights.startswith("r") and node != "0":
            first, last = (int(address, 16) // mmap.PAGESIZE for address in addresses.split("-"))
            yield first, last
