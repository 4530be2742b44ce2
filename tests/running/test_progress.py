"""Progress on a terminal and elsewhere."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from dsbench.running.progress import Bars, Display, Lines, Silent

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
