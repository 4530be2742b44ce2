"""Which runs a sweep is made of, and the process environment."""

from __future__ import annotations

import subprocess
import sys

import pytest

import dsbench
from dsbench.errors import UsageError
from dsbench.running.process import configure_process, process_environment
from dsbench.running.sweep import expand, parse_seeds


@pytest.mark.parametrize(("text", "seeds"), [("3", [0, 1, 2]), ("0,5,7", [0, 5, 7]), ("5,", [5]), ("2,2,1", [2, 1])])
def test_seeds_are_a_count_or_a_list(text: str, seeds: list[int]) -> None:
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize("text", ["", ",", "a", "-1", "1.5", "0", "100000", "1;2"])
def test_other_seeds_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--seeds"):
        parse_seeds(text)


def test_a_sweep_is_every_combination_once() -> None:
    configs = expand("gpt,s4,gpt", "umbrella", "2", preset="smoke", overrides=["train.lr=0.1"])
    assert [(one.backbone.name, one.seed) for one in configs] == [("gpt", 0), ("gpt", 1), ("s4", 0), ("s4", 1)]
    assert {one.train.lr for one in configs} == {0.1}


def test_configure_process_warns_when_it_comes_too_late(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in process_environment(1):
        monkeypatch.setenv(name, "")
    monkeypatch.setitem(sys.modules, "torch", sys)
    with pytest.warns(UserWarning, match="after torch was imported"):
        configure_process(2)


def test_the_public_names_are_lazy_and_there() -> None:
    code = "import dsbench, sys; assert not {'torch', 'numpy', 'pydantic'} & set(sys.modules); print(dsbench.RunConfig)"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert all(hasattr(dsbench, name) for name in dsbench.__all__)
    assert callable(dsbench.run)
