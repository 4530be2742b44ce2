"""Pictures: of the size that was asked for, with the marks where they belong, for observations of every kind."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dsbench.envs.drawing import BLUE, INK, RED, WIDTH, Canvas, picture_of


def coloured(picture: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """(H, W) where the picture has this colour."""
    return (picture == np.array(colour, np.uint8)).all(-1)


@pytest.mark.parametrize(
    "observation",
    [
        np.int64(3),
        np.array([0.5, -1.0], np.float32),
        np.array([np.nan, np.inf, 0.0], np.float32),
        np.zeros(500, np.float32),
        np.zeros((7, 9, 20), np.float32),
        np.zeros((5, 5, 3), np.uint8),
        {"goal": np.int64(1), "image": np.zeros((4, 8, 3), np.uint8)},
    ],
)
def test_every_kind_of_observation_has_a_picture(observation: Any) -> None:
    picture = picture_of(observation)
    assert picture.dtype == np.uint8 and picture.ndim == 3 and picture.shape[1:] == (WIDTH, 3)
    assert 18 <= picture.shape[0] <= 2 * WIDTH


def test_a_bar_is_as_long_as_its_number() -> None:
    canvas = Canvas(300, 60)
    canvas.bars((0, 0, 300, 60), [1.0, -0.5, 0.0])
    lengths = [int(coloured(canvas.array()[y : y + 1], BLUE).sum()) for y in (10, 30, 50)]
    assert abs(lengths[0] - 2 * lengths[1]) <= 3
    assert lengths[2] <= 1


def test_an_arrow_points_where_it_goes_and_keeps_its_gap() -> None:
    canvas = Canvas(100, 21)
    canvas.arrow((0, 10), (100, 10), RED, gap=10)
    drawn = np.flatnonzero(coloured(canvas.array(), RED).any(0))
    assert drawn.min() in (9, 10, 11) and drawn.max() in (89, 90, 91)
    heights = coloured(canvas.array(), RED).sum(0)
    assert heights[:75].max() == 1 and heights[75:].max() > 3
    canvas.arrow((10, 5), (20, 5), INK, gap=10)  # no room left between the gaps
    assert not coloured(canvas.array(), INK).any()


def test_cells_fill_their_box_in_rows_and_columns() -> None:
    canvas = Canvas(40, 20)
    colours = np.zeros((1, 2, 3), np.uint8)
    colours[0, 1] = RED
    canvas.cells((0, 0, 40, 20), colours, line=None)
    picture = canvas.array()
    assert coloured(picture[:, 21:39], RED).all() and not coloured(picture[:, :20], RED).any()


def test_a_disc_carries_its_label() -> None:
    plain, labelled = Canvas(40, 40), Canvas(40, 40)
    plain.disc((20, 20), 12, BLUE)
    labelled.disc((20, 20), 12, BLUE, "7", ink=RED)
    changed = (plain.array() != labelled.array()).any(-1)
    assert coloured(plain.array(), BLUE).sum() > 300 and changed[10:30, 10:30].any() and changed.sum() < 150
