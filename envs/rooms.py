"""Rooms drawn as text: where one can stand, where a move leads, how far it is, and pictures of them.

A plan is a tuple of lines of equal length; ``#`` and everything outside is wall, every other character is floor. Cells are
(row, column) from the top left. Moves are 0 north, 1 south, 2 west, 3 east; a wall leaves one where one was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from dsbench.envs.drawing import INK, PALE, WIDTH, Canvas, Colour

Cell = tuple[int, int]
Plan = tuple[str, ...]
WALL = "#"
MOVES: tuple[Cell, ...] = ((-1, 0), (1, 0), (0, -1), (0, 1))
FAR = 10_000  # a distance longer than any way
HEADER = 20  # pixels above a picture for its caption


def cells_of(plan: Plan, character: str) -> list[Cell]:
    """Where a character stands, line by line."""
    return [(row, column) for row, line in enumerate(plan) for column, c in enumerate(line) if c == character]


def floor_of(plan: Plan) -> list[Cell]:
    """All cells that are not wall, line by line."""
    return [(row, column) for row, line in enumerate(plan) for column, c in enumerate(line) if c != WALL]


def moved(cell: Cell, move: int, floor: Sequence[Cell]) -> Cell:
    """The cell that one move leads to."""
    there = (cell[0] + MOVES[move][0], cell[1] + MOVES[move][1])
    return there if there in floor else cell


def move_table(floor: Sequence[Cell]) -> NDArray[np.int64]:
    """(cells, 4) index of the cell that each move leads to."""
    return np.array([[floor.index(moved(cell, move, floor)) for move in range(4)] for cell in floor], np.int64)


def distances(table: NDArray[np.int64]) -> NDArray[np.int64]:
    """(cells, cells) moves of the shortest way from the first cell to the second one."""
    found = np.full((len(table), len(table)), FAR)
    np.fill_diagonal(found, 0)
    for _ in table:
        found = np.minimum(found, 1 + found[table].min(1))
    return found


def nearer(table: NDArray[np.int64], goal: int) -> NDArray[np.bool_]:
    """(cells, 4) whether a move is the first one of a shortest way to the goal; none is at the goal."""
    to_goal = distances(table)[:, goal]
    return to_goal[table] < to_goal[:, None]


def absorbed(table: NDArray[np.int64], policy: np.ndarray, goal: int, start: np.ndarray, moves: int) -> float:
    """Probability of standing on the goal at least once within so many moves, exactly.

    Args:
        policy: (cells, 4) probability of each move.
        start: (cells,) probability of each first cell.
    """
    step = np.zeros((len(table), len(table)))
    np.add.at(step, (np.arange(len(table))[:, None], table), policy)
    step[goal] = np.arange(len(table)) == goal
    at = np.asarray(start, np.float64)
    for _ in range(moves):
        at = at @ step
    return float(at[goal])


def picture(plan: Plan, marks: Mapping[Cell, tuple[str, Colour]], caption: str) -> NDArray[np.uint8]:
    """(H, W, 3) picture of a room: walls dark, floor pale, marks as a letter on a colour, a caption above."""
    rows, columns = len(plan) + 2, len(plan[0]) + 2  # with a wall all around
    size = WIDTH // columns
    colours = np.full((rows, columns, 3), INK, np.uint8)
    for row, column in floor_of(plan):
        colours[row + 1, column + 1] = marks.get((row, column), ("", PALE))[1]
    canvas = Canvas(size * columns, size * rows + HEADER)
    canvas.text((4, 4), caption)
    canvas.cells((0, HEADER, size * columns - 1, size * rows + HEADER - 1), colours)
    for (row, column), (letter, _) in marks.items():
        centre = (size * (column + 1.5), HEADER + size * (row + 1.5))
        canvas.text(centre, letter, size=max(8, size // 2), anchor="mm")
    return canvas.array()
