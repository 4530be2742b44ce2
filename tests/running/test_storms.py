"""Whatever hits a run, as often as it likes: it ends with the same bits as one that was left alone, and leaves no process.

``pytest -m slow -s tests/running/test_storms.py`` is 200 kills and 200 storms of mixed signals; it prints how launchers ended.
"""

from __future__ import annotations

import random
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from dsbench.config import resolve
from dsbench.stopping import STOPPING
from tests.running.storms import Launchers, campaign

SMALL = [
    "env.chain_length=3", "env.n_distractor=1", "backbone.d_model=8", "device=cpu", "train.batch_size=8",
    "train.updates=120", "train.eval_every=30", "train.checkpoint_every=15", "wrapper.embedding_dropout=0.1",
]  # fmt: skip


@pytest.fixture
def launchers(tmp_path: Path) -> Iterator[Launchers]:
    launchers = Launchers(resolve(preset="smoke", backbone="mlp", env="umbrella", overrides=SMALL), tmp_path)
    yield launchers
    launchers.close()


@pytest.mark.parametrize("rounds", [4, pytest.param(200, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])])
@pytest.mark.parametrize("storm", [False, True], ids=["kills", "storms"])
def test_nothing_shows_in_the_end(launchers: Launchers, tmp_path: Path, storm: bool, rounds: int) -> None:
    codes = campaign(launchers, tmp_path, rounds, random.Random(rounds), storm)
    sent = STOPPING if storm else (signal.SIGKILL,)
    expected = {128 + number for number in sent} | {-number for number in sent}  # that of a launcher that has not begun
    print(Counter(codes))
    assert set(codes) <= {0, *expected}
    assert len(codes) == rounds
