"""Controls: what each of them sees, under which names, and which row of a table is which."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from dsbench.config import RunConfig, resolve, run_id, to_dict
from dsbench.config.controls import ALIASES, CONTROLS, control_of, get_control, stands_for
from dsbench.envs import ENVS, get_spec
from dsbench.errors import UsageError
from dsbench.files import to_json
from dsbench.running.describing import describe
from dsbench.running.sweep import expand

HIDING = "repeat-first"  # a task that hides the previous action from all its contestants
HIDE = (HIDING, "state-tracking")  # all that do


def one(control: str, env: str = "umbrella", **options: Any) -> RunConfig:
    (config,) = expand("", env, "1", controls=control, **options)
    return config


def sees_previous_action(config: RunConfig) -> bool:
    return bool(describe(config, get_spec(config.env.name))["wrapper"]["previous_action"])


def row_of(config: RunConfig) -> dict[str, Any]:
    """As the table of runs has it: flat, names by themselves."""
    flat: dict[str, Any] = {}
    for part, value in to_dict(config).items():
        flat |= {f"{part}.{key}": item for key, item in value.items()} if isinstance(value, Mapping) else {part: value}
    return flat | {"backbone": config.backbone.name, "env": config.env.name}


def test_mlp_sees_the_present_alone_and_the_copier_its_last_action_too() -> None:
    mlp, copier, window = one("mlp"), one("copier"), one("window")
    assert (mlp.backbone.name, copier.backbone.name, window.backbone.name) == ("mlp", "mlp", "framestack")
    assert [sees_previous_action(config) for config in (mlp, copier, window)] == [False, True, False]


@pytest.mark.parametrize("env", ENVS.names())
def test_the_copier_sees_at_a_timestep_what_a_contestant_sees(env: str) -> None:
    copier, contestant = one("copier", env), resolve(backbone="lstm", env=env)
    assert copier.wrapper.previous_action is not None
    expected = contestant.wrapper.previous_action is not False
    assert copier.wrapper.previous_action is expected is (env not in HIDE)


def test_hidden_from_all_the_copier_is_the_run_of_mlp_and_is_made_once() -> None:
    configs = expand("lstm", HIDING, "1", controls="mlp,copier")
    assert [config.backbone.name for config in configs] == ["lstm", "mlp"]
    assert stands_for(row_of(configs[1]), "copier") and stands_for(row_of(configs[1]), "mlp")
    assert not stands_for(row_of(one("mlp")), "copier")


def test_what_a_user_says_of_previous_actions_wins(tmp_path: Path) -> None:
    told = {"overrides": ["wrapper.previous_action=true"]}
    assert one("copier", HIDING, **told).wrapper.previous_action is True
    hidden = one("copier", overrides=["wrapper.previous_action=false"])
    assert hidden.wrapper.previous_action is False and not sees_previous_action(hidden)
    file = tmp_path / "said.json"
    file.write_bytes(to_json({"wrapper": {"previous_action": False}}))
    assert one("copier", config_file=file).wrapper.previous_action is False


def test_a_stored_configuration_says_null_which_leaves_it_to_the_control(tmp_path: Path) -> None:
    file = tmp_path / "stored.json"
    file.write_bytes(to_json({**to_dict(resolve(backbone="lstm", env="umbrella")), "backbone": {"name": "mlp"}}))
    assert one("copier", config_file=file).wrapper.previous_action is True
    assert one("mlp", config_file=file).wrapper.previous_action is None


@pytest.mark.parametrize("preset", ["decision-transformer", "decision-s4", "decision-mamba", "ssm-for-offline-rl"])
def test_published_protocols_show_the_previous_action_on_every_task(preset: str) -> None:
    assert sees_previous_action(resolve(preset=preset, backbone="gpt", env=HIDING))
    assert not sees_previous_action(one("mlp", HIDING, preset=preset))
    assert sees_previous_action(one("copier", HIDING, preset=preset))


@pytest.mark.parametrize(("old", "new"), ALIASES.items())
def test_names_that_controls_had_before_name_the_same_runs(old: str, new: str) -> None:
    assert get_control(old) is CONTROLS[new]
    assert (
        run_id(one(old))
        == run_id(one(new))
        == run_id(resolve(backbone=CONTROLS[new].settings["backbone"], env="umbrella"))
    )


def test_a_name_that_no_control_has_is_answered_with_the_closest() -> None:
    with pytest.raises(UsageError, match="'copyer'.*Did you mean 'copier'"):
        get_control("copyer")


@pytest.mark.parametrize("name", CONTROLS)
def test_a_row_is_told_to_be_the_control_that_made_it(name: str) -> None:
    assert control_of(row_of(one(name))) is CONTROLS[name]
    assert [other for other in CONTROLS if stands_for(row_of(one(name)), other)] == [name]


def test_a_contestant_is_no_control_and_cloning_is_one_only_beside_others() -> None:
    assert control_of(row_of(resolve(backbone="lstm", env="umbrella"))) is None
    cloned = row_of(one("bc"))
    assert control_of(cloned, varying=["wrapper.time"]) is None
    found = control_of(cloned, varying=["wrapper.condition"])
    assert found is not None and found.name == "bc"
    copier = control_of(row_of(one("copier")), varying=[])
    assert copier is not None and copier.name == "copier"
