"""A Minari set of the same id that was made in another form of the environment is named, or allowed and then said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from dsbench.envs import EnvSpec, get_spec
from dsbench.envs.behaviour import uniform
from dsbench.envs.data import generate
from dsbench.envs.data.folder import describe, info_of
from dsbench.envs.data.minari import find_minari
from dsbench.envs.data.minari_export import export_minari
from dsbench.envs.data.physics import physics_note
from dsbench.envs.data.source import check_source, import_source, load_source
from dsbench.envs.spec import Recipe
from dsbench.errors import DatasetError
from tests.envs.data.simulated import edit_metadata
from tests.envs.faulty import spec_of

CARTPOLE: dict[str, Any] = {"id": "CartPole-v1", "max_episode_steps": 500, "kwargs": {}, "additional_wrappers": []}
STATISTICS = {
    "name": "RecordEpisodeStatistics", "entry_point": "gymnasium.wrappers.common:RecordEpisodeStatistics",
    "kwargs": {"buffer_length": 100, "stats_key": "episode"},
}  # fmt: skip
SCALED = {
    "name": "TransformReward", "entry_point": "gymnasium.wrappers.transform_reward:TransformReward", "kwargs": {"func": None}
}  # fmt: skip


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))


def lake(**options: Any) -> EnvSpec:
    """A user's FrozenLake, whose lake and ice its options choose."""
    random = uniform(4)
    return spec_of(
        lambda: gym.make("FrozenLake-v1", **options), horizon=100, random=random, recipes={"random": Recipe("", random)}
    )


def stored(spec: EnvSpec, described: Any, **metadata: Any) -> str:
    """Five random episodes as a Minari set that says `described` of its environment; the source that names it."""
    episodes = generate(spec, "random", 5, seed=0)
    header = {"env": spec.id, "options": dict(spec.options), "recipe": "random", "seed": 0}
    folder = export_minari(spec, episodes, info_of(describe(episodes, header), Path()), "test/set-v0") / "data"
    edit_metadata(folder, dsbench=None, env_spec=json.dumps(described), **metadata)
    return "minari:test/set-v0"


def refused(spec: EnvSpec, source: str) -> str:
    """The sentence, which is the same before and while the data is read."""
    with pytest.raises(DatasetError) as early:
        check_source(spec, source, False)
    with pytest.raises(DatasetError) as late:
        load_source(spec, source, 1, 0)
    assert str(early.value) == str(late.value)
    assert "\n" not in str(late.value)
    return str(late.value)


SPACE = {"type": "Discrete", "dtype": "int64", "start": 0}


@pytest.mark.parametrize(
    ("changed", "metadata", "says"),
    [
        ({"kwargs": {"sutton_barto_reward": True}}, {}, "CartPole-v1 with another sutton_barto_reward, which is not cartpole"),
        ({"kwargs": {"gravity": 3.7}}, {}, "with another gravity"),
        ({"kwargs": {f"x{i}": 1 for i in range(9)}}, {}, "another x3 and 5 more"),
        ({"kwargs": {"a\nb": 1}}, {}, "another 'a\\nb'"),
        ({"additional_wrappers": [STATISTICS, SCALED]}, {}, "with other wrappers (TransformReward)"),
        ({"additional_wrappers": [STATISTICS | {"entry_point": "evil:RecordEpisodeStatistics"}]}, {}, "other wrappers"),
        ({"max_episode_steps": 200}, {}, "with another max_episode_steps (200)"),
        ({}, {"action_space": json.dumps(SPACE | {"n": 3})}, "with another action space"),
        ({}, {"action_space": json.dumps(SPACE | {"n": 2, "start": 1})}, "with another action space"),
        ({}, {"observation_space": json.dumps({"type": "Box", "shape": [5]})}, "with another observation space"),
        ({}, {"observation_space": json.dumps({"type": "Dict", "subspaces": {}})}, "with another observation space"),
        (
            {"kwargs": {"sutton_barto_reward": True}, "max_episode_steps": 10}, {},
            "with another sutton_barto_reward and another max_episode_steps (10)",
        ),
    ],
)  # fmt: skip
def test_another_form_of_cartpole_is_named_or_allowed(
    changed: dict[str, Any], metadata: dict[str, Any], says: str, tmp_path: Path
) -> None:
    spec = get_spec("cartpole")
    source = stored(spec, CARTPOLE | changed, **metadata)
    sentence = refused(spec, source)
    assert says in sentence
    assert "--set data.allow_other_physics=true" in sentence
    taken, info = load_source(spec, source, 1, 0, allow_other_physics=True)
    assert len(taken) == 5
    assert (physics_note(spec, info.physics) or "").startswith("data made in CartPole-v1 with ")
    import_source(spec, source, "kept", cache_dir=tmp_path, allow_other_physics=True)
    with pytest.raises(DatasetError, match="which is not cartpole as it is played here"):
        load_source(spec, "imported:kept", 1, 0, cache_dir=tmp_path)


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"kwargs": {"sutton_barto_reward": False, "render_mode": "rgb_array"}},
        {"max_episode_steps": None},
        {"additional_wrappers": [STATISTICS]},
        {"additional_wrappers": None},
    ],
)
def test_what_is_said_of_the_same_cartpole_fits(changed: dict[str, Any]) -> None:
    spec = get_spec("cartpole")
    episodes, info = load_source(spec, stored(spec, CARTPOLE | changed), 1, 0)
    assert len(episodes) == 5 and info.physics is None


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"kwargs": [1]}, "its kwargs are list, not an object"),
        ({"additional_wrappers": "evil"}, "additional_wrappers are no list of objects"),
        ({"additional_wrappers": ["evil"]}, "additional_wrappers are no list of objects"),
        ({"max_episode_steps": "500"}, "max_episode_steps is '500'; expected a positive integer"),
        ({"max_episode_steps": True}, "max_episode_steps is True; expected a positive integer"),
    ],
)
def test_what_is_not_written_as_gymnasium_does_is_damaged(changed: dict[str, Any], says: str) -> None:
    spec = get_spec("cartpole")
    assert says in refused(spec, stored(spec, CARTPOLE | changed))


def test_a_view_of_cartpole_is_not_taken_for_another_of_the_same_size() -> None:
    """Both show two numbers; only the wrapper's arguments tell which."""
    positions, velocities = get_spec("cartpole-position"), get_spec("cartpole-velocity")
    described = json.loads(positions.make().spec.to_json())  # type: ignore[union-attr]
    source = stored(positions, described)
    assert load_source(positions, source, 1, 0)[1].physics is None
    assert "with other wrappers (PartlySeen)" in refused(velocities, source)


def test_a_user_s_own_choice_of_ice_and_lake_is_compared() -> None:
    firm, icy, large = lake(is_slippery=False), lake(), lake(map_name="8x8", is_slippery=False)
    described = json.loads(firm.make().spec.to_json())  # type: ignore[union-attr]
    source = stored(firm, described)
    assert load_source(firm, source, 1, 0)[1].physics is None
    assert "with another is_slippery" in refused(icy, source)
    sentence = refused(large, source)
    assert "another map_name" in sentence and "another observation space" in sentence


def test_the_size_of_minigrid_s_room_is_in_its_name() -> None:
    five, six = get_spec("door-key", size=5), get_spec("door-key", size=6)
    described = {"id": "MiniGrid-DoorKey-5x5-v0", "kwargs": {"size": 5}, "max_episode_steps": None}
    source = stored(five, described)
    assert np.array_equal(load_source(five, source, 1, 0)[0].rewards, generate(five, "random", 5, 0).rewards)
    assert "which is not the environment door-key with {'size': 6}" in refused(six, source)


def test_options_of_a_task_of_ours_are_compared_with_their_defaults() -> None:
    short, default = get_spec("umbrella", chain_length=5), get_spec("umbrella")
    described = {"id": "dsbench/umbrella-v0", "kwargs": {"task": "umbrella", "chain_length": 5}}
    source = stored(short, described)
    assert load_source(short, source, 1, 0)[1].physics is None
    assert "with another chain_length" in refused(default, source)
    edit_metadata(find_minari("test/set-v0"), env_spec=json.dumps({"id": "dsbench/umbrella-v0"}))
    assert "with another chain_length" in refused(short, source)
