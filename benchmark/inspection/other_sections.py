"""The parts of a page on effective memory, attention and rounding."""

from __future__ import annotations

import numpy as np

from dsbench.inspection.attention import LONGEST, AttentionMap, mean_lag
from dsbench.inspection.dynamics_section import number
from dsbench.inspection.findings import Findings
from dsbench.inspection.memory_length import SHARE, MemoryLength
from dsbench.inspection.rounding import VARIANTS, Drift
from dsbench.reports.document import Cell, Figure, Heading, Section, Table
from dsbench.reports.figures import Axis, Mark, Series, heatmap, plot

MAPS = 8  # attention maps drawn
POINTS = 200  # of a curve of errors
NAMES = {"plain": "plain", "sum": "sums compensated", "exact": "both compensated"}
BOUND = "theorem 1"


def memory_section(found: Findings) -> Section:
    """Effective memory length, the same measure for every backbone."""
    after, before = found.memory, found.memory_before
    series = [_influence("before training", before, dashed=True), _influence("after training", after)]
    marks = [] if after.length is None else [Mark(after.length, f"effective length {after.length}")]
    shares = [
        Series("before training", _lags(before), before.beyond.tolist(), dashed=True, marks=False),
        Series("after training", _lags(after), after.beyond.tolist(), marks=False),
    ]
    never_zero = bool((after.influence > 0).all() and (before.influence > 0).all())
    figures = (
        plot(
            "influence", "How far back decisions reach",
            "Influence of the observation k steps ago on the decision now: how far the distribution of actions moves when "
            "that one observation is replaced by another episode's. Mean over pairs of episodes, with two standard errors.",
            series, Axis("steps ago (k)"), Axis(f"influence ({after.unit})", log=never_zero), marks,
        ),
        plot(
            "influence-beyond", "Share of the influence from further back",
            f"Share of all influence that comes from more than k steps ago. The effective length is the smallest k where "
            f"it is below {100 * SHARE:.0f} %.",
            shares, Axis("steps ago (k)"), Axis("share from further back"), marks,
        ),
    )  # fmt: skip
    return Section(
        "memory", "Effective memory", (memory_sentence(after), memory_sentence(before, "Before training")), (), figures
    )


def memory_sentence(memory: MemoryLength, when: str = "After training") -> str:
    """The effective length in words."""
    if memory.length is None:
        return f"{when}, no observation moves any decision."
    more = ", and may be longer than they show" if memory.reaches_the_end and memory.length else ""
    share = 100 * (1 - float(memory.beyond[0]))
    return (
        f"{when}, the effective memory length is {memory.length} {'step' if memory.length == 1 else 'steps'} (episodes "
        f"allow {len(memory.influence) - 1}){more}; {share:.0f} % of the influence is the present observation's."
    )


def _lags(memory: MemoryLength) -> list[float]:
    return [float(k) for k in range(len(memory.influence))]


def _influence(name: str, memory: MemoryLength, dashed: bool = False) -> Series:
    low, high = memory.influence - 2 * memory.error, memory.influence + 2 * memory.error
    few = len(memory.influence) <= 60
    values = memory.influence.tolist()
    return Series(name, _lags(memory), values, low.tolist(), high.tolist(), dashed=dashed, marks=few)


def attention_section(maps: list[AttentionMap]) -> Section:
    """Maps of the first heads, and of all the mean distance of what they look at."""
    heads = [(each, head) for each in maps for head in range(len(each.weights))]
    headings = (
        Heading("layer", numeric=False),
        Heading("head"),
        Heading("mean distance", "in tokens, over all tokens"),
    )
    rows = tuple(
        (Cell(each.layer, each.layer), Cell(str(head), float(head)), number(float(mean_lag(each.weights)[head]), ".2f"))
        for each, head in heads
    )
    text = [
        f"Weights on the first episode of the data, of {LONGEST:,} tokens at most. A row is a token, a column is what it "
        "looks at; the future is blank."
    ]
    if len(heads) > MAPS:
        text.append(f"Drawn are the first {MAPS} of {len(heads)} maps; all are in attention.csv.")
    figures = tuple(_map(place, each, head) for place, (each, head) in enumerate(heads[:MAPS], 1))
    table = Table("attention-heads", "Attention by head", headings, rows)
    return Section("attention", "Attention", tuple(text), (table,), figures)


def _map(place: int, attention: AttentionMap, head: int) -> Figure:
    weights = attention.weights[head]
    shown = np.where(np.tri(len(weights), dtype=bool), weights, np.nan)
    return heatmap(
        f"attention-{place}", f"Attention, {attention.layer}, head {head}",
        "Each row sums to one: how much of the token's attention each earlier token has.",
        shown, Axis("token looked at"), Axis("token that looks"), "weight",
    )  # fmt: skip


def rounding_section(drifts: list[Drift]) -> Section:
    """Decision S4, figure 6, with the bound of its theorem 1 and two compensated variants."""
    headings = (
        Heading("λ"),
        *(Heading(NAMES[variant], "mean forward error at the last step") for variant in VARIANTS),
        Heading(BOUND, "the bound, mean at the last step"),
        Heading("closest to the bound", "largest error of the plain recurrence over its bound, all steps and repeats"),
    )
    rows = tuple(
        (
            number(drift.lambda_, "g"),
            *(number(float(drift.errors[variant][:, -1].mean()), ".2e") for variant in VARIANTS),
            number(float(drift.bound[:, -1].mean()), ".2e"),
            number(_closest(drift), ".2f"),
        )
        for drift in drifts
    )
    repeats, length = drifts[0].bound.shape
    text = (
        f"The recurrence x = λ x + u in single precision against arithmetic of 100 digits, {length:,} steps, standard "
        f"normal inputs, mean of {repeats} repeats (Decision S4, appendix E, figure 6).",
        "Compensating the sums alone, as the paper proposes for the convolution, helps where λ is 1; elsewhere the "
        "products round as well, and only compensating both keeps the error at that of one rounding. With λ = 1 the product "
        "is exact, so the two compensated variants are one.",
    )
    table = Table("rounding-errors", "Forward errors after the last step", headings, rows)
    return Section("rounding", "Rounding of the recurrence", text, (table,), tuple(map(_errors, drifts)))


def _closest(drift: Drift) -> float:
    return float((drift.errors["plain"][:, 1:] / drift.bound[:, 1:]).max())


def _errors(drift: Drift) -> Figure:
    length = drift.bound.shape[1]
    steps = np.unique(np.linspace(0, length - 1, POINTS).round().astype(int))
    curves = [(NAMES[variant], drift.errors[variant], False) for variant in VARIANTS] + [(BOUND, drift.bound, True)]
    series = [
        Series(name, steps.tolist(), values.mean(0)[steps].tolist(), dashed=dashed, marks=False)
        for name, values, dashed in curves
    ]
    return plot(
        f"rounding-{f'{drift.lambda_:g}'.replace('.', '-')}", f"Forward error, λ = {drift.lambda_:g}",
        "Mean absolute error of the state at each step, and the bound of theorem 1 (dashed).",
        series, Axis("step"), Axis("absolute error", log=True),
    )  # fmt: skip
