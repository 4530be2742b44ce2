"""The rooms of key-to-apples: what an action does, what the expert does, and random play's exact return.

A state is (room, cell, left): rooms are 0, 1 and 2 (the end), cells are numbered line by line, `left` is a number whose bit i
says that item i still lies where it lay. Items are the key of room 0, the key of room 1, then the ten apples.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from dsbench.envs.rooms import cells_of, distances, floor_of, move_table

PLANS = (  # k: the key that opens the door d, a: apples; the second room is entered at +
    ("k....", ".....", ".....", ".....", "....d"),
    ("+.a.a", ".a.a.", "a.a.a", ".a.a.", "a.k.d"),
)
SIZE = 5
CELLS = floor_of(PLANS[0])  # no walls within a room
MOVES = 100  # of an episode
WEST, EAST, NORTH, SOUTH, PICK_UP, NEXT_ROOM = range(6)
N_ACTIONS = 6

NEXT_CELL = move_table(CELLS)[:, [2, 3, 0, 1]]  # in the order of this task's actions
KEYS = [CELLS.index(cells_of(plan, "k")[0]) for plan in PLANS]
DOORS = np.array([CELLS.index(cells_of(plan, "d")[0]) for plan in PLANS] + [-1])
APPLES = [CELLS.index(cell) for cell in cells_of(PLANS[1], "a")]
ENTRANCE = CELLS.index(cells_of(PLANS[1], "+")[0])
N_ITEMS = len(KEYS) + len(APPLES)
ALL_LEFT = 2**N_ITEMS - 1
ITEM_AT = np.full((3, len(CELLS)), -1)  # room, cell
for _room, _cell in enumerate(KEYS):
    ITEM_AT[_room, _cell] = _room
ITEM_AT[1, APPLES] = np.arange(len(KEYS), N_ITEMS)


def advance(room: int, cell: int, left: int, action: int) -> tuple[int, int, int, float]:
    """(room, cell, left, reward) after an action in room 0 or 1."""
    if action < PICK_UP:
        return room, int(NEXT_CELL[cell, action]), left, 0.0
    if action == NEXT_ROOM:
        if cell != DOORS[room] or left >> room & 1:
            return room, cell, left, 0.0
        return room + 1, ENTRANCE, left, float(room == 1)
    item = int(ITEM_AT[room, cell])
    if item < 0 or not left >> item & 1:
        return room, cell, left, 0.0
    return room, cell, left - 2**item, float(item >= len(KEYS))


@cache
def random_return() -> float:
    """Exact mean return of uniformly random actions.

    Random play does not look at the apples, so each of them is a chain of its own with the keys; the expected returns of the
    chains with one apple hold the third room once each, that of the chain without apples holds it alone.
    """
    keys = 2 ** len(KEYS) - 1
    third_room = _mean_return(keys)
    return third_room + sum(_mean_return(keys + 2**item) - third_room for item in range(len(KEYS), N_ITEMS))


def _mean_return(left: int) -> float:
    """Exact mean return of random play if only these items lie about."""
    states = {(0, cell, left): 1 / len(CELLS) for cell in range(len(CELLS))}
    order = list(states)
    number = {state: i for i, state in enumerate(order)}
    rows, columns, rewards = [], [], []
    for i, state in enumerate(order):  # grows while new states are found
        for action in range(N_ACTIONS):
            *there, reward = advance(*state, action) if state[0] < 2 else (*state, 0.0)
            after = (int(there[0]), int(there[1]), int(there[2]))
            if after not in number:
                number[after] = len(order)
                order.append(after)
            rows.append(i)
            columns.append(number[after])
            rewards.append(reward)
    step, pay = np.zeros((len(order), len(order))), np.zeros(len(order))
    np.add.at(step, (rows, columns), 1 / N_ACTIONS)
    np.add.at(pay, rows, np.array(rewards) / N_ACTIONS)
    at, total = np.zeros(len(order)), 0.0
    at[: len(states)] = list(states.values())
    for _ in range(MOVES):
        total += float(at @ pay)
        at = at @ step
    return total


@cache
def expert_actions() -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
    """For each room (items left in it, cells, 6): pick up what lies here; else a shortest way to the nearest item left, to
    the door if there is none; in the door, on. The items left in a room are a number as in `left`, less the bits of others.
    """
    first = _expert_of_room([KEYS[0]], int(DOORS[0]))
    second = _expert_of_room([KEYS[1], *APPLES], int(DOORS[1]))
    return first, second, np.ones((1, len(CELLS), N_ACTIONS), bool)


def _expert_of_room(items: list[int], door: int) -> NDArray[np.bool_]:
    far = distances(NEXT_CELL)
    good = np.zeros((2 ** len(items), len(CELLS), N_ACTIONS), bool)
    for left in range(2 ** len(items)):
        goals = [cell for bit, cell in enumerate(items) if left >> bit & 1] or [door]
        nearest = far[:, goals].min(1)
        closer = far[NEXT_CELL][:, :, goals].min(2) < nearest[:, None]
        good[left, :, :PICK_UP] = closer
        good[left, goals, PICK_UP if left else NEXT_ROOM] = True
    return good
