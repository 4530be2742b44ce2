"""Graph walks against powers of the adjacency matrix, a sum over all walks, simulation and measured hindsight bounds."""

from __future__ import annotations

import hashlib
import itertools
import re
from dataclasses import replace

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from hypothesis import given, settings
from hypothesis import strategies as st

from dsbench.envs import get_spec
from dsbench.envs.data import generate
from dsbench.envs.spec import EnvSpec
from dsbench.envs.tasks.graph_walk import GraphWalkEnv
from dsbench.envs.tasks.graph_walk_graphs import GOAL, Graph, distances, draw_graph
from dsbench.envs.tasks.graph_walk_split import separable_starts
from dsbench.envs.vector import LoopedEpisodes
from dsbench.episodes import Episodes
from dsbench.errors import UsageError

SEEDS = [0, 1, 77, 2**33 + 5]
GRAPHS = 20


UNIFORM = {"split": "uniform"}


def edges_of(spec: EnvSpec) -> np.ndarray:
    edges = np.zeros((spec.options["nodes"],) * 2, bool)
    edges[tuple(np.array(spec.stored["edges"]).T)] = True
    return edges


def shortest_by_powers(edges: np.ndarray) -> np.ndarray:
    """(n,) least k for which the k-th power of the adjacency matrix has a way to the goal."""
    found, power = np.full(len(edges), -1), np.eye(len(edges))
    for k in range(len(edges)):
        found[(found < 0) & (power[:, GOAL] > 0)] = k
        power = np.minimum(power @ edges, 1)
    return found


@settings(max_examples=25, deadline=None)
@given(
    nodes=st.integers(3, 12),
    walk_length=st.integers(3, 6),
    split=st.sampled_from([{"split": "uniform"}, {"split": "stitch"}, {"test_share": 0}]),
    graph_seed=st.integers(0, 5),
    action_seed=st.integers(0, 99),
)
def test_the_batched_twin_equals_the_gymnasium_environment(
    nodes: int, walk_length: int, split: dict[str, object], graph_seed: int, action_seed: int
) -> None:
    options = {"nodes": nodes, "edge_probability": 0.4, "walk_length": walk_length, "graph_seed": graph_seed}
    try:
        spec = get_spec("graph-walk", **split, **options)
    except UsageError:
        return  # the graph has no test start; what the message says is tested below
    twin, loop = spec.vector(SEEDS), LoopedEpisodes(spec.make, SEEDS)
    assert np.array_equal(twin.observations, loop.observations)
    generator = np.random.default_rng(action_seed)
    for _ in range(walk_length + 2):  # two timesteps past the end: rows that have ended stay as they are
        assert np.array_equal(twin.action_mask, loop.action_mask)
        actions = generator.integers(nodes, size=len(SEEDS))  # most lead nowhere
        likely = np.array([generator.choice(np.flatnonzero(mask)) for mask in twin.action_mask])
        actions = np.where(generator.random(len(SEEDS)) < 0.2, actions, likely)
        for got, expected in zip(twin.step(actions), loop.step(actions), strict=True):
            assert np.array_equal(got, expected)


def test_gymnasium_finds_nothing_wrong() -> None:
    check_env(GraphWalkEnv(render_mode="rgb_array"), skip_render_check=True)


def test_a_walk_of_k_steps_has_return_minus_k_and_a_miss_less_than_any_at_every_step() -> None:
    spec = get_spec("graph-walk", **UNIFORM)
    episodes = generate(spec, "random", 2_000, seed=1)
    scores = spec.score(episodes)
    arrived = scores["success"] == 1
    assert 0.1 < arrived.mean() < 0.9
    assert np.array_equal(scores["return"][arrived], -episodes.lengths[arrived])
    assert set(scores["return"][~arrived]) == {-20.0} and set(episodes.lengths[~arrived]) == {10}
    to_go, of_arrival = episodes.returns_to_go(), np.repeat(arrived, episodes.lengths)
    assert to_go[~of_arrival].max() == -11 < to_go[of_arrival].min()
    assert np.array_equal(scores["path_excess"] == 0, scores["optimal"] == 1)
    steps = shortest_by_powers(edges_of(spec))[episodes.observations[episodes.starts[:-1]]]
    assert np.array_equal(scores["optimal"] == 1, scores["return"] == -steps)
    assert set(scores["path_excess"][~arrived]) == set(11 - steps[~arrived])


def test_walks_use_edges_alone_and_begin_anywhere_but_on_the_goal() -> None:
    spec = get_spec("graph-walk", **UNIFORM)
    edges = edges_of(spec)
    for recipe in spec.recipes:
        episodes = generate(spec, recipe, 2_000, seed=0)
        assert edges[episodes.observations, episodes.actions].all()
        assert np.array_equal(episodes.action_mask, edges[episodes.observations])
        share = np.bincount(episodes.observations[episodes.starts[:-1]], minlength=20) / 2_000
        assert share[GOAL] == 0
        assert np.abs(share[1:] - 1 / 19).max() < 4 * np.sqrt(1 / 19 / 2_000)


@pytest.mark.parametrize("nodes", [3, 5, 8])
def test_walks_longer_than_the_graph_do_not_let_a_dead_end_in(nodes: int) -> None:
    for seed in range(10):
        assert shortest_by_powers(draw_graph(nodes, 0.4, 30, seed).edges).min() == 0  # -1 would mean no way


@given(seed=st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_a_graph_lets_every_node_arrive_in_time_and_is_always_the_same(seed: int) -> None:
    graph = draw_graph(20, 0.1, 10, seed)
    draw_graph.cache_clear()
    assert np.array_equal(graph.edges, draw_graph(20, 0.1, 10, seed).edges)
    assert np.array_equal(graph.distances, shortest_by_powers(graph.edges))
    assert graph.distances.max() <= 10 and graph.distances[1:].min() == 1
    assert not np.diagonal(graph.edges)[1:].any() and graph.edges[GOAL].tolist() == [True] + [False] * 19


def test_edges_are_as_frequent_as_asked_where_no_graph_is_redrawn() -> None:
    edges = np.stack([draw_graph(60, 0.3, 60, seed).edges[1:] for seed in range(10)])
    assert abs(edges.mean() * 60 / 59 - 0.3) < 4 * np.sqrt(0.3 * 0.7 / (10 * 59 * 59))


def test_exact_returns_equal_a_sum_over_all_walks() -> None:
    graph = Graph(np.array([[1, 0, 0, 0], [1, 0, 1, 0], [0, 1, 0, 1], [1, 0, 1, 0]], bool))
    length, total = 4, 0.0
    for start in (1, 2, 3):
        for steps in itertools.product(range(4), repeat=length):
            path, probability, worth = start, 1.0, 0.0
            for t, node in enumerate(steps):
                if path == GOAL:
                    probability *= node == GOAL  # one way to fill up the steps after the arrival
                    continue
                probability *= graph.edges[path, node] / graph.edges[path].sum()
                worth -= length + 1 if t == length - 1 and node != GOAL else 1
                path = node
            total += probability * worth / 3
    assert graph.mean_return(1.0, length, np.array([1, 2, 3])) == pytest.approx(total, abs=1e-12)
    assert graph.mean_return(0.0, length, np.array([1, 2, 3])) == pytest.approx(-(1 + 2 + 1) / 3)


def test_reference_returns_are_what_the_behaviour_gets() -> None:
    spec = get_spec("graph-walk", **UNIFORM)
    for recipe, expected in (("random", spec.random_return), ("expert", spec.optimal_return)):
        returns = generate(spec, recipe, 20_000, seed=5).returns()
        assert abs(returns.mean() - expected) <= 4 * returns.std() / np.sqrt(len(returns))
    assert spec.normalised(spec.optimal_return) == 100


def test_medium_lies_half_way_and_the_mixtures_between() -> None:
    scaled = []
    for graph_seed in range(3):
        spec = get_spec("graph-walk", **UNIFORM, graph_seed=graph_seed)
        scaled.append([spec.normalised(generate(spec, r, 4_000, seed=0).returns().mean()) for r in spec.recipes])
    random, medium, expert, mixed, replay = np.mean(scaled, 0)
    assert abs(random) < 5 and abs(expert - 100) < 1
    assert 40 < medium < 60 and 25 < mixed < 85 and 25 < replay < 85


def test_the_expert_walks_every_shortest_path() -> None:
    spec = get_spec("graph-walk", **UNIFORM)
    episodes = generate(spec, "expert", 5_000, seed=0)
    assert spec.score(episodes)["optimal"].all()
    edges = edges_of(spec)
    steps = shortest_by_powers(edges)
    best = edges & (steps[None] == steps[:, None] - 1)
    walked = np.zeros_like(best)
    walked[episodes.observations, episodes.actions] = True
    assert np.array_equal(walked, best)


def test_the_target_is_the_best_return_to_go_from_the_start() -> None:
    spec = get_spec("graph-walk", **UNIFORM)
    episodes = generate(spec, "random", 30, seed=0)
    target = spec.target(episodes, 0.95, 0.05)["target"]
    to_go = episodes.returns_to_go()
    for node in np.unique(episodes.observations):
        assert target.of(np.array([node]), 1)[0] == to_go[episodes.observations == node].max()
    assert target.by_start is not None and len(target.by_start) == 20


# ---------------------------------------------------------------------- the tabular hindsight bound


def hindsight_bound(spec: EnvSpec, episodes: Episodes) -> tuple[float, float]:
    """With suffixes and from whole walks alone, as a run records them."""
    found = spec.yardsticks(episodes)
    return found["hindsight_bound"], found["whole_walk_bound"]


def bounds(walks: int) -> np.ndarray:
    """(2,) with suffixes and from whole walks alone, averaged over graphs."""
    specs = [get_spec("graph-walk", **UNIFORM, graph_seed=seed) for seed in range(GRAPHS)]
    return np.mean([hindsight_bound(spec, generate(spec, "random", walks, seed=0)) for spec in specs], 0)


@pytest.mark.parametrize(("walks", "suffixes", "whole"), [(30, 0.61, 0.13), (100, 0.84, 0.42), (1000, 0.987, 0.89)])
def test_hindsight_solves_as_many_starts_as_measured_elsewhere(walks: int, suffixes: float, whole: float) -> None:
    """Figures of an independent computation on other graphs of this size; graphs differ much in how often walks arrive."""
    got = bounds(walks)
    assert abs(got[0] - suffixes) < 0.12
    assert abs(got[1] - whole) < 0.2
    assert got[1] < got[0]


def test_the_bound_is_one_for_experts_and_zero_where_nobody_arrives() -> None:
    spec = get_spec("graph-walk", **UNIFORM)
    assert hindsight_bound(spec, generate(spec, "expert", 1_000, seed=0)) == (1.0, 1.0)
    episodes = generate(spec, "random", 1_000, seed=0)
    missed = np.flatnonzero(spec.score(episodes)["success"] == 0)
    assert hindsight_bound(spec, episodes.select(missed)) == (0.0, 0.0)


# ---------------------------------------------------------------------- the stitching split


@pytest.mark.parametrize("graph_seed", range(GRAPHS))
def test_the_default_is_labelled_stitching_and_its_data_need_it(graph_seed: int) -> None:
    spec, other = (
        get_spec("graph-walk", graph_seed=graph_seed),
        get_spec("graph-walk", graph_seed=graph_seed, **UNIFORM),
    )
    assert spec.tests == ("stitching",) and "stitching" not in other.tests
    for recipe in spec.recipes:
        assert max(spec.yardsticks(generate(spec, recipe, 1_000, seed=0)).values()) < 0.9


@pytest.fixture(scope="module")
def stitch() -> EnvSpec:
    return get_spec("graph-walk")


@pytest.mark.parametrize("recipe", ["random", "medium", "expert", "mixed", "replay"])
def test_no_data_walk_reaches_the_goal_from_a_test_start(stitch: EnvSpec, recipe: str) -> None:
    episodes = generate(stitch, recipe, 3_000, seed=0)
    starts = np.array(stitch.stored["starts"])
    assert 1 <= len(starts) <= 19 / 4
    arrived = np.repeat(episodes.terminated[episodes.ends], episodes.lengths)
    assert arrived.any() and not np.isin(episodes.observations[arrived], starts).any()
    assert np.isin(starts, episodes.observations).all()
    assert episodes.returns_to_go()[~arrived].max() <= -11
    assert hindsight_bound(stitch, episodes) == (0.0, 0.0)


def test_the_data_shows_the_shortest_path_in_two_halves(stitch: EnvSpec) -> None:
    """Planning on the edges seen finds it from every test start, and every other node has a walk that took one."""
    episodes = generate(stitch, "random", 1_000, seed=0)
    seen = np.zeros((20, 20), bool)
    seen[episodes.observations, episodes.actions] = True
    steps = shortest_by_powers(edges_of(stitch))
    starts = np.array(stitch.stored["starts"])
    assert np.array_equal(distances(seen)[starts], steps[starts])
    shown = np.unique(episodes.observations[episodes.returns_to_go() == -steps[episodes.observations]])
    assert len(np.setdiff1d(np.arange(1, 20), np.union1d(shown, starts))) <= 1


def test_evaluation_begins_on_the_test_starts_alone_and_asks_for_the_shortest_path(stitch: EnvSpec) -> None:
    starts = np.array(stitch.stored["starts"])
    assert set(stitch.vector(list(range(200))).observations) == set(starts)
    target = stitch.target(generate(stitch, "random", 100, seed=0), 0.95, 0.05)["target"]
    assert np.array_equal(target.of(starts, len(starts)), -shortest_by_powers(edges_of(stitch))[starts])
    assert target.value == stitch.optimal_return
    as_evaluated = replace(stitch, data_vector=None)
    assert stitch.score(generate(as_evaluated, "expert", 50, seed=0))["optimal"].all()


@given(seed=st.integers(0, 200))
@settings(max_examples=20, deadline=None)
def test_test_starts_are_on_no_shortest_path_that_another_node_needs(seed: int) -> None:
    graph = draw_graph(20, 0.1, 10, seed)
    starts = separable_starts(graph, 0.25, seed)
    around = graph.edges.copy()
    around[:, starts] = False
    assert np.array_equal(shortest_by_powers(around), graph.distances)
    assert not graph.edges[starts, GOAL].any()


# ---------------------------------------------------------------------- the share of test starts

LARGE = {"nodes": 50, "edge_probability": 0.1}


def starts_at(share: float, **options: object) -> list[int]:
    return list(get_spec("graph-walk", test_share=share, **options).stored["starts"])


@pytest.mark.parametrize("graph_seed", range(4))
def test_a_larger_share_keeps_the_test_starts_of_a_smaller_one(graph_seed: int) -> None:
    shares = (0.1, 0.25, 0.4, 0.46)
    found = [set(starts_at(share, graph_seed=graph_seed, **LARGE)) for share in shares]
    assert [len(starts) for starts in found] == [4, 12, 19, 22]
    assert all(smaller < larger for smaller, larger in itertools.pairwise(found))
    default = get_spec("graph-walk", graph_seed=graph_seed, **LARGE)
    assert set(default.stored["starts"]) == found[1] and "test_share" not in default.options


@settings(max_examples=15, deadline=None)
@given(graph_seed=st.integers(0, 500), nodes=st.integers(8, 40))
def test_a_share_that_a_graph_cannot_give_is_refused_with_one_that_it_can(graph_seed: int, nodes: int) -> None:
    options = {"nodes": nodes, "edge_probability": 0.25, "graph_seed": graph_seed}
    with pytest.raises(UsageError) as refused:
        get_spec("graph-walk", test_share=1.0, **options)
    offer = re.search(r"gives (\d+) test starts; expected at most ([\d.]+)", str(refused.value))
    if offer is None:
        assert "no node that could be a test start" in str(refused.value)
        return
    given, most = offer.groups()
    starts = starts_at(float(most), **options)
    assert len(starts) == int(given) < nodes - 1
    with pytest.raises(UsageError, match=f"gives {given} test starts"):
        get_spec("graph-walk", test_share=(int(given) + 1) / (nodes - 1), **options)
    graph = draw_graph(nodes, 0.25, 10, graph_seed)
    around = graph.edges.copy()
    around[:, starts] = False
    assert np.array_equal(shortest_by_powers(around), graph.distances)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.55])
def test_every_share_has_exact_references_and_yardsticks(share: float) -> None:
    spec = get_spec("graph-walk", test_share=share, **LARGE)
    steps, starts = shortest_by_powers(edges_of(spec)), np.array(spec.stored["starts"])
    assert spec.optimal_return == pytest.approx(-steps[starts].mean())
    as_evaluated = replace(spec, data_vector=None)
    returns = {recipe: generate(as_evaluated, recipe, 4_000, seed=1) for recipe in ("random", "expert")}
    assert spec.score(returns["expert"])["optimal"].all()
    optimal, random = spec.score(returns["random"])["optimal"], returns["random"].returns()
    assert abs(random.mean() - spec.random_return) < 4 * random.std() / np.sqrt(4_000)
    assert spec.chance is not None
    assert abs(optimal.mean() - spec.chance) < 4 * np.sqrt(spec.chance / 4_000)
    target = spec.target(returns["random"], 0.95, 0.05)["target"]
    assert np.array_equal(target.of(starts, len(starts)), -steps[starts])
    data = generate(spec, "random", 10_000, seed=1)
    assert spec.yardsticks(data)["hindsight_bound"] == (share == 0)
    seen = np.zeros_like(edges_of(spec))
    seen[data.observations, data.actions] = True
    assert np.array_equal(distances(seen)[starts], steps[starts])  # so that the data holds what is to be put together


def test_without_test_starts_data_and_evaluation_are_those_of_every_node() -> None:
    spec = get_spec("graph-walk", test_share=0)
    assert spec.options["test_share"] == 0.0 and spec.tests == ("credit",)
    assert spec.stored["starts"] == list(range(1, 20))
    episodes, uncut = (
        generate(replace(one, options={}, id="the same streams"), "random", 500, seed=0)
        for one in (spec, get_spec("graph-walk", **UNIFORM))
    )
    assert np.array_equal(episodes.observations, uncut.observations) and np.array_equal(episodes.rewards, uncut.rewards)


@pytest.mark.parametrize(("options", "digest"), [({}, "5608613b51881025"), (UNIFORM, "6b3a779ffe4341dc")], ids=str)
def test_without_a_share_streams_and_data_are_what_they_always_were(options: dict[str, str], digest: str) -> None:
    """Figures of the version without `test_share`."""
    spec = get_spec("graph-walk", **options)
    assert set(spec.options) == {"nodes", "edge_probability", "walk_length", "graph_seed", "split"}
    episodes, seen = generate(spec, "mixed", 50, seed=3), hashlib.sha256()
    for part in (episodes.observations, episodes.actions, episodes.rewards, episodes.starts):
        seen.update(np.ascontiguousarray(part).tobytes())
    assert seen.hexdigest()[:16] == digest


# ---------------------------------------------------------------------- pictures and options


def test_the_picture_changes_with_every_step() -> None:
    env = GraphWalkEnv(render_mode="rgb_array")
    env.reset(seed=3)
    before = env.render()
    assert before is not None and before.shape == (320, 320, 3) and before.dtype == np.uint8
    env.step(np.flatnonzero(env.walks.graph.edges[env.path[-1]])[0])
    after = env.render()
    assert after is not None and (before != after).any()
    assert GraphWalkEnv().render() is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"nodes": 2}, "env.nodes is 2; expected an integer from 3"),
        ({"edge_probability": 0}, "env.edge_probability is 0; expected a number above 0"),
        ({"edge_probability": "x"}, "env.edge_probability is 'x'"),
        ({"walk_length": 0}, "env.walk_length is 0"),
        ({"graph_seed": -1}, "env.graph_seed is -1"),
        ({"split": "both"}, "env.split is 'both'; expected one of uniform, stitch"),
        ({"edge_probability": 0.001}, "lets every node reach the goal within"),
        ({"nodes": 3, "edge_probability": 0.9, "split": "stitch"}, "no node that could be a test start"),
        ({"test_share": 0.02}, "env.test_share is 0.02; expected 0, or .* a share from 0.053 to 1"),
        ({"test_share": 1.5}, "env.test_share is 1.5"),
        ({"test_share": True}, "env.test_share is True"),
        ({"test_share": float("nan")}, "env.test_share is nan"),
        ({"test_share": 0.5}, "9 of 19 nodes, and the graph of env.graph_seed=0 gives 3 test starts; .* at most 0.158"),
        ({"test_share": 0.1, "split": "uniform"}, "env.split is 'uniform', without test starts; leave out one"),
        ({"node": 5}, "Did you mean 'nodes'"),
    ],
)
def test_a_bad_option_is_named_with_the_way_out(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        get_spec("graph-walk", **options)
