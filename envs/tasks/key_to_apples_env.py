"""Key to apples as an environment and as many episodes at once; `dsbench.envs.tasks.key_to_apples` says what the task is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from dsbench.envs.drawing import BLUE, GREEN, ORANGE, RED
from dsbench.envs.draws import episode_seed, uniforms
from dsbench.envs.options import check_flag
from dsbench.envs.rooms import picture
from dsbench.envs.tasks import key_to_apples_rooms as rooms
from dsbench.envs.tasks.key_to_apples_rooms import NEXT_ROOM, PICK_UP, SIZE
from dsbench.episodes import Observations

PLACE_FEATURES = 2 * SIZE + 3  # x, y, room


class KeyToApplesEnv(gym.Env[np.ndarray, np.integer[Any]]):
    """One episode at a time."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 6}  # noqa: RUF012  gymnasium's own attribute

    def __init__(self, reveal_inventory: bool = False, render_mode: str | None = None) -> None:
        check_flag("reveal_inventory", reveal_inventory)
        self.render_mode, self.reveal_inventory = render_mode, reveal_inventory
        size = PLACE_FEATURES + (rooms.N_ITEMS if reveal_inventory else 0)
        self.observation_space = gym.spaces.Box(0.0, 1.0, (size,), np.float32)
        self.action_space = gym.spaces.Discrete(rooms.N_ACTIONS)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        self.room, self.cell, self.left = 0, int(_starts([episode_seed(self, seed)])[0]), rooms.ALL_LEFT
        self.clock = 0
        return self._observe(), {}

    def step(self, action: np.integer[Any]) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        self.room, self.cell, self.left, reward = rooms.advance(self.room, self.cell, self.left, int(action))
        self.clock += 1
        terminated = self.room == 2
        return self._observe(), reward, terminated, not terminated and self.clock == rooms.MOVES, {}

    def render(self) -> NDArray[np.uint8]:
        """(H, W, 3) picture of the room."""
        room = min(self.room, 1)
        marks = {rooms.CELLS[rooms.DOORS[room]]: ("d", RED)}
        for cell, item in enumerate(rooms.ITEM_AT[room]):
            if item >= 0 and self.left >> int(item) & 1:
                marks[rooms.CELLS[cell]] = ("k", ORANGE) if item < len(rooms.KEYS) else ("a", GREEN)
        marks[rooms.CELLS[self.cell]] = ("+", BLUE)
        held = "the third room" if self.room == 2 else "no key" if self.left >> self.room & 1 else "key held"
        return picture(rooms.PLANS[room], marks, f"room {room + 1}, move {self.clock} of {rooms.MOVES}, {held}")

    def _observe(self) -> np.ndarray:
        observation = np.zeros(self.observation_space.shape or (), np.float32)
        row, column = rooms.CELLS[self.cell]
        observation[[column, SIZE + row, 2 * SIZE + self.room]] = 1
        if self.reveal_inventory:
            observation[PLACE_FEATURES:] = [self.left >> item & 1 for item in range(rooms.N_ITEMS)]
        return observation


class KeyToApplesEpisodes:
    """Many episodes at once in numpy, equal to `KeyToApplesEnv` draw for draw (a test holds it).

    `room`, `cell` and `left` (rows,) are as in `dsbench.envs.tasks.key_to_apples_rooms`.
    """

    action_mask: np.ndarray | None = None

    def __init__(self, seeds: Sequence[int], reveal_inventory: bool) -> None:
        rows = len(seeds)
        self.room, self.cell = np.zeros(rows, np.int64), _starts(seeds)
        self.left = np.full(rows, rooms.ALL_LEFT)
        self.t, self.over, self.reveal_inventory = 0, np.zeros(rows, bool), reveal_inventory
        self.observations: Observations = self._observe()

    def step(self, actions: np.ndarray) -> tuple[Observations, np.ndarray, np.ndarray, np.ndarray]:
        acting = ~self.over
        walks = acting & (actions < PICK_UP)
        item = rooms.ITEM_AT[self.room, self.cell]
        picks = acting & (actions == PICK_UP) & (item >= 0) & (self.left >> np.maximum(item, 0) & 1 == 1)
        goes = acting & (actions == NEXT_ROOM) & (self.cell == rooms.DOORS[self.room])
        goes &= self.left >> self.room & 1 == 0
        rewards = ((picks & (item >= len(rooms.KEYS))) | (goes & (self.room == 1))).astype(np.float32)
        self.cell = np.where(walks, NEXT_CELL[self.cell, actions], np.where(goes, rooms.ENTRANCE, self.cell))
        self.left = self.left - np.where(picks, 1 << np.maximum(item, 0), 0)
        self.room = self.room + goes
        self.t += 1
        terminated = self.room == 2
        truncated = ~terminated if self.t >= rooms.MOVES else np.zeros(len(terminated), bool)
        self.over = terminated | truncated
        self.observations = self._observe()
        return self.observations, rewards, terminated, truncated

    def _observe(self) -> NDArray[np.float32]:
        seen = PLACES[self.room, self.cell]
        if not self.reveal_inventory:
            return seen
        return np.concatenate([seen, (self.left[:, None] >> np.arange(rooms.N_ITEMS) & 1).astype(np.float32)], 1)


def _starts(seeds: Sequence[int]) -> NDArray[np.int64]:
    """(rows,) the first cell of each seed's episode."""
    return (uniforms(seeds, 1)[:, 0] * len(rooms.CELLS)).astype(np.int64)


def _places() -> NDArray[np.float32]:
    """(3 rooms, cells, 13) what is seen of where one is."""
    seen = np.zeros((3, len(rooms.CELLS), PLACE_FEATURES), np.float32)
    for cell, (row, column) in enumerate(rooms.CELLS):
        seen[:, cell, [column, SIZE + row]] = 1
    seen[np.arange(3), :, 2 * SIZE + np.arange(3)] = 1
    return seen


PLACES = _places()
NEXT_CELL = np.pad(rooms.NEXT_CELL, ((0, 0), (0, 2)))  # the two other actions do not walk
