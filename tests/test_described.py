"""What is said of a setting is what holds of it: its type, its default, its range, and that it means something."""

from __future__ import annotations

import importlib
import inspect
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from dsbench.backbones import BACKBONES
from dsbench.backbones.contract import options_of
from dsbench.backbones.factory import load_class
from dsbench.cli import main
from dsbench.cli.app import app
from dsbench.config import resolve
from dsbench.config.described import (
    Setting,
    arguments_in,
    meaning_of,
    options_of_backbone,
    options_of_env,
    settings_as_resolved,
    settings_of_run,
)
from dsbench.config.errors import known_paths
from dsbench.config.settings import RunConfig
from dsbench.envs import ENVS
from dsbench.errors import UsageError
from dsbench.records.config_text import flat

ROOT = Path(__file__).parents[1]
PLAIN = {one.name: one for one in settings_of_run()}


def test_every_setting_is_there_once_with_a_type_and_a_meaning() -> None:
    assert sorted(PLAIN) == sorted(known_paths(RunConfig))
    assert all(one.type and one.meaning for one in PLAIN.values())


@pytest.mark.parametrize("name", BACKBONES.names())
def test_every_option_of_a_backbone_has_a_type_a_default_and_a_meaning(name: str) -> None:
    found = options_of_backbone(name)
    assert [one.name for one in found] == [f"backbone.{option}" for option in options_of(load_class(name))]
    assert all(one.type and one.default and one.meaning for one in found)


@pytest.mark.parametrize("name", ENVS.names())
def test_every_option_of_a_task_has_a_type_a_default_and_a_meaning(name: str) -> None:
    found = options_of_env(name)
    assert [one.name for one in found] == [f"env.{option}" for option in inspect.signature(ENVS.load(name)).parameters]
    assert all(one.type and one.default and one.meaning for one in found)


def taken(path: str, value: Any) -> bool:
    """Whether a run may have it, other settings being as they are."""
    try:
        resolve(backbone="s4", env="umbrella", overrides=["train.warmup=0", f"{path}={json.dumps(value)}"])
    except UsageError:
        return False
    return True


@pytest.mark.parametrize("one", [one for one in PLAIN.values() if one.range], ids=lambda one: one.name)
def test_a_range_is_where_values_begin_to_be_refused(one: Setting) -> None:
    whole = one.type.startswith("integer")
    for sign, text in re.findall(r"([<>≤≥]) ([^,\s]+)", one.range):
        bound = int(text) if whole else float(text)
        step = 1 if whole else 1e-9 * max(1.0, abs(bound))
        below, above = bound - step, bound + step
        inside, outside = {"≥": (bound, below), ">": (above, bound), "≤": (bound, above), "<": (below, bound)}[sign]
        assert taken(one.name, inside) and not taken(one.name, outside), sign


def test_what_a_run_begins_with_is_what_is_shown() -> None:
    shown = {one.name: one.default for one in settings_as_resolved("hopper", "gpt", "decision-transformer")}
    config = resolve(env="hopper", backbone="gpt", preset="decision-transformer")
    assert shown["train.lr"] == "0.0001" and shown["eval.target_return"] == "3600"
    assert shown["data.timesteps"] == str(config.data.timesteps)
    assert {"backbone.context_len", "env.physics"} <= shown.keys()
    assert set(flat(config.model_dump(mode="json"))) - {"backbone.name", "env.name"} <= shown.keys()


def test_help_says_what_the_setting_says() -> None:
    shown = " ".join(CliRunner().invoke(app, ["run", "--help"]).output.split())
    assert "[setting" not in shown
    for name in ("match", "policy", "seed", "vary", "data.recipe"):
        assert meaning_of(name)[1:] in shown


def test_docstrings_are_read_as_they_are_written() -> None:
    text = """What it is.

    Args:
        one: first, ``a`` or ``b``;
            and more of it: indeed.
        two, three: both.

    Raises:
        four: no argument.
    """
    assert arguments_in(text) == {"one": "first, a or b; and more of it: indeed", "two": "both", "three": "both"}
    assert arguments_in(None) == {} and arguments_in("Nothing.") == {}


def test_settings_are_listed_with_the_options_of_what_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "settings", "--env", "umbrella", "--backbone", "lstm", "--json"]) == 0
    found = {one["setting"]: one for one in json.loads(capsys.readouterr().out)}
    assert found["env.chain_length"]["default"] == "10" and found["backbone.n_layers"]["type"] == "integer"
    assert main(["list", "settings", "--backbone", "lstn"]) == 2
    assert "Did you mean 'lstm'?" in capsys.readouterr().err


def test_the_page_of_settings_is_what_they_say() -> None:
    """Made by ``python results/settings_page.py --write``."""
    sys.path.insert(0, str(ROOT / "results"))
    try:
        module = importlib.import_module("settings_page")
    finally:
        sys.path.remove(str(ROOT / "results"))
    assert (ROOT / "docs" / "settings.md").read_text() == module.page()
