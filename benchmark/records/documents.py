"""The models of what a run keeps, and how large each may be: settings, claim, final row, provenance, journal.

What a later version adds is let through where it can do no harm; what is there must be of its type, since tables and
reports compute with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import ConfigDict, Field, TypeAdapter, model_validator
from typing_extensions import TypedDict

from dsbench.config.settings import RunConfig
from dsbench.reading import MIB, Limits, Unparsable
from dsbench.reading.models import Document, checked

STATUSES = ("ok", "diverged", "failed", "timeout", "out_of_memory", "interrupted")
MOST_ATTEMPTS = 10_000
SMALL = Limits(size=MIB, depth=16, entries=20_000, text=20_000)
JOURNAL_SIZE = 64 * MIB
LINE = Limits(size=8 * MIB, depth=24, entries=200_000, text=MIB)
MOST_LINES = 600_000  # of a journal: what fits into its size
LARGEST = 1e100  # of a measured number: sums of squares of larger ones are none
# Columns of a final row that hold text; all others hold numbers or truth values, which reports average.
TEXTS = frozenset(
    {
        "run_id", "backbone", "env", "status", "reason", "decode", "success_metric", "acting", "data_sha256",
        "implementation", "target_rule", "references", "simulator", "question", "physics_note", "scaling_note", "env_note",
        "budget_note", "source", "varied", "decision_implementation", "device",
        "unproven",
    }
)  # fmt: skip

Attempt: TypeAlias = Annotated[int, Field(ge=1, le=MOST_ATTEMPTS)]
Whole: TypeAlias = Annotated[int, Field(ge=0, lt=2**63)]
Integer: TypeAlias = Annotated[int, Field(ge=-(2**63), lt=2**63)]
Digest: TypeAlias = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Number: TypeAlias = Annotated[float, Field(ge=-LARGEST, le=LARGEST)]


class Claim(Document):
    """Who works, or last worked, on a run."""

    attempt: Attempt
    host: str
    pid: Whole
    boot_id: str | None = None
    since: str


class Seal(Document):
    """What the journal was when its run ended: its first `lines` lines, with the sha256 of their bytes."""

    lines: Whole
    sha256: Digest


class FinalRow(Document):
    """What came out of one attempt: named fields and any number of columns."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True, allow_inf_nan=False)

    run_id: str
    attempt: Attempt
    status: Literal["ok", "diverged", "failed", "timeout", "out_of_memory", "interrupted"]
    reason: str | None = None
    backbone: str | None = None
    env: str | None = None
    seed: Whole | None = None
    success_metric: str | None = None
    journal: Seal | None = None
    sources: dict[str, str] = Field(default={})

    @model_validator(mode="after")
    def _columns_are_of_their_type(self) -> FinalRow:
        for name, value in (self.model_extra or {}).items():
            if value is None:
                continue
            is_text = name in TEXTS or name.endswith("_reason")
            if not isinstance(value, str if is_text else (float, int)):
                raise ValueError(f"{name[:60]} is {str(value)[:60]!r}; expected {'text' if is_text else 'a number'}")
            if isinstance(value, float | int) and not -LARGEST <= value <= LARGEST:
                raise ValueError(f"{name[:60]} is {value!r}; expected a number between ±{LARGEST:g}")
        if self.success_metric is not None and (self.success_metric in TEXTS or self.success_metric == "attempt"):
            raise ValueError(f"success_metric is {self.success_metric!r}, which is no measure")
        return self


class Git(Document):
    commit: str | None = None
    dirty: bool | None = None


class Gpu(Document):
    name: str


class Machine(Document):
    cpu_model: str | None = None
    cores_usable: Whole | None = None


class Torch(Document):
    threads: Whole | None = None
    gpus: list[Gpu] = Field(default=[])


class Provenance(Document):
    """Where a run was made; only what reports read is held to a type."""

    dsbench: str | None = None
    result_version: Whole | None = None
    git: Git = Git()
    packages: dict[str, str] = Field(default={})
    machine: Machine = Machine()
    torch: Torch = Torch()
    sources: dict[str, str] = Field(default={})
    data_made_with: str | None = None


class Metric(TypedDict, total=False):
    """A number in a journal; the names are those of the long table."""

    kind: Literal["metric"]
    attempt: Attempt
    phase: str | None
    split: str | None
    step: Integer | None
    episode: Integer | None
    metric: str
    value: Number | None
    error: Number | None
    unit: str | None
    status: str | None
    reason: str | None
    decode: str | None
    acting: str | None
    target_return: Number | None
    selection: str | None
    batch: Integer | None
    context: Integer | None
    implementation: str | None
    round: Integer | None
    time: Number | None


class Event(TypedDict, total=False):
    """Something that happened to a run."""

    kind: Literal["event"]
    event: str
    attempt: Attempt
    step: Integer | None
    detail: Any
    time: float | None


CLAIM: TypeAdapter[Claim] = TypeAdapter(Claim)
FINAL_ROW: TypeAdapter[FinalRow] = TypeAdapter(FinalRow)
PROVENANCE: TypeAdapter[Provenance] = TypeAdapter(Provenance)
METRIC: TypeAdapter[Metric] = TypeAdapter(Metric)
EVENT: TypeAdapter[Event] = TypeAdapter(Event)


def check_record(record: Mapping[str, Any]) -> None:
    """`Unparsable` unless a record of a run's journal is of its kind; kinds of later versions are let through."""
    kind = record.get("kind")
    if kind == "metric":
        checked(METRIC, record)
    elif kind == "event":
        checked(EVENT, record)


def check_settings(settings: Mapping[str, Any]) -> None:
    """`Unparsable` unless every group of settings that is there is of its type; absent ones are of before their time."""
    for name, value in settings.items():
        check_setting(name, value)


def check_setting(name: str, value: Any) -> None:
    """The same for one top-level setting."""
    if name not in RunConfig.model_fields:
        raise Unparsable(f"unknown setting {name[:60]!r}; it was changed, or written by a newer dsbench")
    try:
        checked(_adapter(name), value)
    except Unparsable as error:
        raise Unparsable(f"{name}: {error.reason}") from None


@cache
def _adapter(name: str) -> TypeAdapter[Any]:
    field = RunConfig.model_fields[name]
    kind: Any = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
    return TypeAdapter(
        kind, config=None if _is_model(field.annotation) else ConfigDict(strict=True, allow_inf_nan=False)
    )


def _is_model(annotation: Any) -> bool:
    return hasattr(annotation, "model_fields")
