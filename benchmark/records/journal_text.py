"""What a journal says, wherever its bytes come from: its finished lines, their records, and whether all are there."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any

from dsbench.errors import UnreadableRecord
from dsbench.reading import Unparsable, parse_json
from dsbench.records.documents import LINE, MOST_LINES

WAY_OUT = (
    "restore the file from a copy, or run the same command with --force, which sets it aside and makes the run again"
)
Check = Callable[[Mapping[str, Any]], None]
_BLOCK = 1 << 16  # bytes that are taken apart at once: a journal of line ends alone would be millions of texts


def unchecked(record: Mapping[str, Any]) -> None:
    """Any record will do."""


class JournalText:
    """The bytes of a journal, and the place that messages name."""

    def __init__(self, data: bytes, place: str) -> None:
        self.data, self.place = data, place

    @cached_property
    def good(self) -> int:
        """Bytes of the finished lines; what follows is an unfinished one."""
        # Zeros may follow after a power cut: some file systems write the size first.
        return self.data.rfind(b"\n") + 1

    @cached_property
    def count(self) -> int:
        """How many finished lines there are; `UnreadableRecord` where they are more than any run writes."""
        found = self.data.count(b"\n")
        if found > MOST_LINES:
            raise self.fault(f"has {found:,} lines; at most {MOST_LINES:,} are read")
        return found

    def _lines(self, begin: int = 0) -> Iterator[tuple[int, bytes]]:
        """Number and text of every finished line, from the byte `begin` of the file on."""
        number = self.count - self.data.count(b"\n", begin)
        while begin < self.good:
            end = self.data.rfind(b"\n", begin, begin + _BLOCK) + 1 or self.data.find(b"\n", begin) + 1
            for line in self.data[begin : end - 1].split(b"\n"):
                number += 1
                yield number, line
            begin = end

    def check(self, begin: int = 0) -> None:
        """`UnreadableRecord` where the checksum of a finished line is wrong, from the byte `begin` of the file on."""
        for number, line in self._lines(begin):
            self._checked(line, number)

    def each(self, check: Check = unchecked) -> Iterator[dict[str, Any]]:
        """Every finished record, the oldest first, held against its model.

        Args:
            check: raises `Unparsable` for a record that is none of its kind.

        Raises:
            UnreadableRecord: a line is damaged, no JSON object, or no record; names the line.
        """
        for number, line in self._lines():
            yield self._record(self._checked(line, number), number, check)

    def records(self, check: Check = unchecked) -> list[dict[str, Any]]:
        """All of `each`."""
        return list(self.each(check))

    def matching(self, *alternatives: bytes, check: Check = unchecked) -> list[dict[str, Any]]:
        """Those records whose text holds one of `alternatives`; the checksums of all are compared. Raises as `each`."""
        found = []
        for number, line in self._lines():
            text = self._checked(line, number)
            if any(alternative in text for alternative in alternatives):
                found.append(self._record(text, number, check))
        return found

    def seal(self) -> dict[str, Any]:
        """What stands in the final row: how many lines there are, and their hash."""
        return {"lines": self.count, "sha256": self._hash(self.good)}

    def check_seal(self, lines: int, sha256: str) -> None:
        """`UnreadableRecord` unless the first `lines` lines are there and have this hash, and later ones are sound.

        Lines under the hash are those that the run wrote; a later attempt may have added more.
        """
        if self.count < lines:
            raise self.fault(f"was cut short: {self.count:,} of {lines:,} lines are left")
        later = self.count - lines
        end = self.good if not later else sum(len(line) + 1 for number, line in self._lines() if number <= lines)
        if self._hash(end) != sha256:
            self.check()  # which names the line
            raise self.fault("is not the one that its run ended with")
        self.check(end)

    def _hash(self, end: int) -> str:
        return hashlib.sha256(memoryview(self.data)[:end]).hexdigest()

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
