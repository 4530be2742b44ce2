"""What stands under a table: the meaning of its numbers, the runs without a result, the machines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from dsbench.reports.contention import contention_notes
from dsbench.reports.groups import Group, Run
from dsbench.reports.machines import ELSEWHERE, machines, made_several_times
from dsbench.reports.outcomes import RULE
from dsbench.reports.spread import INTERVALS
from dsbench.reports.statistics import few_seeds
from dsbench.text import markdown_code, markdown_text

LEGEND = (
    "Mean over seeds ± half of the 95 % interval, [its ends] where the mean is not in the middle; n counts the seeds that "
    "ended ok, a single seed has no ±, – is not measured. ↑ more is better, ↓ less is better. Nothing is claimed to differ."
)
MEASURES = (
    "Accuracy is that of the first action at the target return, by the last weights and the first of eval.decode, and "
    "so are regret and return; at the opposite target a model that follows its target is wrong on purpose. Process "
    "peaks are high-water marks of the whole process, its data and its training included: they say nothing of a model, "
    "whose memory `dsbench bench` counts."
)


SCORES = f"{INTERVALS} {RULE}"


def notes(groups: Sequence[Group], counts: Sequence[int], times: Sequence[str] = ()) -> list[str]:
    """The lines under the table of these groups, whose finished seeds are `counts`; `times` are those on its times."""
    runs = [run for group in groups for run in group.runs]
    lines = [LEGEND, "", SCORES, "", MEASURES]
    finished = [run.result for run in runs if run.status == "ok"]
    for caution in (few_seeds(counts), _several_runs_of_a_seed(groups), *contention_notes(finished), *times):
        lines += ["", caution] if caution else []
    for title, listed in (
        ("Learned from data of other physics:", _other_physics(runs)),
        ("Runs without a result:", _without_result(runs)),
        ("Made on:", [markdown_text(line) for line in machines(runs)]),
        (
            f"{ELSEWHERE[:-1]}:",
            [f"{markdown_code(one.run_id)} {markdown_text(one.text)}" for one in made_several_times(runs)],
        ),
    ):
        lines += ["", title, "", *(f"- {line}" for line in listed)] if listed else []
    return lines


def _without_result(runs: Sequence[Run]) -> list[str]:
    return [
        f"{markdown_code(run.run_id)} {markdown_text(run.status)}"
        + (f": {markdown_code(run.reason)}" if run.reason else "")
        for run in sorted(runs, key=lambda run: run.run_id)
        if run.status != "ok"
    ]


def _other_physics(runs: Sequence[Run]) -> list[str]:
    """A line for each pair of simulations, with its runs: their scores say less beside those of others."""
    told: dict[str, list[str]] = {}
    for run in sorted(runs, key=lambda run: run.run_id):
        if note := run.result.get("physics_note"):
            told.setdefault(str(note), []).append(markdown_code(run.run_id))
    return [f"{markdown_text(note)}: {', '.join(those)}" for note, those in sorted(told.items())]


def _several_runs_of_a_seed(groups: Sequence[Group]) -> str | None:
    for group in groups:
        counts = Counter(run.seed for run in group.runs if run.status == "ok")
        several = [seed for seed, count in counts.items() if count > 1]
        if several:
            return (
                f"Several runs with the same settings and seed (the first: {markdown_code(str(group.backbone))}, seed "
                f"{several[0]}) come from different sources; they are averaged and count as one seed."
            )
    return None
