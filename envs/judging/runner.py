"""All checks of one environment, one after the other, each with its outcome."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Literal

from dsbench.envs.judging import alone, references, together
from dsbench.envs.judging.subject import Subject
from dsbench.envs.spec import EnvSpec
from dsbench.envs.trial import (
    LONGEST,
    Part,
    check_making,
    check_repeats,
    check_scores,
    check_settings,
    part_of,
)
from dsbench.errors import DsbenchError, UsageError, suggestion
from dsbench.outside.blame import told
from dsbench.stopping import Interrupted

Status = Literal["passed", "doubtful", "failed", "skipped"]


@dataclass(frozen=True)
class Check:
    """One property: its name, what looks for it, and whether the checks after it make sense without it."""

    name: str
    function: Callable[[Subject], str]
    needed: bool = False


@dataclass(frozen=True)
class Finding:
    """Outcome of one check. `detail` is what was measured, or after a failure the sentence that says what is wrong."""

    name: str
    status: Status
    seconds: float
    detail: str = ""

    @property
    def ok(self) -> bool:
        return self.status != "failed"


@dataclass(frozen=True)
class Judgement:
    """Outcomes of all checks of one environment."""

    env: str
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        return all(one.ok for one in self.findings)

    def failures(self) -> list[str]:
        """A sentence for each check that failed."""
        return [one.detail for one in self.findings if not one.ok]

    def table(self) -> list[dict[str, str | float]]:
        """Rows to print or to write as JSON."""
        return [
            {
                "env": self.env,
                "check": one.name,
                "status": one.status,
                "seconds": round(one.seconds, 3),
                "detail": one.detail,
            }
            for one in self.findings
        ]


def settings(subject: Subject) -> str:
    """Numbers of the spec are numbers, and the two ends of its scale differ."""
    check_settings(subject.spec)
    return ""


def making_and_spaces(subject: Subject) -> str:
    """Every call of make makes an environment of its own, of the same supported spaces, as long as the horizon."""
    check_making(subject.spec)
    return f"{subject.spaces.observation}; {subject.spaces.action}"


def same_seed_same_episode(subject: Subject) -> str:
    """Episodes depend on their seed alone: the same again, alone and beside others, for random play and every recipe."""
    spec, doubts = subject.spec, dict[str, None]()
    parts = [Part("tried at random", spec.random, spec.vector), *(part_of(spec, recipe) for recipe in spec.recipes)]
    for part in parts:
        subject.played[part.name] = check_repeats(spec, part, doubts)[1]
    return f"{sum(map(len, subject.played.values()))} episodes"


def measures(subject: Subject) -> str:
    """The score of every played episode is a finite number under each name that it promises."""
    if subject.spec.horizon <= LONGEST:
        for episodes in subject.played.values():
            check_scores(subject.spec, [episodes.select([0]), episodes])
    return subject.spec.success_metric


CHECKS: tuple[Check, ...] = (
    Check("settings", settings, needed=True),
    Check("making_and_spaces", making_and_spaces, needed=True),
    Check("same_seed_same_episode", same_seed_same_episode, needed=True),
    Check("measures", measures),
    Check("types_of_observations", alone.types_of_observations),
    Check("observations_in_their_space", alone.observations_in_their_space),
    Check("arrays_of_its_own", alone.arrays_of_its_own),
    Check("reset_leaves_nothing", alone.reset_leaves_nothing),
    Check("ends_are_named", alone.ends_are_named),
    Check("nothing_after_the_end", alone.nothing_after_the_end),
    Check("horizon_is_long_enough", alone.horizon_is_long_enough),
    Check("twin_equals_single", together.twin_equals_single),
    Check("autoreset", together.autoreset),
    Check("references_in_range", references.references_in_range),
)


def judge_env(
    spec: EnvSpec, only: Collection[str] | None = None, on_result: Callable[[Finding], None] = lambda finding: None
) -> Judgement:
    """Run every check, or those in `only` and what they need.

    Raises:
        UsageError: there is no such check.
    """
    for name in only or ():
        if name not in (known := [check.name for check in CHECKS]):
            raise UsageError(f"no check is called {name!r}. {suggestion(name, known) or ', '.join(known)}")
    subject, findings = Subject(spec), list[Finding]()
    for check in CHECKS:
        if only is not None and check.name not in only and not check.needed:
            continue
        broken = next((one for one in findings if not one.ok and _is_needed(one.name)), None)
        found = _run(check, subject) if broken is None else Finding(check.name, "skipped", 0.0, f"needs {broken.name}")
        findings.append(found)
        on_result(found)
    return Judgement(spec.name, tuple(findings))


def _run(check: Check, subject: Subject) -> Finding:
    begun, before = time.perf_counter(), len(subject.doubts)
    try:
        detail, status = check.function(subject), "passed"
    except Interrupted:
        raise
    except DsbenchError as error:
        detail, status = str(error), "failed"
    except MemoryError:
        raise
    except (Exception, SystemExit) as error:
        detail, status = f"{subject.name} raised {told(error)}", "failed"
    if status == "passed" and len(subject.doubts) > before:
        detail, status = "; ".join(subject.doubts[before:]), "doubtful"
    return Finding(check.name, status, time.perf_counter() - begun, detail)  # type: ignore[arg-type]


def _is_needed(name: str) -> bool:
    return next(check.needed for check in CHECKS if check.name == name)
