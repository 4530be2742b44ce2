"""The picture of a bsuite observation: a few numbers as bars, a line of words, and many bits as coloured cells."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from dsbench.envs.drawing import BLUE, INK, ORANGE, PALE, WHITE, WIDTH, Canvas

MARGIN, LINE, CELL = 10, 20, 15  # pixels
COLUMNS = (WIDTH - 2 * MARGIN) // CELL
MAX_ROWS = 20  # bits past these rows are left out


def picture(numbers: Mapping[str, float], words: str, bits: np.ndarray) -> NDArray[np.uint8]:
    """(H, W, 3) picture of the numbers (bars, full at 1), the words, and the bits (1 blue, 0 pale, -1 orange)."""
    colours = np.array([BLUE if bit > 0 else ORANGE if bit < 0 else PALE for bit in bits[: COLUMNS * MAX_ROWS]])
    rows, columns = -(-len(colours) // COLUMNS), min(len(colours), COLUMNS)
    below = MARGIN + LINE * len(numbers)
    canvas = Canvas(height=below + LINE + rows * CELL + MARGIN)
    canvas.bars((MARGIN, MARGIN, WIDTH - MARGIN, below), list(numbers.values()), list(numbers), reach=1.0)
    canvas.text((MARGIN, below + 3), words, colour=INK)
    if len(colours):
        missing = rows * columns - len(colours)
        grid = np.concatenate([colours, np.tile(WHITE, (missing, 1))]).reshape(rows, columns, 3)
        top = below + LINE
        canvas.cells((MARGIN, top, MARGIN + columns * CELL, top + rows * CELL), grid, line=WHITE)
    return canvas.array()
