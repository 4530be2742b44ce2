"""Before anything is trained with it, a backbone from outside is proved causal and to act as it is trained."""

from __future__ import annotations

from pathlib import Path

import pytest

from dsbench.config import run_id
from dsbench.records.run_row import UNPROVEN, run_row
from dsbench.records.tables import runs_table
from dsbench.reports.content.build import build
from dsbench.reports.table import markdown
from dsbench.running import proving
from dsbench.running.request import unproven_may_run
from tests.running.inline import Inline, tiny

NET = """
import torch
from torch import nn
from dsbench.backbones import Backbone

class Net(Backbone):
    memoryless = True

    def __init__(self, d_model, *, ahead: bool = True):
        super().__init__(d_model)
        self.linear = nn.Linear(d_model, d_model)
        self.ahead = ahead

    def initial_state(self, batch_size):
        return ()

    def scan(self, x, state):
        return self.linear(x - x.mean(1, keepdim=True) if self.ahead else x), state
"""


@pytest.fixture
def name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "net.py").write_text(NET)
    return f"{tmp_path}/net.py:Net"


@pytest.fixture
def inline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Inline:
    return Inline(tmp_path, monkeypatch)


def test_a_backbone_that_looks_ahead_is_refused_with_the_finding_and_nothing_is_written(
    name: str, inline: Inline
) -> None:
    assert inline.run(tiny(backbone=name)) == 2
    said = str(inline.told["error"])
    assert "causality: outputs before token 1" in said and "--unproven" in said
    assert not (inline.tmp / "results").exists()


def test_unproven_it_runs_under_the_same_name_and_its_row_says_what_it_fails(name: str, inline: Inline) -> None:
    config = tiny(backbone=name)
    with unproven_may_run():
        assert inline.run(config) == 0
    folder = inline.folder(config)
    row = folder.latest_result()
    assert row is not None and "causality: " in row[UNPROVEN] and row["run_id"] == run_id(config)
    assert run_row(folder)[f"result.{UNPROVEN}"] == row[UNPROVEN]
    assert runs_table(inline.tmp / "results")[f"result.{UNPROVEN}"].notna().all()
    assert "Net (unproven)" in markdown(inline.tmp / "results")
    built = build([inline.tmp / "results"], {}, lambda envs: [])
    cells = {
        cell.text for section in built.report.sections for one in section.tables for row in one.rows for cell in row
    }
    assert any("Net (unproven)" in cell for cell in cells)
    assert "Unproven, its backbone fails a check: causality" in " ".join(
        note for section in built.report.sections for one in section.tables for note in one.notes
    )


def test_what_keeps_the_contract_has_no_mark_even_if_it_might(name: str, inline: Inline) -> None:
    config = tiny("backbone.ahead=false", backbone=name)
    with unproven_may_run():
        assert inline.run(config) == 0
    assert UNPROVEN not in (inline.folder(config).latest_result() or {})


def test_a_finding_is_remembered_by_content_and_options(
    name: str, inline: Inline, monkeypatch: pytest.MonkeyPatch
) -> None:
    proved = []
    real = proving.check_backbone
    monkeypatch.setattr(proving, "check_backbone", lambda *args, **kwargs: proved.append(args) or real(*args, **kwargs))
    for seed in (0, 1):
        assert inline.run(tiny("backbone.ahead=false", f"seed={seed}", backbone=name)) == 0
    assert len(proved) == 1
    assert [inline.run(tiny(backbone=name)) for _ in range(2)] == [2, 2]
    assert len(proved) == 2
    file = Path(name.partition(":")[0])
    file.write_text(file.read_text() + "# changed\n")
    assert inline.run(tiny("backbone.ahead=false", backbone=name)) == 0
    assert len(proved) == 3


def test_a_damaged_memory_is_not_believed(name: str, inline: Inline) -> None:
    assert inline.run(tiny(backbone=name)) == 2
    for file in (inline.tmp / "cache" / "dsbench" / "proven").iterdir():
        file.write_text('{"finding": ')
    assert inline.run(tiny(backbone=name)) == 2


def test_built_in_backbones_and_scripts_are_not_proved(inline: Inline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proving, "check_backbone", None)
    assert inline.run(tiny(backbone="mlp")) == 0
    assert inline.run(tiny(policy="random")) == 0
