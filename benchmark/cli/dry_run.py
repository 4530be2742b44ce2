"""``--dry-run``: what would be done and what it would cost, by a rehearsal; nothing is written but the data set."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from dsbench.cli.bench_cells import in_bytes
from dsbench.cli.tables import print_table
from dsbench.config import RunConfig, to_dict
from dsbench.reading import dump_yaml
from dsbench.running import launcher
from dsbench.running.matched import matched
from dsbench.running.progress import display, duration
from dsbench.running.rehearsing import costs_of
from dsbench.running.worker_process import Outcome, folder_of
from dsbench.text import say


def show_settings(config: RunConfig, results: Path, force: bool) -> int:
    """Of one run: YAML that ``--config`` takes back, below comments that name and price it."""
    (config,) = matched([config])
    folder, state = folder_of(config, results), launcher.state_of(config, results, force)
    told = [f"Run    {folder.run_id}", f"Folder {folder.path}", f"State  {state}"]
    if not state.startswith("done"):
        (cost,) = costs_of([config], partial(_rehearse, at_once=1))
        told.append(
            f"Costs  about {duration(cost.seconds)} where nothing else runs, {in_bytes(cost.size)} in its folder; its data "
            "set is kept"
        )
    say(*(f"# {line}" for line in told))
    say(*dump_yaml(to_dict(config)).rstrip("\n").split("\n"))
    return 0


def show_costs(configs: Sequence[RunConfig], results: Path, force: bool, at_once: int) -> int:
    """Of many: a row a backbone and environment, what is done before left out, and the whole."""
    open_runs = [config for config in configs if force or not launcher.done_before([config], results)]
    costs = costs_of(open_runs, partial(_rehearse, at_once=at_once)) if open_runs else []
    rows: dict[tuple[str, str], list[int]] = {}
    for place, config in enumerate(open_runs):
        rows.setdefault((config.backbone.name, config.env.name), []).append(place)
    print_table(
        ("backbone", "env", "runs", "a run", "a folder"),
        [
            (*who, str(len(places)), duration(costs[places[0]].seconds), in_bytes(costs[places[0]].size))
            for who, places in rows.items()
        ],
    )
    seconds, size = sum(cost.seconds for cost in costs) / at_once, sum(cost.size for cost in costs)
    say("", f"All     about {duration(seconds)} with {at_once} at once, {in_bytes(size)}" if costs else "All are done.")
    return 0


def _rehearse(runs: Sequence[RunConfig], scratch: Path, *, at_once: int) -> list[Outcome]:
    return launcher.run_all(runs, scratch, at_once=at_once, display=display(several=len(runs) > 1))
