"""The journal of a run: one record a line, appended and durable before `append` returns.

A line is the CRC32 of its text as 8 hex digits, a space, the record as JSON, a newline. One process writes; any number
may read while it does. A process killed inside a write leaves an unfinished last line, which was never acknowledged:
readers skip it, and the next writer cuts it off before its first append. A finished line whose checksum is wrong is
damage, not an accident of timing, and is never skipped.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from dsbench.errors import CorruptFile
from dsbench.files import cannot_write, fsync_folder, open_own
from dsbench.records.encoding import plain


class Journal:
    """Append-only records of one run.

    Args:
        path: the ``journal.jsonl`` file; made at the first append.
        attempt: written into every record that names none.
    """

    def __init__(self, path: Path, attempt: int | None = None) -> None:
        self.path, self.attempt = path, attempt
        self._healed = False

    def append(self, record: Mapping[str, Any]) -> None:
        """Add one record; it is on disk when this returns. `CannotWrite` leaves the journal as it was."""
        self.append_many([record])

    def append_many(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Add records with one write and one fsync: all are on disk when this returns."""
        data = b"".join(self._line(record) for record in records)
        if not data:
            return
        try:
            if not self._healed:
                self.heal()
            self._write(data)
        except OSError as error:
            self._healed = False
            raise cannot_write(self.path, error) from error

    def read(self) -> list[dict[str, Any]]:
        """All finished records, oldest first; an unfinished last line is skipped. Never writes.

        Raises:
            CorruptFile: a finished line is damaged; names the line and the way out.
        """
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return []
        return self._parse(data)[0]

    def read_matching(self, *alternatives: bytes) -> list[dict[str, Any]]:
        """Those finished records whose text holds one of `alternatives`; all are checked, and only these are decoded.

        Raises as `read`.
        """
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return []
        lines = self._lines(data)[0]
        texts = [self._checked(line, number) for number, line in enumerate(lines, 1)]
        return [json.loads(text) for text in texts if any(part in text for part in alternatives)]

    def heal(self) -> int:
        """Cut off an unfinished last line; returns the bytes removed. `CorruptFile` if a finished line is damaged."""
        self._healed = True
        try:
            descriptor = open_own(self.path, os.O_RDWR)
        except FileNotFoundError:
            return 0
        with os.fdopen(descriptor, "r+b") as file:
            data = file.read()
            good = self._parse(data)[1]
            if good < len(data):
                file.truncate(good)
                os.fsync(file.fileno())
        return len(data) - good

    def _line(self, record: Mapping[str, Any]) -> bytes:
        named = dict(record)
        if self.attempt is not None and named.get("attempt") is None:
            named["attempt"] = self.attempt
        text = json.dumps(plain(named), allow_nan=False, separators=(",", ":")).encode()
        return b"%08x %s\n" % (zlib.crc32(text), text)

    def _write(self, data: bytes) -> None:
        is_new = not self.path.exists()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = open_own(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            before = os.fstat(descriptor).st_size
            try:
                written = os.write(descriptor, data)
                while written < len(data):  # a nearly full disk takes a part first and refuses the rest then
                    written += os.write(descriptor, data[written:])
                os.fsync(descriptor)
            except OSError:
                with suppress(OSError):  # where even this fails, the next append heals
                    os.ftruncate(descriptor, before)
                raise
        finally:
            os.close(descriptor)
        if is_new:
            fsync_folder(self.path.parent)

    def _parse(self, data: bytes) -> tuple[list[dict[str, Any]], int]:
        """Records and the number of bytes that they take; what follows is an unfinished line."""
        lines, good = self._lines(data)
        return [json.loads(self._checked(line, number)) for number, line in enumerate(lines, 1)], good

    def _lines(self, data: bytes) -> tuple[list[bytes], int]:
        """Finished lines, and the number of bytes that they take."""
        # Some file systems leave zeros at the end after a power cut: the size was written, the data was not.
        good = data.rstrip(b"\0").rfind(b"\n") + 1
        return data[:good].split(b"\n")[:-1], good

    def _checked(self, line: bytes, number: int) -> bytes:
        """The record in a line, not yet decoded; `CorruptFile` when its checksum is wrong."""
        text = line[9:]
        if line[:9] != b"%08x " % zlib.crc32(text):
            raise CorruptFile(
                f"{self.path} line {number} is damaged (its checksum does not match); restore the file from a copy, "
                "or run the same command with --force, which sets it aside and makes the run again"
            )
        return text
