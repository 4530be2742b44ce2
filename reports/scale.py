"""What 0 and 100 of a normalised score are on a task, as its rows tell: random play as it was worked out, or a constant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from dsbench.reports.comparable import D4RL_CONSTANTS


def ends(result: Mapping[str, Any]) -> tuple[str, str]:
    """What a final row's 0 and 100 are, in words: ``random play`` and ``the best policy``, or constants for both."""
    if result.get("references") != D4RL_CONSTANTS:
        return "random play", "the best policy"
    zero, hundred = (_number(result.get(name)) for name in ("reference_random", "reference_optimal"))
    return f"D4RL's constant for random play{zero}", f"that for its expert{hundred}"


def scale(results: Iterable[Mapping[str, Any]]) -> str | None:
    """``0 is a return of -20.3, 100 one of 3,234 (D4RL's constants)``, of the rows of one task; None where none tells."""
    told = dict.fromkeys(
        f"0 is a return of {_return(result['reference_random'])}, 100 one of {_return(result['reference_optimal'])} "
        f"({result['references']})"
        for result in results
        if all(result.get(name) is not None for name in ("reference_random", "reference_optimal", "references"))
    )
    return "; or ".join(told) or None


def _return(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _number(value: Any) -> str:
    return f", {value:,.1f}" if isinstance(value, int | float) else ""
