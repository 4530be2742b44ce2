"""What a journal says, wherever its bytes come from: its finished lines, their records, and whether all are there."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

from dsbench.errors import UnreadableRecord
from dsbench.reading import Unparsable, parse_json
from dsbench.records.documents import LINE

WAY_OUT = (
    "restore the file from a copy, or run the same command with --force, which sets it aside and makes the run again"
)
Check = Callable[[Mapping[str, Any]], None]


def unchecked(record: Mapping[str, Any]) -> None:
    """Any record will do."""


class JournalText:
    """The bytes of a journal, and the place that messages name."""

    def __init__(self, data: bytes, place: str) -> None:
        self.data, self.place = data, place

    @cached_property
    def good(self) -> int:
        """Bytes of the finished lines; what follows is an unfinished one."""
        # Some file systems leave zeros at the end after a power cut: the size was written, the data was not.
        return self.data.rstrip(b"\0").rfind(b"\n") + 1

    @cached_property
    def lines(self) -> list[bytes]:
        """The finished lines."""
        return self.data[: self.good].split(b"\n")[:-1]

    def check(self) -> None:
        """`UnreadableRecord` where the checksum of a finished line is wrong."""
        for number, line in enumerate(self.lines, 1):
            self._checked(line, number)

    def records(self, check: Check = unchecked) -> list[dict[str, Any]]:
        """All finished records, oldest first, each held against its model.

        Args:
            check: raises `Unparsable` for a record that is none of its kind.

        Raises:
            UnreadableRecord: a line is damaged, no JSON object, or no record; names the line.
        """
        return [self._record(self._checked(line, number), number, check) for number, line in enumerate(self.lines, 1)]

    def matching(self, *alternatives: bytes, check: Check = unchecked) -> list[dict[str, Any]]:
        """Those records whose text holds one of `alternatives`; the checksums of all are compared. Raises as `records`."""
        texts = [(number, self._checked(line, number)) for number, line in enumerate(self.lines, 1)]
        return [
            self._record(text, number, check)
            for number, text in texts
            if any(alternative in text for alternative in alternatives)
        ]

    def seal(self) -> dict[str, Any]:
        """What stands in the final row: how many lines there are, and their hash."""
        return {"lines": len(self.lines), "sha256": hashlib.sha256(self.data[: self.good]).hexdigest()}

    def check_seal(self, lines: int, sha256: str) -> None:
        """`UnreadableRecord` unless the first `lines` lines are there and have this hash; later attempts may add more."""
        found = len(self.lines)
        if found < lines:
            raise self.fault(f"was cut short: {found:,} of {lines:,} lines are left")
        end = sum(len(line) + 1 for line in self.lines[:lines])
        if hashlib.sha256(self.data[:end]).hexdigest() != sha256:
            raise self.fault("is not the one that its run ended with")

    def fault(self, reason: str) -> UnreadableRecord:
        """The error to raise."""
        return UnreadableRecord(self.place, reason, WAY_OUT)

    def _checked(self, line: bytes, number: int) -> bytes:
        text = line[9:]
        if line[:9] != b"%08x " % zlib.crc32(text):
            raise UnreadableRecord(self.place, f" line {number} is damaged (its checksum does not match)", WAY_OUT)
        return text

    def _record(self, text: bytes, number: int, check: Check) -> dict[str, Any]:
        try:
            record = parse_json(text, LINE)
            if not isinstance(record, dict):
                raise Unparsable("expected a JSON object")
            check(record)
        except Unparsable as error:
            raise UnreadableRecord(self.place, f" line {number} is no record ({error.reason})", WAY_OUT) from None
        return record
