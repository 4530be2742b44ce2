"""What the ends of many runs amount to: one exit code, and one sentence about those that others hold."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dsbench.errors import CannotWrite, RunHeld, UsageError
from dsbench.records.run_folder import RunFolder
from dsbench.running.worker_process import Outcome


def exit_code_of(outcomes: Sequence[Outcome]) -> int:
    """One code for all: 128 and the signal that stopped them, 73 cannot write, 1 some failed, 75 some are still held, 0."""
    codes = {outcome.exit_code for outcome in outcomes if outcome.status != "held"} - {0}
    stopped = [outcome.exit_code for outcome in outcomes if outcome.status == "interrupted" and outcome.exit_code > 128]
    if stopped:
        return stopped[0]
    if codes:
        return CannotWrite.exit_code if CannotWrite.exit_code in codes else 1
    return RunHeld.exit_code if any(outcome.status == "held" for outcome in outcomes) else 0


def lines_of(outcome: Outcome) -> list[str]:
    """Its message: an error may have several lines, a reason out of a record is one."""
    text = str(outcome.message or "")
    told = outcome.row is None or outcome.exit_code == UsageError.exit_code
    return text.split("\n") if told else [" ".join(text.split())]


def held_sentence(outcomes: Sequence[Outcome], results: Path) -> str | None:
    """How many runs other processes hold, and which processes; None when there are none."""
    held = [outcome.run_id for outcome in outcomes if outcome.status == "held"]
    if not held:
        return None
    holders = sorted({RunFolder.open(results, run_id).holder() for run_id in held})
    shown = ", ".join(holders[:3]) + (f" and {len(holders) - 3} others" if len(holders) > 3 else "")
    runs = "1 run is" if len(held) == 1 else f"{len(held)} runs are"
    return f"{runs} held by {shown}; give the same command again later to see how they ended"
