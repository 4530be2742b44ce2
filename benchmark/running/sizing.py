"""The worker of ``match``: finds widths by building models on torch's meta device, where they take no memory.

Started by `dsbench.running.matched` through `dsbench.running.start`: on stdin configurations and the code from outside that
they name, as JSON; the last line on stdout is a list with a width, or an error, for each.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from dsbench.config import RunConfig
from dsbench.config.matching import UNITS, NoWidth, Width, nearest_width, parse_match
from dsbench.decision.policy import build_policy
from dsbench.envs.catalogue import spec_of
from dsbench.errors import DsbenchError, UsageError
from dsbench.measuring.decision import count_parameters, state_bytes
from dsbench.outside.blame import blamed
from dsbench.outside.trust import received, using
from dsbench.running.describing import describe


def find_width(config: RunConfig) -> Width:
    """The width at which the model of `config` comes nearest to what ``match`` asks for.

    Raises:
        UsageError: no width comes near, or the model cannot be built at any.
    """
    assert config.match is not None
    match = parse_match(config.match)
    spec = describe(config, spec_of(config.env.name, config.env.options))
    refused: list[UsageError] = []
    count = sizer(spec, match.kind)

    def size(width: int) -> int | None:
        try:
            return count(width)
        except UsageError as error:
            refused.append(error)
            return None

    try:
        return nearest_width(size, match.target)
    except NoWidth as error:
        why = f"; at the last one: {refused[-1]}" if refused and "built" in str(error) else ""
        raise UsageError(
            f"match is {config.match!r}: no width of backbone {config.backbone.name!r} comes near {match.target:,} "
            f"{UNITS[match.kind]} on {config.env.name}: {error}{why}"
        ) from None


def sizer(spec: Mapping[str, Any], kind: str) -> Callable[[int], int]:
    """From a width to the live parameters, or the bytes of state, of the model described by `spec` at it."""
    device = "meta" if _builds(spec, "meta") else "cpu"

    def size(width: int) -> int:
        with torch.device(device):
            model = build_policy({**spec, "d_model": width})
            return count_parameters(model).total if kind == "params" else state_bytes(model)

    return size


def _builds(spec: Mapping[str, Any], device: str) -> bool:
    try:
        with torch.device(device):
            state_bytes(build_policy(dict(spec)))
    except Exception:  # of whatever kind: code from elsewhere may read weights while it makes them, meta has none
        return False
    return True


def _answer(settings: Mapping[str, Any]) -> dict[str, Any]:
    try:
        width = find_width(RunConfig.model_validate(settings))
    except Exception as error:
        known = blamed(error) or error
        if not isinstance(known, DsbenchError):
            raise
        return {"error": str(known), "exit_code": known.exit_code}
    return {"d_model": width.d_model, "size": width.size}


def main(argv: Sequence[str] = ()) -> int:
    asked = json.load(sys.stdin)
    with using(received(asked["sources"])):
        print("\n" + json.dumps([_answer(settings) for settings in asked["settings"]]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
