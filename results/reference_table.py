"""The table of umbrella from the records in results/reference: prints it, or writes it into docs/results.md with --write.

python results/reference_table.py [--write]
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
from markdown_table import ROOT, called, head, line, scored, write_blocks

from dsbench.records.tables import runs_table

BEGIN = "<!-- table: python results/reference_table.py -->"
ORDER = (
    "gpt", "s4", "s4d", "s5", "mamba", "mamba2", "lstm", "gru", "rnn", "mingru", "linear-attention", "mlp", "copier", "window",
)  # fmt: skip
SHARE = "first_action_accuracy"


def table(results: Path = ROOT / "results" / "reference") -> str:
    """Markdown: one row a backbone or control, means over seeds with their 95 % intervals."""
    runs = runs_table(results)
    kinds = {kind: _by_name(part) for kind, part in _parts(runs).items()}
    columns = {kind: _texts(cells, SHARE) for kind, cells in kinds.items()}
    opposite = {kind: _texts(kinds[kind], f"{SHARE}_opposite") for kind in ("main", "long")}
    lines = head(
        "backbone", "at the target ↑", "at the opposite ↓", "chain of 20: target ↑ / opposite ↓", "returns permuted → 0.5",
        "cloning → 0.5", "parameters", "state (bytes)",
    )  # fmt: skip
    for name, own in kinds["main"].items():
        if own.empty:
            continue
        size, state = (own[f"result.{column}"].iloc[0] for column in ("parameters_total", "state_bytes"))
        both = f"{columns['long'][name]} / {opposite['long'][name]}"
        scores = [
            columns["main"][name],
            opposite["main"][name],
            both,
            columns["permuted"][name],
            columns["cloned"][name],
        ]
        lines.append(line([name, *scores, f"{size:,.0f}", f"{state:,.0f}"]))
    return "\n".join(lines)


def _parts(runs: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The four settings of the table; each is a task of its own."""
    long, permuted, cloned = (
        runs[column].eq(value).fillna(False).astype(bool)
        for column, value in [("env.chain_length", 20), ("data.permute_returns", True), ("wrapper.condition", "none")]
    )
    return {
        "main": runs[~long & ~permuted & ~cloned],
        "permuted": runs[permuted],
        "cloned": runs[cloned],
        "long": runs[long],
    }


def _by_name(runs: pd.DataFrame) -> dict[str, pd.DataFrame]:
    return {name: runs[called(runs, name)] for name in ORDER}


def _texts(cells: dict[str, pd.DataFrame], column: str) -> dict[str, str]:
    return scored(cells, column, lambda mean: 3)


def main() -> None:
    if "--write" in sys.argv:
        write_blocks({BEGIN: table()})
    else:
        print(table())


if __name__ == "__main__":
    main()
