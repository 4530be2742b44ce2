"""Whether a backbone from outside is causal and acts as it was trained, proved before anything is trained with it.

The two properties that every comparison rests on, in about a second; ``dsbench check`` proves the whole contract. What was
found is remembered in the user's cache by the content of the code and by its options. Backbones of dsbench itself are proved by
its tests.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from pathlib import Path

from dsbench.backbones.catalogue import BACKBONES
from dsbench.backbones.check import CheckReport, check_backbone
from dsbench.backbones.factory import class_of
from dsbench.config import RunConfig
from dsbench.config.settings import LEARNED
from dsbench.errors import DsbenchError, UsageError
from dsbench.files import write_atomic
from dsbench.outside.blame import faulty
from dsbench.outside.caching import cache_folder
from dsbench.running.causes import says_out_of_memory

PROVED = ("causality", "forward_equals_step")
_VERSION = 1  # raised when these checks begin to find something else


def check_proven(config: RunConfig, unproven: bool) -> str | None:
    """What the backbone of a run fails, one line; None where it fails nothing, or is no code from outside.

    Args:
        unproven: it may fail something.

    Raises:
        UsageError: it fails something and may not, or its code raises an error; nothing was written.
    """
    source = BACKBONES.source(config.backbone.name)
    if source is None or config.policy != LEARNED:
        return None
    asked = json.dumps([_VERSION, source.digest, source.label, config.backbone.options], sort_keys=True)
    place = cache_folder("proven") / f"{hashlib.sha256(asked.encode()).hexdigest()}.json"
    findings = _remembered(place)
    if findings is None:
        report = _proof(config)
        findings, raised = report.failures(), [one for one in report.results if one.frames and not one.ok]
        if any(says_out_of_memory(one.error) for one in raised):  # the run itself will say so in its row
            return None
        if raised and not unproven:  # an error is no finding about a map
            first = raised[0]
            raise faulty(
                f"backbone {config.backbone.name!r} raises in the check {first.name}, without which nothing is trained "
                f"(but with --unproven): {first.error}",
                first.frames,
            )
        if not raised:
            with suppress(DsbenchError, OSError):  # without the right to write, it is proved again next time
                write_atomic(place, json.dumps(findings).encode())
    if findings and not unproven:
        name = config.backbone.name
        raise UsageError(
            f"backbone {name!r} does not do what every comparison rests on, so nothing was trained:",
            *(f"  {finding}" for finding in findings),
            f"mend it (dsbench check {name} proves all of the contract), or add --unproven: it runs, and every table says so",
        )
    return "; ".join(findings) or None


def _proof(config: RunConfig) -> CheckReport:
    backbone = config.backbone
    return check_backbone(class_of(backbone.name), d_model=backbone.d_model, options=backbone.options, only=PROVED)


def _remembered(place: Path) -> list[str] | None:
    with suppress(OSError, ValueError):
        known = json.loads(place.read_bytes())
        if isinstance(known, list) and all(isinstance(one, str) for one in known):
            return known
    return None
