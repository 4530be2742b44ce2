"""The first screen: one sentence a family of tasks, made of its tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from itertools import groupby

from dsbench.reports.claims import Claims
from dsbench.reports.content.cells import form_of
from dsbench.reports.content.contest import Contestant, Task, ranked
from dsbench.reports.content.judging import Judged
from dsbench.reports.content.overall import Pool
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
    (first, score), *others = order
    form = form_of([one.mean for _, one in order])
    equals = [one.name for one, rival in others if rival.mean == score.mean]
    who = f"{_names([first.name, *equals])} share" if equals else f"{first.name} has"
    cost = _cost([first], first.name if equals else "")
    text = f"{who} the highest mean {task.measure_text}, {_score(score, form)}{cost}"
    below = [(one, rival) for one, rival in others if rival.mean != score.mean]
    return text if equals and not below else f"{text}; {_against(task, first, below, form, claims)}"


def _short(task: Task, claims: Claims) -> str:
    order = ranked(task)
    if not order:
        return "no score"
    (first, score), *others = order
    form = form_of([one.mean for _, one in order])
    equals = [one.name for one, rival in others if rival.mean == score.mean]
    below = [one.name for one, rival in others if rival.mean != score.mean]
    open_ = _open(claims, task.name, first.name, below)
    verdict = f", not separated from {_names(open_)}" if open_ else ", separated from all others" if below else ""
    who = _names([first.name, *equals])
    return f"{who} {_score(score, form)}{_cost([first], first.name if equals else '')}{verdict}"


def _counted(tasks: Sequence[Task], claims: Claims) -> str:
    """On how many tasks each has the highest mean, alone or with others, and is separated from all others there."""
    first, apart = Counter[str](), Counter[str]()
    for task in tasks:
        order = ranked(task)
        for one, score in order:
            first[one.name] += score.mean == order[0][1].mean
        winner = claims.winner(task.name)
        if winner is not None:
            apart[winner] += 1
    if not first:
        return "no run has ended with a score"
    names = sorted((name for name in first if first[name]), key=lambda name: (-first[name], name))[:_NAMED]
    told = [f"{name} on {first[name]} (separated from all others on {apart[name]})" for name in names]
    return f"the highest mean, by task: {', '.join(told)}; these tasks share no scale, and each is told below"


def _open(claims: Claims, key: Hashable, first: str, others: Sequence[str]) -> list[str]:
    """Of whom it is not claimed that the first is above them."""
    return [other for other in others if not claims.above(key, first, other)]


def _score(score: Estimate, form: str) -> str:
    if score.half_width is None:
        why = "n = 1" if score.n == 1 else f"n = {score.n}, all equal"
        return f"{score.text(form)} ({why}, so no interval)"
    return f"{score.text(form)} ({_PER_CENT}, n = {score.n})"


def _cost(contestants: Sequence[Contestant], who: str = "") -> str:
    """What these cost, `who` they are where others were named beside them."""
    told = priced(contestants)
    return f", {who} {told}" if who and told else f", {told}" if told else ""


def _against(
    task: Task, first: Contestant, others: Sequence[tuple[Contestant, Estimate]], form: str, claims: Claims
) -> str:
    if not others:
        return "no other backbone was run"
    open_ = _open(claims, task.name, first.name, [one.name for one, _ in others])
    means = {one.name: rival.text(form) for one, rival in others}
    if not open_:
        second = next(iter(means))
        return f"separated from all others, the next being {second} with {means[second]}"
    silence = claims.silence(task.name)
    why = f"; {silence}" if silence else ""
    return f"not separated from {_names(open_)} ({open_[0]}: {means[open_[0]]}){why}"


def _of_pool(found: Pool, claims: Claims) -> str:
    (name, best), *others = found.means.items()
    own = [one for task in found.members for one in task.learned if one.name == name]
    interval = (
        f"{_PER_CENT}, {best.n} runs"
        if best.low is not None
        else f"{best.n} runs, and nothing tells how far it may be off, so no interval"
    )
    equals = [rival for rival, mean in others if mean.mean == best.mean]
    below = [rival for rival, mean in others if mean.mean != best.mean]
    who = f"{_names([name, *equals])} share" if equals else f"{name} has"
    text = f"{who} the highest mean of normalised scores over the tasks, {best.text('.1f')} ({interval})"
    cost = _cost(own, name if equals else "")
    if equals and not below:
        return f"{text}{cost} (means over tasks)"
    open_ = _open(claims, found.key, name, below)
    silence = claims.silence(found.key)
    verdict = f"not separated from {_names(open_)}" if open_ else "separated from all others"
    why = f"; {silence}" if silence and others else ""
    return f"{text}{cost} (means over tasks); {verdict if others else 'no other backbone was run'}{why}"


def _names(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_NAMED])
    return f"{shown} and {len(names) - _NAMED} more" if len(names) > _NAMED else shown
