"""What an environment hands out is copied and what it gets is a copy, what is given up is closed, masks are those of now.

Every environment here plays the same game as the sound one; what it does beside that must change nothing.
"""

from __future__ import annotations

import resource
import tempfile
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from dsbench import rollout, seeds, stopping
from dsbench.backbones import build
from dsbench.decision import DecisionSequence
from dsbench.envs import EnvSpec
from dsbench.envs.behaviour import uniform
from dsbench.envs.data import generate
from dsbench.envs.data.contract import raw_of
from dsbench.envs.data.generate import SEEDS
from dsbench.envs.spec import Recipe
from dsbench.envs.trial import check_env
from dsbench.envs.vector import AutoresetEpisodes, LoopedEpisodes
from dsbench.episodes import Episodes
from dsbench.errors import DsbenchError, EnvironmentFault, UsageError
from dsbench.stopping import Interrupted
from tests.envs.data.formats import fingerprint
from tests.envs.faulty import ACTIONS, LENGTH, Make, Ring, Torque, like, mask_of, spec_of

MASKED = like(info=lambda env: {"action_mask": mask_of(env)})


def played(make: Make, **changes: Any) -> Episodes:
    return generate(spec_of(make, **changes), "random", 9, seed=3)


def policy_for(spec: EnvSpec) -> DecisionSequence:
    spaces = spec.spaces
    return DecisionSequence(build("lstm", d_model=8), spaces.observation, spaces.action).eval()


def scored(make: Make, **changes: Any) -> dict[str, np.ndarray]:
    """Measures of a policy that re-encodes what it saw, so that a buffer it kept would show."""
    import torch

    spec = spec_of(make, **changes)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = policy_for(spec)
    found = rollout.evaluate(
        model, spec, split="eval", episodes=9, seed=3, target=None, decode="argmax", acting="windowed", window=4
    )
    return dict(found.metrics)


class Reused(Ring):
    """One buffer for all observations of one environment."""

    def seen(self) -> Any:
        if not hasattr(self, "buffer"):
            self.buffer = np.zeros(2, np.float32)
        self.buffer[:] = super().seen()
        return self.buffer


class OneBuffer(Ring):
    """One buffer for the observations of all environments."""

    buffer: ClassVar[np.ndarray] = np.zeros(2, np.float32)

    def seen(self) -> Any:
        self.buffer[:] = super().seen()
        return self.buffer


class View(Ring):
    """A view of a state that goes on changing, backwards in memory."""

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        self.state = np.zeros(4, np.float32)
        return super().reset(seed=seed)

    def seen(self) -> Any:
        self.state[[2, 0]] = super().seen()
        return self.state[2::-2]


class Doubles(Ring):
    def seen(self) -> Any:
        return super().seen().astype(np.float64)


class Integers(Ring):
    def seen(self) -> Any:
        return super().seen().astype(np.int8)


class Lists(Ring):
    def seen(self) -> Any:
        return super().seen().tolist()


class PlainFlags(Ring):
    """Flags and rewards in other types of the same meaning."""

    def step(self, action: Any) -> Any:
        seen, reward, terminated, truncated, info = super().step(action)
        return [seen, np.array(reward, np.float16), np.bool_(terminated), int(truncated), info]


@pytest.mark.parametrize("make", [Reused, OneBuffer, View, Doubles, Integers, Lists, PlainFlags])
def test_observations_are_recorded_and_fed_as_they_were(make: Make) -> None:
    check_env(spec_of(make))
    assert fingerprint(played(make)) == fingerprint(played(Ring))
    mine, sound = scored(make), scored(Ring)
    for name, values in sound.items():
        np.testing.assert_array_equal(mine[name], values)


class Spoiling(Torque):
    """Changes the actions that it gets."""

    def step(self, action: Any) -> Any:
        result = super().step(action)
        action[:] = 0.5
        return result


def torques(env: Any, timestep: int, draws: np.ndarray, episode_draw: np.ndarray) -> np.ndarray:
    return (2 * draws[:, 1:] - 1).astype(np.float32)


def test_actions_are_recorded_as_they_were_chosen() -> None:
    changes: dict[str, Any] = {"random": torques}
    assert fingerprint(played(Spoiling, **changes)) == fingerprint(played(Torque, **changes))
    for name, values in scored(Torque).items():
        np.testing.assert_array_equal(scored(Spoiling)[name], values)


def test_a_behaviour_may_reuse_its_buffer_and_spoil_what_it_sees() -> None:
    buffer = np.zeros(9, np.int64)

    def reusing(env: Any, timestep: int, draws: np.ndarray, episode_draw: np.ndarray) -> np.ndarray:
        buffer[: len(draws)] = uniform(ACTIONS)(env, timestep, draws, episode_draw)
        env.observations[:] = -1
        return buffer[: len(draws)]

    assert fingerprint(played(Ring, random=reusing)) == fingerprint(played(Ring))


class TwinOfBuffers:
    """A batched ring that writes everything it gives into the same arrays, those of the step before included."""

    def __init__(self, seeds: Any) -> None:
        self.loop = LoopedEpisodes(MASKED, seeds)
        self.observations = np.array(self.loop.observations)
        self.action_mask = np.array(self.loop.action_mask)
        self.rewards, self.ends = np.zeros(len(seeds), np.float32), np.zeros((2, len(seeds)), bool)

    def step(self, actions: np.ndarray) -> Any:
        self.observations[:], self.rewards[:], self.ends[0], self.ends[1] = self.loop.step(actions)
        self.action_mask[:] = self.loop.action_mask
        actions[:] = 0
        return self.observations, self.rewards, self.ends[0], self.ends[1]


def test_a_twin_may_reuse_every_array() -> None:
    assert fingerprint(played(MASKED, vector=TwinOfBuffers)) == fingerprint(played(MASKED))


# ---------------------------------------------------------------- masks


class Reusing(Ring):
    """One mask for all environments, changed in place."""

    mask: ClassVar[np.ndarray] = np.zeros(ACTIONS, bool)

    def info(self) -> Any:
        self.mask[:] = mask_of(self)
        return {"action_mask": self.mask}


@pytest.mark.parametrize("kind", [np.int8, np.int64, np.float32, np.uint8, list])
def test_masks_of_zeros_and_ones_are_truth_values(kind: Any) -> None:
    def info(env: Ring) -> Any:
        return {"action_mask": mask_of(env).tolist() if kind is list else mask_of(env).astype(kind)}

    made = played(like(info=info))
    assert made.action_mask is not None and made.action_mask.dtype == bool
    assert fingerprint(made) == fingerprint(played(MASKED)) == fingerprint(played(Reusing))
    assert not made.action_mask.all()


def test_a_mask_that_is_not_given_allows_everything_and_never_the_old_one() -> None:
    def at_odd_times(env: Ring) -> Any:
        return {"action_mask": np.array([True, False, False])} if env.t % 2 else {}

    made = played(like(info=at_odd_times))
    mask, odd = made.action_mask, made.timesteps() % 2 == 1
    assert mask is not None
    assert mask[~odd].all()
    assert mask[odd].tolist() == [[True, False, False]] * int(odd.sum())
    assert (made.actions[odd] == 0).all() and set(made.actions[~odd]) == {0, 1, 2}


def test_episodes_with_and_without_masks_stand_side_by_side() -> None:
    def some(env: Ring) -> Any:
        return {"action_mask": mask_of(env)} if env.np_random_seed % 2 else {}

    spec = spec_of(like(info=some), most_rows=1)  # so that groups differ in whether they have masks
    alone, beside = (generate(spec_of(like(info=some), most_rows=rows), "random", 9, seed=3) for rows in (1, 9))
    assert fingerprint(alone) == fingerprint(beside)
    assert spec.most_rows == 1


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_a_vector_environment_gives_the_same_masks(mode: AutoresetMode) -> None:
    def vector(seeds: Any) -> AutoresetEpisodes:
        return AutoresetEpisodes(SyncVectorEnv([MASKED] * len(seeds), autoreset_mode=mode), seeds)

    assert fingerprint(played(MASKED, vector=vector)) == fingerprint(played(MASKED))


# ---------------------------------------------------------------- closing


class Counted(Ring):
    """Counts those that are open, and how many ever were at once."""

    open: ClassVar[set[int]] = set()
    most: ClassVar[int] = 0

    def __init__(self) -> None:
        self.file = tempfile.TemporaryFile()  # noqa: SIM115  closed in close
        Counted.open.add(id(self))
        Counted.most = max(Counted.most, len(Counted.open))

    def close(self) -> None:
        self.file.close()
        Counted.open.discard(id(self))


class Endless(Counted):
    """Goes on past its horizon."""

    def step(self, action: Any) -> Any:
        return (*super().step(action)[:2], False, False, {})


class Raising(Counted):
    def step(self, action: Any) -> Any:
        if self.t == 3:
            raise ValueError("no")
        return super().step(action)


class RaisingInReset(Counted):
    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        if len(Counted.open) >= 2:
            raise ValueError("no")
        return super().reset(seed=seed)


class Nan(Counted):
    def seen(self) -> Any:
        return super().seen() * np.nan


@pytest.fixture(autouse=True)
def none_open() -> None:
    Counted.open, Counted.most = set(), 0


def looped(make: Make) -> Callable[[Any], Any]:
    return lambda seeds: LoopedEpisodes(make, seeds)


def in_one(make: Make) -> Callable[[Any], Any]:
    return lambda seeds: AutoresetEpisodes(SyncVectorEnv([make] * len(seeds)), seeds)


def made_data(spec: EnvSpec) -> None:
    generate(spec, "random", 3, 0)


def evaluated(spec: EnvSpec) -> None:
    rollout.evaluate_scripted(spec.random, spec, split="eval", episodes=3, seed=0)


@pytest.mark.parametrize("vector", [looped, in_one])
@pytest.mark.parametrize("use", [made_data, evaluated, check_env])
@pytest.mark.parametrize(
    ("make", "error"),
    [(Counted, None), (Endless, None), (Raising, DsbenchError), (RaisingInReset, DsbenchError), (Nan, DsbenchError)],
)
def test_whatever_ends_an_episode_its_environment_is_closed(
    vector: Callable[[Make], Any], use: Callable[[EnvSpec], object], make: type[Counted], error: type[Exception] | None
) -> None:
    spec = spec_of(make, vector=vector(make))
    with nullcontext() if error is None else pytest.raises(error, match="mine-v0"):
        use(spec)
    assert Counted.most > 0
    assert Counted.open == set()


def test_a_stop_closes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stopping(Counted):
        def step(self, action: Any) -> Any:
            monkeypatch.setattr(stopping, "_asked", 15)
            return super().step(action)

    with pytest.raises(Interrupted):
        made_data(spec_of(Stopping))
    assert Counted.open == set()


def test_one_that_can_be_made_once_is_closed_when_the_next_cannot() -> None:
    made: list[Counted] = []

    def once(render_mode: str | None = None) -> Counted:
        if made:
            raise RuntimeError("the licence is taken")
        made.append(Counted())
        return made[0]

    with pytest.raises(UsageError, match="the licence is taken"):
        check_env(replace(spec_of(Counted), make=once))
    assert Counted.open == set()


def test_one_that_there_can_be_but_once_at_a_time_is_tried_learned_from_and_played() -> None:
    class Licensed(Counted):
        def __init__(self) -> None:
            if Counted.open:
                raise RuntimeError("the licence is taken")
            super().__init__()

    spec = spec_of(Licensed, most_rows=1)
    assert check_env(spec, "random") == ()
    assert len(generate(spec, "random", 3, seed=0)) == 3
    rollout.evaluate_scripted(spec.random, spec, split="eval", episodes=2, seed=0)
    assert Counted.open == set()
    with pytest.raises(UsageError, match="the licence is taken"):
        check_env(spec_of(Licensed))


class RaisingInClose(Ring):
    def close(self) -> None:
        raise RuntimeError("cannot close")


def test_a_close_that_raises_hides_neither_result_nor_error() -> None:
    assert check_env(spec_of(RaisingInClose)) == ()
    assert fingerprint(played(RaisingInClose)) == fingerprint(played(Ring))

    class Both(RaisingInClose):
        def step(self, action: Any) -> Any:
            raise ValueError("the first error")

    with pytest.raises(EnvironmentFault, match="the first error"):
        made_data(spec_of(Both))


def test_a_thousand_rows_do_not_open_a_thousand_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        many = generate(spec_of(Counted), "random", 1_000, seed=3)
        evaluated_many = rollout.evaluate_scripted(
            spec_of(Counted).random, spec_of(Counted), split="eval", episodes=1_000, seed=0
        )
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert len(many) == len(evaluated_many.metrics["return"]) == 1_000
    assert 1 < Counted.most <= 64


def test_too_many_files_for_one_row_alone_are_said_with_the_way_out() -> None:
    class Hungry(Ring):
        def __init__(self) -> None:
            self.files = [tempfile.TemporaryFile() for _ in range(20)]  # noqa: SIM115  closed in close

        def close(self) -> None:
            for file in self.files:
                file.close()

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        with pytest.raises(EnvironmentFault, match="Too many open files.*; 50 of them were to be open, set most_rows"):
            generate(spec_of(Hungry), "random", 50, seed=3)
        assert len(generate(spec_of(Hungry, most_rows=4), "random", 50, seed=3)) == 50
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("rows", [7, 1_000])
def test_episodes_are_the_same_however_many_are_stepped_together(rows: int) -> None:
    spec, other = spec_of(Ring, most_rows=rows), spec_of(Ring, most_rows=300)
    assert fingerprint(generate(spec, "random", 1_100, 3)) == fingerprint(generate(other, "random", 1_100, 3))
    by_time, other_time = (generate(one, "random", 1, 3, timesteps=1_000) for one in (spec, other))
    assert fingerprint(by_time) == fingerprint(other_time)
    found, expected = (
        rollout.evaluate_scripted(spec.random, one, split="eval", episodes=1_100, seed=3).metrics["return"]
        for one in (spec, other)
    )
    np.testing.assert_array_equal(found, expected)


def test_seeds_stay_below_the_largest_that_all_environments_take() -> None:
    seen: list[int] = []

    class Noting(Ring):
        def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
            assert type(seed) is int
            seen.append(seed)
            return super().reset(seed=seed)

    made_data(spec_of(Noting))
    evaluated(spec_of(Noting))
    check_env(spec_of(Noting))
    assert min(seen) >= 0
    assert max(seen) == SEEDS - 1 == 2**31 - 1


# ---------------------------------------------------------------- one judgement


def test_a_fault_in_what_is_made_is_named_by_recipe_episode_and_index() -> None:
    """Going back at timestep 4 is forbidden; only the ninth episode does it, in a group of its own."""
    generator = seeds.stream(3, "data", spec_of(like()).task, "ninth", 0)  # of the block, as the data is defined
    generator.integers(SEEDS, size=1_000)
    wanted = generator.random(9)[8]

    def ninth(env: Any, timestep: int, draws: np.ndarray, episode_draw: np.ndarray) -> np.ndarray:
        return np.where((episode_draw == wanted) & (timestep == 4), 2, 0)

    make = like(info=lambda env: {"action_mask": np.array([True, True, env.t != 4])})
    spec = spec_of(make, recipes={"ninth": Recipe("", ninth)}, most_rows=2)
    with pytest.raises(
        EnvironmentFault, match=r"^env mine-v0, recipe 'ninth': actions, episode 8, index 4: 2 is forbidden; mend"
    ):
        generate(spec, "ninth", 9, 3)


def test_floats_that_leave_their_bounds_are_a_warning() -> None:
    beyond = like(seen=lambda env: np.array([env.place, env.t + 3], np.float32))
    warnings = check_env(spec_of(beyond))
    assert [text.partition(":")[0] for text in warnings] == ["observations", "final_observations"]
    assert all("outside the bounds" in text for text in warnings)
    assert len(played(beyond)) == 9


def test_an_episode_that_goes_on_is_cut_at_the_horizon_and_marked() -> None:
    made = generate(spec_of(Endless), "random", 3, 0)
    assert made.lengths.tolist() == [LENGTH] * 3
    assert made.truncated[made.ends].all() and not made.terminated.any()


def test_nothing_is_stepped_after_its_end() -> None:
    class Strict(Ring):
        def step(self, action: Any) -> Any:
            assert self.t < 1 + self.np_random_seed % LENGTH, "stepped after its end"
            result = super().step(action)
            return (*result[:2], self.t == 1 + self.np_random_seed % LENGTH, False, {})

    made = generate(spec_of(Strict), "random", 50, 0)
    assert len(set(made.lengths.tolist())) > 3


@pytest.mark.parametrize(
    ("score", "says"),
    [
        (lambda e: {"return": np.where(np.arange(len(e)) == 1, np.nan, 1.0)}, "gave 'return' of nan for episode 1"),
        (lambda e: {"other": e.returns()}, "without 'return'"),
    ],
)
def test_scores_that_are_no_numbers_end_an_evaluation(score: Any, says: str) -> None:
    spec = spec_of(score=score)
    with pytest.raises(EnvironmentFault, match=says):
        rollout.evaluate_scripted(spec.random, spec, split="eval", episodes=3, seed=0)


def test_raw_data_of_episodes_is_the_episodes() -> None:
    made = played(MASKED)
    raw = raw_of(made, "here")
    assert raw.rewards is made.rewards and raw.action_mask is made.action_mask
