"""What a preset is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Preset:
    """Settings as nested dictionaries, in the words of the configuration.

    Attributes:
        name, summary: as ``dsbench list presets`` shows them.
        settings: for every run.
        per_env: name of an environment -> settings on top; ``gym:`` stands for all of that family.
        per_backbone: name of a backbone -> settings on top of these.
        envs: those that it was published with; on others it is a protocol of one's own. None of them: for any.
        backbone: the one that is taken where none is asked for; None demands that one is.
    """

    name: str
    summary: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    per_env: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    per_backbone: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    backbone: str | None = None
    envs: tuple[str, ...] = ()
