"""Runs of the preset that only shows that everything runs: wherever their scores stand it is said that they mean nothing."""

from __future__ import annotations

from collections.abc import Sequence

PRESET = "smoke"
NOTHING = "smoke: scores mean nothing"


def smoke_sentences(presets: Sequence[str | None]) -> tuple[str, ...]:
    """What is said first on a page of runs with these presets: one sentence, or none where no run is of that kind."""
    count = sum(preset == PRESET for preset in presets)
    if not count:
        return ()
    of = "" if count == len(presets) else f" in {count:,} of {len(presets):,} runs"
    return (f"{NOTHING}{of}.",)
