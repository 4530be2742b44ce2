"""Where the files of one run or bench lie: in a folder, or in memory after a pack was read."""

from __future__ import annotations

import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from dsbench.reading import Unparsable, read_regular


class RecordFiles(Protocol):
    """Reading by name; nothing is ever written through it."""

    def read(self, name: str, limit: int) -> bytes:
        """The bytes of the file called `name`, ``FileNotFoundError`` without one, `Unparsable` where it cannot be read."""

    def names(self) -> list[str]:
        """Names of all files, in no order; empty where there is no folder. `Unparsable` where it cannot be listed."""

    def names_below(self, folder: str) -> list[str]:
        """Names ``folder/...`` of all files in a folder and below it, sorted; none where it is not there."""

    def place(self, name: str) -> str:
        """Where the file is, for messages."""


class FolderFiles:
    """The files in a folder; they must really lie in `inside`, links followed, which is the folder itself if not given."""

    def __init__(self, path: Path, inside: Path | None = None) -> None:
        self.path, self._folder, self._inside = path, str(path), str(inside or path)

    def read(self, name: str, limit: int) -> bytes:
        return read_regular(self.place(name), limit, inside=self._inside)

    def names(self) -> list[str]:
        try:
            return os.listdir(self._folder)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise Unparsable(f"cannot be listed ({error.strerror})") from None

    def names_below(self, folder: str) -> list[str]:
        found = [
            str((Path(parent) / name).relative_to(self.path))
            for parent, _, names in os.walk(self.path / folder)  # does not follow links to folders
            for name in names
        ]
        return sorted(found)

    def place(self, name: str) -> str:
        return f"{self._folder}/{name}" if name else self._folder


class PackedFiles:
    """Files out of a pack. Large ones are kept compressed: thousands of journals are held at once and most are read once.

    Args:
        where: the pack and the run's place in it, for messages.
        files: name -> bytes.
    """

    def __init__(self, where: str, files: Mapping[str, bytes]) -> None:
        self._where = where
        self._files = {name: (zlib.compress(data, 1), len(data)) for name, data in files.items()}

    def read(self, name: str, limit: int) -> bytes:
        if name not in self._files:
            raise FileNotFoundError(name)
        data, size = self._files[name]
        if size > limit:
            raise Unparsable(f"is larger than {limit:,} bytes")
        return zlib.decompress(data)

    def names(self) -> list[str]:
        return list(self._files)

    def names_below(self, folder: str) -> list[str]:
        return sorted(name for name in self._files if name.startswith(f"{folder}/"))

    def place(self, name: str) -> str:
        return f"{self._where}/{name}"
