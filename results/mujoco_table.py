"""The tables of MuJoCo from the records in results/reference/mujoco: prints them, or writes them with --write.

python results/mujoco_table.py [--write]

What was measured goes into docs/bodies.md; with what papers print below it, in a table of its own, into
results/reference/mujoco.md.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
from markdown_table import MISSING, ROOT, head, line, of_actor, scored, write_blocks

from dsbench.errors import UsageError
from dsbench.records.tables import runs_table
from dsbench.reports.comparable import Reason, comparison
from dsbench.reports.content.ways import plain
from dsbench.reports.contention import LATENCY, LEGEND, TRAINING, undisturbed
from dsbench.reports.published import PublishedScore, published, published_scores

RECORDS = ROOT / "results" / "reference" / "mujoco"
BEGIN = "<!-- table: python results/mujoco_table.py -->"
ENVS = ("hopper", "halfcheetah", "walker2d")
RECIPES = ("medium", "medium-replay")
ACTORS = ("mlp", "copier", "window", "bc", "gpt", "s4d", "mamba", "lstm")
SEEDS = tuple(range(5))
MEASURES = {  # heading -> (column, digits after the point)
    "normalised, last ↑": ("score_normalised", 1),
    "normalised, best ↑": ("score_normalised_best", 1),
    "return, last ↑": ("return_mean", 0),
}
COSTS = {  # of these the least over the seeds is shown: other work on the machine can only add to them
    "training s, least ↓": ("result.train_seconds", TRAINING),
    "decision p50 µs, least ↓": ("result.latency_p50_us", LATENCY),
    "parameters ↓": ("result.parameters_total", None),
}
PUBLISHED = {"DT": ("decision-transformer/gym", "gpt"), "DS4": ("decision-s4/1/offline", "s4d")}  # beside which of ours
CAVEATS = "What the caveats say: `dsbench list published`."


def block(records: Path = RECORDS) -> str:
    """All of it as Markdown: what was measured, what is missing, and apart from both what papers print.

    Raises:
        UsageError: there are no runs.
    """
    runs = runs_table(records)
    return "\n\n".join([measured(runs), _note(runs), missing(runs), "Published, not measured here:", papers(runs)])


def ours(records: Path = RECORDS) -> str:
    """What was measured, and how much is missing. Raises as `block`."""
    runs = runs_table(records)
    return "\n\n".join([measured(runs), _note(runs), missing(runs).partition(":")[0].rstrip(".") + "."])


def measured(runs: pd.DataFrame) -> str:
    """One row a backbone or control on a recipe of an environment."""
    lines = head("environment", "data", "policy", *MEASURES, *COSTS)
    for env, recipe in dict.fromkeys((env, recipe) for env, recipe, _ in _cells()):
        cells = {actor: own for actor in ACTORS if not (own := _of_cell(runs, env, recipe, actor)).empty}
        columns = [scored(cells, column, lambda mean, n=digits: n) for column, digits in MEASURES.values()]
        for actor, own in cells.items():
            costs = [_least(own, *cost) for cost in COSTS.values()]
            lines.append(line([env, recipe, actor, *(texts[actor] for texts in columns), *costs]))
    return "\n".join(lines)


def missing(runs: pd.DataFrame) -> str:
    """The runs without a result by name, each with its status."""
    listed = []
    for env, recipe, actor in _cells():
        own = _of_cell(runs, env, recipe, actor)
        status = dict(zip(own["seed"], own["status"], strict=True))
        listed += [
            f"- {actor} on {env} {recipe}, seed {seed}: {status.get(seed, 'not run')}"
            for seed in SEEDS
            if status.get(seed) != "ok"
        ]
    every = len(_cells()) * len(SEEDS)
    return (
        "\n".join([f"Missing, {len(listed)} of {every}:", "", *listed]) if listed else f"No run is missing of {every}."
    )


def papers(runs: pd.DataFrame) -> str:
    """What the Decision Transformer and Decision S4 are reported to reach on D4RL's data of the same names.

    Each beside the aspects in which it differs from our run of that backbone, and below it every reason in words.
    """
    lines = head("environment", "data", "method", "normalised", "seeds", "source", "comparable with ours?", "caveats")
    told: set[str] = set()
    for env, recipe in dict.fromkeys((env, recipe) for env, recipe, _ in _cells()):
        for method, (table, actor) in PUBLISHED.items():
            (one,) = (cell for cell in published_scores(env, recipe, method) if cell.table_id == table)
            seeds = "not stated" if one.seeds is None else str(one.seeds)
            where = f"{published().sources[one.source].short}, {one.table}"
            reasons = _reasons(_of_cell(runs, env, recipe, actor), one)
            told |= {f"- {reason.aspect}: {reason.text}" for reason in reasons}
            verdict = ", ".join(["no", *dict.fromkeys(reason.aspect for reason in reasons)]) if reasons else MISSING
            lines.append(line([env, recipe, method, one.text, seeds, where, verdict, ", ".join(one.caveats)]))
    return "\n".join([*lines, "", "Not comparable because:", "", *sorted(told), "", CAVEATS])


def _least(own: pd.DataFrame, column: str, mark: str | None) -> str:
    """Of the runs that had the core to themselves; marked as in reports where none is known to have had."""
    having = own[own["status"].eq("ok") & own.reindex(columns=[column])[column].notna()]
    if having.empty:
        return MISSING
    if mark is None:
        return f"{having[column].min():,.0f}"
    rows = [{mark: plain(row.get(f"result.{mark}")), column: row[column]} for row in having.to_dict(orient="records")]
    chosen, core = undisturbed(rows, lambda row: row, mark)
    return f"{min(row[column] for row in chosen):,.0f}{core.value}"


def _reasons(own: pd.DataFrame, score: PublishedScore) -> tuple[Reason, ...]:
    """Why the number in print cannot be compared with these runs, which differ in their seeds alone; none without a run."""
    rows = own[own["status"].eq("ok")].to_dict(orient="records")
    return comparison({str(name): cell for name, cell in rows[0].items()}, score).reasons if rows else ()


def _cells() -> list[tuple[str, str, str]]:
    return [(env, recipe, actor) for env in ENVS for recipe in RECIPES for actor in ACTORS]


def _of_cell(runs: pd.DataFrame, env: str, recipe: str, actor: str) -> pd.DataFrame:
    own = runs[runs["env"].eq(env) & runs["data.recipe"].eq(recipe)]
    return own[of_actor(own, actor) & own["seed"].isin(SEEDS)]


def _note(runs: pd.DataFrame) -> str:
    """What the numbers mean, and which simulator they come from."""
    physics = sorted(set(runs.reindex(columns=["result.simulator"])["result.simulator"].dropna()))
    return (
        f"Marked as in every report: {LEGEND} "
        "Means over seeds with their 95 % intervals. Last: the weights at the end; best: those best on the selection "
        "episodes, scored on others. Normalised: 0 and 100 are D4RL's constants. Training and decisions shared two cores with "
        "other work, so that even the least of the seeds says little: what they cost is measured by `make bench`. "
        f"Simulator: {'; '.join(physics) or 'not recorded'}."
    )


def main() -> None:
    try:
        text = block()
    except UsageError:
        sys.exit(f"no runs in {str(RECORDS)!r}; make them with: make mujoco")
    if "--write" not in sys.argv:
        print(text)
        return
    how = "Made by `python results/mujoco_table.py --write` from the runs of `make mujoco`."
    (RECORDS.parent / "mujoco.md").write_text(f"# MuJoCo\n\n{how}\n\n{text}\n")
    write_blocks({BEGIN: ours()})


if __name__ == "__main__":
    main()
