"""Runs as TensorBoard reads them: a folder of event files a run, with curves, final numbers and settings (extra `tensorboard`).

Curves are ``train/loss``, ``eval/NAME`` and ``selection/NAME`` by update. What was scored and measured at the end is
``final/NAME``, with how it was decoded and which return was asked for. Settings and status are hparams.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dsbench.errors import CorruptFile, MissingExtra
from dsbench.files import cannot_write, stays_inside
from dsbench.records.run_records import RunRecords
from dsbench.records.store import Places, stored_in

if TYPE_CHECKING:
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

_OURS = "events.out.tfevents.*"
_SAID_BY_TAG = ("decode", "selection", "target_return", "acting", "batch", "context")  # of a final number


class RunEvents:
    """The event file of one run, made anew: what an earlier one said stands in the journal too.

    Args:
        folder: of this run alone.

    Raises:
        MissingExtra: tensorboard is not installed.
        CannotWrite: disk full or no rights.
    """

    def __init__(self, folder: Path, run: RunRecords) -> None:
        self._run, self._written, self._folder = run, 0, folder
        writer = require_tensorboard()
        try:
            stays_inside(folder, folder.parent)
            folder.mkdir(parents=True, exist_ok=True)
            for path in folder.glob(_OURS):
                path.unlink()
            self._file: EventFileWriter = writer(str(folder))
        except OSError as error:
            raise cannot_write(folder, error) from error

    def follow(self) -> None:
        """Write what the journal has beyond what was written before; a journal that cannot be read says nothing."""
        try:
            records = self._run.journal_records()
        except CorruptFile:
            return
        fresh, self._written = records[self._written :], len(records)
        for record in fresh:
            if record.get("kind") == "metric" and record.get("value") is not None:
                self._scalar(_tag(record), float(record["value"]), int(record.get("step") or 0), record.get("time"))
        self._file.flush()

    def close(self) -> None:
        """Write the settings and what remains of the journal."""
        from tensorboard.plugins.hparams.summary_v2 import hparams_pb

        self.follow()
        self._add(summary=hparams_pb(_hparams(self._run), trial_id=self._run.run_id))
        self._file.close()

    def _scalar(self, tag: str, value: float, step: int, time: float | None) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary

        self._add(summary=Summary(value=[Summary.Value(tag=tag, simple_value=value)]), step=step, wall_time=time or 0.0)

    def _add(self, **fields: Any) -> None:
        from tensorboard.compat.proto.event_pb2 import Event

        try:
            self._file.add_event(Event(**fields))
        except OSError as error:
            raise cannot_write(self._folder, error) from error


def export_tensorboard(results: Places, out: Path) -> Path:
    """Write a folder a run below `out`, which is returned; runs that cannot be read are left out.

    Raises:
        MissingExtra: tensorboard is not installed.
        CannotWrite: disk full or no rights.
    """
    require_tensorboard()
    for run_id, copies in stored_in(results).runs.items():
        RunEvents(out / run_id, copies[0]).close()
    return out


def require_tensorboard() -> type[EventFileWriter]:
    """TensorBoard's own writer, which needs neither torch nor tensorflow; `MissingExtra` where it is not installed."""
    try:
        from tensorboard.summary.writer.event_file_writer import EventFileWriter
    except ImportError as error:
        raise MissingExtra("TensorBoard", "tensorboard") from error
    return EventFileWriter


def _tag(record: Mapping[str, Any]) -> str:
    """The name of a curve, or of a final number with all that tells it from others of its name."""
    metric = str(record["metric"])
    if record.get("phase") == "train":
        return f"{record.get('split') or 'train'}/{metric}"
    told = [f"{name} {record[name]}" for name in _SAID_BY_TAG if record.get(name) is not None]
    return f"final/{metric}" + (f" ({', '.join(told)})" if told else "")


def _hparams(run: RunRecords) -> dict[str, Any]:
    """Settings and the end of a run, as text, numbers and truth values."""
    try:
        settings = run.read_flat_config()
    except CorruptFile:
        settings = {}
    found = {"status": run.status(), **settings}
    return {name: _plain(value) for name, value in found.items() if value is not None}


def _plain(value: Any) -> bool | int | float | str:
    return value if isinstance(value, bool | int | float | str) else str(value)
