"""What a time of a run is a time of: how the run decided and on what. Only times of equal conditions are averaged.

A policy decides statefully or encodes its last timesteps anew, by one kernel or another, with a cache of some length, with so
many threads, on some device of some machine. A mean over such ways is the time of none of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from dsbench.reports.contention import TRAINING, Core, undisturbed
from dsbench.reports.machines import machine

_UNKNOWN = "not recorded"


class Timed(Protocol):
    """A run, whoever gathered it."""

    @property
    def settings(self) -> Mapping[str, Any]: ...
    @property
    def result(self) -> Mapping[str, Any]: ...
    @property
    def provenance(self) -> Mapping[str, Any]: ...


R = TypeVar("R", bound=Timed)


class Conditions(NamedTuple):
    """Under what the costs of a run were measured.

    Attributes:
        acting: ``stateful``, or ``windowed over 20`` timesteps.
        cache: tokens that a stateful decision looks back on, where the records tell.
        implementation: what computes the backbone's part of a decision.
        threads: of the process.
        device: ``cpu`` or ``cuda``.
        machine: with the versions that ran there.
    """

    acting: str
    cache: str
    implementation: str
    threads: str
    device: str
    machine: str


_PLURAL = {
    "acting": "acting in several ways",
    "cache": "looking back over several lengths",
    "implementation": "computed in several ways",
    "threads": "with several numbers of threads",
    "device": "on several devices",
    "machine": "made on several machines",
}
OF_A_CONTEST = ("acting", "threads", "device", "machine")  # the kernel and the cache are the contestant's own


class _Told(NamedTuple):
    """What the records of a run tell of its conditions, as it stands there."""

    acting: Any
    context: Any
    window: Any
    cache: Any
    implementation: Any
    threads: Any
    asked: Any
    device: Any


def _told(run: Timed) -> _Told:
    settings, result = run.settings, run.result
    used = result.get("device") or ("cuda" if "peak_device_bytes" in result else None)
    return _Told(
        result.get("acting"),
        result.get("decision_context"),
        settings.get("eval.window") or settings.get("train.window"),
        settings.get("backbone.context_len"),
        result.get("decision_implementation", result.get("implementation")),
        settings.get("threads"),
        settings.get("device"),
        used,
    )


def conditions(run: Timed) -> Conditions:
    """Of one run; older records do not tell all."""
    told, origin = _told(run), run.provenance
    stateful = told.acting != "windowed"
    window = told.window if told.context is None else told.context
    cache = told.cache if told.context is None else told.context
    asked = str(told.asked or "auto").partition(":")[0]
    return Conditions(
        acting=_word(told.acting) if stateful else f"windowed over {_count(window)}",
        cache=f"{_count(cache)} tokens" if stateful and cache is not None else _UNKNOWN,
        implementation=_word(told.implementation),
        threads=_count((origin.get("torch") or {}).get("threads") or told.threads),
        device=str(told.device or ("cpu" if asked == "auto" else asked)),  # as it was used; older records do not say
        machine=machine(origin),
    )


def _word(told: Any) -> str:
    return _UNKNOWN if told is None else str(told)


def _count(number: Any) -> str:
    return _UNKNOWN if number is None else f"{number:g}"


def differing(found: Iterable[Conditions], names: Sequence[str] = Conditions._fields) -> str | None:
    """``acting in several ways: stateful and windowed over 20``; None where they are equal in all that is named."""
    told = []
    every = list(found)
    for name in names:
        values = sorted({str(getattr(one, name)) for one in every})
        if len(values) > 1:
            told.append(f"{_PLURAL[name]}: {' and '.join(values)}")
    return "; ".join(told) or None


def _of(run: Timed, mark: str) -> Conditions:
    """Those that a time depends on: how a policy acts changes nothing of its training."""
    found = conditions(run)
    if mark != TRAINING:
        return found
    return found._replace(acting="", cache="", implementation=str(run.result.get("implementation", _UNKNOWN)))


class Choice(NamedTuple, Generic[R]):
    """The runs of one contestant whose times may be averaged.

    Attributes:
        runs: none where nothing was timed, or `reason` says why no mean is a time of anything.
        core: whether they had it to themselves.
        conditions: of all of them; None without any.
        reason: why there is no mean although runs were timed.
    """

    runs: Sequence[R]
    core: Core
    conditions: Conditions | None
    reason: str | None


def choose(runs: Sequence[R], mark: str) -> Choice[R]:
    """Of runs that differ in their seed alone, those that had the core to themselves, if one way made them.

    Args:
        runs: that were timed.
        mark: the column of `contention` that tells who had the core.
    """
    least, who = undisturbed(runs, lambda run: run.result, mark)
    alike = {
        (_told(run), run.result.get("implementation"), id(run.provenance)): run for run in least
    }  # few: of many seeds
    found = list(dict.fromkeys(_of(run, mark) for run in alike.values()))
    if len(found) > 1:
        return Choice((), who, None, differing(found))
    return Choice(least, who, found[0] if found else None, None)


def no_contest(choices: Sequence[Choice[Any]]) -> str | None:
    """Why times of these contestants are none; None where they are.

    Times compare between runs that acted alike on one device of one machine and had the core to themselves.
    """
    timed = [one for one in choices if one.conditions is not None or one.reason is not None]
    mixed = next((one.reason for one in timed if one.reason is not None), None)
    apart = differing([one.conditions for one in timed if one.conditions is not None], OF_A_CONTEST)
    disturbed = any(one.core is not Core.ALONE for one in timed)
    return mixed or apart or ("not known to have had the core to themselves" if disturbed else None)


def choices_note(name: str, choices: Mapping[str, Choice[Any]]) -> str | None:
    """What is to be said under a table of times: whose mean is left out, and what is no contest though nothing is marked.

    Args:
        name: of the time.
        choices: contestant -> its runs.
    """
    left_out = [f"{who} ({one.reason})" for who, one in choices.items() if one.reason is not None]
    apart = differing([one.conditions for one in choices.values() if one.conditions is not None], OF_A_CONTEST)
    told = [f"{name} is averaged over one way alone, so not of {' nor of '.join(left_out)}." if left_out else ""]
    if apart:
        told.append(f"{name} is no contest between rows that were measured {apart}.")
    return " ".join(part for part in told if part) or None
