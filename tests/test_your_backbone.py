"""The page on a backbone of one's own: its example keeps the contract, runs as its commands say, and fails as it shows."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import torch

from dsbench.backbones import build, check_backbone
from dsbench.cli import main
from dsbench.config.described import options_of_backbone

PAGE = (Path(__file__).parents[1] / "docs" / "your-backbone.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the user wrote the example into its file."""
    (text,) = [text for kind, text in BLOCKS if kind == "python"]
    (tmp_path / "lru.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DSBENCH_DATA", str(tmp_path / "data"))
    return tmp_path


def test_the_example_keeps_the_contract_and_has_about_forty_lines(folder: Path) -> None:
    report = check_backbone("lru.py")
    assert report.ok, report.failures()
    written = [line for line in (folder / "lru.py").read_text().split("\n") if line.strip()]
    assert len(written) <= 45


def test_the_example_is_the_recurrence_that_the_page_prints(folder: Path) -> None:
    mixer = build("lru.py:LRUMixer", 4, d_state=3).double()
    x = torch.randn(2, 7, 4, dtype=torch.float64)
    lam = torch.exp(torch.complex(-torch.exp(mixer.nu), torch.exp(mixer.theta)))
    gamma = torch.sqrt(1 - lam.abs() ** 2)
    b, c = (torch.view_as_complex(w.unflatten(0, (-1, 2)).transpose(1, 2).contiguous()) for w in (
        mixer.enter.weight, mixer.leave.weight.T
    ))  # fmt: skip
    h, expected = torch.zeros(2, 3, dtype=torch.complex128), []
    for x_t in x.unbind(1):
        h = lam * h + gamma * (x_t.to(torch.complex128) @ b.T)
        expected.append((h @ c.conj()).real + mixer.skip * x_t)
    torch.testing.assert_close(mixer(x)[0], torch.stack(expected, 1))


def test_its_commands_run_as_printed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """But for the length of the training; the sweep has one seed."""
    (text,) = [text for kind, text in BLOCKS if kind == "sh"]
    for line in text.splitlines():
        program, *words = shlex.split(line)
        assert program == "dsbench"
        words += ["--only", "causality"] if words[0] == "check" else []
        words += ["--preset", "smoke"] if words[0] in ("run", "sweep") else []
        words = ["1" if before == "--seeds" else word for before, word in zip(["", *words], words, strict=False)]
        assert main(words) == 0, line
    assert "LRU" in capsys.readouterr().out


def test_the_error_that_the_page_shows_is_what_a_user_sees(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = folder / "lru.py"
    file.write_text(file.read_text().replace("self.enter(x_t)", "self.entr(x_t)"))
    assert main(["check", "lru.py", "--only", "causality"]) == 2
    shown = capsys.readouterr().out
    for line in re.search(r"Error: (.*\n.*\n.*\n)", PAGE)[1].splitlines():  # type: ignore[index]
        assert line.strip() in " ".join(shown.split())


def test_its_options_are_settings(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "settings", "--env", "umbrella", "--backbone", "lru.py"]) == 0
    assert "backbone.d_state" in capsys.readouterr().out
    assert [one.name for one in options_of_backbone("lru.py")] == [
        "backbone.n_layers", "backbone.block", "backbone.d_state",
    ]  # fmt: skip
