"""The shortest ways of DoorKey against a search over copies of minigrid, and the exact returns that follow from them."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
from minigrid.envs.doorkey import DoorKeyEnv as MinigridEnv

from dsbench.envs import get_spec
from dsbench.envs.targets import Fixed
from dsbench.envs.tasks.door_key_episodes import DoorKeyEpisodes
from dsbench.envs.tasks.door_key_planner import FAR, best_actions, distances, expert
from dsbench.envs.tasks.door_key_states import DROP, LOCKED, N_ACTIONS, Shape, States, tables


def search(env: Any) -> int:
    """Fewest actions to the goal by breadth-first search over copies of minigrid's environment."""

    def key(env: Any) -> tuple[Any, ...]:
        return (*map(int, env.agent_pos), env.agent_dir, env.carrying is not None, env.grid.encode().tobytes())

    frontier, known, steps = [env], {key(env)}, 0
    while frontier:
        steps += 1
        reached = []
        for parent in frontier:
            for action in range(N_ACTIONS - 1):
                child = copy.deepcopy(parent)
                if child.step(action)[2]:
                    return steps
                if key(child) not in known:
                    known.add(key(child))
                    reached.append(child)
        frontier = reached
    raise AssertionError("no way to the goal")


def minigrid(seed: int, size: int) -> Any:
    env: Any = MinigridEnv(size)
    env.reset(seed=seed)
    env.gen_obs = dict  # a search looks at the grid; a view at every step would take minutes
    return env


@pytest.mark.parametrize(("seed", "size"), [(0, 5), (1, 5), (2, 5)])
def test_a_shortest_way_is_as_long_as_a_search_over_minigrid_says(seed: int, size: int) -> None:
    assert distances(size)[DoorKeyEpisodes([seed], size).states[0]] == search(minigrid(seed, size))


def test_from_a_key_thrown_away_too() -> None:
    """Pick up, walk and drop at random first: the way back to the key is counted."""
    for seed in (3, 5):
        env, twin = minigrid(seed, 5), DoorKeyEpisodes([seed], 5)
        generator = np.random.default_rng(seed)
        for action in [*(int(a) for a in generator.integers(0, 6, 60)), DROP]:
            if not twin.step(np.array([action]))[2][0]:
                env.step(action)
        assert distances(5)[twin.states[0]] == search(env)


@pytest.mark.parametrize(("size", "mean", "shortest", "longest"), [(5, 9.6, 7, 14), (6, 12.3, 8, 19), (8, 16.8, 9, 26)])
def test_plan_lengths_of_300_seeds_are_those_measured_with_minigrid(
    size: int, mean: float, shortest: int, longest: int
) -> None:
    lengths = distances(size)[DoorKeyEpisodes(range(300), size).states]
    assert lengths.mean() == pytest.approx(mean, abs=0.05)
    assert (lengths.min(), lengths.max()) == (shortest, longest)


def test_the_expert_walks_a_shortest_way_and_picks_evenly_among_equals() -> None:
    rows = 400
    twin = DoorKeyEpisodes([11] * rows, 6)
    generator, length = np.random.default_rng(0), int(distances(6)[twin.states[0]])
    for timestep in range(length):
        best = best_actions(6)[twin.states]
        actions = expert(twin, timestep, generator.random((rows, 2)), np.zeros(rows))
        assert best[np.arange(rows), actions].all()
        same = twin.states == twin.states[0]
        taken = np.bincount(actions[same], minlength=N_ACTIONS)[best[0]]
        assert (np.abs(taken - same.sum() / best[0].sum()) <= 4 * np.sqrt(same.sum()) + 1e-9).all()
        _, _, terminated, _ = twin.step(actions)
    assert terminated.all()


def starts(size: int) -> tuple[np.ndarray, np.ndarray]:
    """All states in which an episode can begin, and their probabilities: each thing is drawn evenly among its places."""
    shape, states, weights = Shape(size), [], []
    for split in range(2, size - 2):
        left = [y * shape.inside + x for y in range(shape.inside) for x in range(split - 1)]
        walls = [(split, row) for row in range(1, size - 2)]
        places = [(agent, key) for agent in left for key in left if agent != key]
        every = [(*wall, key, agent, direction) for wall in walls for agent, key in places for direction in range(4)]
        states += every
        weights += [1 / (size - 4) / len(every)] * len(every)
    split_, row_, key_, agent_, direction_ = np.array(states).T
    door = np.full(len(states), LOCKED)
    return shape.number(States(split_, row_, door, key_, agent_, direction_)), np.array(weights)


@pytest.mark.parametrize("size", [5, 6, 8])
def test_seeds_begin_in_every_start_as_often_as_its_probability_says(size: int) -> None:
    states, weights = starts(size)
    drawn = DoorKeyEpisodes(range(2000), size).states
    assert np.isin(drawn, states).all()
    lengths = distances(size)
    error = lengths[drawn].std() / np.sqrt(len(drawn))
    assert abs(lengths[drawn].mean() - weights @ lengths[states]) < 4 * error


@pytest.mark.parametrize("size", [5, 6, 8])
def test_the_optimal_return_and_the_target_are_exact(size: int) -> None:
    spec, (states, weights) = get_spec("door-key", size=size), starts(size)
    best = 1 - 0.9 * distances(size)[states] / spec.horizon
    assert spec.optimal_return == pytest.approx(weights @ best, abs=1e-6)
    assert isinstance(spec.target, Fixed)
    assert spec.target.value == pytest.approx(best.max(), abs=1e-6)


@pytest.mark.parametrize("size", [5, 6, pytest.param(8, marks=pytest.mark.slow)])
def test_the_random_return_is_exact(size: int) -> None:
    """The distribution over states is carried forward under uniform actions; what reaches the goal is paid and leaves."""
    spec, made, (states, weights) = get_spec("door-key", size=size), tables(size), starts(size)
    mass = np.bincount(states, weights, len(made.at_goal))
    total = 0.0
    for n in range(1, spec.horizon + 1):
        mass = np.bincount(made.after.ravel(), np.repeat(mass / N_ACTIONS, N_ACTIONS), len(mass))
        total += mass[made.at_goal].sum() * (1 - 0.9 * n / spec.horizon)
        mass[made.at_goal] = 0
    assert spec.random_return == pytest.approx(total, abs=1e-6)


def test_every_state_of_an_episode_has_a_way_to_the_goal() -> None:
    reached = np.unique(starts(6)[0])
    while len(further := np.union1d(reached, tables(6).after[reached])) > len(reached):
        reached = further
    assert (distances(6)[reached] < FAR).all()
