"""The repeat games against popgym itself, and the facts that make them tests of memory."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from hypothesis import given, settings
from hypothesis import strategies as st
from popgym.envs import repeat_first, repeat_previous

from dsbench.envs import get_spec
from dsbench.envs.data import generate
from dsbench.envs.tasks.repeat import FIRST, PREVIOUS, Game, RepeatEnv, RepeatEpisodes
from dsbench.envs.vector import LoopedEpisodes
from dsbench.errors import MissingExtra, UsageError

POPGYM = {
    ("repeat-first", "easy"): repeat_first.RepeatFirstEasy,
    ("repeat-first", "medium"): repeat_first.RepeatFirstMedium,
    ("repeat-first", "hard"): repeat_first.RepeatFirstHard,
    ("repeat-previous", "easy"): repeat_previous.RepeatPreviousEasy,
    ("repeat-previous", "medium"): repeat_previous.RepeatPreviousMedium,
    ("repeat-previous", "hard"): repeat_previous.RepeatPreviousHard,
}
NAMES = ["repeat-first", "repeat-previous"]


@pytest.mark.parametrize(("name", "level"), POPGYM)
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**40))
def test_the_batched_twin_equals_popgym_draw_for_draw(name: str, level: str, seed: int) -> None:
    spec, seeds = get_spec(name, level=level), [seed, 7]
    originals = [POPGYM[name, level]() for _ in seeds]
    first = [env.reset(seed=one)[0] for env, one in zip(originals, seeds, strict=True)]
    twin = spec.vector(seeds)
    assert twin.observations.tolist() == first
    generator = np.random.default_rng(seed)
    for t in range(spec.horizon):
        actions = generator.integers(4, size=len(seeds))
        steps = [env.step(int(action)) for env, action in zip(originals, actions, strict=True)]
        observations, rewards, terminated, truncated = twin.step(actions)
        assert observations.tolist() == [step[0] for step in steps]
        assert rewards.tolist() == [np.float32(step[1]) for step in steps]
        assert terminated.tolist() == [step[2] for step in steps] == [t == spec.horizon - 1] * len(seeds)
        assert not truncated.any()


@given(decks=st.integers(1, 3), lag=st.one_of(st.none(), st.integers(1, 51)))
@settings(max_examples=20, deadline=None)
def test_the_twin_equals_a_loop_over_the_gymnasium_environments(decks: int, lag: int | None) -> None:
    game, seeds = Game(decks, lag), [0, 1, 2**33 + 5]
    twin, loop = RepeatEpisodes(seeds, game), LoopedEpisodes(lambda: RepeatEnv(game), seeds)
    for t in range(game.steps + 2):  # two timesteps past the end: rows that have ended stay as they are
        actions = np.array([t % 4, 0, 3])
        for got, expected in zip(twin.step(actions), loop.step(actions), strict=True):
            assert np.array_equal(got, expected)


@pytest.mark.parametrize("game", [FIRST["easy"], PREVIOUS["easy"]])
def test_gymnasium_finds_nothing_wrong(game: Game) -> None:
    check_env(RepeatEnv(game), skip_render_check=True)


def test_a_picture_shows_the_newest_card_at_the_right() -> None:
    env, by_card = RepeatEnv(PREVIOUS["easy"], render_mode="rgb_array"), {}
    cards = [env.reset(seed=0)[0]]
    for _ in range(30):
        picture = env.render()
        assert picture.shape == (120, 320, 3) and picture.dtype == np.uint8
        by_card.setdefault(cards[-1], set()).add(picture[30:88, 265:].tobytes())
        cards.append(env.step(np.int64(0))[0])
    assert [len(corners) for corners in by_card.values()] == [1] * 4
    assert len(set.union(*by_card.values())) == 4


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("recipe", "share"), [("random", 0.25), ("medium", 0.625), ("expert", 1.0), ("mixed", 0.625), ("replay", 0.625)]
)
def test_recipes_answer_right_as_often_as_they_say(name: str, recipe: str, share: float) -> None:
    spec = get_spec(name)
    episodes = generate(spec, recipe, 2_000, seed=0)
    scores = spec.score(episodes)
    error = 4 * scores["correct"].std() / np.sqrt(2_000) + 1e-12
    assert abs(scores["correct"].mean() - share) <= error
    assert np.allclose(scores["return"], 2 * scores["correct"] - 1, atol=1e-6)
    counted = episodes.rewards != 0
    starts = episodes.starts[:-1]
    right = np.add.reduceat(episodes.rewards > 0, starts, dtype=int) / np.add.reduceat(counted, starts, dtype=int)
    assert np.array_equal(scores["correct"], right)  # what popgym's rewards say


@pytest.mark.parametrize("name", NAMES)
def test_random_and_optimal_return_are_the_stated_ones(name: str) -> None:
    spec = get_spec(name)
    random, expert = (spec.score(generate(spec, recipe, 4_000, seed=2))["return"] for recipe in ("random", "expert"))
    assert abs(random.mean() - spec.random_return) <= 4 * random.std() / np.sqrt(4_000)
    assert np.allclose(expert, spec.optimal_return)


def test_while_nothing_counts_the_expert_acts_at_random() -> None:
    spec = get_spec("repeat-previous")
    episodes = generate(spec, "expert", 4_000, seed=0)
    actions, cards = (array.reshape(-1, spec.horizon) for array in (episodes.actions, episodes.observations))
    silent = PREVIOUS["easy"].silent
    assert silent == 3
    assert abs((actions[:, :silent] == cards[:, :silent]).mean() - 0.25) < 0.02
    assert np.array_equal(actions[:, silent:], cards[:, : spec.horizon - silent])


@pytest.mark.parametrize("name", NAMES)
def test_no_answer_to_the_card_on_top_does_better_than_chance(name: str) -> None:
    """The best function of the card alone, chosen with hindsight on the expert's answers."""
    spec = get_spec(name)
    episodes = generate(spec, "expert", 4_000, seed=0)
    counts = episodes.rewards != 0
    table = np.zeros((4, 4))
    np.add.at(table, (episodes.observations[counts], episodes.actions[counts]), 1)
    assert table.max(1).sum() / table.sum() < 0.27


def test_an_episode_depends_on_its_seed_and_the_seed_matters() -> None:
    env, cards = RepeatEnv(FIRST["easy"]), []
    for seed in (1, 2, 1):
        env.reset(seed=seed)
        cards.append([env.step(0)[0] for _ in range(20)])
    assert cards[0] == cards[2] != cards[1]


@pytest.mark.parametrize("name", NAMES)
def test_without_popgym_data_are_made_and_the_environment_names_the_extra(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "popgym.envs.repeat_first", None)
    spec = get_spec(name)
    assert len(generate(spec, "mixed", 3, seed=0)) == 3
    with pytest.raises(MissingExtra, match=rf"{name} needs the 'popgym' extra.*dsbench\[popgym\]"):
        spec.make()


def test_the_twin_does_not_import_popgym() -> None:
    code = "import sys; from dsbench.envs import get_spec; get_spec('repeat-first').vector([0]); print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "popgym" not in modules


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"level": "extreme"}, "env.level is 'extreme'; expected one of easy, medium, hard"),
        ({"level": 3}, "env.level is 3"),
        ({"levle": "easy"}, "Did you mean 'level'"),
    ],
)
def test_a_bad_option_is_named_with_the_way_out(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        get_spec("repeat-first", **options)
