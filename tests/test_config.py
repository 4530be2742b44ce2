"""Settings: what is refused and how, what layers over what, and what a run's name depends on."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import yaml
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from dsbench.config import RunConfig, from_dict, naming, resolve, run_id, to_dict
from dsbench.config.sources import parse_override, read_config_file
from dsbench.errors import UsageError
from dsbench.files import check_name
from dsbench.reading import dump_yaml, parse_yaml
from dsbench.studies.study_file import load_study


def quick(*overrides: str, **arguments: object) -> RunConfig:
    return resolve(backbone="s4", env="umbrella", overrides=overrides, **arguments)


def message(*overrides: str, **arguments: object) -> str:
    with pytest.raises(UsageError) as caught:
        quick(*overrides, **arguments)
    return str(caught.value)


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("train.lrr=1", "unknown setting 'train.lrr'. Did you mean 'train.lr'?"),
        ("lr=1", "unknown setting 'lr'. Did you mean 'train.lr'?"),
        ("training.lr=1", "unknown setting 'training'. Did you mean 'train'?"),
        ("train.updates=1.5", "train.updates is 1.5; expected an integer"),
        ("train.updates=true", "train.updates is true; expected an integer"),
        ("train.updates=0", "train.updates is 0; expected at least 1"),
        ("train.updates=many", "train.updates is 'many'; expected an integer"),
        ("train.updates=null", "train.updates is null; expected an integer"),
        ("train.lr=0", "train.lr is 0; expected more than 0"),
        ("train.lr=true", "train.lr is true; expected a number"),
        ("train.lr=[1,2]", "train.lr is [1, 2]; expected a number"),
        ("train=3", "train is 3; expected a group of settings"),
        ("wrapper.tokens=joined", "wrapper.tokens is 'joined'; expected 'joint' or 'separate'. Did you mean 'joint'?"),
        ("wrapper.previous_action=1", "wrapper.previous_action is 1; expected true or false"),
        ("wrapper.embedding_dropout=1", "wrapper.embedding_dropout is 1; expected less than 1"),
        ("eval.decode=[argmax,best]", "eval.decode.1 is 'best'; expected 'argmax' or 'sample'"),
        ("eval.decode=[]", "eval.decode is (); expected at least one entry"),
        ("eval.target_quantile=1.01", "eval.target_quantile is 1.01; expected at most 1"),
        ("seed=-1", "seed is -1; expected at least 0"),
        ("device=gpu", "device is 'gpu'; expected auto, cpu, cuda or cuda:<number>"),
        ("backbone.name=s6", "unknown backbone 's6'. Did you mean 's5'?   (dsbench list backbones)"),
        ("env.name=umbrela", "unknown env 'umbrela'. Did you mean 'umbrella'?   (dsbench list envs)"),
        ("backbone.name=nowhere.py:Mine", "no file 'nowhere.py' to load 'Mine' from"),
        ("preset=quik", "unknown preset 'quik'. Did you mean 'quick'?   (dsbench list presets)"),
        ("train.lr", "--set 'train.lr' is not of the form a.b=value, such as train.lr=1e-3"),
        ("train..lr=1", "--set 'train..lr=1' is not of the form a.b=value, such as train.lr=1e-3"),
        ("train.lr=", "--set 'train.lr=' has no value; write train.lr=null for none"),
        ("eval.target_return=1e300", "eval.target_return is 1e+300; expected at most 1e+09"),
        ("train.lr=nan", "--set 'train.lr=nan': nan is no finite number"),
        ("backbone.dt=-inf", "--set 'backbone.dt=-inf': -inf is no finite number"),
        ("a=[b", "--set 'a=[b': the list is not closed; write [a,b] (in quotes for most shells)"),
    ],
)  # fmt: skip
def test_a_bad_value_is_named_with_what_was_expected(override: str, expected: str) -> None:
    assert message(override) == expected


def test_settings_that_contradict_each_other_are_refused() -> None:
    expected = "train: warmup is 11 and updates is 10; warm-up cannot outlast the training"
    assert message("train.updates=10", "train.warmup=11") == expected
    expected = (
        "train.seconds is 60 and time_limit_s is 30, which would end the run before its training; raise time_limit_s"
    )
    assert message("train.seconds=60", "time_limit_s=30") == expected
    assert quick("train.seconds=60", "time_limit_s=40", "threads=2").train.seconds == 60
    assert message("train.objective=probe").startswith("train.objective is 'probe' and wrapper.condition is 'return'")


def test_all_errors_are_told_at_once() -> None:
    text = message("train.lrr=1", "seed=true", "env.name=umbrela", "device=gpu")
    assert text.splitlines()[0] == "4 settings cannot be used:"
    for part in ("train.lrr", "seed is true", "'umbrela'", "'gpu'"):
        assert part in text


def test_missing_names_are_told_with_the_way_out() -> None:
    with pytest.raises(UsageError, match=r"backbone is missing; give --backbone NAME or --set backbone\.name=VALUE"):
        resolve(env="umbrella")


def test_later_layers_win(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("backbone: {name: gpt, d_model: 32}\nenv: umbrella\nseed: 4\npreset: smoke\ntrain:\n  lr: 0.5\n")
    from_file = resolve(config_file=file)
    assert (from_file.preset, from_file.data.episodes, from_file.train.lr, from_file.seed) == ("smoke", 200, 0.5, 4)
    argued = resolve(config_file=file, backbone="s4d", seed=7, preset="quick", overrides=["train.lr=1e-3", "seed=8"])
    assert (argued.backbone.name, argued.backbone.d_model, argued.seed) == ("s4d", 32, 8)
    assert (argued.preset, argued.data.episodes, argued.train.lr) == ("quick", quick().data.episodes, 1e-3)


def test_options_of_backbone_and_environment_pass_through() -> None:
    config = quick("backbone.d_state=16", "backbone.d_model=32", "env.chain_length=20", "backbone.modes=[a,b]")
    assert config.backbone.options == {"d_state": 16, "modes": ["a", "b"]}
    assert config.env.options == {"chain_length": 20}
    assert to_dict(config)["backbone"] == {"name": "s4", "d_model": 32, "d_state": 16, "modes": ["a", "b"]}


@pytest.mark.parametrize("preset", ["smoke", "quick", "paper"])
def test_stored_settings_reproduce_the_run(preset: str, tmp_path: Path) -> None:
    config = quick("backbone.d_state=16", "train.lr=1e-7", "eval.decode=[sample]", preset=preset)
    for name, text in (("a.yaml", yaml.safe_dump(to_dict(config))), ("a.json", json.dumps(to_dict(config)))):
        (tmp_path / name).write_text(text)
        again = resolve(config_file=tmp_path / name)
        assert again == config
        assert run_id(again) == run_id(config)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("train:\n  lr: 1e999\n", ":2: train.lr: 1e999 is larger than any number here; expected a finite one"),
        ("seed: 1\nseed: 2\n", ":2: seed is given twice (first in line 1); remove one"),
        ("train:\n  lr: 1.0\n  lr: 1.0\n", ":3: train.lr is given twice (first in line 2); remove one"),
        ("train: &a {lr: 1.0}\neval: *a\n", ":1: anchors (&name) are not supported; repeat the value"),
        ("seed: 0x10\n", ":1: seed: '0x10' is not a plain finite decimal number"),
        ("time_limit_s: 1:30\n", ":1: time_limit_s: '1:30' is not a plain finite decimal number"),
        ("train:\n  lr: .nan\n", ":2: train.lr: '.nan' is not a plain finite decimal number"),
        ("seed: 2020-01-01\n", ":1: seed: '2020-01-01' is a timestamp; expected a number, true, false, null or text"),
        ("1: 2\n", ":1: the key '1' is not text; put it in quotes"),
        ("seed: [1\n", ":2: not valid YAML (did not find expected ',' or ']')"),
        ("- 1\n", ": holds list; expected settings such as 'train:' and 'seed:'"),
        ("env: umbrella\nbackbone: s4\ntrain: {lrr: 1}\n", ":3: unknown setting 'train.lrr'. Did you mean 'train.lr'?"),
        ("env: umbrella\nbackbone: s4\n\nseed: yes\n", ":4: seed is true; expected an integer"),
    ],
)  # fmt: skip
def test_yaml_errors_name_the_line(text: str, expected: str, tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(text)
    with pytest.raises(UsageError) as caught:
        resolve(config_file=file)
    assert str(caught.value) == f"{file}{expected.format(file=file)}"


@settings(max_examples=40, deadline=None)
@given(st.floats(1e-300, 1e3), st.sampled_from(["e", "E"]), st.booleans())
@example(1e-3, "e", False)
def test_a_number_is_one_however_its_exponent_is_written(
    tmp_path_factory: pytest.TempPathFactory, value: float, sign: str, signed: bool
) -> None:
    """Python writes 1e-05, 1e-03 and 2.5e+00: in a file, in a study and on the command line they are what Python reads."""
    folder = tmp_path_factory.mktemp("yaml")
    for text in (repr(value), f"{value:.0e}", f"{value:.17e}"):
        text = (text if signed else text.replace("e+", "e")).replace("e", sign)
        number = float(text)
        (folder / "a.yaml").write_text(f"backbone: s4\nenv: umbrella\ntrain: {{lr: {text}}}\n")
        assert resolve(config_file=folder / "a.yaml").train.lr == number
        assert parse_override(f"train.lr={text}") == ("train.lr", number)
        asked = {"format": 1, "title": "t", "question": "q", "backbones": ["s4"], "envs": ["umbrella"]}
        rest = "axes: {a: {x: {train.lr: " + text + "}}}\ntable: {rows: [backbone], measures: [score]}\n"
        (folder / "s.yaml").write_text(yaml.safe_dump(asked) + rest + "sizes: {smoke: {}, quick: {}, full: {}}\n")
        assert load_study(folder / "s.yaml")[1].axes["a"]["x"] == {"train.lr": number}


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=12) | st.from_regex(r"[-+]?[0-9]{1,9}(\.[0-9]{0,9})?[eE][-+]?[0-9]{1,3}", fullmatch=True))
@example("1e-3")
@example("1.0e3")
def test_text_that_looks_like_a_number_stays_text_in_what_is_stored(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    """For both readers: that of records, which is YAML 1.1's, and that of files of a user."""
    assume("\0" not in text and text.isprintable())
    stored = {"backbone": {"name": "s4", "mode": text}, "env": "umbrella"}
    written = dump_yaml(stored)
    assert parse_yaml(written) == stored
    file = tmp_path_factory.mktemp("yaml") / "a.yaml"
    file.write_text(written)
    assert read_config_file(file)[0] == stored


def test_yaml_cannot_run_code(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(f"seed: !!python/object/apply:os.mkdir ['{tmp_path}/evil']\n")
    with pytest.raises(UsageError):
        resolve(config_file=tmp_path / "a.yaml")
    assert not (tmp_path / "evil").exists()


def test_toml_is_read_and_a_value_given_later_is_not_blamed_on_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('backbone = "s4"\nenv = "umbrella"\n[train]\nlr = 1e-3\n')
    assert resolve(config_file=tmp_path / "a.toml").train.lr == 1e-3
    (tmp_path / "a.yaml").write_text("env: umbrella\nbackbone: s4\ntrain: {lr: 1.0}\n")
    with pytest.raises(UsageError, match=r"^train\.lr is -1; expected more than 0$"):
        resolve(config_file=tmp_path / "a.yaml", overrides=["train.lr=-1"])


@pytest.mark.parametrize("name", ["a.txt", "missing.yaml", "dup.json", "bad.json", "bad.toml", "bytes.yaml"])
def test_unreadable_files_are_refused_by_name(name: str, tmp_path: Path) -> None:
    contents = {
        "dup.json": b'{"seed": 1, "seed": 2}',
        "bad.json": b"{",
        "bad.toml": b"=",
        "bytes.yaml": b"\xff\xfe\xfa",
    }
    if name in contents:
        (tmp_path / name).write_bytes(contents[name])
    with pytest.raises(UsageError, match=name):
        resolve(config_file=tmp_path / name)


def test_values_on_the_command_line_are_typed() -> None:
    texts = ["1", "1e-3", "-2.5", "true", "null", "none", "'1'", "[1, a, null]", "a=b"]
    values = [parse_override(f"x.y={text}") for text in texts]
    assert values == [("x.y", value) for value in [1, 1e-3, -2.5, True, None, "none", "1", [1, "a", None], "a=b"]]


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=30), st.text(max_size=30))
def test_any_override_is_parsed_or_refused_by_name(key: str, value: str) -> None:
    try:
        config = quick(f"{key}={value}")
    except UsageError:
        return
    json.dumps(to_dict(config), allow_nan=False)


@settings(max_examples=60, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
        max_leaves=6,
    )
)
def test_any_value_in_any_place_is_taken_or_refused(value: object) -> None:
    for path in ("backbone", "train", "seed", "eval"):
        try:
            config = from_dict({"backbone": "s4", "env": "umbrella", path: value})
        except UsageError:
            continue
        assert from_dict(to_dict(config)) == config


def test_frozen_and_no_infinity() -> None:
    config = quick()
    with pytest.raises(Exception, match="frozen"):
        config.seed = 3  # type: ignore[misc]
    with pytest.raises(UsageError, match="finite number"):
        from_dict({"backbone": "s4", "env": "umbrella", "train": {"lr": math.inf}})


def test_run_id_is_a_safe_file_name_that_names_the_run() -> None:
    name = run_id(quick(seed=3))
    assert name.startswith("s4-umbrella-s3-")
    assert check_name(name) == name
    assert run_id(quick(seed=3)) == name


@pytest.mark.parametrize(
    "override",
    ["seed=1", "train.lr=0.5", "backbone.d_state=8", "data.seed=1", "eval.seed=1", "threads=2", "device=cpu",
     "precision=bf16", "eval.episodes=7", "env.chain_length=3", "data.permute_returns=true", "train.seconds=60"],
)  # fmt: skip
def test_run_id_changes_with_what_can_change_a_result(override: str) -> None:
    assert run_id(quick(override)) != run_id(quick())


@pytest.mark.parametrize("override", ["time_limit_s=9", "train.log_every=7", "train.checkpoint_every=3"])
def test_run_id_stays_with_what_cannot(override: str) -> None:
    assert run_id(quick(override)) == run_id(quick())


def test_run_id_changes_with_the_version_of_results_and_not_with_that_of_dsbench(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = run_id(quick())
    monkeypatch.setattr("dsbench.__version__", "9.9.9")
    assert run_id(quick()) == before
    names = [run_id(quick(), result_version=version) for version in (1, 2, 3)]
    assert len(set(names)) == 3
    monkeypatch.setattr(naming, "RESULT_VERSION", 3)
    assert run_id(quick()) == names[2]


def test_run_id_follows_the_source_of_a_file_and_not_its_place(tmp_path: Path) -> None:
    names = []
    for folder, source in (("a", "x = 1"), ("b", "x = 1"), ("c", "x = 2")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "mine.py").write_text(source)
        names.append(run_id(resolve(backbone=f"{tmp_path}/{folder}/mine.py:MyNet", env="umbrella")))
    assert names[0] == names[1] != names[2]
    assert names[0].startswith("mynet-umbrella-s0-")


def test_a_number_of_episodes_stands_before_the_timesteps_below_it(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("data: {timesteps: 500, episodes: 7}")
    asked = {"backbone": "s4", "env": "umbrella", "config_file": file}
    assert resolve(**asked).data.timesteps == 500
    assert resolve(**asked, overrides=["data.episodes=9"]).data.timesteps is None
    both = resolve(**asked, overrides=["data.episodes=9", "data.timesteps=20"]).data
    assert (both.timesteps, both.episodes) == (20, 9)


def test_a_number_of_updates_stands_before_the_seconds_below_it(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("train: {seconds: 60.0, updates: 70}")
    asked = {"backbone": "s4", "env": "umbrella", "config_file": file}
    assert (resolve(**asked).train.seconds, resolve(**asked).train.updates) == (60, 70)
    assert resolve(**asked, overrides=["train.updates=90"]).train.seconds is None
    both = resolve(**asked, overrides=["train.updates=90", "train.seconds=20"]).train
    assert (both.seconds, both.updates) == (20, 90)
