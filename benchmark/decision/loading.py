"""A policy out of a checkpoint, its cost known before it is built.

The description of a policy may come from anywhere. It is checked field by field, built without memory (torch's meta device)
where the backbone lets it, and held against the tensors that the file really has; only then are weights made, and never more
than the file's size warrants.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from pydantic import Field, ValidationError
from torch import Tensor

from dsbench.backbones.hippo import shapes_alone
from dsbench.config.settings import WrapperConfig
from dsbench.decision.allowance import Allowance, TooMuch
from dsbench.decision.encoders import SCALING
from dsbench.decision.policy import build_policy
from dsbench.decision.spaces import LARGEST, space_from_json
from dsbench.decision.wrapper import DecisionSequence
from dsbench.errors import CorruptFile, UnknownName, UsageError
from dsbench.records.checkpoints import MANIFEST, TENSORS, Checkpoint
from dsbench.records.manifest import Stored, reason_of
from dsbench.records.stored_tensors import contradiction

WAY_OUT = "run the same command with --force to make the run again"
SMALL = 2**26  # bytes that any description may take
SMALL_SPACE = 2**18  # entries that a space may have in any case
FEW = 300  # tensors that any description may make
SLACK = 16  # times the size of the file, or its tensors: what is made on the way counts too
LARGEST_STATE = 2**30  # bytes of one row
PLAIN_NUMBER = 2**16  # an option up to this is no matter, above it must be less than the file has entries


class Description(Stored):
    """What `dsbench.decision.policy.policy_spec` gives."""

    backbone: str = Field(min_length=1, max_length=1000)
    d_model: int = Field(ge=1, le=65_536)
    backbone_options: dict[str, Any]
    observation_space: dict[str, Any]
    action_space: dict[str, Any]
    wrapper: dict[str, Any]
    scaling: int = Field(default=1, ge=1, le=SCALING)


def policy_of(checkpoint: Checkpoint, place: Path, settings: Mapping[str, Any] | None = None) -> DecisionSequence:
    """The policy that the checkpoint in the folder `place` describes, with its weights.

    Args:
        checkpoint: as it was read.
        place: for messages.
        settings: of the run, which it must not contradict; None where they are gone.

    Raises:
        CorruptFile: the description is none, contradicts the tensors or the settings, or takes more than the file warrants.
        UsageError: the backbone cannot be had here, or refuses its options.
    """
    description = describe_stored(checkpoint, place, settings)
    entries = sum(tensor.numel() for tensor in checkpoint.tensors.values())
    limit = SMALL + SLACK * sum(tensor.nbytes for tensor in stored_once(checkpoint.tensors))
    count = FEW + SLACK * len(checkpoint.tensors)
    with _explained(place):
        _check_sizes(description, entries)
        sketch = _built_without_memory(description, limit, count)
        if sketch is not None:
            _check_fits(sketch, checkpoint.tensors, place)
        with Allowance(limit, count):
            policy = build_policy(description)
        if sketch is None:
            _check_fits(policy, checkpoint.tensors, place)
        policy.load_state_dict(checkpoint.tensors)
    return policy


def described_backbone(checkpoint: Checkpoint) -> str:
    """What the description of a policy names as its backbone; empty where it is none, which `policy_of` says."""
    description = checkpoint.meta.get("policy")
    name = description.get("backbone") if isinstance(description, Mapping) else None
    return name if isinstance(name, str) else ""


def describe_stored(checkpoint: Checkpoint, place: Path, settings: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The description of a policy in a checkpoint's meta, well-formed and of the run's own backbone.

    Raises:
        CorruptFile: it is not.
    """
    description: dict[str, Any] = checkpoint.meta.get("policy") or {}
    try:
        WrapperConfig.model_validate(Description.model_validate(description).wrapper)
    except ValidationError as error:
        raise CorruptFile(f"{place / MANIFEST} describes no policy ({reason_of(error)}); {WAY_OUT}") from error
    asked = (settings or {}).get("backbone")
    if isinstance(asked, Mapping):
        for name, given in (("name", _class(description["backbone"])), ("d_model", description["d_model"])):
            expected = _class(asked[name]) if name == "name" and name in asked else asked.get(name, given)
            if given != expected:
                raise CorruptFile(
                    f"{place / MANIFEST} describes a policy whose backbone has {name} {given!r}, and the run's settings "
                    f"say {expected!r}; {WAY_OUT}"
                )
    return description


def stored_once(tensors: Mapping[str, Tensor]) -> list[Tensor]:
    """Tied ones are one."""
    return list({id(tensor): tensor for tensor in tensors.values()}.values())


def _class(name: Any) -> str:
    """Of code from a file the class alone, since files move."""
    return str(name).rpartition(":")[2] if ".py:" in str(name) else str(name)


def _check_sizes(description: Mapping[str, Any], entries: int) -> None:
    """What could take memory outside of torch."""
    for part in ("observation_space", "action_space"):
        space_from_json(description[part], min(LARGEST, SMALL_SPACE + SLACK * entries))
    largest = max(PLAIN_NUMBER, entries)
    for name, value in description["backbone_options"].items():
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, int | float) and math.isfinite(one) and abs(one) > largest:
                raise TooMuch(f"has the option {name[:100]!r} of {one:g}, in a file of {entries} numbers")


def non_finite_weights(policy: DecisionSequence) -> str | None:
    """A sentence where some of the weights are no numbers, None where all are."""
    wrong = {name: int((~torch.isfinite(value)).sum()) for name, value in policy.named_parameters()}
    wrong = {name: count for name, count in wrong.items() if count}
    if not wrong:
        return None
    total = sum(value.numel() for value in policy.parameters())
    return f"{sum(wrong.values()):,} of {total:,} weights are NaN or infinite, the first of them in {next(iter(wrong))}"


def _built_without_memory(description: dict[str, Any], limit: int, count: int) -> DecisionSequence | None:
    """None where the backbone reads weights while it makes them, which cannot be done without any."""
    try:
        with Allowance(limit, count), shapes_alone(), torch.device("meta"):
            return build_policy(description)
    except TooMuch:
        raise
    except Exception:  # of whatever kind: it is built again below, where its own sentence is heard
        return None


def _check_fits(policy: DecisionSequence, tensors: Mapping[str, Tensor], place: Path) -> None:
    if (wrong := contradiction(policy.state_dict(), tensors)) is not None:
        raise CorruptFile(f"{place / TENSORS} contradicts the description of its policy: {wrong}; {WAY_OUT}")
    with Allowance(LARGEST_STATE):
        policy.backbone.initial_state(1)


@contextmanager
def _explained(place: Path) -> Iterator[None]:
    """Whatever building a description raises, as one sentence that names the file."""
    try:
        yield
    except CorruptFile:
        raise
    except UsageError as error:
        if type(error) not in (UsageError, UnknownName):  # others have a way out of their own
            raise
        raise UsageError(f"{place / MANIFEST} describes a policy that is refused: {_short(error)}") from error
    except TooMuch as error:
        raise CorruptFile(f"{place / MANIFEST} describes a policy that {error}; {WAY_OUT}") from error
    except (MemoryError, RuntimeError, TypeError, ValueError, ArithmeticError, LookupError, AssertionError) as error:
        reason = f"{type(error).__name__}: {_short(error)}"
        raise CorruptFile(
            f"{place / MANIFEST} describes a policy that cannot be built ({reason}); {WAY_OUT}"
        ) from error


def _short(error: Exception) -> str:
    """On one line; what comes from a file may be of any length."""
    text = " ".join(str(error).split())
    return text if len(text) <= 400 else f"{text[:200]} ... {text[-180:]}"
