"""The contract: what is sound comes through unchanged, what is not is named with its place, or dropped whole."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsbench.envs.data.contract import RawData, build_episodes
from dsbench.episodes import Episodes
from dsbench.errors import DatasetError, UsageError
from tests.envs.data.formats import LENGTH, fingerprint, toy, toy_episodes

SPACES = {
    "floats": (None, None),
    "indices": (gym.spaces.Discrete(7), gym.spaces.Discrete(4)),
    "pictures": (gym.spaces.Box(0, 255, (4, 4, 3), np.uint8), gym.spaces.Discrete(3)),
    "parts": (
        gym.spaces.Dict({"goal": gym.spaces.Discrete(5), "place": gym.spaces.Box(-2, 2, (2,), np.float32)}),
        gym.spaces.Discrete(2),
    ),
}


def raw_of(episodes: Episodes, **changed: Any) -> RawData:
    parts = {name: getattr(episodes, name) for name in Episodes.__dataclass_fields__}
    return RawData(file="FILE", **(parts | changed))


def with_entry(array: np.ndarray, row: int, value: float) -> np.ndarray:
    changed = array.copy()
    changed[row] = value
    return changed


@pytest.mark.parametrize("kind", SPACES)
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 8))
def test_sound_data_comes_through_unchanged(kind: str, seed: int, count: int) -> None:
    spec = toy(*SPACES[kind])
    episodes = toy_episodes(spec, seed, count)
    built, report = build_episodes(spec, raw_of(episodes))
    assert fingerprint(built) == fingerprint(episodes)
    assert (report.episodes, report.timesteps, report.dropped_episodes) == (count, episodes.n_timesteps, 0)


def test_wider_types_are_cast_and_a_column_is_squeezed() -> None:
    spec = toy(*SPACES["indices"])
    episodes = toy_episodes(spec)
    wide = raw_of(
        episodes,
        observations=episodes.observations.astype(np.float64),
        actions=episodes.actions.astype(np.uint8)[:, None],
        rewards=episodes.rewards.astype(np.float64)[:, None],
        terminated=episodes.terminated.astype(np.float32),
        truncated=episodes.truncated.astype(np.int64)[:, None],
    )
    assert fingerprint(build_episodes(spec, wide)[0]) == fingerprint(episodes)


BAD_STEPS = [
    ("rewards", np.nan, "is not a finite number"),
    ("rewards", np.inf, "is not a finite number"),
    ("rewards", 1e300, "cannot be held by float32"),
    ("observations", np.nan, "is not a finite number"),
    ("observations", -1e60, "cannot be held by float32"),
    ("actions", np.nan, "is not a finite number"),
    ("actions", 1.001, "is outside Box"),
    ("terminated", 2, "is neither 0 nor 1"),
    ("truncated", np.nan, "is neither 0 nor 1"),
]


@pytest.mark.parametrize(("name", "value", "what"), BAD_STEPS)
def test_a_bad_number_is_named_with_its_place_or_its_episode_dropped(name: str, value: float, what: str) -> None:
    spec = toy()
    episodes = toy_episodes(spec, seed=1, count=6)
    row = int(episodes.starts[3])
    raw = raw_of(episodes, **{name: with_entry(getattr(episodes, name).astype(np.float64), row, value)})
    with pytest.raises(DatasetError, match=rf"^FILE: {name}, episode 3, index {row}: the entry {what}.*--drop-bad"):
        build_episodes(spec, raw)
    within = replace(raw, flat=False, names={name: "theirs"})
    with pytest.raises(DatasetError, match=r"^FILE: theirs, episode 3, index 0: "):
        build_episodes(spec, within)
    kept, report = build_episodes(spec, raw, drop_bad_episodes=True)
    assert fingerprint(kept) == fingerprint(episodes.select([0, 1, 2, 4, 5]))
    assert report.dropped_episodes == 1


@pytest.mark.parametrize("name", ["observations", "actions"])
@pytest.mark.parametrize("value", [-1, 7, 2.5])
def test_an_index_is_whole_and_in_range(name: str, value: float) -> None:
    spec = toy(gym.spaces.Discrete(7), gym.spaces.Discrete(7))
    episodes = replace(toy_episodes(spec, count=6), action_mask=None)
    changed = with_entry(getattr(episodes, name).astype(np.float64), int(episodes.starts[2]), value)
    with pytest.raises(DatasetError, match=rf"FILE: {name}, episode 2, index"):
        build_episodes(spec, raw_of(episodes, **{name: changed}))


def test_a_picture_is_not_rounded_or_wrapped() -> None:
    spec = toy(*SPACES["pictures"])
    episodes = toy_episodes(spec)
    for wrong in (256, -1, 0.5):
        changed = episodes.observations.astype(np.float64)
        changed[0, 1, 2, 0] = wrong
        with pytest.raises(DatasetError, match="observations, episode 0, index 0: the entry cannot be held by uint8"):
            build_episodes(spec, raw_of(episodes, observations=changed))


def test_a_final_observation_is_judged_too() -> None:
    spec = toy()
    episodes = toy_episodes(spec)
    final = with_entry(episodes.final_observations, 4, np.inf)
    with pytest.raises(DatasetError, match="final_observations, episode 4"):
        build_episodes(spec, raw_of(episodes, final_observations=final))
    assert build_episodes(spec, raw_of(episodes, final_observations=final), True)[1].episodes == 4


def test_actions_a_rounding_error_outside_are_clipped_and_counted() -> None:
    spec = toy()
    episodes = toy_episodes(spec)
    actions = episodes.actions.copy()
    actions[2] = 1 + 5e-5
    built, report = build_episodes(spec, raw_of(episodes, actions=actions))
    assert report.clipped == 2
    assert (built.actions[2] == 1).all()
    assert "2 action entries clipped" in report.warnings[0]


def test_a_forbidden_action_is_a_fault() -> None:
    spec = toy(*SPACES["indices"])
    episodes = toy_episodes(spec)
    mask = episodes.action_mask.copy()
    mask[0, episodes.actions[0]] = False
    with pytest.raises(DatasetError, match="action_mask, episode 0, index 0: the entry forbids the action"):
        build_episodes(spec, raw_of(episodes, action_mask=mask))


@pytest.mark.parametrize(
    ("name", "shape", "what"),
    [
        ("observations", (60, 5), r"has shape \(60, 5\) where \(\d+, 3\) is expected; name the environment"),
        ("actions", (60,), r"has shape \(60,\)"),
        ("rewards", (60, 2), r"has shape \(60, 2\)"),
        ("terminated", (3,), r"has shape \(3,\)"),
    ],
)
def test_a_wrong_shape_shows_both(name: str, shape: tuple[int, ...], what: str) -> None:
    with pytest.raises(DatasetError, match=f"FILE: {name}: {what}"):
        build_episodes(toy(), raw_of(toy_episodes(toy()), **{name: np.zeros(shape)}))


@pytest.mark.parametrize("dtype", [object, "U3", "M8[s]", complex])
@pytest.mark.parametrize("name", ["observations", "actions", "rewards", "terminated"])
def test_what_is_no_number_is_refused(name: str, dtype: Any) -> None:
    episodes = toy_episodes(toy())
    strange = np.zeros(getattr(episodes, name).shape, dtype)
    with pytest.raises(DatasetError, match=f"FILE: {name}: holds"):
        build_episodes(toy(), raw_of(episodes, **{name: strange}))


def test_an_episode_ends_at_its_end_only_and_not_later_than_the_environment() -> None:
    episodes = toy_episodes(toy(), seed=3, count=6)
    longest = int(episodes.lengths.argmax())
    with pytest.raises(DatasetError, match=rf"episode \d.*begins an episode of {episodes.lengths.max()} timesteps"):
        build_episodes(toy(horizon=int(episodes.lengths.max()) - 1), raw_of(episodes))
    never = with_entry(episodes.terminated | episodes.truncated, int(episodes.starts[longest + 1]) - 1, False)
    nothing = np.zeros_like(never)
    with pytest.raises(DatasetError, match=f"episode {longest}.*neither terminated nor truncated"):
        build_episodes(toy(), raw_of(episodes, terminated=never, truncated=nothing))
    early = with_entry(episodes.terminated, int(episodes.starts[longest]), True)
    with pytest.raises(DatasetError, match=f"episode {longest}.*which goes on"):
        build_episodes(toy(), raw_of(episodes, terminated=early))


def test_nothing_left_is_an_error() -> None:
    episodes = toy_episodes(toy())
    with pytest.raises(DatasetError, match="no episode without a fault"):
        build_episodes(toy(), raw_of(episodes, rewards=episodes.rewards * np.nan), drop_bad_episodes=True)


def test_the_report_tells_of_duplicates_constants_and_returns() -> None:
    episodes = toy_episodes(toy(), count=4)
    twice = episodes.select([0, 1, 2, 3, 1])
    flat = twice.observations.copy()
    flat[:, 1] = 0.25
    _, report = build_episodes(toy(), raw_of(twice, observations=flat))
    assert report.duplicates == 1
    assert report.constant_features == ("observations[1]",)
    assert report.return_quantiles["1"] == twice.returns().max()
    assert report.largest_return_to_go == np.abs(twice.returns_to_go()).max()
    same, single = (
        build_episodes(toy(), raw_of(part, rewards=0 * part.rewards))[1].warnings for part in (twice, twice.select([0]))
    )
    assert any("no information" in text for text in same)
    assert any("nothing is left for validation" in text for text in single)


def test_spaces_that_no_loader_knows_are_refused() -> None:
    with pytest.raises(UsageError, match="MultiBinary.*not supported; expected Box, Discrete"):
        build_episodes(toy(gym.spaces.MultiBinary(3)), raw_of(toy_episodes(toy())))


def test_a_million_timesteps_take_about_a_second() -> None:
    n, spec = 1_000_000, toy(horizon=1000)
    ends = np.arange(1, n + 1) % 1000 == 0
    rng = np.random.default_rng(0)
    raw = RawData(
        "FILE", rng.random((n, 3)), rng.random((n, 2)), rng.random(n), ends, np.zeros(n, bool),
        np.arange(0, n + 1, 1000), final_observations=rng.random((1000, 3)),
    )  # fmt: skip
    begin = time.process_time()
    build_episodes(spec, raw)
    assert time.process_time() - begin < 4  # measured 0.4; machines under load are slower
    assert LENGTH < 1000
