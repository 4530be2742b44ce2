"""The manifest of a checkpoint: what its fields may hold, so that a lying one is found before it is used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dsbench.records.stored_tensors import COMPLEX, BadTensors, StoredTensor

Count = Annotated[int, Field(ge=0, lt=2**63)]
Finite = Annotated[float, Field(allow_inf_nan=False)]


class Stored(BaseModel):
    """Strict, but open to fields that other versions write."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)


class StoredProgress(Stored):
    """What a training has behind it beyond weights."""

    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    last_loss: Finite | None = None
    history: list[dict[str, Finite | int | str | None]] | None = None
    evaluation_due: bool = False
    cpu_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None


class StoredMeta(Stored):
    """What stands beside the tensors; which of it is there depends on what the checkpoint is for."""

    run_id: str | None = None
    attempt: Annotated[int, Field(ge=1, lt=2**63)] | None = None
    updates_done: Count | None = None
    tokens_seen: Count | None = None
    progress: StoredProgress | None = None
    policy: dict[str, Any] | None = None
    targets: dict[str, Finite | list[Finite] | None] | None = None  # a return to ask for, or one for each start


class Manifest(Stored):
    """Of one checkpoint; `ties` are names of tensors -> the stored one that each is."""

    tensors_sha256: str
    ties: dict[str, str]
    complex: list[str]
    meta: dict[str, Any]


def read_manifest(content: Mapping[str, Any]) -> tuple[Manifest, StoredMeta]:
    """The fields of a manifest; `BadTensors` says which cannot be used."""
    try:
        manifest = Manifest.model_validate(content)
        return manifest, StoredMeta.model_validate(manifest.meta)
    except ValidationError as error:
        raise BadTensors(f"holds what a checkpoint cannot ({reason_of(error)})") from error


def check_names(manifest: Manifest, header: Mapping[str, StoredTensor]) -> None:
    """`BadTensors` if the manifest speaks of tensors that the file does not hold, or not in that form."""
    for name in manifest.complex:
        tensor = header.get(name)
        if tensor is None or tensor.dtype not in COMPLEX or tensor.shape[-1:] != (2,):
            raise BadTensors(f"complex names {name[:100]!r}, which is stored as no pairs of numbers")
    if len(set(manifest.complex)) != len(manifest.complex):
        raise BadTensors("complex names a tensor twice")
    for name, first in manifest.ties.items():
        if first not in header or name in header:
            raise BadTensors(f"ties makes {name[:100]!r} the same as {first[:100]!r}, which contradicts what is stored")


def reason_of(error: ValidationError) -> str:
    """The first thing that is wrong, in a few words."""
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"])[:100]
    return f"{place!r}: {first['msg'][:200]}" if place else first["msg"][:200]
