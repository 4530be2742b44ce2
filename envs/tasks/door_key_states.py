"""Every state of a DoorKey grid, in numbers: what each action makes of it and what the agent sees in it.

All that an episode can change is where the agent stands and looks, where the key is, and the door; with the few ways to
draw the walls that makes two thousand states (5x5), 20 thousand (6x6) or 320 thousand (8x8), so both the dynamics and the views
fit in tables, computed once a process and size, and a step of many episodes is two look-ups. The rules are minigrid's
(Chevalier-Boisvert et al. 2023, arXiv:2306.13831; minigrid/minigrid_env.py, core/grid.py, envs/doorkey.py), written anew
for arrays; a test holds them equal to minigrid itself.

Cells are counted inside the outer walls, row by row: cell = (y - 1) * (size - 2) + (x - 1). Some states never occur (the
agent inside a wall); they cost memory only.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

# What a cell of the view shows; unseen is no kind of its own but all zeros in the one-hot code.
UNSEEN, EMPTY, WALL, OPEN, CLOSED, LOCKED, KEY, GOAL = range(8)
KINDS = 7  # all but unseen
LEFT, RIGHT, FORWARD, PICKUP, DROP, TOGGLE, DONE = range(7)  # minigrid's actions
N_ACTIONS = 7
VIEW = 7  # the agent sees 7x7 cells, standing in the middle of the row nearest to it
FEATURES = VIEW * VIEW * KINDS + 4
STEPS_X, STEPS_Y = np.array([1, 0, -1, 0]), np.array([0, 1, 0, -1])  # direction 0 right, 1 down, 2 left, 3 up


@dataclass(frozen=True)
class States:
    """Parts of states, arrays of one shape: the wall's column and the door's row, the door's kind (OPEN, CLOSED or
    LOCKED), the key's cell (`Shape.carried` in the hand), the agent's cell and direction."""

    split: Ints
    door_row: Ints
    door: Ints
    key: Ints
    agent: Ints
    direction: Ints


@dataclass(frozen=True)
class Shape:
    """How the states of a grid are numbered."""

    size: int

    @property
    def inside(self) -> int:
        """Cells along a side, outer walls left out."""
        return self.size - 2

    @property
    def carried(self) -> int:
        """The key's cell while it is carried."""
        return self.inside**2

    @property
    def goal(self) -> int:
        """The cell of the goal, always the lower right corner."""
        return self.inside**2 - 1

    @property
    def counts(self) -> tuple[int, ...]:
        """Values of each part of a state, in the order of `States`; walls stand at 2 .. size - 3, doors at 1 .. size - 3."""
        return (self.size - 4, self.size - 3, 3, self.carried + 1, self.inside**2, 4)

    # Not by numpy's unravel_index: of more than 8192 numbers in a column, numpy 2.4.6 gets some wrong.
    def number(self, states: States) -> Ints:
        """The numbers of these states."""
        s = states
        numbers = np.zeros_like(s.split)
        parts = (s.split - 2, s.door_row - 1, s.door - OPEN, s.key, s.agent, s.direction)
        for part, count in zip(parts, self.counts, strict=True):
            numbers = numbers * count + part
        return numbers

    def states(self, numbers: Ints) -> States:
        """Inverse of `number`."""
        parts, rest = [], numbers
        for count in reversed(self.counts):
            rest, part = np.divmod(rest, count)
            parts.append(part)
        direction, agent, key, door, door_row, split = parts
        return States(split + 2, door_row + 1, door + OPEN, key, agent, direction)


@dataclass(frozen=True)
class Tables:
    """All S states of a size.

    Attributes:
        after: (S, 7) int32, the state after each action; the goal's states stay as they are.
        at_goal: (S,) bool.
        views: (S, bytes) uint8, the observations, eight features a byte (`numpy.packbits`).
    """

    shape: Shape
    after: NDArray[np.int32]
    at_goal: NDArray[np.bool_]
    views: NDArray[np.uint8]

    def observe(self, numbers: Ints) -> NDArray[np.uint8]:
        """(rows, FEATURES) of zeros and ones, a new array."""
        return np.unpackbits(self.views[numbers], axis=1, count=FEATURES)


@cache
def tables(size: int) -> Tables:
    """The tables of this size, made at the first call (8x8: a second or two, 25 MB)."""
    shape = Shape(size)
    blocks = np.split(np.arange(np.prod(shape.counts)), shape.counts[0] * shape.counts[1])  # a wall and a door each
    made = [(_after(shape, block), np.packbits(_observe(shape, block), axis=1)) for block in blocks]
    agent = shape.states(np.concatenate(blocks)).agent
    return Tables(
        shape, np.concatenate([after for after, _ in made]), agent == shape.goal, np.concatenate([v for _, v in made])
    )


def one_hot(kinds: NDArray[np.uint8], direction: Ints) -> NDArray[np.uint8]:
    """(rows, FEATURES) observations from (rows, 7, 7) kinds, indexed by column and row of the view, and directions."""
    seen = (kinds[..., None] == np.arange(1, KINDS + 1)).reshape(len(kinds), -1)
    return np.concatenate([seen, direction[:, None] == np.arange(4)], 1).astype(np.uint8)


def _contents(shape: Shape, states: States, x: Ints, y: Ints) -> NDArray[np.uint8]:
    """The kind of the cell at (x, y), any integers, in each state."""
    cell = (y - 1) * shape.inside + x - 1
    outside = (x < 1) | (x > shape.inside) | (y < 1) | (y > shape.inside)
    kinds = np.where(cell == states.key, np.uint8(KEY), np.uint8(EMPTY))
    kinds[cell == shape.goal] = GOAL
    in_wall = x == states.split
    kinds[in_wall] = WALL
    kinds = np.where(in_wall & (y == states.door_row), states.door.astype(np.uint8), kinds)
    kinds[outside] = WALL
    return kinds


def _place(shape: Shape, states: States, ahead: Ints | int, aside: Ints | int = 0) -> tuple[Ints, Ints]:
    """(x, y) so many cells ahead of the agent and to its right."""
    x, y = states.agent % shape.inside + 1, states.agent // shape.inside + 1
    dx, dy = STEPS_X[states.direction], STEPS_Y[states.direction]
    return x + ahead * dx - aside * dy, y + ahead * dy + aside * dx


def _after(shape: Shape, numbers: Ints) -> NDArray[np.int32]:
    """(rows, 7) what each action makes of these states."""
    s = shape.states(numbers)
    x, y = _place(shape, s, ahead=1)
    front, cell = _contents(shape, s, x, y), (y - 1) * shape.inside + x - 1
    free = (front == EMPTY) | (front == OPEN) | (front == GOAL)
    holds = s.key == shape.carried
    toggled = np.where(front == OPEN, CLOSED, np.where((front == CLOSED) | ((front == LOCKED) & holds), OPEN, s.door))
    changed: dict[int, dict[str, Ints]] = {
        LEFT: {"direction": (s.direction - 1) % 4},
        RIGHT: {"direction": (s.direction + 1) % 4},
        FORWARD: {"agent": np.where(free, cell, s.agent)},
        PICKUP: {"key": np.where(front == KEY, shape.carried, s.key)},
        DROP: {"key": np.where((front == EMPTY) & holds, cell, s.key)},
        TOGGLE: {"door": toggled},
        DONE: {},
    }
    after = np.stack([shape.number(States(**(vars(s) | changed[action]))) for action in range(N_ACTIONS)], 1)
    return np.where((s.agent == shape.goal)[:, None], numbers[:, None], after).astype(np.int32)


def _observe(shape: Shape, numbers: Ints) -> NDArray[np.uint8]:
    """(rows, FEATURES) what the agent sees in these states."""
    states = shape.states(numbers[:, None, None])
    column, row = np.arange(VIEW)[:, None], np.arange(VIEW)
    x, y = _place(shape, states, ahead=VIEW - 1 - row, aside=column - VIEW // 2)
    kinds = _contents(shape, states, x, y)
    kinds[~_visible(kinds)] = UNSEEN
    holds = states.key[:, 0, 0] == shape.carried
    kinds[:, VIEW // 2, VIEW - 1] = np.where(holds, KEY, EMPTY)  # the agent sees what it carries in its own cell
    return one_hot(kinds, states.direction[:, 0, 0])


def _visible(kinds: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """(rows, 7, 7) which cells of a view the agent sees.

    Sight spreads from the agent row by row away from it, in each row first to the right, then to the left: a seen cell
    that is neither wall nor shut door shows its neighbour on that side, the cell behind it and the one behind that
    neighbour.
    """
    clear = ~np.isin(kinds, (WALL, CLOSED, LOCKED))
    clear = np.ascontiguousarray(clear.transpose(1, 2, 0))  # states last: each operation below runs over whole lines
    seen = np.zeros_like(clear)
    seen[VIEW // 2, VIEW - 1] = True
    rightwards = [(column, column + 1) for column in range(VIEW - 1)]
    leftwards = [(column, column - 1) for column in range(VIEW - 1, 0, -1)]
    for row in range(VIEW - 1, -1, -1):
        for column, beside in rightwards + leftwards:
            through = seen[column, row] & clear[column, row]
            seen[beside, row] |= through
            if row > 0:
                seen[beside, row - 1] |= through
                seen[column, row - 1] |= through
    return seen.transpose(2, 0, 1)
