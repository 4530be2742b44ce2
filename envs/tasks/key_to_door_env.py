"""Key to door as an environment and as many episodes at once; `dsbench.envs.tasks.key_to_door` says what the task is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from dsbench.envs.drawing import BLUE, GREEN, ORANGE, RED
from dsbench.envs.draws import episode_seed, uniforms
from dsbench.envs.options import check_flag, check_integer
from dsbench.envs.rooms import moved, picture
from dsbench.envs.tasks import key_to_door_rooms as rooms
from dsbench.envs.tasks.key_to_door_rooms import APPLES, DISTRACTOR, EXPLORE, EXPLORE_MOVES, HELD, RESPAWN, REWARD
from dsbench.episodes import Observations

MAX_DISTRACTOR_LENGTH = 10_000


class KeyToDoorEnv(gym.Env[np.ndarray, np.integer[Any]]):
    """One episode at a time, on the plans as they are drawn."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 6}  # noqa: RUF012  gymnasium's own attribute

    def __init__(
        self,
        distractor_length: int = 30,
        apples: bool = False,
        show_key: bool = False,
        render_mode: str | None = None,
    ) -> None:
        check_options(distractor_length, apples, show_key)
        self.render_mode = render_mode
        self.apples, self.show_key = apples, show_key
        self.lengths = (EXPLORE_MOVES, distractor_length, rooms.REWARD_MOVES)
        self.observation_space = gym.spaces.Box(0.0, 1.0, (_size(apples, show_key),), np.float32)
        self.action_space = gym.spaces.Discrete(4)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        draws = uniforms([episode_seed(self, seed)], _n_draws(self.apples))[0]
        self.key: tuple[int, int] | None = rooms.KEY_SPOTS[int(draws[0] * len(rooms.KEY_SPOTS))]
        self.cell = rooms.STARTS[int(draws[1] * len(rooms.STARTS))]
        self.bare_until: dict[tuple[int, int], int] = {}  # first move of the phase that can take it, by spot
        if self.apples:
            self.bare_until = {rooms.APPLE_SPOTS[spot]: 0 for spot in np.argsort(draws[2:-1])[:APPLES]}
            self.worth = rooms.APPLE_REWARDS[int(draws[-1] * 2)]
        self.phase, self.clock = EXPLORE, 0
        return self._observe(), {}

    def step(self, action: np.integer[Any]) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        self.clock += 1
        floor = rooms.FLOORS[self.phase]
        door = rooms.PLACES[rooms.DOOR]
        if self.key is not None:
            floor = [cell for cell in floor if (self.phase, cell) != door]
        self.cell = moved(self.cell, int(action), floor)
        reward = 0.0
        if self.phase == EXPLORE and self.cell == self.key:
            self.key = None
        elif self.phase == DISTRACTOR and self.bare_until.get(self.cell, MAX_DISTRACTOR_LENGTH + 1) <= self.clock:
            self.bare_until[self.cell] = self.clock + RESPAWN + 2
            reward = self.worth
        opened = (self.phase, self.cell) == door
        if opened:
            reward = door_reward(self.apples)
        over = opened or (self.phase == REWARD and self.clock == self.lengths[REWARD])
        if not over and self.clock == self.lengths[self.phase]:
            self.phase = DISTRACTOR if self.phase == EXPLORE and self.lengths[DISTRACTOR] else REWARD
            self.cell, self.clock = rooms.PLACES[rooms.ENTRANCES[self.phase]][1], 0
        return self._observe(), reward, over, False, {}

    def render(self) -> NDArray[np.uint8]:
        """(H, W, 3) picture of the room."""
        marks = {}
        if self.phase == DISTRACTOR:
            marks = {spot: ("a", GREEN) for spot in rooms.APPLE_SPOTS if self._bears(spot)}
        if self.phase == EXPLORE and self.key is not None:
            marks[self.key] = ("k", ORANGE)
        if self.phase == REWARD:
            marks[rooms.PLACES[rooms.DOOR][1]] = ("d", RED)
        marks[self.cell] = ("+", BLUE)
        held = "no key" if self.key is not None else "key held"
        name = ("exploration", "distractor", "reward")[self.phase]
        return picture(
            rooms.PLANS[self.phase], marks, f"{name}, move {self.clock} of {self.lengths[self.phase]}, {held}"
        )

    def _bears(self, spot: tuple[int, int]) -> bool:
        """Is an apple to be seen there: can the next move take it?"""
        return self.bare_until.get(spot, MAX_DISTRACTOR_LENGTH + 2) <= self.clock + 1

    def _observe(self) -> np.ndarray:
        observation = np.zeros(self.observation_space.shape or (), np.float32)
        (row, column), parts = self.cell, [self.phase, rooms.ROW + self.cell[0], rooms.COLUMN + self.cell[1]]
        if self.phase == EXPLORE and self.key is not None:
            parts += [rooms.BELOW + self.key[0] - row, rooms.BESIDE + self.key[1] - column]
        observation[parts] = 1
        if self.show_key:
            observation[rooms.FEATURES] = self.key is None
        if self.apples and self.phase == DISTRACTOR:
            observation[-len(rooms.APPLE_SPOTS) :] = [self._bears(spot) for spot in rooms.APPLE_SPOTS]
        return observation


class KeyToDoorEpisodes:
    """Many episodes at once in numpy, equal to `KeyToDoorEnv` draw for draw (a test holds it).

    `place` and `key` (rows,) are numbers of `dsbench.envs.tasks.key_to_door_rooms`.
    """

    action_mask: np.ndarray | None = None

    def __init__(self, seeds: Sequence[int], distractor_length: int, apples: bool, show_key: bool) -> None:
        draws = uniforms(seeds, _n_draws(apples))
        rows = len(seeds)
        self.key = (draws[:, 0] * len(rooms.KEY_SPOTS)).astype(np.int64)
        self.place = rooms.START_PLACES[(draws[:, 1] * len(rooms.START_PLACES)).astype(np.int64)]
        self.over, self.t = np.zeros(rows, bool), 0
        self.phase_ends = EXPLORE_MOVES, EXPLORE_MOVES + distractor_length
        self.length = EXPLORE_MOVES + distractor_length + rooms.REWARD_MOVES
        self.apples, self.show_key = apples, show_key
        if apples:
            order = np.argsort(draws[:, 2:-1], axis=1)[:, :APPLES]
            self.bare_until = np.full((rows, len(rooms.APPLE_SPOTS)), MAX_DISTRACTOR_LENGTH + 2)
            np.put_along_axis(self.bare_until, order, 0, axis=1)
            self.worth = np.array(rooms.APPLE_REWARDS, np.float32)[(draws[:, -1] * 2).astype(np.int64)]
        self.observations: Observations = self._observe()

    def step(self, actions: np.ndarray) -> tuple[Observations, np.ndarray, np.ndarray, np.ndarray]:
        there = rooms.NEXT_PLACES[(self.key == HELD).astype(np.int64), self.place, actions]
        self.place = np.where(self.over, self.place, there)
        rewards = self._take_apples()
        self.key = np.where(self.place == rooms.KEY_PLACES[self.key], HELD, self.key)
        opened = (self.place == rooms.DOOR) & ~self.over
        rewards[opened] = door_reward(self.apples)
        self.t = min(self.t + 1, self.length)
        self.over = self.over | opened | (self.t == self.length)
        for end, phase in zip(self.phase_ends, (DISTRACTOR, REWARD), strict=True):
            if self.t == end:  # without a distractor phase both
                self.place = np.full(len(self.place), rooms.ENTRANCES[phase])
        self.observations = self._observe()
        return self.observations, rewards, self.over.copy(), np.zeros(len(self.over), bool)

    def _take_apples(self) -> NDArray[np.float32]:
        """(rows,) what they pay; counted in moves of the distractor phase."""
        rewards = np.zeros(len(self.place), np.float32)
        if self.apples and self.phase_ends[0] <= self.t < self.phase_ends[1]:
            spot = rooms.APPLE_OF_PLACE[self.place]
            clock = self.t + 1 - self.phase_ends[0]
            rows = np.flatnonzero((spot >= 0) & (self.bare_until[np.arange(len(spot)), spot] <= clock))
            self.bare_until[rows, spot[rows]] = clock + RESPAWN + 2
            rewards[rows] = self.worth[rows]
        return rewards

    def _observe(self) -> NDArray[np.float32]:
        parts = [rooms.OBSERVATIONS[self.place, self.key]]
        if self.show_key:
            parts.append((self.key == HELD).astype(np.float32)[:, None])
        if self.apples:
            there = self.phase_ends[0] <= self.t < self.phase_ends[1]
            parts.append(((self.bare_until <= self.t + 1 - self.phase_ends[0]) & there).astype(np.float32))
        return parts[0] if len(parts) == 1 else np.concatenate(parts, 1)


def door_reward(apples: bool) -> float:
    """What the door pays."""
    return 10.0 if apples else 1.0


def _size(apples: bool, show_key: bool) -> int:
    """Numbers in an observation."""
    return rooms.FEATURES + show_key + (len(rooms.APPLE_SPOTS) if apples else 0)


def _n_draws(apples: bool) -> int:
    """Key, start; with apples one for each spot and one for their worth."""
    return 2 + (len(rooms.APPLE_SPOTS) + 1 if apples else 0)


def check_options(distractor_length: int, apples: bool, show_key: bool) -> None:
    """`UsageError` for a value that cannot be used."""
    check_integer("distractor_length", distractor_length, 0, MAX_DISTRACTOR_LENGTH)
    check_flag("apples", apples)
    check_flag("show_key", show_key)
