"""The part of a page on a run's dynamics: Decision S4 (arXiv:2306.05167), figures 4, 5 and 7."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from dsbench.inspection.findings import QUANTILES, Findings, LayerDynamics
from dsbench.inspection.systems import Dynamics, half_lives, powers
from dsbench.reports.document import MISSING, Cell, Figure, Heading, Section, Table
from dsbench.reports.figures import Axis, Mark, Series, heatmap, plot, unit_disk

CHANNELS = 10  # shown on the disk, as in figure 7, and written as kernels
LINES, ROWS = 6, 64  # states or channels drawn as lines, and as rows of a map
ILL_CONDITIONED = 1e6  # from here on rounding of single precision, times this, is seen in a figure
FLOOR = 1e-6  # share of the largest |K| below which a map shows one colour


def dynamics_section(found: Findings) -> Section:
    """Eigenvalues, their powers and kernels, layer by layer; one sentence where there are none."""
    if not found.half_lives:
        return Section("dynamics", "Dynamics", paragraphs=(found.reason or "",))
    figures = [_half_lives(found)]
    for number, layer in enumerate(found.dynamics, 1):
        figures += [
            _disk(number, layer),
            _rim(number, layer),
            *_powers(number, layer, found.tokens),
            *_kernels(number, layer, found.tokens),
        ]
    paragraphs = [found.reason] if found.reason else [dynamics_sentence(found)]
    if any(_is_sensitive(each.before) or _is_sensitive(each.after) for each in found.dynamics):
        paragraphs.append(
            "The matrix of a layer is far from normal, so its eigenvalues are sensitive: rounding the parameters to single "
            "precision moves them by far more than one rounding. Shown are those of the parameters as they are stored. "
            "HiPPO-LegS, where S4 begins, has real eigenvalues in exact arithmetic: what lies off the real axis before "
            "training is such rounding."
        )
    return Section("dynamics", "Dynamics", tuple(paragraphs), tuple(_tables(found)), tuple(figures))


def dynamics_sentence(found: Findings) -> str:
    """How far eigenvalues are from forgetting, before training and after."""
    before, after = (
        np.concatenate([np.ravel(getattr(each, when).radii) for each in found.dynamics]) for when in ("before", "after")
    )
    return (
        f"The largest |λ| is {before.max():.5f} before training and {after.max():.5f} after, the median "
        f"{np.median(before):.5f} and {np.median(after):.5f}; {_share(before, found.tokens)} of the states keep half of a "
        f"token for a whole episode of {found.tokens:,} tokens before, {_share(after, found.tokens)} after."
    )


def _share(radii: np.ndarray, tokens: int) -> str:
    return f"{100 * float((half_lives(radii) >= tokens).mean()):.0f} %"


def _is_sensitive(dynamics: Dynamics) -> bool:
    return bool(np.median(dynamics.condition) > ILL_CONDITIONED)


def _tables(found: Findings) -> list[Table]:
    if not found.dynamics:
        return []
    headings = (
        Heading("layer", numeric=False),
        Heading("training", "before the first update, or after the last", numeric=False),
        Heading("largest |λ|"),
        Heading("median |λ|"),
        Heading("median half-life", "tokens after which a state has lost half of what it held"),
        Heading("longest half-life", "of all states, in tokens"),
        Heading("condition", "median condition number of the eigenvectors"),
        Heading("moved", "longest way of an eigenvalue in training"),
    )
    rows = [
        _row(layer, when, dynamics, layer.moved if when == "after" else None)
        for layer in found.dynamics
        for when, dynamics in (("before", layer.before), ("after", layer.after))
    ]
    return [Table("dynamics", "Eigenvalues of every layer", headings, tuple(rows))]


def _row(layer: LayerDynamics, when: str, dynamics: Dynamics, moved: float | None) -> tuple[Cell, ...]:
    radii, lives = dynamics.radii, half_lives(dynamics.radii)
    return (
        Cell(layer_name(layer.layer), layer.layer),
        Cell(when, when),
        *(number(float(value), ".5f") for value in (radii.max(), np.median(radii))),
        *(number(float(value), ",.0f") for value in (np.median(lives), lives.max())),
        number(float(np.median(dynamics.condition)), ".2g"),
        number(moved, ".2g"),
    )


def number(value: float | None, form: str) -> Cell:
    """A cell of a number that may be missing."""
    return Cell(MISSING if value is None or math.isnan(value) else f"{value:{form}}", value)


def _half_lives(found: Findings) -> Figure:
    over = "states" if found.dynamics else "states and tokens of the data"
    series = [
        Series(
            f"{layer_name(each.layer)}, {when}",
            values.tolist(),
            QUANTILES.tolist(),
            dashed=when == "before",
            marks=False,
        )
        for each in found.half_lives
        for when, values in (("before", _finite(each.before)), ("after", _finite(each.after)))
    ]
    return plot(
        "half-lives", "How long states remember",
        f"Share of the {over} of each layer that have lost half of what they held after so many tokens, before (dashed) "
        "and after training. The vertical line is the longest episode.",
        series, Axis("half-life (tokens)", log=True), Axis("share that forgets sooner"),
        [Mark(found.tokens, "longest episode")],
    )  # fmt: skip


def layer_name(path: str) -> str:
    """``layers.0.mixer`` -> ``layer-1``, in one word, by which figures tell what belongs together."""
    return next((f"layer-{int(part) + 1}" for part in path.split(".") if part.isdecimal()), path)


def _finite(lives: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(lives), lives, np.nan)


def _disk(number_: int, layer: LayerDynamics) -> Figure:
    def series(name: str, dynamics: Dynamics, dashed: bool) -> Series:
        values = dynamics.eigenvalues[:CHANNELS].ravel()
        return Series(name, values.real.tolist(), values.imag.tolist(), dashed=dashed, line=False)

    systems = min(CHANNELS, len(layer.before.eigenvalues))
    of = f"the first {systems} channels" if systems > 1 else "the one system"
    return unit_disk(
        f"eigenvalues-{number_}", f"Eigenvalues, layer {number_}",
        f"Eigenvalues of Abar of {of} of {layer.layer}, before (hollow) and after training, and the unit circle. On it a "
        "state forgets nothing, in the middle it forgets at once (Decision S4, figure 7).",
        [series("after training", layer.after, False), series("before training", layer.before, True)],
    )  # fmt: skip


def _rim(number_: int, layer: LayerDynamics) -> Figure:
    def series(name: str, dynamics: Dynamics, dashed: bool) -> Series:
        values = dynamics.eigenvalues[:CHANNELS].ravel()
        values = np.unique(np.round(values.real + 1j * np.abs(values.imag), 9))  # one of each conjugate pair
        return Series(
            name, (np.angle(values) / np.pi).tolist(), (1 - np.abs(values)).tolist(), dashed=dashed, line=False
        )

    return plot(
        f"rim-{number_}", f"Distance from the unit circle, layer {number_}",
        "The same eigenvalues seen close to the circle: 1 - |λ|, on a logarithmic scale, by their angle, up or "
        "down. The angle is how fast a state turns, 1 is a change of sign at every token; the lower, the longer "
        "it remembers.",
        [series("after training", layer.after, False), series("before training", layer.before, True)],
        Axis("angle of λ (multiples of π)"), Axis("1 - |λ|", log=True),
    )  # fmt: skip


def _powers(number_: int, layer: LayerDynamics, tokens: int) -> list[Figure]:
    radii = np.sort(layer.after.radii.ravel())
    length = layer.after.kernel.shape[1]
    steps = list(range(length))
    few = _evenly(radii, LINES)
    series = [
        Series(f"|λ| = {radius:.4f}", steps, row.tolist(), marks=False)
        for radius, row in zip(few, powers(few, length), strict=True)
    ]
    rows = powers(_evenly(radii, ROWS), length)
    return [
        plot(
            f"powers-{number_}", f"What states keep, layer {number_}",
            f"|λ|^i after training: the share of a token that a state still holds i tokens later, for {LINES} states of "
            f"{layer.layer} from the shortest memory to the longest, evenly by rank (Decision S4, figure 4a).",
            series, Axis("tokens later (i)"), Axis("|λ|^i"), _episode(tokens, length),
        ),
        heatmap(
            f"powers-map-{number_}", f"What states keep, all of layer {number_}",
            f"|λ|^i after training; each row is a state of {layer.layer}, {len(rows)} of them evenly by rank, the shortest "
            "memory on top (Decision S4, figure 4b).",
            rows, Axis("tokens later (i)"), Axis("state, by |λ|"), "|λ|^i",
        ),
    ]  # fmt: skip


def _kernels(number_: int, layer: LayerDynamics, tokens: int) -> list[Figure]:
    kernel = layer.after.kernel
    length = kernel.shape[1]
    series = [
        Series(f"channel {channel}", list(range(length)), kernel[channel].tolist(), marks=False)
        for channel in range(min(4, len(kernel)))
    ]
    shown = np.abs(kernel[:ROWS])
    logarithm = np.log10(np.maximum(shown, FLOOR * max(float(shown.max()), 1e-300)))
    return [
        plot(
            f"kernels-{number_}", f"Kernels, layer {number_}",
            f"K_i after training, how the input i tokens ago enters the output of the system, for the first channels of "
            f"{layer.layer}; the skip D is no part of it (Decision S4, figure 5a).",
            series, Axis("tokens ago (i)"), Axis("K_i"), _episode(tokens, length),
        ),
        heatmap(
            f"kernels-map-{number_}", f"Kernels, all of layer {number_}",
            f"Size of K_i after training on a logarithmic scale; each row is a channel of {layer.layer} "
            "(Decision S4, figure 5b).",
            logarithm, Axis("tokens ago (i)"), Axis("channel"), "log10 |K_i|",
        ),
    ]  # fmt: skip


def _episode(tokens: int, length: int) -> Sequence[Mark]:
    """Kernels are shown further than short episodes go."""
    return [Mark(tokens, "longest episode")] if tokens < length - 1 else []


def _evenly(values: np.ndarray, count: int) -> np.ndarray:
    """`count` of sorted values, evenly by rank, both ends among them; all where there are fewer."""
    places = np.unique(np.linspace(0, len(values) - 1, min(count, len(values))).round().astype(int))
    chosen: np.ndarray = values[places]
    return chosen
