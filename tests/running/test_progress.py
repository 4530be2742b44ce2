"""Progress on a terminal and elsewhere."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from dsbench.running import progress
from dsbench.running.progress import Bars, Display, Lines, Pace, Silent, counted

EVENTS = [
    {"phase": "data", "done": 0, "total": 200, "message": ""},
    {"phase": "train", "done": 5, "total": 20, "message": "loss [0.5]"},
    {"phase": "train", "done": 20, "total": 20},
    {"phase": "done", "done": 1, "total": 1, "message": ""},
]


def show(display: Display) -> None:
    with display:
        for event in EVENTS:
            display.event("s4-umbrella-s0", event)
        display.note("a [line] that stays")
        display.end("s4-umbrella-s0")


def test_bars_show_the_phase_and_the_message_as_it_is() -> None:
    text = io.StringIO()
    show(Bars(Console(file=text, force_terminal=True, width=120, color_system=None)))
    assert "a [line] that stays" in text.getvalue()
    assert "s4-umbrella-s0 train" in text.getvalue() or "s4-umbrella-s0 data" in text.getvalue()


def test_lines_come_once_a_phase_and_not_with_every_event(capsys: pytest.CaptureFixture[str]) -> None:
    show(Lines(names=True))
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition("] ")[2] for line in lines[:3]] == [
        "s4-umbrella-s0: data 0/200",
        "s4-umbrella-s0: train 5/20, loss [0.5]",
        "s4-umbrella-s0: done",
    ]


def test_silent_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    show(Silent())
    assert capsys.readouterr() == ("", "")


@given(st.lists(st.tuples(st.integers(0, 500), st.integers(1, 300)), min_size=1, max_size=20))
def test_progress_never_exceeds_its_total(counts: list[tuple[int, int]]) -> None:
    text = io.StringIO()
    bars = Bars(Console(file=text, force_terminal=True, width=120, color_system=None))
    with bars:
        for done, total in counts:
            event = {"phase": "measure", "done": done, "total": total}
            assert counted(event) == (min(done, total), total)
            bars.event("run", event)
            assert all(task.completed <= (task.total or 0) for task in bars._progress.tasks)


def test_the_whole_is_shown_over_its_parts_with_the_time_left(capsys: pytest.CaptureFixture[str]) -> None:
    text = io.StringIO()
    with Bars(Console(file=text, force_terminal=True, width=120, color_system=None)) as bars:
        bars.overall(0, 36, None)
        bars.overall(24, 36, 754.0)
    assert "24/36" in text.getvalue() and "0:12:34" in text.getvalue()
    lines = Lines()
    lines.overall(0, 36, None)
    lines.overall(24, 36, 754.0)
    lines.overall(36, 36, 0.0)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("24/36 of all, about 13 min left")


def test_the_time_left_is_that_of_the_pieces_that_were_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([100.0, 110.0, 130.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(now))
    pace = Pace()
    assert [pace.left_s(10), pace.left_s(9)] == [100.0, 135.0]
