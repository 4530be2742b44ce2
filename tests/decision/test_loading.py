"""What describes a stored policy may lie in any way: out comes the policy as it was, or one sentence; memory is not taken."""

from __future__ import annotations

import copy
import json
import resource
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dsbench.backbones.catalogue import BACKBONES
from dsbench.cli import main
from dsbench.config import resolve, run_id, to_dict
from dsbench.decision.allowance import Allowance, TooMuch
from dsbench.decision.policy import build_policy, load_policy
from dsbench.envs import get_spec
from dsbench.errors import CorruptFile, UsageError
from dsbench.inspection.run import EPISODES, LONGEST, NUMBERS, extent_of, open_run
from dsbench.records.checkpoints import MANIFEST, TENSORS
from dsbench.records.encoding import seal
from dsbench.records.run_folder import RunFolder
from dsbench.running.describing import describe

HUGE = 10**12
JUNK: tuple[Any, ...] = (
    None, True, 0, -1, 2, 9, 2**31, HUGE, 10**30, 0.5, 1e308, "", "x", "gru", "\x1b[2J", "a" * 5000, [], [1], [HUGE], [[]],
    [None] * 3, {}, {"kind": "box"}, {"kind": "discrete", "n": HUGE, "start": 0},
    {"kind": "box", "shape": [HUGE], "dtype": "float32", "low": None, "high": None},
    {"kind": "dict", "parts": {"a": {"kind": "discrete", "n": 2, "start": 0}}},
)  # fmt: skip


def kept(results: Path, backbone: str = "lstm", *overrides: str, env: str = "umbrella") -> RunFolder:
    """A finished run with fresh weights."""
    config = resolve(backbone=backbone, env=env, overrides=["backbone.d_model=8", *overrides])
    description = describe(config, get_spec(env, **config.env.options))
    folder = RunFolder.open(results, run_id(config))
    with folder.claim():
        folder.write_config(to_dict(config))
        meta = {"policy": description, "targets": {"target": 1.0, "opposite": None}}
        folder.checkpoints.save("final", build_policy(description).state_dict(), meta)
        folder.finish("ok", {"env": env, "acting": "stateful"})
    return folder


def place_of(folder: RunFolder) -> Path:
    return folder.checkpoints_of(1).place("final")


def meta_of(folder: RunFolder) -> dict[str, Any]:
    meta: dict[str, Any] = json.loads((place_of(folder) / MANIFEST).read_text())["meta"]
    return meta


def retold(folder: RunFolder, meta: Any) -> None:
    """Another meta, with right checksums."""
    path = place_of(folder) / MANIFEST
    content = {key: part for key, part in json.loads(path.read_text()).items() if key not in ("format", "sha256")}
    path.write_bytes(seal({**content, "meta": meta}))


def with_description(folder: RunFolder, **changes: Any) -> None:
    meta = meta_of(folder)
    retold(folder, {**meta, "policy": {**meta["policy"], **changes}})


@contextmanager
def little_memory(more: int = 400 * 2**20) -> Iterator[None]:
    """The process may take `more` bytes of address space and not one beyond."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (psutil.Process().memory_info().vms + more, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def sentence(folder: RunFolder) -> str | None:
    """How loading ends: None with the weights that were saved, or one sentence that names the file."""
    try:
        with little_memory():
            policy = load_policy(folder.path)
    except (CorruptFile, UsageError) as error:
        text = str(error)
        assert "\n" not in text and len(text) < 1500
        assert str(place_of(folder)) in text
        assert "MemoryError" not in text and "allocate" not in text, text  # it was known before
        return text
    saved = folder.checkpoints_of(1).load("final").tensors
    assert all(torch.equal(value, saved[name]) for name, value in policy.state_dict().items())
    return None


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in items:
        yield from places(part, (*path, key))


def changed(value: Any, path: tuple[Any, ...], junk: Any) -> Any:
    if not path:
        return junk
    value = copy.deepcopy(value)
    part = value
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = junk
    return value


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run whose description names every option, with a table of timesteps."""
    overrides = ("wrapper.time=table", "wrapper.max_timestep=16", "backbone.context_len=12", "backbone.n_layers=1")
    return kept(tmp_path_factory.mktemp("table"), "gpt", *overrides)


@pytest.fixture(scope="module")
def meta(table: RunFolder) -> dict[str, Any]:
    return meta_of(table)


def lies(meta: dict[str, Any]) -> list[tuple[tuple[Any, ...], Any]]:
    return [(path, junk) for path in places(meta) for junk in JUNK if path or isinstance(junk, dict)]


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_field_may_lie(table: RunFolder, meta: dict[str, Any], data: st.DataObject) -> None:
    retold(table, changed(meta, *data.draw(st.sampled_from(lies(meta)))))
    sentence(table)


@pytest.mark.slow
def test_every_field_may_lie_in_every_way(table: RunFolder, meta: dict[str, Any]) -> None:
    told = {}
    for path, junk in lies(meta):
        retold(table, changed(meta, path, junk))
        told[(path, repr(junk)[:40])] = sentence(table)
    assert len(told) > 700
    assert sum(text is not None for text in told.values()) > 0.6 * len(told)
    retold(table, meta)
    assert sentence(table) is None


@pytest.mark.parametrize("backbone", [*BACKBONES.names(), "hf:gpt2", "hf:llama", "hf:mamba", "hf:mamba2"])
def test_of_every_backbone_the_sound_one_is_loaded_and_a_larger_one_is_refused(tmp_path: Path, backbone: str) -> None:
    if backbone.startswith("hf:"):
        pytest.importorskip("transformers")
    folder = kept(tmp_path, backbone)
    assert sentence(folder) is None
    options = meta_of(folder)["policy"]["backbone_options"]
    with_description(folder, backbone_options={**options, "n_layers": HUGE})
    assert sentence(folder) is not None
    with_description(folder, backbone_options={**options, "n_layers": 60_000})
    assert "takes more than" in str(sentence(folder)) or "contradicts" in str(sentence(folder))
    with_description(folder, backbone_options=options, d_model=16)
    assert "d_model 16" in str(sentence(folder))


@pytest.mark.parametrize(
    ("backbone", "option"),
    [("s4", "d_state"), ("s5", "d_state"), ("s4d", "d_state"), ("mamba", "d_state"), ("mamba", "expand"),
     ("mamba", "d_conv"), ("mamba2", "d_state"), ("framestack", "frames"), ("gpt", "context_len"), ("gpt", "n_heads")],
)  # fmt: skip
@pytest.mark.parametrize("size", [40_000, 10**7, HUGE])
def test_a_size_among_the_options_is_held_against_the_file(
    tmp_path: Path, backbone: str, option: str, size: int
) -> None:
    folder = kept(tmp_path, backbone)
    with_description(folder, backbone_options={option: size})
    text = sentence(folder)
    assert text is not None or (option, size) == ("context_len", 40_000)  # a window that long takes 5 MB of state


def test_the_settings_of_the_run_are_not_contradicted(tmp_path: Path) -> None:
    folder = kept(tmp_path)
    for name, value in (("backbone", "gru"), ("d_model", 9)):
        description = meta_of(folder)["policy"]
        with_description(folder, **{name: value})
        assert f"{value!r}, and the run's settings say" in str(sentence(folder))
        with_description(folder, **description)
    assert sentence(folder) is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda tensors: {**tensors, "head.weight": torch.zeros(3, 8)}, r"'head.weight' is float32 \(3, 8\), while float32 "),
        (lambda tensors: {**tensors, "head.weight": tensors["head.weight"].double()}, "is float64"),
        (lambda tensors: {**tensors, "more": torch.zeros(1)}, "'more' is not known"),
        (lambda tensors: {name: tensors[name] for name in tensors if name != "head.bias"}, "'head.bias' is missing"),
    ],
)  # fmt: skip
def test_tensors_that_do_not_fit_the_description_are_named(tmp_path: Path, change: Any, reason: str) -> None:
    folder = kept(tmp_path)
    checkpoints = folder.checkpoints_of(1)
    stored = checkpoints.load("final")
    checkpoints.save("final", change(stored.tensors), stored.meta)
    with pytest.raises(CorruptFile, match=rf"{TENSORS} contradicts the description of its policy: tensor .*{reason}"):
        load_policy(folder.path)


def test_the_allowance_counts_before_memory_is_taken() -> None:
    for make in (
        lambda: torch.empty(HUGE), lambda: torch.zeros(10**6, 10**6), lambda: torch.arange(HUGE),
        lambda: torch.zeros(1).repeat(HUGE), lambda: torch.zeros(1).new_zeros(HUGE), lambda: torch.eye(10**7),
        lambda: torch.randn(10**9), lambda: torch.full((10**9,), 1.0), lambda: torch.linspace(0, 1, 10**10),
    ):  # fmt: skip
        with little_memory(), pytest.raises(TooMuch), Allowance(2**20):
            make()
    with Allowance(2**20) as allowance:
        torch.nn.Linear(100, 100)
    assert 4 * 10_100 <= allowance.taken < 2**20


@pytest.fixture
def no_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    """A run one of whose weights is NaN."""
    monkeypatch.chdir(tmp_path)
    folder = kept(tmp_path)
    checkpoints = folder.checkpoints_of(1)
    stored = checkpoints.load("final")
    tensors = {name: value.clone() for name, value in stored.tensors.items()}
    tensors["head.weight"][0, 0] = float("nan")
    checkpoints.save("final", tensors, stored.meta)
    return folder


def test_weights_that_are_no_numbers_are_said(no_number: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    said = r"1 of [\d,]+ weights are NaN or infinite, the first of them in head\.weight"
    with pytest.warns(UserWarning, match=said):
        policy = load_policy(no_number.path)
    assert policy.head.weight.isnan().sum() == 1
    for command in ("watch", "inspect", "export-model"):
        assert main([command, str(no_number.path)]) == 2
        assert "weights are NaN or infinite" in capsys.readouterr().err
    with pytest.raises(UsageError, match=said):
        open_run(no_number.path)


def test_infinite_bounds_of_actions_are_no_weights(tmp_path: Path) -> None:
    folder = kept(tmp_path)
    description = meta_of(folder)["policy"]
    description["action_space"] = {"kind": "box", "shape": [2], "dtype": "float32", "low": None, "high": None}
    checkpoints = folder.checkpoints_of(1)
    checkpoints.save("final", build_policy(description).state_dict(), {"policy": description})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_policy(folder.path)


@pytest.mark.parametrize("command", ["watch", "inspect"])
def test_a_policy_of_another_task_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    monkeypatch.setenv("DSBENCH_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    folder, other = kept(tmp_path), kept(tmp_path / "other", env="cartpole")
    shutil.rmtree(place_of(folder))
    shutil.copytree(place_of(other), place_of(folder))
    retold(folder, {key: part for key, part in meta_of(folder).items() if key != "run_id"})
    assert main([command, str(folder.path)]) == 2
    shown = capsys.readouterr().err
    assert "keeps a policy for observations" in shown and "env 'umbrella'" in shown


def test_data_for_a_look_inside_are_bounded_and_it_is_said() -> None:
    data, env = resolve(backbone="lstm", env="umbrella").data, get_spec("umbrella")
    assert extent_of(data.model_copy(update={"episodes": 50}), env, 3).note is None
    capped = extent_of(data.model_copy(update={"episodes": HUGE}), env, 3)
    assert capped.episodes == EPISODES
    assert (
        capped.note
        == "Looked at are the first 10,000 of the 1,000,000,000,000 episodes of data that the run asked for."
    )
    wide = extent_of(data.model_copy(update={"episodes": HUGE}), env, 10**5)
    assert wide.episodes * env.horizon * 10**5 <= NUMBERS
    steps = extent_of(data.model_copy(update={"timesteps": HUGE}), env, 4)
    assert steps.timesteps == NUMBERS // 4 and "timesteps" in str(steps.note)
    long = replace(env, horizon=LONGEST + 1)
    with pytest.raises(UsageError, match="makes none that are longer than 20,000"):
        extent_of(data, long, 3)
