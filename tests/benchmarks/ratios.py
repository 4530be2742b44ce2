"""How many times as fast as what they are compared with our routes are: every claim about speed, in one run.

    python -m tests.benchmarks.ratios                          # print the table (about 10 minutes)
    python -m tests.benchmarks.ratios --cell "step of"         # the cells whose names hold these words
    python -m tests.benchmarks.ratios --write results/speed    # and keep it, with the machine

One process and one thread; CPU time of the thread; the contestants of a cell in a new order each round; ratios are medians
over rounds of the ratio within a round. One of ours runs under two names, and the distance of that ratio from 1 is the
noise of the cell. Memory and wait settings are those of dsbench's own workers, the same for every contestant.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from dsbench.records.provenance import provenance
from dsbench.running.process import process_environment

if TYPE_CHECKING:
    from tests.benchmarks.cells import Cell
    from tests.benchmarks.rivals import Run

SECONDS, FEWEST, MOST = 4.0, 5, 200  # rounds of a cell: as many as fit in the time, within these numbers
TWIN = " (twin)"
HEADER = [
    "| what | ours | against | ours (ms) | against (ms) | ratio ↑ (quartiles) | goal | noise |",
    "|---|---|---|---|---|---|---|---|",
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cell", default="", help="measure the cells whose name holds this")
    parser.add_argument("--write", type=Path, help="folder for ratios.csv, ratios.md and machine.json")
    options = parser.parse_args()
    _with_worker_settings()
    import torch

    from tests.benchmarks import cells, steps

    torch.set_num_threads(1)
    torch.manual_seed(0)
    rows = []
    for cell in [cell for cell in [*cells.every_cell(), *steps.cells()] if options.cell in cell.name]:
        rows += (measured := measure(cell))
        print("\n".join([*([] if len(rows) > len(measured) else HEADER), *map(_line, measured)]), flush=True)
    if not rows:
        sys.exit(f"no cell holds {options.cell!r}")
    if options.write:
        options.write.mkdir(parents=True, exist_ok=True)
        pd.DataFrame(rows).to_csv(options.write / "ratios.csv", index=False)
        (options.write / "ratios.md").write_text("\n".join([*HEADER, *map(_line, rows)]) + "\n")
        (options.write / "machine.json").write_text(json.dumps(provenance(), indent=1) + "\n")


def _with_worker_settings() -> None:
    """Start again with the variables of a worker, which are read when a process begins."""
    wanted = process_environment(threads=1)
    if any(os.environ.get(name) != value for name, value in wanted.items()):
        os.execve(sys.executable, [sys.executable, "-m", "tests.benchmarks.ratios", *sys.argv[1:]], os.environ | wanted)


def measure(cell: Cell) -> list[dict[str, Any]]:
    """One row for each of our routes: times in ms, ratio with its quartiles, goal, noise."""
    runs = {cell.rival: cell.make_rival()} | {name: make() for name, (make, _) in cell.ours.items()}
    first = next(iter(cell.ours))
    runs[first + TWIN] = runs[first]
    seconds = _interleaved(runs, cell.slow)
    noise = abs(statistics.median(_ratios(seconds, first + TWIN, first)) - 1)
    rows = []
    for name, (_, goal) in cell.ours.items():
        low, middle, high = statistics.quantiles(_ratios(seconds, cell.rival, name), n=4)
        times = {"rival_ms": cell.rival, "ours_ms": name}
        rows.append(
            {"cell": cell.name, "ours": name, "rival": cell.rival}
            | {column: 1e3 * statistics.median(seconds[of]) / cell.calls for column, of in times.items()}
            | {"ratio": middle, "ratio_q1": low, "ratio_q3": high, "goal": goal, "met": middle >= goal}
            | {"noise": noise, "rounds": len(seconds[name])}
        )
    return rows


def _interleaved(runs: dict[str, Run], slow: bool) -> dict[str, list[float]]:
    """CPU seconds of every round of every contestant, after one round to warm up."""
    for run in runs.values():
        run()
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    begun, order = time.monotonic(), list(runs)
    fewest = 3 if slow else FEWEST
    for done in range(MOST):
        if done >= fewest and time.monotonic() - begun > SECONDS:
            break
        random.shuffle(order)
        for name in order:
            start = time.thread_time()
            runs[name]()
            seconds[name].append(time.thread_time() - start)
    return seconds


def _ratios(seconds: dict[str, list[float]], above: str, below: str) -> list[float]:
    return [a / b for a, b in zip(seconds[above], seconds[below], strict=True)]


def _line(row: dict[str, Any]) -> str:
    """A row of the table, the goal and whether it is met beside the ratio."""
    goal = f"{row['goal']:.2f} {'met' if row['met'] else '**missed**'}" if row["goal"] else ""
    spread = f"{row['ratio']:.2f} ({row['ratio_q1']:.2f} to {row['ratio_q3']:.2f})"
    cells = [row["cell"], row["ours"], row["rival"], f"{row['ours_ms']:.3g}", f"{row['rival_ms']:.3g}", spread, goal]
    return "| " + " | ".join([*cells, f"{100 * row['noise']:.0f} %"]) + " |"


if __name__ == "__main__":
    main()
