"""A file of tensors, known before a tensor is made of it: its header is read, bounded and held against the file's size.

The format (safetensors): eight bytes with the length of the header, the header as JSON (a name -> type, shape and place), then
the tensors' bytes, one after another without a gap.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeGuard

if TYPE_CHECKING:
    from torch import Tensor

LARGEST_HEADER = 4 * 2**20  # bytes; some 40,000 tensors
LONGEST_NAME, HIGHEST_RANK = 500, 16
# A type of the format -> torch's name of it and bytes of an entry.
TYPES = {
    "BOOL": ("bool", 1), "U8": ("uint8", 1), "I8": ("int8", 1), "I16": ("int16", 2), "I32": ("int32", 4),
    "I64": ("int64", 8), "F16": ("float16", 2), "BF16": ("bfloat16", 2), "F32": ("float32", 4), "F64": ("float64", 8),
    "F8_E4M3": ("float8_e4m3fn", 1), "F8_E5M2": ("float8_e5m2", 1),
}  # fmt: skip
COMPLEX = ("float16", "float32", "float64")  # of what pairs of numbers, a complex one each, may be


class StoredTensor(NamedTuple):
    """Type (torch's name) and shape of a tensor in a file."""

    dtype: str
    shape: tuple[int, ...]


class BadTensors(Exception):
    """Why a file of tensors cannot be read; the caller names the file."""


def read_header(data: bytes) -> dict[str, StoredTensor]:
    """What `data`, a whole file, says to hold.

    Raises:
        BadTensors: the header is longer than `LARGEST_HEADER` or not well-formed, or does not account for every byte.
    """
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or not 2 <= length <= min(LARGEST_HEADER, len(data) - 8):
        raise BadTensors(f"says that its header has {length} bytes, in a file of {len(data)}")
    try:
        header = json.loads(data[8 : 8 + length], object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise BadTensors("has a header that is not valid JSON") from error
    if not isinstance(header, dict):
        raise BadTensors("has a header that is no dictionary of tensors")
    header.pop("__metadata__", None)
    places = sorted((*_place(name, entry), name) for name, entry in header.items())
    at = 0
    for begin, end, name in places:
        if begin != at:
            raise BadTensors(f"has {name!r} at byte {begin}, where byte {at} was to follow")
        at = end
    if at != len(data) - 8 - length:
        raise BadTensors(f"has {len(data) - 8 - length} bytes of tensors, while its header describes {at}")
    return {name: StoredTensor(TYPES[entry["dtype"]][0], tuple(entry["shape"])) for name, entry in header.items()}


def contradiction(needed: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> str | None:
    """The first difference in names, types or shapes, in words; None where there is none."""
    for name, tensor in needed.items():
        if name not in found:
            return f"tensor {name!r} is missing"
        if (found[name].dtype, found[name].shape) != (tensor.dtype, tensor.shape):
            return f"tensor {name!r} is {kind_of(found[name])}, while {kind_of(tensor)} is needed"
    unknown = [name for name in found if name not in needed]
    return f"tensor {unknown[0][:LONGEST_NAME]!r} is not known" if unknown else None


def kind_of(tensor: Tensor) -> str:
    """``float32 (3, 4)``."""
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"


def _place(name: str, entry: Any) -> tuple[int, int]:
    """First byte of a tensor and the one after its last."""
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise BadTensors(f"has a tensor of the name {name[:40]!r}; expected 1 to {LONGEST_NAME} printable characters")
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise BadTensors(f"does not say dtype, shape and data_offsets of {name!r}")
    dtype, shape, place = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in TYPES:
        raise BadTensors(f"has {name!r} of a type that is not known; expected one of {', '.join(TYPES)}")
    if not _counts(shape) or len(shape) > HIGHEST_RANK:
        raise BadTensors(f"has {name!r} of a shape that is no list of up to {HIGHEST_RANK} sizes")
    if not _counts(place) or len(place) != 2:
        raise BadTensors(f"has {name!r} at a place that is no first and last byte")
    if place[1] - place[0] != math.prod(shape) * TYPES[dtype][1]:
        raise BadTensors(f"gives {name!r} {place[1] - place[0]} bytes, which do not fit its shape and type")
    return place[0], place[1]


def _counts(value: Any) -> TypeGuard[list[int]]:
    return isinstance(value, list) and all(type(one) is int and 0 <= one < 2**63 for one in value)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found
