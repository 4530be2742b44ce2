"""Values and small files that cannot lie: no NaN in JSON, and a checksum inside every JSON file of a run."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Any

from dsbench.errors import CorruptFile, UsageError
from dsbench.files import to_json

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


def read_sealed(path: Path, way_out: str) -> dict[str, Any]:
    """The content of a file written with `seal`.

    Raises:
        CorruptFile: torn or changed; the message ends with `way_out`.
        UsageError: written by a newer dsbench.
        FileNotFoundError: there is no such file.
    """
    return unseal(path.read_bytes(), path, way_out)


def unseal(data: bytes, path: Path, way_out: str) -> dict[str, Any]:
    """The content of `data`, what `seal` gave for the file at `path`. Raises as `read_sealed`."""
    try:
        body = json.loads(data)
    except ValueError as error:  # a decoding error is one
        raise CorruptFile(f"{path} is damaged (not valid JSON); {way_out}") from error
    if not isinstance(body, dict) or _digest(body, without="sha256") != body.get("sha256"):
        raise CorruptFile(f"{path} is damaged (its checksum does not match); {way_out}")
    if body.get("format") != FORMAT:
        raise UsageError(
            f"{path} has format {str(body.get('format'))[:20]!r}, this dsbench reads {FORMAT}; upgrade dsbench"
        )
    return {key: value for key, value in body.items() if key not in ("format", "sha256")}


def _digest(body: dict[str, Any], without: str = "") -> str:
    kept = {key: value for key, value in body.items() if key != without}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()
