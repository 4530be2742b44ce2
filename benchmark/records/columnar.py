"""A Parquet file, written frame by frame so that the whole table is never held."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


def parquet_parts(frames: Iterable[pd.DataFrame]) -> Iterator[bytes]:
    """The bytes of one Parquet file of all `frames`, which have the same columns; a row group each."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink, writer = _Drained(), None
    for frame in frames:
        table: Any = pa.Table.from_pandas(frame, preserve_index=False, schema=None if writer is None else writer.schema)
        if writer is None:
            writer = pq.ParquetWriter(sink, table.schema)
        writer.write_table(table)
        yield sink.drain()
    if writer is not None:
        writer.close()
    yield sink.drain()


class _Drained(io.RawIOBase):
    """What was written since it was last drained; it counts on, so that offsets are those of the file."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._position = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def write(self, data: Any, /) -> int:
        part = bytes(data)
        self._parts.append(part)
        self._position += len(part)
        return len(part)

    def drain(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)
