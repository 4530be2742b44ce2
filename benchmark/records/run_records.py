"""What one run says of itself, read from its files, in a folder or out of a pack. Reads only, and believes nothing.

    config.yaml  provenance-<attempt>.json  claim.json  journal.jsonl  result-<attempt>.json  (interrupted-<attempt>.json)

Every file is read through `dsbench.reading`, held against its model in `dsbench.records.documents` and against the name of
the run; what is wrong with one is an `UnreadableRecord` that names the file.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

from pydantic import TypeAdapter

from dsbench.errors import UnreadableRecord
from dsbench.reading import Unparsable
from dsbench.records.config_text import parse_config, parse_flat
from dsbench.records.documents import CLAIM, FINAL_ROW, JOURNAL_SIZE, MOST_ATTEMPTS, PROVENANCE, SMALL, check_record
from dsbench.records.encoding import read_sealed, unseal
from dsbench.records.journal_text import JournalText
from dsbench.records.record_files import RecordFiles

FINAL = ("ok", "diverged")  # asked again, nothing is left to do
CONFIG, JOURNAL, CLAIM_FILE, PROVENANCE_FILE = "config.yaml", "journal.jsonl", "claim.json", "provenance.json"
ASIDE = "journal-damaged-"  # begins the names of damaged journals that a later attempt set aside
HEADER = "# dsbench run, sha256 of the lines below: "
AGAIN = "delete it, or run the same command with --force to make the run again"
_RESULT = re.compile(r"result-([1-9][0-9]{0,8})\.json\Z")


def provenance_file(attempt: int) -> str:
    """Name of the provenance of one attempt."""
    return f"provenance-{attempt}.json"


class RunRecords:
    """The records of the run called `run_id`."""

    def __init__(self, run_id: str, files: RecordFiles) -> None:
        self.run_id, self.files = run_id, files

    # ------------------------------------------------------------------ settings and provenance

    def read_config(self) -> dict[str, Any] | None:
        """The stored settings, None before there are any; `UnreadableRecord` when they were changed."""
        text = self.config_text()
        return None if text is None else self._settings(parse_config, text)

    def read_flat_config(self) -> dict[str, Any]:
        """The stored settings as dotted names (``train.lr``), empty before there are any. Raises as `read_config`."""
        return self.flat_settings(self.config_text())

    def flat_settings(self, text: str | None) -> dict[str, Any]:
        """The same out of `config_text`."""
        return {} if text is None else self._settings(parse_flat, text)

    def _settings(self, parse: Any, text: str) -> dict[str, Any]:
        try:
            settings: dict[str, Any] = parse(text)
        except Unparsable as error:
            raise self.unreadable(CONFIG, f"is damaged ({error})") from None
        return settings

    def config_text(self) -> str | None:
        """The text of the stored settings, which its checksum agrees with; None before there are any."""
        try:
            data = self.files.read(CONFIG, SMALL.size)
        except FileNotFoundError:
            return None
        except Unparsable as error:
            raise self.unreadable(CONFIG, error.reason) from None
        header, _, text = data.partition(b"\n")
        if header != (HEADER + hashlib.sha256(text).hexdigest()).encode():
            raise self.unreadable(CONFIG, "was changed or damaged (its checksum does not match)")
        try:
            return text.decode()
        except UnicodeDecodeError as error:
            raise self.unreadable(CONFIG, f"is damaged (byte {error.start} is not UTF-8)") from None

    def read_provenance(
        self, known: dict[bytes, dict[str, Any]] | None = None, attempt: int | None = None
    ) -> dict[str, Any] | None:
        """Where an attempt was made, None before that is known.

        Args:
            known: what other runs of one sweep told, by the bytes of their files, which mostly are the same; filled here.
            attempt: the newest that has a result, else the newest, if not given. Runs of before have one file for all attempts.
        """
        newest = attempt or max(self.results(), default=0) or self.attempt
        for name in (provenance_file(newest), PROVENANCE_FILE):
            try:
                data = self.files.read(name, SMALL.size)
            except FileNotFoundError:
                continue
            except Unparsable as error:
                raise self.unreadable(name, error.reason) from None
            known = {} if known is None else known
            if data not in known:
                known[data] = unseal(data, self.files.place(name), PROVENANCE, AGAIN)
            return known[data]
        return None

    def read_claim(self) -> dict[str, Any] | None:
        """attempt, host, pid, boot_id, since of the newest holder, alive or not; None if there never was one."""
        return self._sealed(CLAIM_FILE, CLAIM, "delete it and run the same command again")

    def is_live(self) -> bool:
        """Whether a process works on the run now."""
        return False

    # ------------------------------------------------------------------ attempts and results

    @property
    def attempt(self) -> int:
        """The newest attempt known; 1 for a run that nobody began."""
        return self._newest(self.results())

    def _newest(self, finished: list[int]) -> int:
        return max([1, self.claimed_attempt(), *finished])

    def claimed_attempt(self) -> int:
        """The newest attempt that anybody began, 0 if nobody did."""
        claim = self.read_claim()
        return int(claim["attempt"]) if claim else 0

    def results(self) -> list[int]:
        """Attempts that have a result, read from the file names alone, so that a damaged file does not stop --force."""
        try:
            names = self.files.names()
        except Unparsable as error:
            raise self.unreadable("", error.reason) from None
        numbers = [int(found[1]) for name in names if (found := _RESULT.match(name))]
        if numbers and max(numbers) > MOST_ATTEMPTS:
            raise self.unreadable(f"result-{max(numbers)}.json", f"is of attempt {max(numbers)}; there are fewer")
        return sorted(numbers)

    def result(self, attempt: int) -> dict[str, Any] | None:
        """The final row of an attempt, or the note of its interruption; None without either."""
        return self._row(f"result-{attempt}.json", attempt) or self._row(f"interrupted-{attempt}.json", attempt)

    def latest_result(self) -> dict[str, Any] | None:
        """The final row that counts: the newest attempt that has one, or else the note of an interruption.

        A finished ok or diverged attempt counts until a later one is finished; a failed one only until it is retried.
        """
        results = self.results()
        finished = max(results, default=0)
        row = self._row(f"result-{finished}.json", finished) if finished else None
        if row and row["status"] in FINAL:  # whoever else began an attempt
            return row
        newest = self._newest(results)
        return row if finished == newest else self.result(newest)

    def status(self) -> str:
        """Of the newest attempt: one of STATUSES, ``running`` while a process works on it, ``new`` before any did."""
        row = self._row(f"result-{self.attempt}.json", self.attempt)
        if row is not None:
            return str(row["status"])
        if self.is_live():
            return "running"
        return "interrupted" if self.claimed_attempt() else "new"

    def _row(self, name: str, attempt: int) -> dict[str, Any] | None:
        row = self._sealed(name, FINAL_ROW, AGAIN)
        if row is None:
            return None
        for key, mine in (("run_id", self.run_id), ("attempt", attempt)):
            if row[key] != mine:
                raise self.unreadable(name, f"says {key} {row[key]!r}, and this is {mine!r}")
        if name.startswith("result-") == (row["status"] == "interrupted"):
            raise self.unreadable(name, f"says status {row['status']!r}, which no such file has")
        return row

    # ------------------------------------------------------------------ journal

    def journal_text(self) -> JournalText:
        """What its journal says, empty where there is none."""
        try:
            data = self.files.read(JOURNAL, JOURNAL_SIZE)
        except FileNotFoundError:
            data = b""
        except Unparsable as error:
            raise self.unreadable(JOURNAL, error.reason) from None
        return JournalText(data, self.files.place(JOURNAL))

    def journal_records(self) -> list[dict[str, Any]]:
        """All finished records, oldest first. `UnreadableRecord` where one is damaged."""
        return self.journal_text().records(check_record)

    def check_journal(self, row: dict[str, Any]) -> None:
        """`UnreadableRecord` unless the journal is whole as far as the final row `row` says.

        Rows of before have no seal; theirs must tell of the end, and of the loss that the row has. An attempt that was begun
        since may have set a damaged journal aside.
        """
        try:
            self._check_journal(row)
        except UnreadableRecord:
            is_aside = any(name.startswith(ASIDE) for name in self.files.names())
            if not is_aside or self.attempt == row["attempt"]:
                raise

    def _check_journal(self, row: dict[str, Any]) -> None:
        text = self.journal_text()
        if seal := row.get("journal"):
            text.check_seal(seal["lines"], seal["sha256"])
            return
        told = text.matching(b'"event":"end"', b'"metric":"loss"', check=check_record)
        own = [record for record in told if record.get("attempt") == row["attempt"]]
        if row["status"] in FINAL and not any(record.get("event") == "end" for record in own):
            raise text.fault("is missing" if not text.data else "was cut short: it does not tell of the run's end")
        losses = [record.get("value") for record in own if record.get("metric") == "loss"]
        if row["status"] == "ok" and row.get("loss") is not None and losses[-1:] != [row["loss"]]:
            raise text.fault("is not this run's: it ends with another loss than the final row")

    # ------------------------------------------------------------------ pieces

    def _sealed(self, name: str, kind: TypeAdapter[Any], way_out: str) -> dict[str, Any] | None:
        try:
            return read_sealed(self.files, name, kind, way_out)
        except FileNotFoundError:
            return None

    def unreadable(self, name: str, reason: str) -> UnreadableRecord:
        """The error to raise about one of its files."""
        return UnreadableRecord(self.files.place(name) if name else self.run_id, reason, AGAIN)
