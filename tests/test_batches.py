"""Every entry of a batch is its source timestep; packing and windows lose, mix and invent nothing."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dsbench.batches import Batch, BatchSampler, pack, whole_batch
from dsbench.episodes import Episodes

MakeEpisodes = Callable[..., Episodes]
LENGTHS = st.lists(st.integers(1, 7), min_size=1, max_size=6)
small = settings(max_examples=40, deadline=None)


def sources(batch: Batch, episodes: Episodes) -> tuple[np.ndarray, np.ndarray]:
    """(n,) flat source timestep of every real entry in row order, and the (B, T) mask."""
    mask = batch.mask.numpy()
    return episodes.starts[batch.episode_id.numpy()[mask]] + batch.timestep.numpy()[mask], mask


@small
@given(LENGTHS, st.none() | st.integers(1, 8), st.none() | st.integers(1, 20), st.integers(0, 5))
def test_every_real_entry_equals_its_source_timestep(
    make_episodes: MakeEpisodes, lengths: list[int], window: int | None, row_length: int | None, update: int
) -> None:
    episodes = make_episodes(lengths)
    batch = BatchSampler(episodes, batch_size=5, window=window, row_length=row_length, seed=3).draw(update)
    source, mask = sources(batch, episodes)
    for name in ("observation", "action", "reward"):
        stored = getattr(episodes, "rewards" if name == "reward" else f"{name}s")[source]
        np.testing.assert_array_equal(getattr(batch, name).numpy()[mask], stored)
    begins = batch.timestep.numpy()[mask] == 0
    previous = batch.previous_action.numpy()[mask]
    assert (previous[begins] == 0).all()
    np.testing.assert_array_equal(previous[~begins], episodes.actions[source[~begins] - 1])
    ends = episodes.starts[np.searchsorted(episodes.starts, source, side="right")]
    sums = [episodes.rewards[a:b].astype(np.float64).sum() for a, b in zip(source, ends, strict=True)]
    np.testing.assert_array_equal(batch.return_to_go.numpy()[mask].astype(np.float64), sums)  # exact: eighths


@small
@given(LENGTHS, st.none() | st.integers(1, 8), st.none() | st.integers(1, 20))
def test_padding_is_zero_on_the_right(
    make_episodes: MakeEpisodes, lengths: list[int], window: int | None, row_length: int | None
) -> None:
    batch = BatchSampler(make_episodes(lengths), batch_size=5, window=window, row_length=row_length, seed=3).draw(0)
    mask = batch.mask
    assert not (mask[:, 1:] & ~mask[:, :-1]).any()
    assert mask[:, 0].all()
    assert mask[:, -1].any()
    assert (batch.episode_id[~mask] == -1).all()
    for name in ("observation", "action", "previous_action", "reward", "return_to_go", "timestep", "reset"):
        assert not getattr(batch, name)[~mask].any(), name


@small
@given(LENGTHS, st.none() | st.integers(1, 8), st.none() | st.integers(1, 20))
def test_a_segment_is_whole_unbroken_and_of_one_episode(
    make_episodes: MakeEpisodes, lengths: list[int], window: int | None, row_length: int | None
) -> None:
    episodes = make_episodes(lengths)
    batch = BatchSampler(episodes, batch_size=5, window=window, row_length=row_length, seed=3).draw(1)
    source, mask = sources(batch, episodes)
    reset = batch.reset.numpy()[mask]
    assert reset.sum() == 5
    assert batch.reset[:, 0].all()
    continued = ~reset[1:]
    assert (np.diff(source)[continued] == 1).all()
    assert (np.diff(batch.episode_id.numpy()[mask])[continued] == 0).all()
    if window is None:  # whole episodes: from the first timestep to the last
        assert (batch.timestep.numpy()[mask][reset] == 0).all()
        assert np.isin(source[np.append(reset[1:], True)] + 1, episodes.starts).all()
    else:
        assert np.diff(np.flatnonzero(np.append(reset, True))).max() <= window


@small
@given(st.lists(st.integers(1, 9), min_size=1, max_size=12), st.integers(9, 30))
def test_packing_never_overlaps_and_respects_the_row(lengths: list[int], row_length: int) -> None:
    rows, columns, n_rows = pack(np.array(lengths), row_length)
    taken = np.zeros((n_rows, row_length), int)
    for row, column, length in zip(rows, columns, lengths, strict=True):
        assert column + length <= row_length
        taken[row, column : column + length] += 1
    assert taken.max() == 1
    assert taken.sum() == sum(lengths)
    assert (taken[:, 0] == 1).all()


def test_a_draw_depends_on_the_seed_and_the_update_alone(make_episodes: MakeEpisodes) -> None:
    episodes = make_episodes([3, 5, 2, 4])

    def draw(seed: int, update: int, before: int = 0) -> torch.Tensor:
        sampler = BatchSampler(episodes, batch_size=6, window=3, row_length=None, seed=seed)
        for other in range(before):
            sampler.draw(other)
        return sampler.draw(update).observation

    assert torch.equal(draw(1, 7), draw(1, 7, before=3))
    assert not torch.equal(draw(1, 7), draw(1, 8))
    assert not torch.equal(draw(1, 7), draw(2, 7))


def test_every_timestep_is_equally_likely_to_end_a_window(make_episodes: MakeEpisodes) -> None:
    episodes = make_episodes([1, 4, 7])
    batch = BatchSampler(episodes, batch_size=24_000, window=3, row_length=None, seed=0).draw(0)
    source, mask = sources(batch, episodes)
    flat = source[np.append(batch.reset.numpy()[mask][1:], True)]  # what the next segment's begin follows
    counts = np.bincount(flat, minlength=12)
    assert (np.abs(counts - 2000) < 5 * np.sqrt(2000)).all()


def test_a_window_may_be_drawn_by_its_start(make_episodes: MakeEpisodes) -> None:
    """As Decision Transformer's code does: windows are cut at the end of an episode and not at its beginning."""
    episodes = make_episodes([1, 4, 7])
    sampler = BatchSampler(episodes, batch_size=24_000, window=3, row_length=None, seed=0, anchor="start")
    batch = sampler.draw(0)
    source, mask = sources(batch, episodes)
    resets = batch.reset.numpy()[mask]
    counts = np.bincount(source[resets], minlength=12)
    assert (np.abs(counts - 2000) < 5 * np.sqrt(2000)).all()
    begins = np.flatnonzero(resets)
    lengths = np.diff(np.append(begins, len(source)))
    ends = episodes.starts[np.searchsorted(episodes.starts, source[begins], side="right")]
    np.testing.assert_array_equal(lengths, np.minimum(3, ends - source[begins]))


def test_whole_episodes_may_be_drawn_in_proportion_to_their_length(make_episodes: MakeEpisodes) -> None:
    episodes = make_episodes([1, 4, 7])
    sampler = BatchSampler(episodes, batch_size=24_000, window=None, row_length=None, seed=0, length_weighted=True)
    batch = sampler.draw(0)
    counts = np.bincount(batch.episode_id[batch.reset].numpy())
    assert (np.abs(counts - 2000 * np.array([1, 4, 7])) < 5 * np.sqrt(14_000)).all()


def test_returns_to_go_are_summed_in_float64(make_episodes: MakeEpisodes) -> None:
    arrays = make_episodes([20_000]).arrays() | {"rewards": np.full(20_000, 0.1, np.float32)}
    batch = whole_batch(Episodes.from_arrays(arrays))
    assert batch.return_to_go.dtype == torch.float64
    assert batch.return_to_go[0, 0].item() == pytest.approx(20_000 * np.float64(np.float32(0.1)), rel=1e-12, abs=0)


def test_dictionaries_masks_and_continuous_actions_are_gathered_alike(make_episodes: MakeEpisodes) -> None:
    plain = make_episodes([2, 4, 3])
    arrays = plain.arrays()
    rng = np.random.default_rng(1)
    arrays |= {"observations.b": arrays.pop("observations"), "final_observations.b": arrays.pop("final_observations")}
    arrays |= {"observations.a": rng.integers(9, size=9), "final_observations.a": rng.integers(9, size=3)}
    arrays |= {"actions": rng.normal(size=(9, 2)).astype(np.float32), "action_mask": rng.random((9, 2)) < 0.5}
    episodes = Episodes.from_arrays(arrays)
    batch = BatchSampler(episodes, batch_size=4, window=2, row_length=5, seed=0).draw(0)
    source, mask = sources(batch, episodes)
    assert isinstance(batch.observation, dict)
    np.testing.assert_array_equal(batch.observation["a"].numpy()[mask], arrays["observations.a"][source])
    np.testing.assert_array_equal(batch.observation["b"].numpy()[mask], plain.observations[source])  # type: ignore[index]
    np.testing.assert_array_equal(batch.action.numpy()[mask], arrays["actions"][source])
    assert batch.action_mask is not None
    np.testing.assert_array_equal(batch.action_mask.numpy()[mask], arrays["action_mask"][source])
    assert not batch.action_mask.numpy()[~mask].any()


@pytest.mark.parametrize("window", [None, 2])
def test_balanced_batches_show_every_range_of_returns_as_often(window: int | None) -> None:
    """97 worthless episodes and 3 good ones: the good ones make half of what is drawn."""
    rewards = np.repeat(np.array([0.0] * 97 + [1.0] * 3, np.float32), 2)
    total = len(rewards)
    episodes = Episodes(
        observations=np.zeros((total, 1), np.float32), actions=np.zeros(total, np.int64), rewards=rewards,
        terminated=np.zeros(total, bool), truncated=np.zeros(total, bool), starts=np.arange(0, total + 1, 2),
        final_observations=np.zeros((100, 1), np.float32),
    )  # fmt: skip
    sampler = BatchSampler(episodes, batch_size=4_000, window=window, row_length=None, seed=0, balance_returns=True)
    batch = sampler.draw(0)
    drawn = batch.episode_id[batch.reset & batch.mask]
    assert abs(float((drawn >= 97).float().mean()) - 0.5) < 0.04
    assert set(drawn[drawn >= 97].tolist()) == {97, 98, 99}
    assert len(set(drawn.tolist())) == 100
