"""The models that a bench compares: one configuration a backbone, of equal size where that is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dsbench.backbones.contract import options_of
from dsbench.backbones.factory import class_of
from dsbench.config import RunConfig
from dsbench.config.matching import parse_match
from dsbench.config.resolution import settle
from dsbench.config.settings import BackboneConfig
from dsbench.config.sources import parse_override
from dsbench.errors import UsageError
from dsbench.measuring.request import Request
from dsbench.running.matched import MEASURED, match_columns, matched

_PREFIX = "backbone."


def configurations(request: Request) -> dict[str, RunConfig]:
    """The configuration of each backbone by its name, with the width that ``match`` chooses.

    Raises:
        UsageError: no backbone is asked for, an option that none of them has, or what `settle` and `matched` refuse.
    """
    if not request.backbones:
        raise UsageError("no backbone to measure; name some with --backbones gpt,s4")
    options = {name: set(options_of(class_of(name))) for name in request.backbones}
    _check_someone_has(request.overrides, options)
    configs = [
        settle(
            backbone=name, env=request.env, overrides=_of_backbone(request.overrides, options[name]),
            match=request.match, threads=request.threads,
        )
        for name in request.backbones
    ]  # fmt: skip
    return dict(zip(request.backbones, matched(configs), strict=True))


def match_record(config: RunConfig, sizes: Mapping[str, Any]) -> dict[str, Any]:
    """How near a cell's model came to the size that was asked for; empty where none was, or where it is not known.

    Args:
        sizes: what was counted of the cell.
    """
    parts = [sizes.get(f"parameters_{part}") for part in ("embedding", "backbone", "head")]
    total = sum(part for part in parts if part is not None) if None not in parts else None
    costs = {"parameters_total": total, "state_bytes": sizes.get("state_bytes")}
    known = config.match is None or costs[MEASURED[parse_match(config.match).kind]] is not None
    return match_columns(config, costs) if known else {}


def _check_someone_has(overrides: Sequence[str], options: Mapping[str, set[str]]) -> None:
    for text in overrides:
        option = _option(text)
        if option is not None and not any(option in own for own in options.values()):
            known = sorted(set().union(*options.values()))
            raise UsageError(
                f"--set {text}: none of {', '.join(options)} has an option {option!r}; theirs are {', '.join(known)}"
            )


def _of_backbone(overrides: Sequence[str], own: set[str]) -> list[str]:
    """Those that are no option of a backbone, and those that are of this one."""
    return [text for text in overrides if (option := _option(text)) is None or option in own]


def _option(text: str) -> str | None:
    """``d_state`` of ``backbone.d_state=16``; None of any other setting."""
    key, _ = parse_override(text)
    name = key.removeprefix(_PREFIX)
    return None if name == key or name in BackboneConfig.model_fields else name
