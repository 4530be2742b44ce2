"""Colours stay apart for readers who lack a kind of cone."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from dsbench.backbones.catalogue import BACKBONES
from dsbench.reports.palette import styles

# Machado, Oliveira and Fernandes, "A Physiologically-based Model for Simulation of Color Vision Deficiency" (2009), severity 1,
# on linear light.
SEEN = {
    "all cones": [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
    "no red": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "no green": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "no blue": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
TOLD = 12.0  # of CIE 1976, where about 2 can just be seen side by side


def lab(colour: str, seen: list[list[float]]) -> NDArray[np.float64]:
    """CIELAB of a colour as it is seen."""
    parts = np.array([int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)])
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    light = np.clip(np.array(seen) @ linear, 0.0, 1.0)
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ light
    ratio = xyz / np.array([0.95047, 1.0, 1.08883])
    root = np.where(ratio > 0.008856, np.cbrt(ratio), 7.787 * ratio + 16 / 116)
    return np.array([116 * root[1] - 16, 500 * (root[0] - root[1]), 200 * (root[1] - root[2])])


@pytest.mark.parametrize("eye", SEEN)
def test_any_two_backbones_are_told_apart_by_colour_alone(eye: str) -> None:
    names = BACKBONES.names()
    colours = {name: lab(style.colour, SEEN[eye]) for name, style in zip(names, styles(names), strict=True)}
    for one, other in itertools.combinations(names, 2):
        assert np.linalg.norm(colours[one] - colours[other]) > TOLD, (one, other)
