"""The drawings: what they hold, that they are the same twice, and that any text and any gap is survived."""

from __future__ import annotations

import io
import itertools
import math
import re
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from dsbench.backbones.catalogue import BACKBONES
from dsbench.reports.document import Figure
from dsbench.reports.figures import Axis, Mark, Series, heatmap, plot, stems, unit_disk
from dsbench.reports.palette import INK, styles

SVG = "{http://www.w3.org/2000/svg}"
TIMES = (1, 20, 100, 300, 1000)


def lines(name: str = "latency") -> Figure:
    series = [
        Series("gpt", TIMES, (300, 310, 420, 700, 1500), (280, 290, 400, 600, 1400), (320, 330, 440, 800, 1600)),
        Series("s4", TIMES, (210, 210, math.nan, 211, 212), dashed=True, marks=False),
        Series("lstm", (1,), (95,), (90,), (100,), line=False),
    ]
    marks = [Mark(130, "s4 beats gpt from 130"), Mark(800, "another")]
    return plot(name, "Latency", "By context.", series, Axis("decisions before", log=True), Axis("µs", log=True), marks)


def every_kind() -> list[Figure]:
    turn = np.linspace(0.0, 6.0, 12)
    taps = Series("s4", range(8), np.exp(-np.arange(8.0)).tolist())
    poles = Series("s4", np.cos(turn).tolist(), np.sin(turn).tolist())
    weights = np.tril(np.ones((5, 5)))
    return [
        lines(),
        stems("kernel", "Kernel", "Its taps.", [taps, Series("s4d", range(8), range(8))], Axis("i"), Axis("K")),
        unit_disk("poles", "Poles", "Of one layer.", [poles]),
        heatmap("attention", "Attention", "Of one head.", weights, Axis("key"), Axis("query"), "weight"),
    ]


def words(figure: Figure) -> list[str]:
    return [text.text or "" for text in ElementTree.fromstring(figure.svg).iter(f"{SVG}text")]


@pytest.fixture(scope="module")
def figures() -> list[Figure]:
    return every_kind()


def test_the_same_numbers_give_the_same_bytes(figures: list[Figure]) -> None:
    assert every_kind() == figures


def test_words_are_text_in_the_ink_of_the_page(figures: list[Figure]) -> None:
    assert {"gpt", "s4", "lstm", "s4 beats gpt from 130", "another", "decisions before", "µs", "1,000"} <= set(
        words(figures[0])
    )
    for figure in figures:
        assert words(figure) and "currentColor" in figure.svg
        drawn = figure.svg[figure.svg.index("</style>") :]
        assert not re.search("#1f2329|#000000|#ffffff", drawn), "neither black nor white survives both schemes"


def test_ids_of_two_figures_never_meet(figures: list[Figure]) -> None:
    found = [re.findall(r'\bid="([^"]+)"', figure.svg) for figure in [*figures, lines("other")]]
    for ids in found:
        assert len(ids) == len(set(ids))
    for one, other in itertools.combinations(found, 2):
        assert not set(one) & set(other)


def test_references_lead_to_ids_of_the_same_figure(figures: list[Figure]) -> None:
    for figure in figures:
        named = set(re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', figure.svg))
        targets = {first or second for first, second in named}
        assert targets <= set(re.findall(r'\bid="([^"]+)"', figure.svg))


def test_nothing_is_fetched_and_nothing_runs(figures: list[Figure]) -> None:
    for figure in figures:
        root = ElementTree.fromstring(figure.svg)
        assert not list(root.iter(f"{SVG}script")) + list(root.iter(f"{SVG}foreignObject"))
        for element in root.iter():
            for name, value in element.attrib.items():
                assert not name.startswith("on")
                assert not name.endswith("href") or value.startswith(("#", "data:image/png"))


def test_styles_inside_speak_of_this_figure_alone(figures: list[Figure]) -> None:
    """A style sheet within an inline drawing holds for the whole page."""
    for figure in figures:
        (sheet,) = re.findall(r"<style>(.*?)</style>", figure.svg, re.DOTALL)
        selectors = re.findall(r"([^{}]+){[^{}]*}", re.sub(r"@media[^{]*{(.*?})}", r"\1", sheet))
        assert set(selectors) == {"svg:root", f"#fig-{figure.name} *"}


def test_the_picture_for_markdown_is_opaque_white(figures: list[Figure]) -> None:
    for figure in figures:
        picture = Image.open(io.BytesIO(figure.png)).convert("RGBA")
        assert picture.width > 800
        assert picture.getpixel((0, 0)) == (255, 255, 255, 255)


def test_what_others_have_set_changes_no_picture() -> None:
    """A user's matplotlibrc, or a library of the same process that likes other fonts."""
    plain = plot("a", "t", "c", [Series("s4", (1, 2), (1.0, 2.0))], Axis("x"), Axis("y"))
    with matplotlib.rc_context({"font.size": 20, "xtick.labelsize": 30, "axes.grid": True, "lines.linestyle": ":"}):
        assert plot("a", "t", "c", [Series("s4", (1, 2), (1.0, 2.0))], Axis("x"), Axis("y")) == plain


def test_a_gap_is_no_zero() -> None:
    gap = plot("a", "t", "c", [Series("s4", (1, 2, 3), (1.0, math.nan, 1.0))], Axis("x"), Axis("y"))
    nought = plot("a", "t", "c", [Series("s4", (1, 2, 3), (1.0, 0.0, 1.0))], Axis("x"), Axis("y"))
    assert "0.2" not in words(gap)
    assert "0.2" in words(nought)


@pytest.mark.parametrize(
    "name", ["<script>alert(1)</script>", "$\\frac{1}{$", "_hidden", "a\x00b\nc", "模型", "&amp; --", ""]
)
def test_any_name_is_drawn_as_it_is_written(name: str) -> None:
    figure = plot("a", name, "c", [Series(name, (1, 2), (1, 2)), Series("s4", (1, 2), (2, 1))], Axis(name), Axis("y"))
    shown = name.replace("\x00", "\\x00").replace("\n", "\\n")
    assert shown == "" or shown in words(figure)


@settings(max_examples=6, deadline=None)
@given(
    st.lists(st.one_of(st.just(math.nan), st.floats(-1e12, 1e12)), max_size=4),
    st.booleans(),
    st.booleans(),
)
def test_any_values_are_drawn(values: list[float], log: bool, line: bool) -> None:
    series = [Series("s4", range(len(values)), values, values, values, line=line)]
    figure = plot("a", "t", "c", series, Axis("x", log=log), Axis("y", log=log))
    ElementTree.fromstring(figure.svg)


def luminance(colour: str) -> float:
    """Relative luminance of WCAG 2.2."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("ground", ["#ffffff", "#12161c"])
def test_every_backbone_stands_out_on_light_and_on_dark(ground: str) -> None:
    for style in styles(BACKBONES.names()):
        light, dark = sorted([luminance(style.colour), luminance(ground)], reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 3.0, style


def test_backbones_differ_in_marker_and_keep_their_colour() -> None:
    names = BACKBONES.names()
    assert len({style.marker for style in styles(names)}) == len(names)
    together = dict(zip(names, styles(names), strict=True))
    for one, other in itertools.pairwise(names):
        assert [style.colour for style in styles([other, one])] == [together[other].colour, together[one].colour]


def test_two_modes_of_one_backbone_share_its_colour() -> None:
    cache, window, other = styles(["gpt", "gpt, window of 20", "s4"])
    assert cache.colour == window.colour != other.colour
    assert len({cache.marker, window.marker, other.marker}) == 3
    assert cache.dashes != window.dashes


def test_channels_of_one_backbone_alone_differ_in_colour() -> None:
    assert len({style.colour for style in styles(["s4 channel 0", "s4 channel 1", "s4 channel 2"])}) == 3


def test_where_dashes_mean_something_nothing_else_is_dashed() -> None:
    def strokes(second_dashed: bool) -> int:
        series = [Series("gpt", (1, 2), (1, 2)), Series("gpt, paper", (1, 2), (2, 3)), Series("s4", (1, 2), (0, 1))]
        series += [Series("s4, paper", (1, 2), (1, 1), dashed=second_dashed)]
        figure = plot("a", "t", "c", series, Axis("x"), Axis("y"))
        return len(re.findall(r"stroke-dasharray", figure.svg))

    assert strokes(second_dashed=False) == 4  # two curves, and their samples in the legend
    assert strokes(second_dashed=True) == 2


def test_what_is_no_contestant_is_drawn_in_ink() -> None:
    front, gpt = styles(["Pareto front", "gpt"])
    assert front.colour == INK and gpt.colour != INK


def test_curves_measured_at_a_few_places_name_these() -> None:
    curves = [Series("s4", (5, 10, 20, 40), (1, 2, 3, 4))]
    assert {"5", "10", "20", "40"} <= set(words(plot("a", "t", "c", curves, Axis("length", log=True), Axis("y"))))
    crowded = [Series("s4", (1, 20, 100, 250, 300), (1, 2, 3, 4, 5))]
    shown = set(words(plot("a", "t", "c", crowded, Axis("decisions", log=True), Axis("y"))))
    assert {"20", "100", "300"} <= shown and "250" not in shown  # its letters would run into those of 300


def test_a_logarithmic_axis_of_less_than_a_decade_names_more_than_one_tick() -> None:
    figure = plot("a", "t", "c", [Series("s4", (52_000, 102_000), (1, 2))], Axis("parameters", log=True), Axis("y"))
    assert {"60k", "80k", "100k"} <= set(words(figure))


def drawn_marks(figure: Figure, colour: str) -> list[tuple[float, bool]]:
    """(place across, whether it is filled) of every mark of a colour between the axes."""
    found = []
    for use in ElementTree.fromstring(figure.svg).iter(f"{SVG}use"):
        style = use.get("style", "")
        if f"stroke: {colour}" in style:
            found.append((float(use.get("x", "nan")), f"fill: {colour}" in style and "fill-opacity: 0" not in style))
    return found


@given(st.lists(st.booleans(), min_size=1, max_size=8))
@settings(max_examples=20, deadline=None)
def test_the_marks_under_a_caution_are_hollow_and_each_point_has_one(hollow: list[bool]) -> None:
    xs = [float(place + 1) for place in range(len(hollow))]
    (colour,) = [style.colour for style in styles(["gpt"])]
    for line in (True, False):
        drawn = plot("x", "X", "", [Series("gpt", xs, xs, hollow=hollow, line=line)], Axis("x"), Axis("y"))
        assert [not filled for _, filled in sorted(drawn_marks(drawn, colour))] == hollow


def test_a_spread_across_is_drawn_from_its_least_to_its_most() -> None:
    bare, wide = (
        plot("x", "X", "", [Series("gpt", [2.0], [1.0], line=False, **bounds)], Axis("x"), Axis("y"))
        for bounds in ({}, {"left": [1.0], "right": [8.0]})
    )
    assert bare.svg != wide.svg
    ticks = {word for word in words(wide) if word.replace(".", "").isdigit()}
    assert {"1", "8"} <= ticks and "8" not in words(bare)
