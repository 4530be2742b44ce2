"""The tables of the studies in results/reference/studies: prints them, or writes them with --write.

python results/studies_table.py [--write]

They go into docs/results.md and into results/reference/studies.md.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

import pandas as pd
from markdown_table import ROOT, head, line, of_actor, scored, write_blocks
from memory_flags import AWAITING, flagged, measure, misses

from dsbench.envs import get_spec
from dsbench.records.tables import runs_table

RECORDS = ROOT / "results" / "reference" / "studies"
MEMORY = (  # whose label rests on these runs
    "memory-len", "memory-size", "repeat-first", "repeat-previous", "recall", "state-tracking", "t-maze", "cartpole-position",
    "cartpole-noisy", "key-to-apples",
)  # fmt: skip
MEMORY_ACTORS = ("lstm", "mlp", "copier")
GRAPH_ACTORS = ("gpt", "lstm", "mlp")
RECIPES = ("random", "medium", "expert", "mixed", "replay")
PUBLISHED = {1_000: ("71.8", "1.4", "69.9"), 10_000: ("94.6", "1.6", "95.1")}  # Chen et al. 2021, table 5: DT, BC, %BC


def memory(runs: pd.DataFrame) -> str:
    """What the two controls without memory score on every recipe of the tasks that are said to take it, and those that are not
    quite: none may get past the foot (chance and a tenth of the way to the best, or half-way from random play to the best)."""
    lines = head("task", "takes memory", "measure", "best", "foot", "policy", *RECIPES)
    for env in (env for env in MEMORY if env not in AWAITING):
        spec, own = get_spec(env), runs[runs["env"].eq(env)]
        label = "yes" if spec.needs_memory else "no"
        scale = [f"{value:.4g}" for value in (spec.best, spec.foot) if value is not None]
        columns = [_scored(own[own["data.recipe"].eq(recipe)], MEMORY_ACTORS, measure(spec)) for recipe in RECIPES]
        for actor in MEMORY_ACTORS:
            scores = [texts[actor] for texts in columns]
            lines.append(line([env, label, measure(spec).replace("_", " "), *scale, actor, *scores]))
    return "\n".join(lines)


def labels(runs: pd.DataFrame) -> str:
    """Whether every label *memory* holds, cell by cell."""
    wrong = [f"- {miss}" for miss in misses(runs.to_dict(orient="records"), flagged())]
    return "\n".join(["Labels that are not shown to hold:", "", *wrong] if wrong else ["All labels hold."])


def key_to_door(runs: pd.DataFrame) -> str:
    """Success in % by number of random walks, beside counting on the same walks and the Decision Transformer's table."""
    own = runs[runs["env"].eq("key-to-door") & runs["train.objective"].eq("action")]
    names = (
        "sampled: gpt",
        "lstm",
        "cloning (lstm)",
        "tabular clone",
        "argmax: gpt",
        "lstm",
        "published: DT",
        "BC",
        "%BC",
    )
    lines = head("random walks", "seeds", *names)
    for walks, published in PUBLISHED.items():
        of_size = own[own["data.episodes"].eq(walks)]
        asked = of_size[of_size["wrapper.condition"].eq("return")]
        kinds = {name: asked[asked["backbone"].eq(name)] for name in ("gpt", "lstm")}
        kinds["cloning"] = of_size[of_size["wrapper.condition"].eq("none")]
        sampled, argmax = (list(_per_cent(kinds, column).values()) for column in ("success", "success_argmax"))
        clone = _per_cent({"": asked.drop_duplicates("result.data_sha256")}, "yardstick_tabular_clone")[""]
        seeds = str(asked["seed"].nunique())
        lines.append(line([f"{walks:,}", seeds, *sampled, clone, *argmax[:2], *published]))
    return "\n".join(lines)


def probe(runs: pd.DataFrame) -> str:
    """Who knows in front of the door whether it will open? AUC and log-loss in nats, held-out episodes."""
    own = runs[runs["train.objective"].eq("probe")]
    lines = head("backbone", "AUC ↑", "log-loss ↓")
    parts = {str(name): part for name, part in own.groupby("backbone", sort=False)}
    columns = [scored(parts, f"probe_{key}", _digits) for key in ("auc", "log_loss")]
    lines += [line([name, *(texts[name] for texts in columns)]) for name in parts]
    once = own.drop_duplicates("seed")  # they know the episodes, which are the same for all
    for what, key in (("who knows of the key (Bayes)", "bayes"), ("who knows the base rate alone", "base_rate")):
        lines.append(line([what, *(scored({"": once}, f"{key}_{kind}", _digits)[""] for kind in ("auc", "log_loss"))]))
    return "\n".join(lines)


def graphs(runs: pd.DataFrame) -> str:
    """Share of starts from which the shortest path is taken (argmax), beside what a table gets out of the same walks."""
    own = runs[runs["env"].eq("graph-walk")]
    own = own.reindex(columns=own.columns.union(["env.graph_seed", "env.split"]))  # a default is not recorded
    lines = head("graph", "split", *GRAPH_ACTORS, "table, suffixes count", "table, whole walks")
    for (graph, split), part in own.groupby(["env.graph_seed", "env.split"], dropna=False, sort=True):
        found = list(_scored(part, GRAPH_ACTORS, "optimal").values())
        once = part.drop_duplicates("result.data_sha256")
        kinds = ("hindsight_bound", "whole_walk_bound")
        bounds = [scored({"": once}, f"yardstick_{name}", _digits)[""] for name in kinds]
        if pd.isna(split):  # a default, which was another while seeds did not vary
            old = part.reindex(columns=["result.varied"])["result.varied"].isna().all()
            split = "uniform" if old else get_spec("graph-walk").options["split"]
        lines.append(line([f"{0 if pd.isna(graph) else graph}", split, *found, *bounds]))
    return "\n".join(lines)


TABLES = {"memory": memory, "key-to-door": key_to_door, "probe": probe, "graphs": graphs}


def begin(name: str) -> str:
    return f"<!-- table: python results/studies_table.py ({name}) -->"


def _scored(runs: pd.DataFrame, actors: Sequence[str], column: str) -> dict[str, str]:
    """Actor -> its score, of runs of one task."""
    return scored({actor: runs[of_actor(runs, actor)] for actor in actors}, column, _digits)


def _digits(mean: float) -> int:
    return 1 if abs(mean) >= 10 else 3


def _per_cent(cells: Mapping[str, pd.DataFrame], column: str) -> dict[str, str]:
    return scored(cells, column, lambda mean: 1, 100.0)


def main() -> None:
    runs = runs_table(RECORDS)
    made = {name: make(runs) for name, make in TABLES.items()}
    if "--write" not in sys.argv:
        print("\n\n".join(made.values()))
        return
    titles = [f"## {name}\n\n{TABLES[name].__doc__}\n\n{text}" for name, text in made.items()]
    titles.append(f"## labels\n\n{labels.__doc__}\n\n{labels(runs)}")
    page = "\n\n".join(["# Studies", "Made by `python results/studies_table.py --write`.", *titles])
    (RECORDS.parent / "studies.md").write_text(page + "\n")
    write_blocks({begin(name): table for name, table in made.items()})


if __name__ == "__main__":
    main()
