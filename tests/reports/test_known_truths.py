"""Controls whose chance rate is known, run by the product itself: their intervals hold it as often as they say."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.reports.known_truths import KNOWN, coverage, held, make


@pytest.mark.timeout(600)
def test_a_replication_has_an_interval_for_every_control(tmp_path: Path) -> None:
    make(tmp_path, [0])
    found = held(tmp_path, 0)
    assert set(found) == {known.name for known in KNOWN}
    assert sum(found.values()) >= len(KNOWN) - 1  # 19 of 20 do; the seeds are fixed


@pytest.mark.slow  # 8,000 small runs, more than an hour of a core
@pytest.mark.timeout(4 * 3600)
def test_the_chance_rate_of_every_control_lies_in_its_interval_as_often_as_that_says(tmp_path: Path) -> None:
    replications = range(200)
    make(tmp_path, replications)
    shares = coverage(tmp_path, replications)
    assert sum(shares.values()) / len(shares) >= 0.93, shares
    assert min(shares.values()) >= 0.90, shares
