"""What is said of forged documents that no report reads: settings files, studies, manifests of data and of checkpoints."""

from __future__ import annotations

import json
import math
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
import yaml

from dsbench.config import resolve
from dsbench.config.sources import read_config_file
from dsbench.envs.data.folder import load_folder, read_manifest, store_folder
from dsbench.episodes import Episodes
from dsbench.errors import DsbenchError
from dsbench.records.checkpoints import Checkpoints
from dsbench.studies.study_file import FOLDER, load_study
from tests.conftest import episodes_of
from tests.records.forging import Forged, Sound, as_toml, forged
from tests.records.judging import MOST_SECONDS, described, lay

_SETTINGS: dict[str, Any] = {
    "backbone": {"name": "s4", "d_model": 32},
    "env": {"name": "umbrella", "chain_length": 5},
    "data": {"recipe": "random", "episodes": 500},
    "wrapper": {"condition": "return", "previous_action": False},
    "train": {"updates": 200, "lr": 0.001, "batch_size": 16, "schedule": "cosine"},
    "eval": {"episodes": 20, "decode": ["argmax", "sample"]},
    "seed": 3,
    "preset": "smoke",
}
Trial = Callable[[Path, Forged], list[str]]


def settings_files() -> Sound:
    """The same settings in three formats."""
    files = {
        "some.yaml": yaml.safe_dump(_SETTINGS, sort_keys=False).encode(),
        "some.toml": as_toml(_SETTINGS),
        "some.json": json.dumps(_SETTINGS, indent=2).encode(),
    }
    return Sound(files, {f"settings in {name.partition('.')[2]}": name for name in files})


def try_settings(folder: Path, case: Forged) -> list[str]:
    """Settings are those that another reader finds in the file, or one sentence says why not."""
    (path,) = (folder / name for name in (*case.files, *case.special))

    def read() -> list[str]:
        found, _ = read_config_file(path)
        resolve(config_file=path, backbone="s4", env="umbrella")
        return [] if _same(found, _elsewhere(path)) else [f"read {str(found)[:200]}"]

    return _said_of(read, path, code=2)


def _elsewhere(path: Path) -> Any:
    text = path.read_text("utf-8")
    if path.suffix == ".toml":
        return tomllib.loads(text)
    return json.loads(text) if path.suffix == ".json" else (yaml.safe_load(text) or {})


def studies() -> Sound:
    """A study that ships."""
    return Sound({"some.yaml": (FOLDER / "umbrella-length.yaml").read_bytes()}, {"study": "some.yaml"})


def try_study(folder: Path, case: Forged) -> list[str]:
    """A study is one that fits its model, or one sentence says why not."""
    path = folder / "some.yaml"

    def read() -> list[str]:
        load_study(path)
        return []

    return _said_of(read, path, code=2)


def data_sets(place: Path) -> Sound:
    """A small data set."""
    header = {"env": "umbrella-v0", "options": {"chain_length": 3}, "recipe": "mixed", "seed": 0}
    store_folder(place / "set", episodes_of([3, 5, 4]), header)
    files = {path.name: path.read_bytes() for path in (place / "set").iterdir()}
    return Sound(files, {"data manifest": "manifest.json"})


def try_data(folder: Path, case: Forged) -> list[str]:
    """The episodes are the sound ones, and what is said of them is what the manifest says, or one sentence says why not."""

    def read() -> list[str]:
        episodes, _ = load_folder(folder)
        told = json.loads((folder / "manifest.json").read_bytes())
        right = _equal(episodes, episodes_of([3, 5, 4])) and _same(read_manifest(folder), told)
        return [] if right else ["other episodes, or told otherwise"]

    return _said_of(read, folder)


def _equal(one: Episodes, other: Episodes) -> bool:
    mine, its = one.arrays(), other.arrays()
    return mine.keys() == its.keys() and all(np.array_equal(mine[name], its[name]) for name in mine)


def checkpoints(place: Path) -> Sound:
    """A checkpoint of two tensors, one of them under two names."""
    weight = torch.arange(12.0).reshape(3, 4)
    spaces = {"observation_space": str(gym.spaces.Discrete(3))}
    meta = {"updates_done": 7, "tokens_seen": 70, "policy": {"backbone": "s4", **spaces}, "targets": {"desired": 1.0}}
    Checkpoints(place / "1").save("final", {"a": weight, "b": weight, "c": torch.ones(2, dtype=torch.complex64)}, meta)
    files = {f"final/{path.name}": path.read_bytes() for path in (place / "1" / "final").iterdir()}
    return Sound(files, {"checkpoint manifest": "final/manifest.json"})


def try_checkpoint(folder: Path, case: Forged) -> list[str]:
    """The tensors are the sound ones, or one sentence says why not."""

    def read() -> list[str]:
        tensors = Checkpoints(folder).load("final").tensors
        sound = {"a": torch.arange(12.0).reshape(3, 4), "c": torch.ones(2, dtype=torch.complex64)}
        right = all(torch.equal(tensors[name], sound[name]) for name in sound)
        # Whoever seals a manifest anew may leave out that a tensor has a second name.
        tied = "b" not in tensors if case.sealed else False
        return [] if right and (tied or torch.equal(tensors["b"], sound["a"])) else ["other tensors"]

    return _said_of(read, folder)


def _said_of(read: Callable[[], list[str]], path: Path, code: int | None = None) -> list[str]:
    """What is wrong with reading: an exception that is none of ours, a text that is no sentence, or too long a time."""
    start, found = time.process_time(), list[str]()
    try:
        found += read()
    except DsbenchError as error:
        text = str(error)
        if path.name not in text:
            found.append(f"does not name {path.name}: {text[:300]}")
        if error.exit_code == 70 or (code is not None and error.exit_code != code):
            found.append(f"ends with {error.exit_code}: {text[:300]}")
    except Exception as error:
        found.append(f"{type(error).__name__}: {str(error)[:300]}")
    seconds = time.process_time() - start
    return found + ([f"took {seconds:.1f} s"] if seconds > MOST_SECONDS else [])


def _same(one: Any, other: Any) -> bool:
    """Equal in values and types."""
    if isinstance(one, dict) and isinstance(other, dict):
        return list(map(str, one)) == list(map(str, other)) and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return type(one) is type(other) and (one == other or (one != one and other != other)) and _sign(one) == _sign(other)


def _sign(value: Any) -> float:
    return math.copysign(1, value) if isinstance(value, float) else 0.0


def try_alone(numbers: range, place: Path) -> list[str]:
    """What is wrong with what is said of forgeries of each of these kinds, by their numbers."""
    (place / "sound").mkdir()
    worlds: list[tuple[Sound, Trial]] = [
        (settings_files(), try_settings),
        (studies(), try_study),
        (data_sets(place / "sound"), try_data),
        (checkpoints(place / "sound"), try_checkpoint),
    ]
    wrong = []
    for number in numbers:
        sound, trial = worlds[number % len(worlds)]
        case = forged(number // len(worlds), sound)
        lay(place / "laid", place / "outside", sound, case)
        wrong += [f"{described(case)}: {complaint}" for complaint in trial(place / "laid", case)]
    return wrong
