"""No file runs code: every entry point that reads x every place where a name stands, each with a canary."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import dsbench
from dsbench import backbones, envs
from dsbench.cli import main
from dsbench.config import from_dict, resolve, run_id, to_dict
from dsbench.decision.policy import build_policy, load_policy, policy_spec
from dsbench.envs.data.cache import load_or_generate
from dsbench.envs.data.folder import store_folder
from dsbench.envs.data.source import export_folder, load_source
from dsbench.errors import DatasetError
from dsbench.inspection.run import open_run
from dsbench.outside import trust
from dsbench.outside.trust import Untrusted
from dsbench.records.run_folder import RunFolder
from dsbench.running.sizing import find_width
from dsbench.trained import open_trained
from dsbench.watch import watch
from tests.outside.plugins import canary

STUDY: dict[str, Any] = {
    "format": 1, "title": "t", "question": "q", "backbones": ["lstm"], "envs": ["umbrella"],
    "axes": {"length": {"3": {"env.chain_length": 3}}}, "table": {"rows": ["backbone"], "measures": ["score"]},
    "sizes": {"smoke": {"preset": "smoke"}, "quick": {}, "full": {}},
}  # fmt: skip
READERS: dict[str, Callable[[Path], Any]] = {
    "load_policy": load_policy,
    "open_trained": lambda run: envs.catalogue.spec_of(open_trained(run).config.env.name, {}),
    "watch": watch,
    "inspect": open_run,
}


@pytest.fixture
def sign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """What the canary leaves behind if it runs; this process and its user trust nothing yet."""
    monkeypatch.setattr(trust, "_named", set())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv(trust.VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    sign = tmp_path / "it-ran"
    yield sign
    assert not sign.exists(), "code ran"


@pytest.fixture(params=["file", "package", "os", "gym"])
def evil(
    request: pytest.FixtureRequest, tmp_path: Path, sign: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[str, dict[str, str]]:
    """A name that must not run, and options of an environment of that name."""
    reference = canary(tmp_path / "evil", sign)
    if request.param in ("package", "gym"):
        monkeypatch.syspath_prepend(str(tmp_path / "evil"))
        reference = {"package": "evil:Evil", "gym": "gym:evil:Evil-v0"}[request.param]
    return ("os:system", {"command": f"touch {sign}"}) if request.param == "os" else (reference, {})


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    """The folder of a run with fresh weights, all of it dsbench's own."""
    config = resolve(backbone="lstm", env="umbrella", overrides=["env.chain_length=3", "backbone.d_model=8"])
    environment = envs.get_spec("umbrella", chain_length=3).make()
    spec = policy_spec(
        observation_space=environment.observation_space, action_space=environment.action_space, backbone="lstm",
        d_model=8, backbone_options={},
    )  # fmt: skip
    torch.manual_seed(0)
    folder = RunFolder.open(tmp_path / "results", run_id(config))
    with folder.claim():
        folder.write_config(to_dict(config))
        folder.checkpoints.save("final", build_policy(spec).state_dict(), {"policy": spec, "targets": {"target": 1.0}})
        folder.finish("ok", {"env": "umbrella", "acting": "stateful"})
    return folder.path


def forge(run: Path, where: str, evil: tuple[str, dict[str, str]]) -> None:
    """Put the name into a finished run, sealed as a sound one is."""
    folder, (name, options) = RunFolder(run), evil
    if where == "manifest":
        checkpoint = folder.checkpoints.load("final")
        forged = {**checkpoint.meta, "policy": {**checkpoint.meta["policy"], "backbone": name}}
        folder.checkpoints.save("final", checkpoint.tensors, forged)
        return
    stored = folder.read_config()
    assert stored is not None
    part = {"name": name, **options} if where == "env" else {**stored[where], "name": name}
    (run / "config.yaml").unlink()
    folder.write_config({**stored, where: part})


@pytest.mark.parametrize("where", ["manifest", "env"])
@pytest.mark.parametrize("reader", READERS)
def test_a_stranger_s_run_runs_nothing(
    reader: str, where: str, finished: Path, evil: tuple[str, dict[str, str]]
) -> None:
    forge(finished, where, evil)
    if (reader, where) == ("load_policy", "env"):
        load_policy(finished)  # which has no environment
        return
    with pytest.raises(Untrusted, match=r"sha256 [0-9a-f]{64}.*nothing was run.*trust_code=True"):
        READERS[reader](finished)


@pytest.mark.parametrize("command", ["watch", "inspect", "export-model"])
@pytest.mark.parametrize("where", ["manifest", "env"])
def test_a_command_names_the_whole_command_that_would_run_it(
    command: str, where: str, finished: Path, evil: tuple[str, dict[str, str]], capsys: pytest.CaptureFixture[str]
) -> None:
    forge(finished, where, evil)
    code = main([command, str(finished)])
    if (command, where) == ("export-model", "env"):
        assert code == 0
        return
    assert code == 2
    assert capsys.readouterr().err.endswith(f"If you trust it: dsbench {command} {finished} --trust-code\n")


def test_what_reads_many_runs_runs_none(finished: Path, tmp_path: Path, evil: tuple[str, dict[str, str]]) -> None:
    for where in ("manifest", "env", "backbone"):
        forge(finished, where, evil)
    results = str(tmp_path / "results")
    for command in (["report"], ["report", "--out", str(tmp_path / "page")], ["export"], ["cite"]):
        assert main([command[0], results, *command[1:]]) == 0
    dsbench.load(results)
    assert main(["results", "list", "--results", results]) == 0
    main(
        ["results", "compare", "last", str(finished), "--results", results]
    )  # two files of one run contradict each other
    assert main(["results", "remove", "last", "--results", results, "--yes"]) == 0


@pytest.mark.parametrize("part", ["backbone", "env"])
@pytest.mark.parametrize("size", [None, "params=1k"])
def test_a_file_of_settings_runs_nothing(
    part: str, size: str | None, tmp_path: Path, evil: tuple[str, dict[str, str]], capsys: pytest.CaptureFixture[str]
) -> None:
    """A sweep names its backbones and environments itself, over those of a file."""
    name, options = evil
    settings: dict[str, Any] = {"backbone": "lstm", "env": "umbrella", part: {"name": name, **options}, "match": size}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(settings))
    given = ["--backbone", "lstm"] if part == "env" else ["--env", "umbrella"]
    assert main(["run", *given, "--config", "config.yaml"]) == 2
    assert capsys.readouterr().err.endswith(
        f"If you trust it: dsbench run {' '.join(given)} --config config.yaml --trust-code\n"
    )
    assert not (tmp_path / "results").exists()


PLACES: dict[str, Callable[[dict[str, Any], str, dict[str, str]], None]] = {
    "backbones": lambda study, name, options: study.update(backbones=[name]),
    "envs": lambda study, name, options: study.update(envs=[name]),
    "set": lambda study, name, options: study.update(
        set={"env.name": name, **{f"env.{key}": value for key, value in options.items()}}
    ),
    "set whole": lambda study, name, options: study.update(set={"backbone": name}),
    "axes": lambda study, name, options: study["axes"].update(who={"me": {"backbone.name": name}}),
    "size.backbones": lambda study, name, options: study["sizes"]["smoke"].update(backbones=[name]),
    "size.envs": lambda study, name, options: study["sizes"]["smoke"].update(envs=[name]),
    "size.set": lambda study, name, options: study["sizes"]["smoke"].update(set={"backbone.name": name}),
    "size.axes": lambda study, name, options: study["sizes"]["smoke"].update(
        axes={"length": {"3": {"env.name": name}}}
    ),
}


@pytest.mark.parametrize("kind", ["runs", "matched", "bench"])
@pytest.mark.parametrize("place", PLACES)
def test_a_study_runs_nothing(
    kind: str, place: str, tmp_path: Path, evil: tuple[str, dict[str, str]], capsys: pytest.CaptureFixture[str]
) -> None:
    study = json.loads(json.dumps(STUDY))
    PLACES[place](study, *evil)
    if kind == "matched":
        study.setdefault("set", {})["match"] = "params=1k"
    if kind == "bench":
        if "axes" in place:
            return  # a measuring has none
        study = {name: part for name, part in study.items() if name not in ("axes", "table")} | {"kind": "bench"}
        for size in study["sizes"].values():
            size["contexts"] = [1]
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(study))
    assert main(["study", "study.yaml", "--size", "smoke"]) == 2
    said = capsys.readouterr().err
    assert "nothing was run. If you trust it: dsbench study study.yaml --size smoke --trust-code" in said
    assert not (tmp_path / "results").exists()


def test_settings_that_were_read_are_not_named_by_being_run(tmp_path: Path, sign: Path) -> None:
    name = canary(tmp_path / "evil", sign)
    for part in ("backbone", "env"):
        config = from_dict({**to_dict(resolve(backbone="lstm", env="umbrella")), part: {"name": name}})
        with pytest.raises(Untrusted):
            dsbench.run(config, tmp_path / "r")
        with pytest.raises(Untrusted):
            find_width(config.model_copy(update={"match": "params=1k"}))
        with pytest.raises(Untrusted):
            dsbench.resolve(config_file=_file(tmp_path, to_dict(config)), trust_code=False) and dsbench.run(
                resolve(config_file=_file(tmp_path, to_dict(config))), tmp_path / "r"
            )
    with pytest.raises(Untrusted):
        build_policy({"backbone": name, "d_model": 8, "backbone_options": {}})


def test_a_minari_or_gymnasium_id_runs_no_file(tmp_path: Path, sign: Path) -> None:
    from dsbench.envs.registration import make

    with pytest.raises(Untrusted):
        make(canary(tmp_path / "evil", sign))


def test_a_forged_request_runs_nothing_in_the_processes_that_work(tmp_path: Path, sign: Path) -> None:
    """The workers themselves, started by hand: their word is the digest that a parent hands down, no request."""
    name = canary(tmp_path / "evil", sign)
    sources = {name: trust.find(name).to_json()}
    config = {**to_dict(resolve(backbone="lstm", env="umbrella")), "backbone": {"name": name, "d_model": 8}}
    worker = {"config": config, "run_id": run_id(from_dict(config)), "sources": sources}
    bench = {"request": {"backbones": [name], "env": "umbrella", "kind": "quick", "results": "r", "grid": {
        "attention_contexts": [1], "recurrent_contexts": [1], "window_limit": 1, "compiled_contexts": [], "batches": [1],
        "lengths": [],
    }}, "sources": sources}  # fmt: skip
    sizing = {"settings": [{**config, "match": "params=1k"}], "sources": sources}
    asked = _file(tmp_path, worker), _file(tmp_path, bench)
    commands = [
        ["dsbench.running.worker", "--results", "r", "--request", str(asked[0])],
        ["dsbench.measuring.worker", "--request", str(asked[1])],
        ["dsbench.running.sizing"],
    ]
    running = [
        subprocess.Popen(
            [sys.executable, "-P", "-m", *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env=dict(os.environ), cwd=tmp_path,
        )
        for command in commands
    ]  # fmt: skip
    said = [
        process.communicate(json.dumps(sizing).encode() if process is running[2] else None)[0] for process in running
    ]
    assert [process.returncode for process in running] == [2, 2, 0]
    assert b"was not named by you" in said[0] and b"was not named by you" in said[2]
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(
    "name", ["os:system", "builtins:exec", "subprocess:run", "shutil:rmtree", "dsbench.files:write_atomic"]
)
def test_a_function_of_a_library_is_not_called_even_if_the_user_names_it(
    name: str, sign: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if name == "os:system":
        assert main(["run", "--backbone", "lstm", "--env", name, "--set", f"env.command='touch {sign}'"]) == 2
        assert "makes_spec" in capsys.readouterr().err
    assert main(["list", "recipes", "--env", name]) == 2
    said = capsys.readouterr().err
    assert "'from dsbench.envs import makes_spec' and '@makes_spec'" in said
    assert main(["check", name]) == 2
    assert "expected a subclass of dsbench.backbones.Backbone" in capsys.readouterr().err


def test_a_file_that_passes_a_function_on_does_not_make_it_its_own(tmp_path: Path, sign: Path) -> None:
    (tmp_path / "mine.py").write_text("from os import system\n")
    with pytest.raises(dsbench.envs.catalogue.UsageError, match="no function of that file but from elsewhere"):
        envs.get_spec("mine.py:system", command=f"touch {sign}")


def test_a_package_s_function_is_called_once_it_is_marked(
    tmp_path: Path, sign: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "from dsbench.envs import get_spec, makes_spec\ndef plain(): return get_spec('umbrella')\n"
    text += "marked = makes_spec(lambda: plain())\nSPEC = plain()\n"
    (tmp_path / "ownpackage.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(dsbench.envs.catalogue.UsageError, match="makes_spec"):
        envs.get_spec("ownpackage:plain")
    assert envs.get_spec("ownpackage:marked").name == envs.get_spec("ownpackage:SPEC").name == "umbrella"


def test_what_the_user_ran_is_remembered_by_its_bytes(
    tmp_path: Path, sign: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "here" / "mine.py"
    file.parent.mkdir()
    file.write_text("from dsbench.backbones.lstm import LSTM\nclass Net(LSTM): ...\n")
    backbones.build(f"{file}:Net", 8)
    monkeypatch.setattr(trust, "_named", set())  # another day
    shutil.copytree(file.parent, tmp_path / "there")
    described = {"backbone": f"{tmp_path}/there/mine.py:Net", "d_model": 8, "backbone_options": {}}
    backbones.factory.make_backbone(described["backbone"], 8, {})
    (tmp_path / "there" / "mine.py").write_text(file.read_text() + "# other\n")
    with pytest.raises(Untrusted):
        backbones.factory.make_backbone(described["backbone"], 8, {})


def test_a_source_cannot_claim_the_hash_of_another(tmp_path: Path, sign: Path) -> None:
    (tmp_path / "mine.py").write_text("class Net: ...\n")
    known, forged = trust.named("mine.py:Net"), trust.find(canary(tmp_path / "evil", sign)).to_json()
    lies = {
        "attribute": "Net",
        "module_sha256": known.file_sha256,
        "digest": known.digest,
        "code_digest": known.code_digest,
    }
    fields = {name: lie for name, lie in lies.items() if name in forged}
    with trust.using(trust.received({"mine.py:Net": {**forged, **fields}})), pytest.raises(Untrusted):
        backbones.factory.class_of("mine.py:Net")


def test_names_in_a_data_set_are_compared_and_never_loaded(tmp_path: Path, evil: tuple[str, dict[str, str]]) -> None:
    spec, (name, options) = envs.get_spec("umbrella", chain_length=3), evil
    episodes, info = load_or_generate(spec, "mixed", 3, 0, tmp_path / "c")
    folder = export_folder(spec, episodes, info, tmp_path / "set")
    header = {"env": name, "options": options, "stored": {}, "recipe": name, "seed": 0}
    store_folder(folder, episodes, header)
    with pytest.raises(DatasetError, match="made in"):
        load_source(spec, f"folder:{folder}", 1, 0)
    assert main(["data", "info", str(folder)]) == 0


def test_a_cache_that_cannot_be_written_is_no_error(
    tmp_path: Path, sign: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "blocked").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "blocked"))
    (tmp_path / "mine.py").write_text("from dsbench.backbones.lstm import LSTM\nclass Net(LSTM): ...\n")
    backbones.build("mine.py:Net", 8)


def _file(folder: Path, content: dict[str, Any]) -> Path:
    path = folder / f"asked-{len(list(folder.glob('asked-*')))}.json"
    path.write_text(json.dumps(content))
    return path
