"""Values and small files that cannot lie: no NaN in JSON, and a checksum inside every JSON file of a run."""

from __future__ import annotations

import hashlib
import json
import math
from typing import Any

from pydantic import TypeAdapter

from dsbench.errors import UnreadableRecord, UsageError
from dsbench.files import to_json
from dsbench.reading import Limits, Unparsable, parse_json
from dsbench.reading.models import checked
from dsbench.records.documents import SMALL
from dsbench.records.record_files import RecordFiles
from dsbench.text import shown

FORMAT = 1


def plain(value: Any) -> Any:
    """`value` as strict JSON data; numbers of numpy and torch become Python's.

    JSON has no NaN and no infinity: such an entry of a dictionary becomes null and the entry ``<key>_reason`` says
    which it was (``reason`` for the key ``value``, unless a reason is given); inside a list it becomes null.
    """
    if isinstance(value, dict):
        return _plain_dict(value)
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if hasattr(value, "item"):
        return plain(value.item())
    raise TypeError(f"{value!r} ({type(value).__name__}) is no number, text, list or dict and cannot be recorded")


def non_finite(value: Any) -> str | None:
    """``nan``, ``inf`` or ``-inf`` if `value` is such a number; None otherwise."""
    number = value.item() if hasattr(value, "item") else value
    return str(float(number)) if isinstance(number, float) and not math.isfinite(number) else None


def _plain_dict(values: dict[Any, Any]) -> dict[str, Any]:
    result = {str(key): plain(value) for key, value in values.items()}
    for key, value in values.items():
        name = "reason" if key == "value" else f"{key}_reason"
        if result[str(key)] is None and result.get(name) is None and (reason := non_finite(value)) is not None:
            result[name] = reason
    return result


def seal(content: dict[str, Any]) -> bytes:
    """`content` as a JSON file with ``format`` and the sha256 of everything else in it."""
    body = {**plain(content), "format": FORMAT}
    return to_json({**body, "sha256": _digest(body)})


def read_sealed(
    files: RecordFiles, name: str, kind: TypeAdapter[Any], way_out: str, limits: Limits = SMALL
) -> dict[str, Any]:
    """The content of a file written with `seal`, held against the model of its kind.

    Raises:
        UnreadableRecord: torn, changed, or not of its kind; the message ends with `way_out`.
        UsageError: written by a newer dsbench.
        FileNotFoundError: there is no such file.
    """
    try:
        data = files.read(name, limits.size)
    except Unparsable as error:
        raise UnreadableRecord(files.place(name), error.reason, way_out) from None
    return unseal(data, files.place(name), kind, way_out, limits)


def unseal(data: bytes, place: str, kind: TypeAdapter[Any], way_out: str, limits: Limits = SMALL) -> dict[str, Any]:
    """The content of `data`, what `seal` gave for the file at `place`. Raises as `read_sealed`."""
    try:
        body = parse_json(data, limits)
        if not isinstance(body, dict) or _digest(body, without="sha256") != body.get("sha256"):
            raise Unparsable("its checksum does not match")
        if type(body.get("format")) is int and body["format"] > FORMAT:
            raise UsageError(f"{place} has format {body['format']}, this dsbench reads {FORMAT}; upgrade dsbench")
        if type(body.get("format")) is not int or body["format"] != FORMAT:
            raise Unparsable(f"its format is {shown(body.get('format'))}")
        content = {key: value for key, value in body.items() if key not in ("format", "sha256")}
        checked(kind, content)
    except Unparsable as error:
        raise UnreadableRecord(place, f"is damaged ({error})", way_out) from None
    return content


def _digest(body: dict[str, Any], without: str = "") -> str:
    kept = {key: value for key, value in body.items() if key != without}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()
