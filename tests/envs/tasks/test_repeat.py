"""The repeat games against popgym itself, and the facts that make them tests of memory."""

from __future__ import annotations

import hashlib
import itertools
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from hypothesis import given, settings
from hypothesis import strategies as st
from popgym.envs import repeat_first, repeat_previous

from dsbench.envs import get_spec
from dsbench.envs.data import generate
from dsbench.envs.spec import EnvSpec
from dsbench.envs.tasks.repeat_env import RepeatEnv, RepeatEpisodes
from dsbench.envs.tasks.repeat_games import FIRST, PREVIOUS, Game
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


def assert_equal_to_popgym(spec: EnvSpec, originals: list[object], seeds: list[int]) -> None:
    """Cards, rewards and ends of the batched twin are those of popgym's environments."""
    first = [env.reset(seed=one)[0] for env, one in zip(originals, seeds, strict=True)]
    twin = spec.vector(seeds)
    assert twin.observations.tolist() == first
    generator = np.random.default_rng(seeds[0])
    for t in range(spec.horizon):
        actions = generator.integers(4, size=len(seeds))
        steps = [env.step(int(action)) for env, action in zip(originals, actions, strict=True)]
        observations, rewards, terminated, truncated = twin.step(actions)
        assert observations.tolist() == [step[0] for step in steps]
        assert rewards.tolist() == [np.float32(step[1]) for step in steps]
        assert terminated.tolist() == [step[2] for step in steps] == [t == spec.horizon - 1] * len(seeds)
        assert not truncated.any()


@pytest.mark.parametrize(("name", "level"), POPGYM)
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**40))
def test_the_batched_twin_equals_popgym_draw_for_draw(name: str, level: str, seed: int) -> None:
    assert_equal_to_popgym(get_spec(name, level=level), [POPGYM[name, level]() for _ in range(2)], [seed, 7])


@settings(max_examples=15, deadline=None)
@given(k=st.integers(2, 155), seed=st.integers(0, 2**40))
def test_a_lag_is_popgyms_k_with_three_decks(k: int, seed: int) -> None:
    originals = [repeat_previous.RepeatPrevious(3, k) for _ in range(2)]
    assert_equal_to_popgym(get_spec("repeat-previous", k=k), originals, [seed, 7])


@settings(max_examples=6, deadline=None)
@given(decks=st.integers(1, 16), seed=st.integers(0, 2**40))
def test_cards_of_whole_decks_are_popgyms_game(decks: int, seed: int) -> None:
    spec = get_spec("repeat-first", cards=52 * decks)
    assert_equal_to_popgym(spec, [repeat_first.RepeatFirst(decks) for _ in range(2)], [seed, 7])


@settings(max_examples=20, deadline=None)
@given(cards=st.integers(3, 180), seed=st.integers(0, 2**40))
def test_fewer_cards_are_the_first_of_the_whole_game_and_all_rewards_still_make_one(cards: int, seed: int) -> None:
    whole, seeds = get_spec("repeat-first", cards=-(-cards // 52) * 52), [seed, 7]
    spec, first = get_spec("repeat-first", cards=cards), whole.vector(seeds).observations
    part, rest, total = spec.vector(seeds), whole.vector(seeds), np.zeros(2)
    loop = LoopedEpisodes(spec.make, seeds)
    assert spec.horizon == cards - 1
    for t in range(cards - 1):
        observations, rewards, terminated, _ = part.step(first)
        assert np.array_equal(observations, rest.step(first)[0])
        assert (rewards == np.float32(1 / (cards - 1))).all()
        assert terminated.tolist() == [t == cards - 2] * 2
        for got, expected in zip((observations, rewards, terminated), loop.step(first), strict=False):
            assert np.array_equal(got, expected)
        total += rewards
    assert np.allclose(total, 1, atol=1e-5)


@given(decks=st.integers(1, 3), lag=st.one_of(st.none(), st.integers(1, 51)), dealt=st.sampled_from([None, 52]))
@settings(max_examples=20, deadline=None)
def test_the_twin_equals_a_loop_over_the_gymnasium_environments(decks: int, lag: int | None, dealt: int | None) -> None:
    game, seeds = Game(decks, lag, dealt), [0, 1, 2**33 + 5]
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


LAGS = [{}, *({"k": k} for k in (2, 3, 64, 155))]


@pytest.mark.parametrize("recipe", ["expert", "mixed"])
@pytest.mark.parametrize("options", LAGS, ids=str)
def test_neither_the_card_on_top_nor_the_last_action_tells_an_earlier_card(
    recipe: str, options: dict[str, int]
) -> None:
    """The best function of both, chosen with hindsight on the right answers; of three decks it can have 39/154."""
    spec = get_spec("repeat-previous", **options)
    episodes = generate(spec, recipe, 20_000 if options.get("k") == 155 else 4_000, seed=0)
    lag, counts = options.get("k", 4), episodes.rewards != 0
    answers = np.roll(episodes.observations, lag - 1)
    table = np.zeros((4, 4, 4))
    np.add.at(table, (episodes.observations[counts], np.roll(episodes.actions, 1)[counts], answers[counts]), 1)
    assert 0.25 < table.max(2).sum() / table.sum() < 0.27 < spec.foot


@pytest.mark.parametrize(("k", "share"), [(2, 1 / 3), (3, 2 / 9), (4, 7 / 27), (64, 1 / 4)])
def test_a_last_action_that_avoided_the_card_on_top_gives_it_away_only_with_a_lag_of_two(k: int, share: float) -> None:
    """Uniformly one of the suits that neither the card on top nor the last answer has: 1/3 to be right, then (1 - p) / 3."""
    spec, rows, generator, right = get_spec("repeat-previous", k=k), 2_000, np.random.default_rng(0), []
    env, last = spec.vector(range(rows)), np.zeros(rows, np.int64)
    for _ in range(spec.horizon):
        left = generator.random((rows, 4))
        left[np.arange(rows), env.observations] = left[np.arange(rows), last] = 0
        last = left.argmax(1)
        right.append(env.step(last)[1] > 0)
    found = np.mean(right[k - 1 :])
    assert found == pytest.approx(share, abs=0.01)
    assert spec.needs_memory == (k != 2) == (found < spec.foot)


@pytest.mark.parametrize("cards", [3, 8, 52, 104])
def test_what_the_present_tells_of_the_first_card_is_counted_out(cards: int) -> None:
    """By all ordered pairs of cards: the first one given the suit of a later one."""
    decks = -(-cards // 52)
    suits = [card % 4 for card in range(52 * decks)]
    pairs = np.zeros((4, 4), np.int64)
    for first, later in itertools.permutations(suits, 2):
        pairs[later, first] += 1
    later_on = Fraction(int(pairs.max(1).sum()), int(pairs.sum()))
    best = (1 + (cards - 2) * later_on) / (cards - 1)
    spec = get_spec("repeat-first", cards=cards)
    assert spec.memoryless == pytest.approx(float(best))
    assert spec.foot == pytest.approx(float(best) + (1 - float(best)) / 10)


@pytest.mark.parametrize("options", [{}, {"cards": 4}, {"cards": 16}], ids=str)
def test_no_answer_to_card_and_time_does_better_than_the_stated_memoryless_share(options: dict[str, int]) -> None:
    """The best function of both, chosen with hindsight; where nothing is stated, it stays below the foot."""
    spec = get_spec("repeat-first", **options)
    episodes = generate(spec, "expert", 20_000, seed=0)
    table = np.zeros((spec.horizon, 4, 4))
    np.add.at(table, (episodes.timesteps(), episodes.observations, episodes.actions), 1)
    share = table.max(2).sum() / table.sum()
    assert share < spec.foot
    assert share == pytest.approx(spec.memoryless or 0.27, abs=0.01)


@pytest.mark.parametrize(("name", "options"), [
    ("repeat-previous", {"k": 2}), ("repeat-previous", {"k": 155}),
    ("repeat-first", {"cards": 3}), ("repeat-first", {"cards": 80}),
], ids=str)  # fmt: skip
def test_every_game_has_the_same_references(name: str, options: dict[str, int]) -> None:
    spec = get_spec(name, **options)
    assert dict(spec.options) == options
    random, expert = (spec.score(generate(spec, recipe, 4_000, seed=2)) for recipe in ("random", "expert"))
    assert (expert["correct"] == 1).all() and np.allclose(expert["return"], spec.optimal_return, atol=1e-5)
    for measure, expected in (("return", spec.random_return), ("correct", spec.chance)):
        assert abs(random[measure].mean() - expected) <= 4 * random[measure].std() / np.sqrt(4_000)


@pytest.mark.parametrize(("name", "options", "digest"), [
    ("repeat-first", {}, "c1229e14a192f203"), ("repeat-first", {"level": "medium"}, "83d5cc41d405262d"),
    ("repeat-previous", {}, "87b034f5e60bf4da"), ("repeat-previous", {"level": "hard"}, "2399999718cddbd9"),
], ids=str)  # fmt: skip
def test_levels_name_the_streams_and_make_the_data_that_they_always_did(
    name: str, options: dict[str, str], digest: str
) -> None:
    """Figures of the version without `cards` and `k`."""
    spec = get_spec(name, **options)
    assert dict(spec.options) == {"level": options.get("level", "easy")}
    episodes, seen = generate(spec, "mixed", 20, seed=3), hashlib.sha256()
    for part in (episodes.observations, episodes.actions, episodes.rewards):
        seen.update(np.ascontiguousarray(part).tobytes())
    assert seen.hexdigest()[:16] == digest


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
    with pytest.raises(MissingExtra, match=rf"{name} needs the 'popgym' extra.*\[popgym\]"):
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
        ({"cards": 2}, "env.cards is 2; expected an integer from 3 to 832"),
        ({"cards": 833}, "env.cards is 833; expected an integer from 3 to 832"),
        ({"cards": 52.0}, "env.cards is 52.0"),
        ({"level": "easy", "cards": 52}, "env.level is 'easy' and env.cards is 52; .* leave out the other"),
    ],
)
def test_a_bad_option_is_named_with_the_way_out(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        get_spec("repeat-first", **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"k": 1}, "env.k is 1; expected an integer from 2 to 155"),
        ({"k": 156}, "env.k is 156; expected an integer from 2 to 155"),
        ({"k": True}, "env.k is True"),
        ({"level": "hard", "k": 64}, "env.level is 'hard' and env.k is 64; .* leave out the other"),
    ],
)
def test_a_bad_lag_is_named_with_the_way_out(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        get_spec("repeat-previous", **options)
