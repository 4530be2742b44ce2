"""What a bench makes to measure with is closed again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dsbench.envs import get_spec
from dsbench.envs.vector import LoopedEpisodes
from dsbench.measuring.cells import _noise


def test_environments_whose_first_observations_are_looked_at_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[LoopedEpisodes] = []
    monkeypatch.setattr(LoopedEpisodes, "close", lambda self: closed.append(self))
    own = get_spec("memory-len")
    spec = replace(own, vector=lambda seeds: LoopedEpisodes(own.make, seeds))
    noise = _noise(spec, rows=2, timesteps=5)
    assert noise.lengths.tolist() == [5, 5] and len(closed) == 1
