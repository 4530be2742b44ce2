"""A mistake in a user's file is shown by the lines of that file, wherever it comes to light, and by nothing of ours."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dsbench.cli import main
from dsbench.outside.blame import FaultyCode, blamed, brief, frames_of
from dsbench.outside.closure import read_source
from dsbench.outside.loading import load
from tests.running.inline import Inline, tiny

GOOD = """
from torch import nn
from dsbench.backbones import Backbone

class Net(Backbone):
    memoryless = True

    def __init__(self, d_model):
        super().__init__(d_model)
        self.linear = nn.Linear(d_model, d_model)
        self.steps = 0

    def initial_state(self, batch_size):
        return ()

    def step(self, x_t, state):
        return self.linear(x_t), state
"""
# place -> (what is changed, into what, the line that is to be shown)
FAULTS = {
    "text": ("def step(self, x_t, state):", "def step(self, x_t, state:", "def step(self, x_t, state:"),
    "import": ("from torch import nn", "from torch import nm", "from torch import nm"),
    "class": ("    def step(", "    def stepp(", "class Net(Backbone):"),
    "constructor": ("nn.Linear(d_model, d_model)", "nn.Linear(d_model)", "self.linear = nn.Linear(d_model)"),
    "step": ("self.linear(x_t)", "self.linaer(x_t)", "return self.linaer(x_t), state"),
}


def written(folder: Path, old: str, new: str) -> Path:
    file = folder / "net.py"
    assert old in GOOD
    file.write_text(GOOD.replace(old, new))
    return file


@pytest.mark.parametrize("command", ["run", "check"])
@pytest.mark.parametrize("place", FAULTS)
def test_the_command_shows_the_line_and_ends_with_exit_code_2(
    place: str, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new, line = FAULTS[place]
    name = f"{written(tmp_path, old, new)}:Net"
    options = ["run", "--backbone", name, "--env", "umbrella", "--preset", "smoke", "--results", str(tmp_path / "r")]
    arguments = options if command == "run" else ["check", name, "--only", "causality"]
    done = subprocess.run([sys.executable, "-m", "dsbench", *arguments], capture_output=True, text=True, timeout=120)
    said = done.stdout + done.stderr
    assert done.returncode == 2, said
    lines = GOOD.replace(old, new).split("\n")
    number = 1 + next(place for place, text in enumerate(lines) if line in text)
    assert f"{tmp_path}/net.py, line {number}, in" in said and line in said
    assert "Traceback" not in said and "/benchmark/" not in said and "/backbones/" not in said
    assert not (tmp_path / "r").exists()


def test_an_error_in_the_middle_of_a_run_is_a_failed_row_and_exit_code_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LATE", raising=False)
    late = "if os.environ.get('LATE'): self.lost\n        return self.linear(x_t)"
    file = written(tmp_path, "return self.linear(x_t)", late)
    file.write_text("import os\n" + file.read_text())
    inline, config = Inline(tmp_path, monkeypatch), tiny(backbone=f"{file}:Net")

    def hook(phase: str, *_: object) -> None:
        if phase == "train":  # proved by then
            monkeypatch.setenv("LATE", "1")

    assert inline.run(config, hook=hook) == 1
    folder = inline.folder(config)
    row = folder.latest_result()
    assert row is not None and row["status"] == "failed"
    line = "if os.environ.get('LATE'): self.lost"
    assert row["reason"].startswith("AttributeError: ") and line in row["reason"]
    assert (
        line in (folder.path / "error.txt").read_text() and "Traceback" not in (folder.path / "error.txt").read_text()
    )
    assert inline.told["exit_code"] == 2 and f"{tmp_path}/net.py, line" in str(inline.told["error"])


def test_what_has_no_frame_of_a_user_is_nobody_s_fault() -> None:
    with pytest.raises(ValueError) as caught:
        int("x")
    error = caught.value
    assert frames_of(error) == [] and blamed(error) is None and brief(error).startswith("ValueError: ")


def test_frames_of_libraries_between_are_left_out_and_a_recursion_is_cut(tmp_path: Path) -> None:
    text = "import functools\ndef X(n):\n    return functools.reduce(lambda a, b: X(n), [1, 2])\n"
    (tmp_path / "deep.py").write_text(text)
    with pytest.raises(RecursionError) as caught:
        load(read_source(f"{tmp_path}/deep.py:X"))(1)
    told = blamed(caught.value)
    assert isinstance(told, FaultyCode)
    lines = str(told).split("\n")[1:]
    assert 2 <= len(lines) <= 16 and all("deep.py" in line for line in lines[::2])


def test_what_was_raised_instead_leads_back_to_the_user_s_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(tmp_path, "super().__init__(d_model)", "super().__init__(0 / 0)")
    assert main(["check", str(file), "--only", "causality"]) == 2
    assert "super().__init__(0 / 0)" in capsys.readouterr().err
