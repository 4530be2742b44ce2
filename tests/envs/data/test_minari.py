"""Minari: what is exported comes back byte for byte, Minari reads it too, and a foreign set is data, never code."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dsbench.envs import EnvSpec, get_spec
from dsbench.envs.data import generate
from dsbench.envs.data.folder import DataInfo, describe, info_of
from dsbench.envs.data.minari_export import export_minari
from dsbench.envs.data.source import read_source, source_hash
from dsbench.episodes import Episodes
from dsbench.errors import DatasetError, MissingExtra, UsageError
from tests.envs.data.formats import fingerprint, toy, toy_episodes

SPECS: dict[str, Callable[[], EnvSpec]] = {
    "floats": toy,
    "masked": lambda: toy(gym.spaces.Discrete(7), gym.spaces.Discrete(4)),
    "large pictures": lambda: toy(gym.spaces.Box(0, 255, (32, 32, 3), np.uint8), gym.spaces.Discrete(3), horizon=3),
    "parts": lambda: toy(
        gym.spaces.Dict({"goal": gym.spaces.Discrete(5), "place": gym.spaces.Box(-2, 2, (2,), np.float32)}),
        gym.spaces.Discrete(2),
    ),
}


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    return tmp_path / "minari"


def info(spec: EnvSpec, episodes: Episodes) -> DataInfo:
    header = {"env": spec.id, "options": dict(spec.options), "recipe": "mixed", "seed": 0}
    return info_of(describe(episodes, header), Path())


def exported(spec: EnvSpec, episodes: Episodes, name: str = "test/data-v0") -> Path:
    return export_minari(spec, episodes, info(spec, episodes), name) / "data"


def edit(folder: Path, **changed: Any) -> None:
    file = folder / "metadata.json"
    metadata = json.loads(file.read_text()) | changed
    file.write_text(json.dumps({key: value for key, value in metadata.items() if value is not None}))


@pytest.mark.parametrize("kind", SPECS)
@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 5))
def test_the_round_trip_is_exact(kind: str, root: Path, seed: int, count: int) -> None:
    spec = SPECS[kind]()
    episodes = toy_episodes(spec, seed, count)
    name = f"{kind.replace(' ', '-')}-{seed}-{count}/set-v{len(list(root.glob('*')))}"
    exported(spec, episodes, name)
    back, _, report = read_source(spec, f"minari:{name}")
    assert fingerprint(back) == fingerprint(episodes)
    assert not [text for text in report.warnings if "checksum" in text]


@pytest.mark.parametrize("recipe", ["random", "expert"])
def test_a_task_of_ours_comes_back_and_minari_reads_it(recipe: str) -> None:
    import minari

    spec = get_spec("umbrella", chain_length=4, n_distractor=3)
    episodes = generate(spec, recipe, 250, seed=0)  # more than one block
    exported(spec, episodes, f"dsbench/umbrella/{recipe}-v0")
    assert fingerprint(read_source(spec, f"minari:dsbench/umbrella/{recipe}-v0")[0]) == fingerprint(episodes)
    theirs = minari.load_dataset(f"dsbench/umbrella/{recipe}-v0")
    assert (theirs.total_episodes, theirs.total_steps) == (250, 1000)
    assert np.array_equal(theirs[7].actions, episodes.select([7]).actions)
    assert minari.get_normalized_score(theirs, np.array([1.0])) == 1.0
    assert "jax" not in sys.modules


def test_a_set_is_found_by_id_or_folder_and_named_by_its_content(root: Path) -> None:
    spec = toy()
    folder = exported(spec, toy_episodes(spec))
    places = ("test/data-v0", str(folder), str(folder.parent))
    assert len({fingerprint(read_source(spec, f"minari:{place}")[0]) for place in places}) == 1
    assert len({source_hash(f"minari:{place}") for place in places}) == 1
    with pytest.raises(
        UsageError, match=r"no Minari data set 'test/other-v0' in .*; fetch it with dsbench data import --download"
    ):
        read_source(spec, "minari:test/other-v0")
    with pytest.raises(UsageError, match="neither the folder of a Minari data set nor an id"):
        read_source(spec, "minari:../../etc")


def test_a_limit_for_episodes_is_refused() -> None:
    folder = exported(toy(), toy_episodes(toy()))
    with pytest.raises(UsageError, match="--max-episode-steps 10 .* a Minari set says that itself; leave it out"):
        read_source(toy(), f"minari:{folder}", max_episode_steps=10)


def test_an_id_that_is_taken_or_malformed_is_refused() -> None:
    spec = toy()
    exported(spec, toy_episodes(spec))
    with pytest.raises(UsageError, match="exists already"):
        exported(spec, toy_episodes(spec))
    with pytest.raises(UsageError, match="'../up-v0' is no Minari id"):
        exported(spec, toy_episodes(spec), "../up-v0")


def test_an_export_that_was_interrupted_leaves_nothing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from minari.dataset._storages.hdf5_storage import HDF5Storage

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(HDF5Storage, "update_episodes", stop)
    with pytest.raises(KeyboardInterrupt):
        exported(toy(), toy_episodes(toy()))
    assert not (root / "test/data-v0").exists()


def test_nothing_that_a_file_names_is_imported(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    monkeypatch.syspath_prepend(tmp_path)
    spec = toy()
    folder = exported(spec, toy_episodes(spec))
    described = {"id": "dsbench/toy-v0", "entry_point": "evil:Env", "additional_wrappers": [{"entry_point": "evil:W"}]}
    edit(
        folder,
        dsbench=None,
        env_spec=json.dumps(described),
        requirements=["evil"],
        observation_space='{"type": "Evil"}',
    )
    with pytest.raises(DatasetError, match=r"with other wrappers \(None\) and another observation space"):
        read_source(spec, f"minari:{folder}")
    read_source(spec, f"minari:{folder}", allow_other_physics=True)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"data_format": "arrow"}, "data_format: is 'arrow'; only 'hdf5' is read here; convert it"),
        ({"total_episodes": 4}, "does not hold exactly the 4 episodes"),
        ({"total_episodes": 10**15}, "does not hold exactly"),
        ({"total_episodes": "5"}, "total_episodes: is '5'"),
        ({"total_steps": 7}, "total_steps: is 7 and the data has"),
        ({"dsbench": None, "env_spec": '{"id": "Hopper-v5"}'}, "made in 'Hopper-v5', which is not the environment toy"),
        ({"dsbench": None, "env_spec": '{"id": ["CartPole-v1"]}'}, "which is not the environment toy"),
        ({"dsbench": None, "env_spec": "nonsense"}, "env_spec: line 1: not valid JSON"),
        ({"dsbench": {"env": "other-v0", "options": {}, "sha256": "0"}}, "made in other-v0"),
        ({"dsbench": {"env": "toy-v0", "options": {"horizon": 10}, "sha256": "0"}}, "is not what was exported"),
    ],
)  # fmt: skip
def test_metadata_that_does_not_fit_is_named(changed: dict[str, Any], message: str) -> None:
    folder = exported(toy(), toy_episodes(toy()))
    edit(folder, **changed)
    with pytest.raises(DatasetError, match=message):
        read_source(toy(), f"minari:{folder}")


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("rewards", "nan", r"episode_2/rewards, episode 2.*is not a finite number|rewards, episode 2, index 0"),
        ("actions", "wide", r"episode_2/actions, episode 2: has shape"),
        ("observations", "wide", r"episode_2/observations, episode 2: has shape"),
        ("observations", "short", r"episode_2/observations, episode 2: has shape"),
        ("rewards", "gone", r"episode_2/rewards, episode 2: is missing"),
        ("terminations", "floats", r"episode_2/terminations, episode 2: has another type"),
    ],
)
def test_a_bad_episode_is_named_or_dropped_whole(place: str, value: str, message: str) -> None:
    spec, episodes = toy(), toy_episodes(toy(), seed=2, count=4)
    folder = exported(spec, episodes)
    with h5py.File(folder / "main_data.hdf5", "a") as file:
        group = file["episode_2"]
        array = group[place][:]
        del group[place]
        made = {
            "nan": array * np.nan if array.dtype.kind == "f" else array,
            "wide": np.zeros((len(array), 9), np.float32),
            "short": array[:-1],
            "floats": array.astype(np.float64),
        }
        if value != "gone":
            group[place] = made[value]
    with pytest.raises(DatasetError, match=message):
        read_source(spec, f"minari:{folder}")
    kept, _, report = read_source(spec, f"minari:{folder}", drop_bad_episodes=True)
    assert fingerprint(kept) == fingerprint(episodes.select([0, 1, 3]))
    assert report.dropped_episodes == 1


@pytest.mark.parametrize("link", [h5py.ExternalLink("other.hdf5", "/x"), h5py.SoftLink("/episode_0")])
def test_links_are_not_followed(link: Any) -> None:
    folder = exported(toy(), toy_episodes(toy()))
    with h5py.File(folder / "main_data.hdf5", "a") as file:
        del file["episode_1"]
        file["episode_1"] = link
    with pytest.raises(DatasetError, match="episode_1: a link to elsewhere, which is never followed"):
        read_source(toy(), f"minari:{folder}", drop_bad_episodes=True)


def test_without_minari_the_install_line_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "minari", None)
    with pytest.raises(MissingExtra, match=r"install .*\[minari\]"):
        exported(toy(), toy_episodes(toy()))


def test_the_network_is_touched_only_when_asked_for(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import minari

    asked: list[str] = []

    def fetch(dataset_id: str) -> None:
        asked.append(dataset_id)
        if dataset_id != "test/data-v0":
            raise RuntimeError("no such\nset")
        exported(toy(), toy_episodes(toy()))

    monkeypatch.setattr(minari, "download_dataset", fetch)
    with pytest.raises(UsageError, match="fetch it with dsbench data import --download"):
        read_source(toy(), "minari:test/data-v0")
    assert asked == []
    assert read_source(toy(), "minari:test/data-v0", download=True)[2].episodes == 5
    assert asked == ["test/data-v0"]
    read_source(toy(), "minari:test/data-v0", download=True)  # it is here now
    assert asked == ["test/data-v0"]
    with pytest.raises(DatasetError, match=r"could not download 'test/none-v0' \(no such set\)"):
        read_source(toy(), "minari:test/none-v0", download=True)
