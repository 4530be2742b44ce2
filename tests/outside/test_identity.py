"""A row belongs to the code and the data that made it, whatever is edited before, between and during runs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

import dsbench
from dsbench import envs, registry
from dsbench.backbones.catalogue import BACKBONES
from dsbench.config import RunConfig, from_dict, resolve, run_id, to_dict
from dsbench.config.outside_code import sources_of
from dsbench.decision.policy import load_policy
from dsbench.envs.data import generate
from dsbench.envs.data.cache import cache_folder, load_or_generate
from dsbench.envs.data.folder import MANIFEST, store_folder
from dsbench.envs.data.source import export_folder, source_hash
from dsbench.errors import CannotWrite, CorruptFile, DatasetError, DsbenchError, UsageError
from dsbench.files import to_json
from dsbench.outside import trust
from dsbench.outside.trust import Untrusted, using
from dsbench.records.code import store_code, stored_code
from dsbench.records.run_folder import RunFolder
from dsbench.running import launcher
from dsbench.running.pipe import ProgressPipe
from dsbench.running.request import WorkerRequest
from dsbench.running.worker import work
from dsbench.trained import open_trained
from tests.outside.plugins import NET, plugin, task

SMALL = [
    "env.chain_length=3", "backbone.d_model=4", "device=cpu", "train.updates=1", "train.warmup=0", "train.batch_size=2",
    "data.episodes=5", "eval.episodes=2", "eval.decode=argmax",
]  # fmt: skip


@pytest.fixture(autouse=True)
def own_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This process and its user trust nothing yet, and have no data."""
    monkeypatch.setattr(trust, "_named", set())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("DSBENCH_DATA", str(tmp_path / "data"))


def asked(backbone: str, env: str = "umbrella", seed: int = 0, *more: str) -> RunConfig:
    return resolve(preset="smoke", backbone=backbone, env=env, seed=seed, overrides=[*SMALL, *more])


def done(config: RunConfig, results: Path, **given: Any) -> RunFolder:
    """The run, made in this process as a worker makes it."""
    with using(sources_of([config])):
        assert work(config, results, given.get("force", False), ProgressPipe(None)) == 0
        return RunFolder.open(results, run_id(config))


# ---------------------------------------------------------------------- the name of a run


def test_a_lone_file_is_named_as_it_always_was(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(NET.replace("from helper import SCALE", "SCALE = 1.0"))
    import hashlib

    source = trust.find(f"{tmp_path}/net.py:Net")
    assert source.identity == ["Net", hashlib.sha256((tmp_path / "net.py").read_bytes()).hexdigest()]


def test_the_name_follows_every_neighbour_and_no_place(tmp_path: Path) -> None:
    here, there = (run_id(asked(plugin(tmp_path / folder))) for folder in ("here", "there"))
    assert here == there
    assert run_id(asked(plugin(tmp_path / "there", scale=2.0))) != here


def test_the_name_follows_an_installed_package_s_version_and_code_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    plugin(tmp_path)
    first = run_id(asked("net:Net"))
    plugin(tmp_path, scale=2.0)
    assert run_id(asked("net:Net")) != first
    point = EntryPoint("short", "net:Net", BACKBONES.group)
    registry.installed_points.cache_clear()
    monkeypatch.setattr(registry, "entry_points", lambda group: [point] if group == BACKBONES.group else [])
    try:
        names = {run_id(asked("short"))}
        plugin(tmp_path, scale=3.0)
        assert len({*names, run_id(asked("short"))}) == 2, "code behind an entry point counts as well"
    finally:
        registry.installed_points.cache_clear()


# ---------------------------------------------------------------------- the run's own copy


def test_a_run_is_opened_with_its_own_copy_from_whichever_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    plugin(tmp_path, scale=5.0)
    task(tmp_path)
    run = done(asked("net.py:Net", "own.py:task"), tmp_path / "results").path
    plugin(tmp_path, scale=7.0)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    plugin(tmp_path / "elsewhere", scale=9.0)
    monkeypatch.setattr(trust, "_named", set())
    policy = load_policy(run)
    assert sys.modules[type(policy.backbone).__module__].SCALE == 5.0
    opened = open_trained(run)
    with using(opened.sources):
        assert envs.catalogue.spec_of(opened.config.env.name, opened.config.env.options).id == "own-v0"
    assert (run / "code" / "backbone" / "helper.py").read_text() == "SCALE = 5.0\n"
    assert str(tmp_path) not in (run / "code" / "backbone" / "source.json").read_text()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another user's"))
    with pytest.raises(Untrusted, match=r"net.py \(sha256 .*[0-9a-f]{64} with what it imports"):
        load_policy(run)
    load_policy(run, trust_code=True)
    load_policy(run)


def test_a_run_of_old_without_a_copy_takes_the_file_that_made_it_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(NET.replace("from helper import SCALE", "SCALE = 5.0"))
    run = done(asked("net.py:Net"), tmp_path / "results").path
    shutil.rmtree(run / "code")
    load_policy(run)
    (tmp_path / "net.py").write_text(NET.replace("from helper import SCALE", "SCALE = 6.0"))
    with pytest.raises(UsageError, match="keeps no copy of its code"):
        load_policy(run, trust_code=True)


def test_a_changed_copy_is_found_and_links_lead_nowhere(tmp_path: Path) -> None:
    source = trust.find(plugin(tmp_path / "plug"))
    run = tmp_path / "run"
    with pytest.raises(CannotWrite):
        store_code(run, "backbone", source)  # a folder that is gone is not made anew
    run.mkdir()
    store_code(run, "backbone", source)
    kept = stored_code(run, "backbone", "any/net.py:Net")
    assert kept is not None and kept.digest == source.digest
    with pytest.raises(CorruptFile, match="is of 'Net'"):
        stored_code(run, "backbone", "any/net.py:Other")
    helper = run / "code" / "backbone" / "helper.py"
    helper.write_text("SCALE = 666")
    with pytest.raises(CorruptFile, match="source.json is not what its files are"):
        stored_code(run, "backbone", "net.py:Net")
    helper.unlink()
    helper.symlink_to(tmp_path / "plug" / "helper.py")
    with pytest.raises(CorruptFile, match="link out of its folder"):
        stored_code(run, "backbone", "net.py:Net")
    victim = tmp_path / "victim"
    victim.mkdir()
    (tmp_path / "stranger").mkdir()
    (tmp_path / "stranger" / "code").symlink_to(victim)
    for action in (
        lambda: store_code(tmp_path / "stranger", "backbone", source),
        lambda: stored_code(tmp_path / "stranger", "backbone", "net.py:Net"),
    ):
        with pytest.raises(DsbenchError, match="is a link"):
            action()
    assert not any(victim.iterdir())


# ---------------------------------------------------------------------- edits before, between and during runs


def test_a_run_that_was_asked_for_is_made_with_the_code_of_then(tmp_path: Path) -> None:
    name = plugin(tmp_path, scale=1.0)
    config = asked(name)
    request = WorkerRequest.from_json(json.loads(json.dumps(WorkerRequest.of(config).to_json())))
    plugin(tmp_path, scale=2.0)
    with using(request.sources):
        request.check()
        assert work(request.config, tmp_path / "results", False, ProgressPipe(None)) == 0
    folder = RunFolder.open(tmp_path / "results", request.run_id)
    row = folder.latest_result()
    assert row is not None and row["sources"] == {"backbone": request.sources[name].digest}
    assert folder.read_provenance()["sources"] == row["sources"]  # type: ignore[index]
    assert run_id(config) != request.run_id


def test_a_worker_that_would_make_another_run_writes_nothing(tmp_path: Path) -> None:
    spec = envs.get_spec("umbrella", chain_length=3)
    data = export_folder(spec, *load_or_generate(spec, "mixed", 5, 0, tmp_path / "c"), tmp_path / "mine")
    request = WorkerRequest.of(asked("mlp", "umbrella", 0, f"data.recipe='folder:{data}'"))
    episodes, _ = load_or_generate(spec, "mixed", 6, 0, tmp_path / "c")
    header = json.loads((data / MANIFEST).read_text())
    store_folder(data, episodes, {name: header[name] for name in ("env", "options", "stored", "recipe", "seed")})
    with pytest.raises(UsageError, match="changed since the run was asked for"):
        request.check()


@pytest.mark.slow
def test_every_row_of_a_sweep_belongs_to_the_code_that_made_it(tmp_path: Path) -> None:
    """A plug-in, its neighbour and a package are edited before, between and while the runs of one sweep go on."""
    results = tmp_path / "results"
    for edit in (1.0, 2.0):
        name = plugin(tmp_path / "plug", scale=edit)
        configs = [asked(name, seed=seed) for seed in range(3)]
        digest = trust.find(name).digest

        class Editing(launcher.Silent):
            def event(self, name: str, event: Any) -> None:
                plugin(tmp_path / "plug", scale=edit + 0.5)  # noqa: B023  while the first of them works

        outcomes = launcher.run_all(configs, results, at_once=1, display=Editing())
        assert [outcome.status for outcome in outcomes] == ["ok"] * 3
        rows = [RunFolder.open(results, outcome.run_id).latest_result() or {} for outcome in outcomes]
        assert {row["sources"]["backbone"] for row in rows} == {digest}
        assert all(
            (results / "runs" / row["run_id"] / "code/backbone/helper.py").read_text() == f"SCALE = {edit}\n"
            for row in rows
        )
    assert len(list((results / "runs").iterdir())) == 6
    from dsbench.reports.table import rows as table

    assert sorted(row["n"] for row in table(results)) == [3, 3]


# ---------------------------------------------------------------------- data


OWN = """
from dataclasses import replace
from dsbench.envs import get_spec
def task(chain_length=3, seed=0):
    spec = get_spec("umbrella", chain_length=chain_length)
    return replace(spec, id="same-v0", options={})
"""


def test_two_tasks_of_one_id_and_options_that_are_not_repeated_have_data_of_their_own(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "own.py").write_text(OWN if folder == "one" else OWN.replace("seed=0", "seed=1"))
    one, two = (f"{tmp_path}/{folder}/own.py:task" for folder in ("one", "two"))
    specs = [envs.get_spec(one), envs.get_spec(two), envs.get_spec(one, chain_length=9), envs.get_spec(one, seed=0)]
    assert len({spec.id for spec in specs}) == 1
    places = {cache_folder(spec, "mixed", 4, 0, tmp_path / "c") for spec in specs}
    assert len(places) == 4
    lengths = [int(load_or_generate(spec, "mixed", 4, 0, tmp_path / "c")[0].lengths.max()) for spec in specs]
    assert lengths == [3, 3, 9, 3]


def test_the_versions_of_what_makes_data_are_in_its_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = envs.get_spec("umbrella")
    assert [one.partition("==")[0] for one in spec.origin.libraries] == ["bsuite", "gymnasium", "numpy"]
    place = cache_folder(spec, "mixed", 4, 0, tmp_path)
    monkeypatch.setattr(envs.origin, "_requirement", lambda name: f"{name}==99")
    assert cache_folder(envs.get_spec("umbrella"), "mixed", 4, 0, tmp_path) != place


def test_a_folder_that_was_written_under_another_key_is_not_used(tmp_path: Path) -> None:
    spec, other = envs.get_spec("umbrella", chain_length=3), envs.get_spec("umbrella", chain_length=5)
    place, theirs = (cache_folder(one, "mixed", 4, 0, tmp_path) for one in (spec, other))
    load_or_generate(other, "mixed", 4, 0, tmp_path)
    theirs.rename(place)
    episodes, _ = load_or_generate(spec, "mixed", 4, 0, tmp_path)
    assert int(episodes.lengths.max()) == 3
    assert (episodes.rewards == generate(spec, "mixed", 4, 0).rewards).all()


def test_a_manifest_cannot_claim_another_s_hash(tmp_path: Path) -> None:
    import hashlib

    spec = envs.get_spec("umbrella", chain_length=3)
    mine = export_folder(spec, *load_or_generate(spec, "mixed", 4, 0, tmp_path / "c"), tmp_path / "mine")
    yours = export_folder(spec, *load_or_generate(spec, "mixed", 4, 1, tmp_path / "c"), tmp_path / "yours")
    known = source_hash(f"folder:{mine}")
    assert known != source_hash(f"folder:{yours}")
    forged = json.loads((yours / MANIFEST).read_text()) | {"sha256": known.removeprefix("folder:")}
    del forged["manifest_sha256"]
    forged["manifest_sha256"] = hashlib.sha256(to_json(forged)).hexdigest()
    (yours / MANIFEST).write_bytes(to_json(forged))
    with pytest.raises(DatasetError, match="sha256"):
        source_hash(f"folder:{yours}")


# ---------------------------------------------------------------------- attempts


def test_provenance_is_of_the_attempt_and_force_mends_what_is_damaged(tmp_path: Path) -> None:
    config = asked("mlp")
    folder = done(config, tmp_path)
    first = (folder.path / "provenance-1.json").read_bytes()
    (folder.path / "config.yaml").write_text("damaged")
    (folder.path / "provenance-1.json").write_text("damaged")
    with pytest.raises(CorruptFile):
        folder.read_config()
    done(config, tmp_path, force=True)
    assert folder.read_config() == to_dict(config)
    assert (folder.path / "provenance-2.json").read_bytes() == first
    assert folder.read_provenance() is not None


def test_the_provenance_of_old_is_still_read(tmp_path: Path) -> None:
    folder = done(asked("mlp"), tmp_path)
    (folder.path / "provenance-1.json").rename(folder.path / "provenance.json")
    origin = folder.read_provenance()
    assert origin is not None and origin["dsbench"] == dsbench.__version__


def test_reading_settings_names_nothing(tmp_path: Path) -> None:
    name = plugin(tmp_path / "plug")
    config = from_dict({**to_dict(resolve(backbone="lstm", env="umbrella")), "backbone": {"name": name}})
    check: Callable[[], object] = lambda: sources_of([config])  # noqa: E731
    with pytest.raises(Untrusted):
        check()
    resolve(backbone=name, env="umbrella")
    check()
