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
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from dsbench.errors import UnreadableRecord
from dsbench.files import cannot_write, fsync_folder, open_own
from dsbench.reading import Unparsable, read_regular
from dsbench.records.documents import JOURNAL_SIZE
from dsbench.records.encoding import plain
from dsbench.records.journal_text import WAY_OUT, JournalText


class Journal:
    """Append-only records of one run.

    Args:
        path: the ``journal.jsonl`` file; made at the first append, its folder is not.
        attempt: written into every record that names none.
        may_write: called before anything is written; raises where that is not allowed.
    """

    def __init__(self, path: Path, attempt: int | None = None, may_write: Callable[[], None] = lambda: None) -> None:
        self.path, self.attempt, self.may_write = path, attempt, may_write
        self._healed = False

    def append(self, record: Mapping[str, Any]) -> None:
        """Add one record; it is on disk when this returns. `CannotWrite` leaves the journal as it was."""
        self.append_many([record])

    def append_many(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Add records with one write and one fsync: all are on disk when this returns."""
        data = b"".join(self._line(record) for record in records)
        if not data:
            return
        self.may_write()
        try:
            if not self._healed:
                self.heal()
            self._write(data)
        except OSError as error:
            self._healed = False
            raise cannot_write(self.path, error) from error

    def text(self) -> JournalText:
        """What is there now, empty where there is no journal. `UnreadableRecord` where it is no file of ours."""
        try:
            data = read_regular(self.path, JOURNAL_SIZE, inside=self.path.parent)
        except FileNotFoundError:
            data = b""
        except Unparsable as error:
            raise UnreadableRecord(self.path, str(error), WAY_OUT) from None
        return JournalText(data, str(self.path))

    def read(self) -> list[dict[str, Any]]:
        """All finished records, oldest first; an unfinished last line is skipped. Never writes.

        Raises:
            UnreadableRecord: a finished line is damaged; names the line and the way out.
        """
        return self.text().records()

    def heal(self) -> int:
        """Cut off an unfinished last line; returns the bytes removed. `UnreadableRecord` if a finished line is damaged."""
        try:
            os.close(open_own(self.path, os.O_RDONLY))  # a link or a pipe in its place is nothing to be written to
        except FileNotFoundError:
            self._healed = True
            return 0
        text = self.text()
        text.check()
        removed = len(text.data) - text.good
        if removed:
            descriptor = open_own(self.path, os.O_WRONLY | os.O_CLOEXEC)
            try:
                os.ftruncate(descriptor, text.good)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        self._healed = True
        return removed

    def _line(self, record: Mapping[str, Any]) -> bytes:
        named = dict(record)
        if self.attempt is not None and named.get("attempt") is None:
            named["attempt"] = self.attempt
        text = json.dumps(plain(named), allow_nan=False, separators=(",", ":")).encode()
        return b"%08x %s\n" % (zlib.crc32(text), text)

    def _write(self, data: bytes) -> None:
        is_new = not self.path.exists()
        descriptor = open_own(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC)
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
