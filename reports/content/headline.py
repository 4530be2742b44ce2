"""The first screen: one sentence a family of tasks, made of its tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import groupby

from dsbench.reports.content.cells import form_of, separated
from dsbench.reports.content.contest import Contestant, Task, ranked
from dsbench.reports.content.overall import Pool, pool
from dsbench.reports.content.prices import priced
from dsbench.reports.statistics import Estimate

_NAMED = 3  # rivals that a sentence names
_TOLD = 3  # tasks without a common scale that a sentence tells one by one
_PER_CENT = "95 % interval"


def headline(tasks: Sequence[Task]) -> tuple[str, ...]:
    """A sentence for each family, in the order of the tasks; controls with permuted returns are no news."""
    sentences = []
    for family, members in groupby((task for task in tasks if not task.permuted), key=lambda task: task.family):
        sentences.append(_family(family, [task for task in members if task.learned]))
    return tuple(sentence for sentence in sentences if sentence)


def _family(family: str, tasks: Sequence[Task]) -> str:
    if not tasks:
        return ""
    if len(tasks) == 1:
        return f"{tasks[0].title}: {_of_task(tasks[0])}."
    found = pool(tasks)
    if found is not None and len(found.tasks) == len(tasks):
        return f"{family} ({len(tasks)} tasks): {_of_pool(found, tasks)}."
    if len(tasks) > _TOLD:
        return f"{family} ({len(tasks)} tasks): {_counted(tasks)}."
    return f"{family} ({len(tasks)} tasks): " + "; ".join(f"{task.title}: {_short(task)}" for task in tasks) + "."


def _of_task(task: Task) -> str:
    order = ranked(task)
    if not order:
        return "no run has ended with a score"
    (first, score), *others = order
    form = form_of([one.mean for _, one in order])
    equals = [one.name for one, rival in others if rival.mean == score.mean]
    who = f"{_names([first.name, *equals])} share" if equals else f"{first.name} has"
    cost = _cost([first]).replace(", at", f", {first.name} at", 1) if equals else _cost([first])
    text = f"{who} the highest mean {task.measure_text}, {_score(score, form)}{cost}"
    below = [(one, rival) for one, rival in others if rival.mean != score.mean]
    return text if equals and not below else f"{text}; {_against(score, below, form)}"


def _short(task: Task) -> str:
    order = ranked(task)
    if not order:
        return "no score"
    (first, score), *others = order
    form = form_of([one.mean for _, one in order])
    open_ = [one.name for one, rival in others if not separated(score, rival)]
    verdict = f", not separated from {_names(open_)}" if open_ else ", separated from all others" if others else ""
    return f"{first.name} {_score(score, form)}{_cost([first])}{verdict}"


def _counted(tasks: Sequence[Task]) -> str:
    """On how many tasks each has the highest mean, alone or with others, and is separated from all others there."""
    first, apart = Counter[str](), Counter[str]()
    for task in tasks:
        order = ranked(task)
        for one, score in order:
            first[one.name] += score.mean == order[0][1].mean
        if len(order) > 1 and all(separated(order[0][1], score) for _, score in order[1:]):
            apart[order[0][0].name] += 1
    if not first:
        return "no run has ended with a score"
    names = sorted((name for name in first if first[name]), key=lambda name: (-first[name], name))[:_NAMED]
    told = [f"{name} on {first[name]} (separated from all others on {apart[name]})" for name in names]
    return f"the highest mean, by task: {', '.join(told)}; these tasks share no scale, and each is told below"


def _score(score: Estimate, form: str) -> str:
    if score.half_width is None:
        return f"{score.text(form)} (n = 1, so no interval)"
    return f"{score.text(form)} ({_PER_CENT}, n = {score.n})"


def _cost(contestants: Sequence[Contestant]) -> str:
    told = priced(contestants)
    return f", {told}" if told else ""


def _against(score: Estimate, others: Sequence[tuple[Contestant, Estimate]], form: str) -> str:
    if not others:
        return "no other backbone was run"
    open_ = [(one.name, theirs) for one, theirs in others if not separated(score, theirs)]
    if not open_:
        second, rival = others[0]
        return f"separated from all others, the next being {second.name} with {rival.text(form)}"
    second_name, rival = open_[0]
    return f"not separated from {_names([name for name, _ in open_])} ({second_name}: {rival.text(form)})"


def _of_pool(found: Pool, tasks: Sequence[Task]) -> str:
    (name, measures), *others = found.measures.items()
    best = measures["iqm"]
    own = [one for task in tasks for one in task.learned if one.name == name]
    interval = (
        f"{_PER_CENT}, {best.n} runs"
        if best.low is not None
        else f"{best.n} runs, a single seed on some task, so no interval"
    )
    text = f"{name} has the highest interquartile mean of normalised scores, {best.text('.1f')} ({interval})"
    open_ = [
        rival
        for rival, theirs in others
        if best.low is None or (high := theirs["iqm"].high) is None or best.low <= high
    ]
    verdict = f"not separated from {_names(open_)}" if open_ else "separated from all others"
    return f"{text}{_cost(own)} (means over tasks); {verdict if others else 'no other backbone was run'}"


def _names(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_NAMED])
    return f"{shown} and {len(names) - _NAMED} more" if len(names) > _NAMED else shown
