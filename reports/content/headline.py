"""The first screen: one sentence a family of tasks, made of its tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from itertools import groupby

from dsbench.reports.claims import Claims
from dsbench.reports.content.contest import Contestant, Task, ranked
from dsbench.reports.content.judging import Judged
from dsbench.reports.content.overall import ALIKE, Pool
from dsbench.reports.content.prices import priced
from dsbench.reports.statistics import Estimate

_NAMED = 3  # rivals that a sentence names
_TOLD = 3  # tasks without a common scale that a sentence tells one by one
_PER_CENT = "95 % interval"


def headline(judged: Judged) -> tuple[str, ...]:
    """A sentence for each family, in the order of the tasks; controls with permuted returns are no news."""
    told = (task for task in judged.tasks if not task.permuted)
    sentences = [
        _family(family, [task for task in members if task.learned], judged)
        for family, members in groupby(told, key=lambda task: task.family)
    ]
    return tuple(sentence for sentence in sentences if sentence)


def _family(family: str, tasks: Sequence[Task], judged: Judged) -> str:
    if not tasks:
        return ""
    claims = judged.claims
    if len(tasks) == 1:
        return f"{tasks[0].title}: {_of_task(tasks[0], claims)}."
    if family in judged.families:
        return f"{family} ({len(tasks)} tasks): {_of_pool(judged.families[family], claims)}."
    if len(tasks) > _TOLD:
        return f"{family} ({len(tasks)} tasks): {_counted(tasks, claims)}."
    return (
        f"{family} ({len(tasks)} tasks): " + "; ".join(f"{task.title}: {_short(task, claims)}" for task in tasks) + "."
    )


def _of_task(task: Task, claims: Claims) -> str:
    order = ranked(task)
    if not order:
        return "no run has ended with a score"
    first, score = order[0]
    form = task.form
    equals, below = _parted(claims, task.name, _by_name(order), form)
    who = f"{_names([first.name, *equals])} share" if equals else f"{first.name} has"
    cost = _cost([first], first.name if equals else "")
    text = f"{who} the highest mean {task.measure_text}, {_score(score, form)}{cost}"
    if equals and not below:
        return f"{text}; they {ALIKE}"
    return f"{text}; {_against(task, first.name, below, form, claims)}"


def _short(task: Task, claims: Claims) -> str:
    order = ranked(task)
    if not order:
        return "no score"
    first, score = order[0]
    form = task.form
    equals, below = _parted(claims, task.name, _by_name(order), form)
    open_ = claims.open_to(task.name, first.name, list(below))
    alone = f", which {ALIKE}" if equals else ""
    verdict = f", not separated from {_names(open_)}" if open_ else ", separated from all others" if below else alone
    who = _names([first.name, *equals])
    return f"{who} {_score(score, form)}{_cost([first], first.name if equals else '')}{verdict}"


def _counted(tasks: Sequence[Task], claims: Claims) -> str:
    """On how many tasks each has the highest mean, alone or with others, and is separated from all others there."""
    first, apart = Counter[str](), Counter[str]()
    for task in tasks:
        order = ranked(task)
        for one, score in order:
            first[one.name] += score.mean_text(task.form) == order[0][1].mean_text(task.form)
        winner = claims.winner(task.name)
        if winner is not None:
            apart[winner] += 1
    if not first:
        return "no run has ended with a score"
    names = sorted((name for name in first if first[name]), key=lambda name: (-first[name], name))[:_NAMED]
    told = [f"{name} on {first[name]} (separated from all others on {apart[name]})" for name in names]
    return f"the highest mean, by task: {', '.join(told)}; these tasks share no scale, and each is told below"


def _score(score: Estimate, form: str) -> str:
    if score.half_width is None:
        why = "n = 1" if score.n == 1 else f"n = {score.n}, all equal"
        return f"{score.text(form)} ({why}, so no interval)"
    return f"{score.text(form)} ({_PER_CENT}, n = {score.n})"


def _cost(contestants: Sequence[Contestant], who: str = "") -> str:
    """What these cost, `who` they are where others were named beside them."""
    told = priced(contestants)
    return f", {who} {told}" if who and told else f", {told}" if told else ""


def _against(task: Task, first: str, others: Mapping[str, Estimate], form: str, claims: Claims) -> str:
    if not others:
        return "no other backbone was run"
    open_ = claims.open_to(task.name, first, list(others))
    means = {name: rival.text(form) for name, rival in others.items()}
    if not open_:
        second = next(iter(means))
        return f"separated from all others, the next being {second} with {means[second]}"
    silence = claims.silence(task.name)
    why = f"; {silence}" if silence else ""
    return f"not separated from {_names(open_)} ({open_[0]}: {means[open_[0]]}){why}"


def _of_pool(found: Pool, claims: Claims) -> str:
    name, best = next(iter(found.means.items()))
    own = [one for task in found.members for one in task.learned if one.name == name]
    interval = (
        f"{_PER_CENT}, {best.n} runs"
        if best.low is not None
        else f"{best.n} runs, and nothing tells how far it may be off, so no interval"
    )
    equals, below = _parted(claims, found.key, found.means, ".1f")
    who = f"{_names([name, *equals])} share" if equals else f"{name} has"
    text = f"{who} the highest mean of normalised scores over the tasks, {best.text('.1f')} ({interval})"
    cost = _cost(own, name if equals else "")
    if equals and not below:
        return f"{text}{cost} (means over tasks); they {ALIKE}"
    open_ = claims.open_to(found.key, name, list(below))
    silence = claims.silence(found.key)
    verdict = f"not separated from {_names(open_)}" if open_ else "separated from all others"
    why = f"; {silence}" if silence and below else ""
    return f"{text}{cost} (means over tasks); {verdict if below else 'no other backbone was run'}{why}"


def _parted(
    claims: Claims, key: Hashable, order: Mapping[str, Estimate], form: str
) -> tuple[list[str], Mapping[str, Estimate]]:
    """Those whose mean is printed as that of the first, and all others: what looks alike in a table shares its place here,
    unless it is claimed to be apart all the same.

    Args:
        order: contestant -> mean, the highest first.
    """
    (first, best), *others = order.items()
    alike = [name for name, mean in others if mean.mean_text(form) == best.mean_text(form)]
    equals = claims.open_to(key, first, alike)
    return equals, {name: mean for name, mean in others if name not in equals}


def _by_name(order: Sequence[tuple[Contestant, Estimate]]) -> dict[str, Estimate]:
    return {one.name: mean for one, mean in order}


def _names(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_NAMED])
    return f"{shown} and {len(names) - _NAMED} more" if len(names) > _NAMED else shown
