"""Small pictures with Pillow: what the tasks draw themselves with, and a generic picture of any observation.

Places are (x, y) and boxes (left, top, right, bottom), in pixels from the upper left corner.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Colour = tuple[int, int, int]
Place = tuple[float, float]
Box = tuple[float, float, float, float]

# Okabe and Ito's colours, which colour-blind people can tell apart
WHITE: Colour = (255, 255, 255)
INK: Colour = (40, 40, 40)
PALE: Colour = (205, 205, 205)
BLUE: Colour = (0, 114, 178)
ORANGE: Colour = (230, 159, 0)
GREEN: Colour = (0, 158, 115)
RED: Colour = (213, 94, 0)

WIDTH = 320
MAX_BARS = 40  # more numbers than this become a grid of cells
ARROW_HEAD = 7.0  # pixels


class Canvas:
    """A white picture to draw on."""

    def __init__(self, width: int = WIDTH, height: int = 240) -> None:
        self.image = Image.new("RGB", (width, height), WHITE)
        self.draw = ImageDraw.Draw(self.image)

    def array(self) -> NDArray[np.uint8]:
        """(H, W, 3) what was drawn."""
        return np.asarray(self.image, np.uint8).copy()

    def text(self, place: Place, words: str, *, size: int = 12, colour: Colour = INK, anchor: str = "la") -> None:
        """Words at a place; `anchor` is Pillow's: horizontally l, m or r, vertically a (top), m or s (base line)."""
        self.draw.text(place, words, fill=colour, font=ImageFont.load_default(size), anchor=anchor)

    def disc(self, centre: Place, radius: float, fill: Colour, label: str = "", ink: Colour = INK) -> None:
        """A filled circle with a few letters in it."""
        (x, y), r = centre, radius
        self.draw.ellipse((x - r, y - r, x + r, y + r), fill=fill, outline=INK)
        if label:
            self.text(centre, label, size=max(8, int(radius)), colour=ink, anchor="mm")

    def arrow(self, start: Place, end: Place, colour: Colour = INK, *, width: int = 1, gap: float = 0.0) -> None:
        """An arrow that leaves `gap` pixels free at both ends; nothing where that leaves no line."""
        length = math.dist(start, end)
        if length <= 2 * gap or length == 0:
            return
        across, down = (end[0] - start[0]) / length, (end[1] - start[1]) / length
        tail = (start[0] + across * gap, start[1] + down * gap)
        tip = (end[0] - across * gap, end[1] - down * gap)
        head = ARROW_HEAD + width
        neck = (tip[0] - across * head, tip[1] - down * head)
        self.draw.line((tail, neck), fill=colour, width=width)
        side = head * 0.4
        corners = [(neck[0] - down * side, neck[1] + across * side), (neck[0] + down * side, neck[1] - across * side)]
        self.draw.polygon([tip, *corners], fill=colour)

    def bars(
        self, box: Box, values: Sequence[float] | np.ndarray, labels: Sequence[str] = (), reach: float | None = None
    ) -> None:
        """A horizontal bar a number, from a common zero in the middle (at the left if none is negative).

        Args:
            labels: a name for each, written before it.
            reach: the value of a bar of full length; the largest magnitude if not given.
        """
        numbers = np.nan_to_num(np.asarray(values, np.float64).ravel(), posinf=0, neginf=0)
        left, top, right, bottom = box
        row = (bottom - top) / max(1, len(numbers))
        size = int(min(12, max(7, row - 2)))
        begin, end = left + (70 if labels else 0), right - 45
        zero = (begin + end) / 2 if (numbers < 0).any() else begin
        scale = (end - zero) / (reach or float(np.abs(numbers).max(initial=0)) or 1.0)
        for place, number in enumerate(numbers):
            y = top + place * row
            tip = float(np.clip(zero + number * scale, begin, end))
            self.draw.rectangle((min(zero, tip), y + 1, max(zero, tip), y + max(2, row - 2)), fill=BLUE)
            self.text((right, y + row / 2), f"{number:.3g}", size=size, anchor="rm")
            if labels:
                self.text((left, y + row / 2), labels[place], size=size, anchor="lm")
        self.draw.line((zero, top, zero, bottom), fill=INK)

    def cells(self, box: Box, colours: np.ndarray, line: Colour | None = PALE) -> None:
        """(rows, columns, 3) colours as a grid that fills the box, with lines between the cells unless `line` is None."""
        left, top, right, bottom = box
        rows, columns = colours.shape[:2]
        xs, ys = np.linspace(left, right, columns + 1), np.linspace(top, bottom, rows + 1)
        for i in range(rows):
            for j in range(columns):
                red, green, blue = (int(part) for part in colours[i, j])
                place = (xs[j], ys[i], xs[j + 1], ys[i + 1])
                self.draw.rectangle(place, fill=(red, green, blue), outline=line)


def picture_of(observation: Any, width: int = WIDTH) -> NDArray[np.uint8]:
    """(H, width, 3) a picture of any observation: a number as text, a few as bars, many as cells, an image as itself.

    The parts of a dictionary stand one below another, each under its name.
    """
    if isinstance(observation, Mapping):
        parts = [np.vstack([_title(key, width), picture_of(observation[key], width)]) for key in sorted(observation)]
        return np.vstack(parts)
    array = np.asarray(observation)
    if array.ndim == 3 and array.dtype == np.uint8 and array.shape[2] == 3:
        height = max(1, round(width * array.shape[0] / array.shape[1]))
        return np.asarray(Image.fromarray(array).resize((width, height), Image.Resampling.NEAREST), np.uint8)
    if array.ndim == 0 or array.size == 1:
        canvas = Canvas(width, 60)
        canvas.text((width / 2, 30), f"{array.item():g}", size=32, anchor="mm")
    elif array.size <= MAX_BARS:
        canvas = Canvas(width, 20 + max(40, 12 * array.size))
        canvas.bars((10, 10, width - 10, canvas.image.height - 10), array, [str(i) for i in range(array.size)])
    else:
        grid = _grey(array)
        height = max(40, round((width - 20) * grid.shape[0] / grid.shape[1]))
        canvas = Canvas(width, min(height, width) + 20)
        canvas.cells((10, 10, width - 10, canvas.image.height - 10), grid, line=None)
    return canvas.array()


def _title(words: str, width: int) -> NDArray[np.uint8]:
    canvas = Canvas(width, 18)
    canvas.text((10, 3), words)
    return canvas.array()


def _grey(array: np.ndarray) -> NDArray[np.uint8]:
    """(rows, columns, 3) shades from black for the lowest value to white; flat lists are folded into a near square."""
    numbers = np.nan_to_num(array.astype(np.float64), posinf=0, neginf=0)
    low, high = float(numbers.min()), float(numbers.max())
    shades = (255 * (numbers - low) / ((high - low) or 1.0)).astype(np.uint8)
    if shades.ndim == 1:
        columns = math.ceil(math.sqrt(shades.size))
        shades = np.pad(shades, (0, -shades.size % columns), constant_values=255).reshape(-1, columns)
    else:  # planes of a tensor stand side by side
        shades = shades.reshape(shades.shape[0], -1)
    return np.repeat(shades[:, :, None], 3, axis=2)
