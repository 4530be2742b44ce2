"""The tables of all tasks from the records in results/reference/tasks: prints them, or writes them with --write.

python results/tasks_table.py [--write]

They go into docs/results.md and, with everything, into results/reference/tasks.md.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from markdown_table import ROOT, head, line, of_actor, scored, write_blocks

from dsbench.envs import ENVS, get_spec
from dsbench.records.tables import runs_table

RECORDS = ROOT / "results" / "reference" / "tasks"
BACKBONES = ("gpt", "s4d", "mamba", "lstm")
CONTROLS = ("mlp", "copier", "window", "bc", "top10-bc")
COLUMNS = ("random", *CONTROLS, *BACKBONES, "optimal")


def listing() -> str:
    """Markdown: what each task tests, the length of its episodes, and the scale of its returns."""
    lines = head("task", "takes", "memory", "timesteps", "return, random → best", "what happens")
    for name in ENVS.names():
        spec = get_spec(name)
        scale = f"{_short(spec.uniform_return)} → {_short(spec.optimal_return)}"
        memory = "yes" if spec.needs_memory else "no"
        cells = [f"`{name}`", ", ".join(spec.tests), memory, str(spec.horizon), scale, spec.summary]
        lines.append(line(cells))
    return "\n".join(lines)


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def results(records: Path = RECORDS) -> str:
    """Markdown: one row a task, the measure that counts there, means over seeds with their 95 % intervals."""
    return _scores(records, COLUMNS)


def full(records: Path = RECORDS) -> str:
    """Like `results` with the yardsticks of the data, and the other decoding."""
    parts = ["# All tasks", "", "Made by `python results/tasks_table.py --write`.", "", _scores(records, COLUMNS, True)]
    parts += ["", "The other decoding (sampled where argmax is the headline, argmax for key-to-door):", ""]
    return "\n".join([*parts, _scores(records, (*CONTROLS, *BACKBONES), other=True)])


TABLES = {"listing": listing, "results": results}


def begin(name: str) -> str:
    return f"<!-- table: python results/tasks_table.py ({name}) -->"


def _scores(records: Path, columns: Sequence[str], with_yardsticks: bool = False, other: bool = False) -> str:
    runs = runs_table(records)
    lines = head("task", "measure", *columns, *(["yardsticks of the data"] if with_yardsticks else []))
    for env in ENVS.names():
        own = runs[runs["env"].eq(env)]
        if not (own["policy"].eq("learned") & own["status"].eq("ok")).any():
            continue
        metric = "return_mean" if (metric := get_spec(env).success_metric) == "return" else metric
        column = metric + (f"_{_other_decode(own)}" if other else "")
        cells = [env, metric.replace("_", " ")]
        texts = scored({actor: own[of_actor(own, actor)] for actor in columns}, column, _digits)
        cells += [texts[actor] for actor in columns]
        lines.append(line([*cells, *([yardsticks(own)] if with_yardsticks else [])]))
    return "\n".join(lines)


def _other_decode(runs: pd.DataFrame) -> str:
    headline = runs["result.decode"][runs["policy"].eq("learned") & runs["status"].eq("ok")].iloc[0]
    return "argmax" if headline == "sample" else "sample"


def _digits(mean: float) -> int:
    return 0 if abs(mean) >= 100 else 1 if abs(mean) >= 20 else 2


def yardsticks(runs: pd.DataFrame) -> str:
    """What counting alone gets out of the same data, where the task has such a measure."""
    names = [name for name in runs if name.startswith("result.yardstick_") and runs[name].notna().any()]
    return ", ".join(
        f"{name.removeprefix('result.yardstick_').replace('_', ' ')} {runs[name].astype(float).mean():.2f}"
        for name in names
    )


def main() -> None:
    if "--write" not in sys.argv:
        for make in (*TABLES.values(), full):
            print(make(), end="\n\n")
        return
    (RECORDS.parent / "tasks.md").write_text(full() + "\n")
    write_blocks({begin(name): make() for name, make in TABLES.items()})


if __name__ == "__main__":
    main()
