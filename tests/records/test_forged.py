"""Whatever lies in a document, a report of the others stands, and of it there is the right value or a sentence."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.records.forging import forged
from tests.records.judging import MOST_BYTES, try_all
from tests.records.judging_alone import try_alone
from tests.records.sound import sound_results

ROOT = Path(__file__).parents[2]
EACH = ("settings", "result", "journal", "provenance", "claim", "interrupted note", "bench journal", "pack")


def test_a_number_gives_the_same_forgery_and_half_of_them_are_sealed() -> None:
    sound = sound_results()
    assert [forged(number, sound) for number in range(48)] == [forged(number, sound_results()) for number in range(48)]
    made = [forged(number, sound) for number in range(240)]
    assert sum(one.sealed for one in made) == 120
    assert set(EACH) <= {one.kind for one in made}


def test_forged_records_are_read_rightly_or_said_to_be_unreadable(tmp_path: Path) -> None:
    found = try_all(range(96), tmp_path, drawn=False, say=lambda text: None)
    assert found["wrong"] == []


def test_forged_settings_studies_and_manifests_are_read_rightly_or_refused_in_a_sentence(tmp_path: Path) -> None:
    assert try_alone(range(400), tmp_path) == []


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("shard", range(8))
def test_seven_thousand_forged_records(shard: int) -> None:
    command = [
        sys.executable,
        "-m",
        "tests.records.judging",
        "--from",
        str(900 * shard),
        "--to",
        str(900 * shard + 900),
    ]
    told = subprocess.run([*command, "--drawn"], cwd=ROOT, capture_output=True, text=True, check=True)
    found = json.loads(told.stdout)
    assert found["tried"] == 900 and found["wrong"] == []
    assert found["most_bytes"] < MOST_BYTES


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_four_thousand_forged_settings_studies_and_manifests(tmp_path: Path) -> None:
    assert try_alone(range(400, 4_400), tmp_path) == []
