"""Where runs were made, in words; and what runs that were made on several machines with the same scores cost on each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from dsbench.reports.contention import LATENCY, TRAINING, core
from dsbench.reports.groups import Elsewhere, Run

ELSEWHERE = "Made on several machines with the same scores; of each run the costs of the first line are those above."
_MIB = 2**20
COSTS = (  # column of the final row, heading, divisor, form, and of a time the column that tells who had the core
    ("latency_p50_us", "latency p50 µs", 1, ",.1f", LATENCY),
    ("train_tokens_per_second", "train tokens/s", 1, ",.0f", TRAINING),
    ("peak_rss_bytes", "process peak MiB", _MIB, ",.0f", None),
)


class Made(NamedTuple):
    """One making of a run: where, and its `COSTS`, None for what was not measured, with the marks of `contention`."""

    run_id: str
    where: str
    costs: tuple[float | None, ...]
    marks: tuple[str, ...]

    @property
    def text(self) -> str:
        """``Abacus 3, 4 cores · torch 2.13.0: latency p50 µs 500.0, train tokens/s 50,000``."""
        told = [
            f"{heading} {cost:{form}}{mark}"
            for (_, heading, _, form, _), cost, mark in zip(COSTS, self.costs, self.marks, strict=True)
            if cost is not None
        ]
        return f"{self.where}: {', '.join(told) or 'nothing was measured'}"


def made_several_times(runs: Sequence[Run]) -> list[Made]:
    """Every making of the runs that were made more than once, by run; the first of each is the one whose costs count."""
    found = []
    for run in sorted(runs, key=lambda run: run.run_id):
        if run.elsewhere:
            found += [_made(run.run_id, one) for one in (Elsewhere(run.result, run.provenance), *run.elsewhere)]
    return found


def _made(run_id: str, one: Elsewhere) -> Made:
    found = [one.result.get(name) for name, *_ in COSTS]
    costs = tuple(
        None if cost is None else cost / divisor for cost, (_, _, divisor, *_) in zip(found, COSTS, strict=True)
    )
    marks = tuple("" if mark is None else core(one.result, mark).value for *_, mark in COSTS)
    return Made(run_id, machine(one.provenance), costs, marks)


def machines(runs: Sequence[Run]) -> list[str]:
    """A line for each machine and its versions, with how many runs it made and at which commits."""
    return made_on([run.provenance for run in runs if run.provenance])


def made_on(origins: Sequence[Mapping[str, Any]]) -> list[str]:
    """The lines of `machines`, from the provenance of each run."""
    made: dict[str, Counter[str]] = {}
    for origin in origins:
        made.setdefault(machine(origin), Counter())[_commit(origin)] += 1
    lines = []
    for where, commits in sorted(made.items()):
        total = commits.total()
        count = f"{total} {'run' if total == 1 else 'runs'}"
        lines.append(f"{where} · commit {', '.join(sorted(commits))} ({count})")
    if len(lines) > 1:
        lines.append("Speed, latency and memory compare only between runs of one of these lines.")
    return lines


def machine(origin: Mapping[str, Any]) -> str:
    """``AMD EPYC, 2 cores · torch 2.13.0 · threads 1 · dsbench 0.1.0``."""
    hardware, packages = origin.get("machine") or {}, origin.get("packages") or {}
    torch = origin.get("torch") or {}
    parts = [
        f"{hardware.get('cpu_model') or 'unknown CPU'}, {hardware.get('cores_usable') or '?'} cores",
        *(str(gpu["name"]) for gpu in torch.get("gpus") or []),
        f"torch {packages.get('torch') or 'unknown'}",
        f"threads {torch.get('threads') or '?'}",
        f"dsbench {origin.get('dsbench') or 'unknown'}",
    ]
    return " · ".join(parts)


def made(origin: Mapping[str, Any]) -> str:
    """One measuring's machine and commit; empty where nothing is known of it."""
    return f"{machine(origin)} · commit {_commit(origin)}" if origin else ""


def _commit(origin: Mapping[str, Any]) -> str:
    git = origin.get("git") or {}
    return (git.get("commit") or "unknown")[:12] + (" with changes" if git.get("dirty") else "")
