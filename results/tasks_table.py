"""The tables of all tasks from the records in results/reference/tasks: prints them, or writes them with --write.

python results/tasks_table.py [--write]

They go into README.md and, with everything, into results/reference/tasks.md.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from dsbench.config.controls import CONTROLS
from dsbench.envs import ENVS, get_spec
from dsbench.records.tables import runs_table
from dsbench.reports.statistics import estimate

ROOT = Path(__file__).parents[1]
RECORDS = ROOT / "results" / "reference" / "tasks"
END = "<!-- end of table -->"
BACKBONES = ("gpt", "s4d", "mamba", "lstm")
COLUMNS = ("random", "memoryless", "framestack", "bc", "top10-bc", *BACKBONES, "optimal")


def listing() -> str:
    """Markdown: what each task tests, the length of its episodes, and the scale of its returns."""
    lines = _head("task", "takes", "memory", "timesteps", "return, random → best", "what happens")
    for name in ENVS.names():
        spec = get_spec(name)
        scale = f"{spec.random_return:.3g} → {spec.optimal_return:.3g}"
        memory = "yes" if spec.needs_memory else "no"
        cells = [f"`{name}`", ", ".join(spec.tests), memory, str(spec.horizon), scale, spec.summary]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def results(records: Path = RECORDS) -> str:
    """Markdown: one row a task, the measure that counts there, means over seeds with half of the 95 % interval."""
    return _scores(records, [name for name in COLUMNS if name != "framestack"])


def full(records: Path = RECORDS) -> str:
    """Like `results` with all controls, the other decoding, and the yardsticks of the data."""
    parts = ["# All tasks", "", "Made by `python results/tasks_table.py --write`.", "", _scores(records, COLUMNS, True)]
    parts += ["", "The other decoding (sampled where argmax is the headline, argmax for key-to-door):", ""]
    return "\n".join([*parts, _scores(records, ("memoryless", "framestack", "bc", "top10-bc", *BACKBONES), other=True)])


TABLES = {"listing": listing, "results": results}


def begin(name: str) -> str:
    return f"<!-- table: python results/tasks_table.py ({name}) -->"


def _scores(records: Path, columns: Sequence[str], with_yardsticks: bool = False, other: bool = False) -> str:
    runs = runs_table(records)
    lines = _head("task", "measure", *columns, *(["yardsticks of the data"] if with_yardsticks else []))
    for env in ENVS.names():
        own = runs[runs["env"].eq(env)]
        if not (own["policy"].eq("learned") & own["status"].eq("ok")).any():
            continue
        metric = "return_mean" if (metric := get_spec(env).success_metric) == "return" else metric
        column = metric + (f"_{_other_decode(own)}" if other else "")
        cells = [env, metric.replace("_", " ")]
        cells += [spread(own[_of_actor(own, actor)], column) for actor in columns]
        lines.append("| " + " | ".join([*cells, *([yardsticks(own)] if with_yardsticks else [])]) + " |")
    return "\n".join(lines)


def _other_decode(runs: pd.DataFrame) -> str:
    headline = runs["result.decode"][runs["policy"].eq("learned") & runs["status"].eq("ok")].iloc[0]
    return "argmax" if headline == "sample" else "sample"


def _head(*names: str) -> list[str]:
    return ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]


def _of_actor(runs: pd.DataFrame, actor: str) -> pd.Series[bool]:
    """Which runs are those of a backbone, or of a control as `dsbench.config.controls` defines it."""
    settings: Mapping[str, object] = CONTROLS[actor].settings if actor in CONTROLS else {"backbone": actor}
    flat = {"backbone": settings.get("backbone", settings.get("policy"))}
    wrapper, data = (settings.get(part, {}) for part in ("wrapper", "data"))
    assert isinstance(wrapper, Mapping) and isinstance(data, Mapping)
    flat["wrapper.condition"] = wrapper.get("condition", "return")
    chosen = pd.Series(True, runs.index)
    for column, value in flat.items():
        chosen &= runs[column].eq(value).fillna(False).astype(bool)
    top = runs["data.top_percent"]
    return chosen & (top.eq(data["top_percent"]).fillna(False).astype(bool) if "top_percent" in data else top.isna())


def spread(runs: pd.DataFrame, metric: str) -> str:
    """``mean ± half-width`` over the finished seeds; what failed or is not done is counted beside it."""
    if runs.empty:
        return "–"
    missing = int((runs["status"] != "ok").sum())
    without = f" ({missing} without a result)" if missing else ""
    values = runs.loc[runs["status"] == "ok", f"result.{metric}"].astype(float).tolist()
    if not values:
        return without.strip()
    one = estimate(values)
    digits = 0 if abs(one.mean) >= 100 else 1 if abs(one.mean) >= 20 else 2
    return one.text(f".{digits}f") + without


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
    readme = ROOT / "README.md"
    text = readme.read_text()
    for name, make in TABLES.items():
        before, _, rest = text.partition(begin(name))
        text = f"{before}{begin(name)}\n{make()}\n{END}{rest.partition(END)[2]}"
    readme.write_text(text)


if __name__ == "__main__":
    main()
