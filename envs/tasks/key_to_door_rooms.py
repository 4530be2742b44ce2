"""The three rooms of key-to-door as tables, and the exact chances of its scripted policies.

A place is a cell of one of the rooms, numbered through all three; a key state is 0 to 9 (it lies on that spot) or HELD.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from dsbench.envs.rooms import absorbed, cells_of, floor_of, move_table, moved, nearer

EXPLORE, DISTRACTOR, REWARD = range(3)
PLANS = (  # k: the key lies on one of these, +: one starts on one of these, a: apples may grow, d: the door
    ("##kkkkk##", "##kkkkk##", "###...###", "##+++++##", "##+++++##"),
    ("a.a.a.a.a", ".a.a.a.a.", "a.a.a.a.a", ".a.a.a.a.", "a.a.+.a.a"),
    ("####d####", "###...###", "###.+.###", "###...###", "#########"),
)
ROWS, COLUMNS = 5, 9
EXPLORE_MOVES = REWARD_MOVES = 15
APPLES, RESPAWN = 10, 20
APPLE_REWARDS = (1.0, 10.0)

KEY_SPOTS, STARTS = cells_of(PLANS[EXPLORE], "k"), cells_of(PLANS[EXPLORE], "+")
APPLE_SPOTS = cells_of(PLANS[DISTRACTOR], "a")
FLOORS = tuple(floor_of(plan) for plan in PLANS)
PLACES = [(phase, cell) for phase, floor in enumerate(FLOORS) for cell in floor]
HELD = len(KEY_SPOTS)
KEY_PLACES = np.array([PLACES.index((EXPLORE, cell)) for cell in KEY_SPOTS] + [-1])
START_PLACES = np.array([PLACES.index((EXPLORE, cell)) for cell in STARTS])
ENTRANCES = [PLACES.index((phase, cells_of(plan, "+")[0])) for phase, plan in enumerate(PLANS)]
DOOR = PLACES.index((REWARD, cells_of(PLANS[REWARD], "d")[0]))
FIRST_OF_PHASE = (0, len(FLOORS[0]), len(FLOORS[0]) + len(FLOORS[1]))
APPLE_OF_PLACE = np.array(
    [APPLE_SPOTS.index(cell) if phase == DISTRACTOR and cell in APPLE_SPOTS else -1 for phase, cell in PLACES]
)

PLACE_AT = np.full((3, ROWS, COLUMNS), -1)  # phase, row, column
for _place, (_phase, _cell) in enumerate(PLACES):
    PLACE_AT[_phase][_cell] = _place
KEY_AT = np.full((ROWS, COLUMNS), HELD)
for _key, _cell in enumerate(KEY_SPOTS):
    KEY_AT[_cell] = _key

# Where the parts of an observation begin: phase at 0, then these.
ROW, COLUMN = 3, 3 + ROWS
KEY_ROW = COLUMN + COLUMNS  # of the key, less one's own: -4 to 1
KEY_COLUMN = KEY_ROW + 6  # likewise: -4 to 4
FEATURES = KEY_COLUMN + 9
BELOW, BESIDE = KEY_ROW + 4, KEY_COLUMN + 4  # where a difference of 0 stands


def _next_places() -> NDArray[np.int64]:
    """(2, places, 4) where a move leads, without and with the key: without it the door is a wall."""
    closed, opened = [], []
    for phase, cell in PLACES:
        door_shut = [other for other in FLOORS[phase] if (phase, other) != PLACES[DOOR]]
        closed.append([PLACES.index((phase, moved(cell, move, door_shut))) for move in range(4)])
        opened.append([PLACES.index((phase, moved(cell, move, FLOORS[phase]))) for move in range(4)])
    return np.array([closed, opened])


def _expert_moves() -> NDArray[np.bool_]:
    """(places, key states, 4) moves of a shortest way to the key, later with the key to the door; else all moves."""
    good = np.ones((len(PLACES), HELD + 1, 4), bool)
    explore, reward = move_table(FLOORS[EXPLORE]), move_table(FLOORS[REWARD])
    for key, cell in enumerate(KEY_SPOTS):
        good[: len(explore), key] = nearer(explore, FLOORS[EXPLORE].index(cell))
    good[FIRST_OF_PHASE[REWARD] :, HELD] = nearer(reward, DOOR - FIRST_OF_PHASE[REWARD])
    good[~good.any(2)] = True  # on the key's own cell or in the door nothing is left to do
    return good


def _observations() -> NDArray[np.float32]:
    """(places, key states, 32) what is seen, without apples and the held key."""
    seen = np.zeros((len(PLACES), HELD + 1, FEATURES), np.float32)
    for place, (phase, (row, column)) in enumerate(PLACES):
        seen[place, :, [phase, ROW + row, COLUMN + column]] = 1
        for key, (key_row, key_column) in enumerate(KEY_SPOTS if phase == EXPLORE else []):
            seen[place, key, [BELOW + key_row - row, BESIDE + key_column - column]] = 1
    return seen


def seen_state(observations: np.ndarray) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Places and keys, each (...,), from (..., size) observations; a key that is not seen counts as held."""
    row = observations[..., ROW:COLUMN].argmax(-1)
    column = observations[..., COLUMN:KEY_ROW].argmax(-1)
    place = PLACE_AT[observations[..., :ROW].argmax(-1), row, column]
    key_row = row + observations[..., KEY_ROW:KEY_COLUMN].argmax(-1) - (BELOW - KEY_ROW)
    key_column = column + observations[..., KEY_COLUMN:FEATURES].argmax(-1) - (BESIDE - KEY_COLUMN)
    visible = observations[..., KEY_ROW:FEATURES].any(-1)
    return place, np.where(visible, KEY_AT[np.where(visible, key_row, 0), np.where(visible, key_column, 0)], HELD)


NEXT_PLACES = _next_places()
OBSERVATIONS = _observations()
EXPERT_MOVES = _expert_moves()
EXPERT_POLICY = EXPERT_MOVES / EXPERT_MOVES.sum(2, keepdims=True)


@cache
def key_chance(epsilon: float) -> float:
    """Exact probability that an expert who errs with this probability takes the key in time."""
    table = move_table(FLOORS[EXPLORE])
    start = np.zeros(len(table))
    start[START_PLACES] = 1 / len(START_PLACES)
    policy = epsilon / 4 + (1 - epsilon) * EXPERT_POLICY[: len(table)]
    chances = [absorbed(table, policy[:, key], int(KEY_PLACES[key]), start, EXPLORE_MOVES) for key in range(HELD)]
    return float(np.mean(chances))


@cache
def door_chance(epsilon: float) -> float:
    """Exact probability that an expert with the key who errs with this probability opens the door in time."""
    first = FIRST_OF_PHASE[REWARD]
    start = np.zeros(len(FLOORS[REWARD]))
    start[ENTRANCES[REWARD] - first] = 1
    policy = epsilon / 4 + (1 - epsilon) * EXPERT_POLICY[first:, HELD]
    return absorbed(move_table(FLOORS[REWARD]), policy, DOOR - first, start, REWARD_MOVES)


@cache
def random_apples(moves: int) -> float:
    """Exact mean number of apples that a random walk of so many moves through the distractor room takes.

    A chain for each spot, whose state is where one is and how long the spot has been bare; by linearity they add up.
    """
    table = move_table(FLOORS[DISTRACTOR])
    bare, spots = RESPAWN + 1, [FLOORS[DISTRACTOR].index(cell) for cell in APPLE_SPOTS]
    at = np.zeros(
        (len(spots), bare + 1, len(table))
    )  # (spot, moves since it was taken; the last: there is an apple, cell)
    at[:, bare, ENTRANCES[DISTRACTOR] - FIRST_OF_PHASE[DISTRACTOR]] = 1
    step = np.zeros((len(table), len(table)))
    np.add.at(step, (np.arange(len(table))[:, None], table), 0.25)
    taken, each = 0.0, np.arange(len(spots))
    for _ in range(moves):
        at = at @ step
        picked = at[each, bare, spots].copy()
        at[each, bare, spots] = 0
        at[:, bare] += at[:, bare - 1]
        at[:, 1:bare] = at[:, : bare - 1]
        at[:, 0] = 0
        at[each, 0, spots] = picked
        taken += picked.sum()
    return taken * APPLES / len(spots)
