"""What the runs of a study say in a few sentences: who is best and how sure that is, and what the studied axis changes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median

from dsbench.reports.claims import Claims
from dsbench.reports.conditions import Conditions, differing, no_contest
from dsbench.reports.contention import worst
from dsbench.reports.statistics import Estimate
from dsbench.studies.answers import Answer, choice_of
from dsbench.studies.measures import MEASURES, Measure
from dsbench.studies.study_file import BACKBONE, ENV, TableOf
from dsbench.studies.verdicts import around, axis_of, key_of, labels_of, of_two_labels, rivals, told_on

_NAMED = 4  # that a sentence names


def headline(table: TableOf, answers: Sequence[Answer], claims: Claims) -> tuple[str, ...]:
    """A sentence for each group of `rivals`, or, where rivals are two labels such as two layouts of tokens, for each
    environment, label against label. `claims` are those of `verdicts`."""
    having = told_on(table, answers)
    told = labels_of(having, ENV)
    without = [f"On {env} no run has ended yet." for env in labels_of(answers, ENV) if env not in told]
    if of_two_labels(table, having):
        pairs = [_of_two(env, table, _on(having, env), claims) for env in labels_of(having, ENV)]
        return (*pairs, *without)
    groups = rivals(table, having)
    shown = [ENV, *(name for name in around(table) if len(labels_of(having, name)) > 1 and name != ENV)]
    best = [_best(_where(group[0], shown), group, table, claims) for group in groups]
    return (*best, *without)


def _on(answers: Sequence[Answer], env: str) -> list[Answer]:
    return [answer for answer in answers if answer.labels[ENV] == env]


def _where(answer: Answer, names: Sequence[str]) -> str:
    """``On umbrella, length 40``."""
    first, *others = names
    words = [answer.labels[name] if name == BACKBONE else f"{name} {answer.labels[name]}" for name in others]
    return ", ".join([f"On {answer.labels[first]}", *words])


# ------------------------------------------------------------------ the best of several


def _best(where: str, answers: Sequence[Answer], table: TableOf, claims: Claims) -> str:
    """``On umbrella, length 40, the best score is mamba's, 0.951 ± 0.058 (n = 3), not apart from lstm (0.811 ± 0.455).``"""
    name = table.measures[0]
    measure = MEASURES[name]
    ranked = _ranked(answers, name)
    if not ranked:
        return f"{where}, no run has ended yet."
    (first, best), *others = ranked
    value = f"{best.text(measure.form)} (n = {best.n})"
    key, form = key_of(table, first), measure.form
    alike = {
        id(answer)
        for answer, one in others
        if one.mean_text(form) == best.mean_text(form) and not claims.above(key, first.name, answer.name)
    }  # as a reader of the table sees them
    equals = [answer for answer, _ in others if id(answer) in alike]
    rest = [(answer, one) for answer, one in others if id(answer) not in alike]
    verdict = _verdict(first, rest, answers, table, claims) if measure.scored else _unfair(ranked, name)
    most = f"the best {plain(measure)}" if measure.scored else f"{_extreme(measure)} mean of {plain(measure)}"
    if equals:
        names = _listed([_name(answer, answers) for answer in [first, *equals]])
        return f"{where}, {names} share {most}, {value}{verdict}."
    return f"{where}, {_name(first, answers)} has {most}, {value}{verdict}."


def _extreme(measure: Measure) -> str:
    """What is said of a number that is no score: nothing is claimed of it."""
    return "the highest" if measure.larger else "the lowest"


def _unfair(ranked: Sequence[tuple[Answer, Estimate]], name: str) -> str:
    """Why a least time is no best one; nothing where it may be, and of what is no time."""
    choices = [choice for answer, _ in ranked if (choice := choice_of(answer.runs, name)) is not None]
    reason = no_contest(choices) if len(choices) > 1 else None
    return f", no contest: {reason}" if reason else ""


def _verdict(
    first: Answer, others: Sequence[tuple[Answer, Estimate]], among: Sequence[Answer], table: TableOf, claims: Claims
) -> str:
    if not others:
        return ""
    key, form = key_of(table, first), MEASURES[table.measures[0]].form
    close = [(answer, one) for answer, one in others if not claims.above(key, first.name, answer.name)]
    if not close:
        return ", apart from all others" if len(others) > 1 else f", apart from {_name(others[0][0], among)}"
    told = [f"{_name(answer, among)} ({one.text(form)})" for answer, one in close]
    silence = claims.silence(key)
    return f", not apart from {_listed(told)}" + (f": {silence}" if silence else "")


def _ranked(answers: Sequence[Answer], name: str) -> list[tuple[Answer, Estimate]]:
    """Answers that have the measure, the best mean first."""
    sign = -1 if MEASURES[name].larger else 1
    having = [(answer, one) for answer in answers if answer.learned and (one := answer.estimates[name]) is not None]
    return sorted(having, key=lambda each: sign * each[1].mean)


# ------------------------------------------------------------------ two labels of one axis


def _of_two(env: str, table: TableOf, answers: Sequence[Answer], claims: Claims) -> str:
    """``On umbrella, layout separate against joint: score ...; latency p50 × 1.60 (1.02 to 2.40).``"""
    axis = axis_of(table)
    first, second = labels_of(answers, axis)
    rest = [name for name in answers[0].labels if name != axis]
    by_label: dict[str, dict[tuple[str, ...], Answer]] = {first: {}, second: {}}
    for answer in answers:
        by_label[answer.labels[axis]][tuple(answer.labels[name] for name in rest)] = answer
    pairs = [(by_label[first][key], by_label[second][key]) for key in by_label[first] if key in by_label[second]]
    score, *costs = table.measures
    parts = [_changed(pairs, table, claims)] if MEASURES[score].scored else [_multiplied(pairs, score) or ""]
    parts += [_multiplied(pairs, name) or "" for name in costs]
    return f"On {env}, {axis} {second} against {first}: {'; '.join(part for part in parts if part)}."


def _changed(pairs: Sequence[tuple[Answer, Answer]], table: TableOf, claims: Claims) -> str:
    """For whom the second label is better, worse, or not told apart."""
    name = table.measures[0]
    measure = MEASURES[name]
    both = [(old, new) for old, new in pairs if old.estimates[name] and new.estimates[name]]
    better = [old.labels[BACKBONE] for old, new in both if claims.above(key_of(table, old), new.name, old.name)]
    worse = [old.labels[BACKBONE] for old, new in both if claims.above(key_of(table, old), old.name, new.name)]
    told = [f"better for {_listed(better)}"] if better else []
    told += [f"worse for {_listed(worse)}"] if worse else []
    unclear = len(both) - len(better) - len(worse)
    told += [f"not told apart for {unclear} of {len(both)}"] if unclear else []
    return f"{plain(measure)} {', '.join(told)}" if told else f"{plain(measure)} not known of both"


def _multiplied(pairs: Sequence[tuple[Answer, Answer]], name: str) -> str | None:
    """``latency p50 × 1.60 (1.02 to 2.40)``: the median of the ratios and their ends."""
    both = [
        (old, new, b.mean / a.mean)
        for old, new in pairs
        if (a := old.estimates[name]) and (b := new.estimates[name]) and a.mean > 0 and math.isfinite(b.mean)
    ]
    if not both:
        return None
    what, ratios = plain(MEASURES[name]).replace(",", ""), [ratio for _, _, ratio in both]
    if (apart := _apart_in_time([(old, new) for old, new, _ in both], name)) is not None:
        return f"{what} of {apart}, so without a ratio"
    choices = [choice for old, new, _ in both for one in (old, new) if (choice := choice_of(one.runs, name))]
    mark = worst(choice.core for choice in choices).value
    spread = f" ({min(ratios):.2f} to {max(ratios):.2f})" if len(ratios) > 1 else ""
    return f"{what} × {median(ratios):.2f}{mark}{spread}"


def _apart_in_time(pairs: Sequence[tuple[Answer, Answer]], name: str) -> str | None:
    """Why ratios of a time are no ratios of one thing: several machines within a pair, or several ways to act on one side."""
    sides: tuple[list[Conditions], list[Conditions]] = ([], [])
    for pair in pairs:
        for side, one in zip(sides, pair, strict=True):
            choice = choice_of(one.runs, name)
            if choice is not None and choice.conditions is not None:
                side.append(choice.conditions)
    within = differing([*sides[0], *sides[1]], ("machine", "device", "threads"))
    return within or next((why for side in sides if (why := differing(side, ("acting",)))), None)


# ------------------------------------------------------------------ words


def _name(answer: Answer, among: Sequence[Answer]) -> str:
    """The labels that tell it from the others."""
    axes = [axis for axis in answer.labels if axis != ENV and len(labels_of(among, axis)) > 1]
    words = [answer.labels[axis] if axis == BACKBONE else f"{axis} {answer.labels[axis]}" for axis in axes]
    return ", ".join(words) or answer.labels[BACKBONE]


def _listed(names: Sequence[str]) -> str:
    if len(names) > _NAMED:
        return f"{', '.join(names[: _NAMED - 1])} and {len(names) - _NAMED + 1} more"
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def plain(measure: Measure) -> str:
    """Its heading without the arrow."""
    return measure.heading.removesuffix(" ↑").removesuffix(" ↓")
