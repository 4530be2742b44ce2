"""The README's table from the records in results/reference: prints it, or writes it into README.md with --write.

python results/reference_table.py [--write]
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
from markdown_table import called

from dsbench.records.tables import runs_table
from dsbench.reports.statistics import estimate

ROOT = Path(__file__).parents[1]
BEGIN, END = "<!-- table: python results/reference_table.py -->", "<!-- end of table -->"
ORDER = (
    "gpt", "s4", "s4d", "s5", "mamba", "mamba2", "lstm", "gru", "rnn", "mingru", "linear-attention", "mlp", "copier", "window",
)  # fmt: skip


def table(results: Path = ROOT / "results" / "reference") -> str:
    """Markdown: one row a backbone, means over seeds with half of the 95 % interval."""
    runs = runs_table(results)
    long_chain, permuted, cloned = (
        runs[column].eq(value).fillna(False).astype(bool)
        for column, value in [("env.chain_length", 20), ("data.permute_returns", True), ("wrapper.condition", "none")]
    )
    kinds = {
        "main": ~long_chain & ~permuted & ~cloned,
        "permuted": permuted,
        "cloned": cloned,
        "long": long_chain,
    }
    lines = [
        "| backbone | at the target ↑ | at the opposite ↓ | chain of 20: target ↑ / opposite ↓ | returns permuted → 0.5 "
        "| cloning → 0.5 | parameters | state (bytes) |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name in ORDER:
        own = {kind: runs[chosen & called(runs, name)] for kind, chosen in kinds.items()}
        main = own["main"]
        if main.empty:
            continue
        cells = [
            name,
            spread(main, "first_action_accuracy"),
            spread(main, "first_action_accuracy_opposite"),
            f"{spread(own['long'], 'first_action_accuracy')} / {spread(own['long'], 'first_action_accuracy_opposite')}",
            spread(own["permuted"], "first_action_accuracy"),
            spread(own["cloned"], "first_action_accuracy"),
            f"{main['result.parameters_total'].iloc[0]:,.0f}",
            f"{main['result.state_bytes'].iloc[0]:,.0f}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def spread(runs: pd.DataFrame, metric: str) -> str:
    """``mean ± half-width`` over the finished seeds; what failed or is not done is counted beside it."""
    if runs.empty:
        return "–"
    missing = int((runs["status"] != "ok").sum())
    without = f" ({missing} without a result)" if missing else ""
    values = runs.loc[runs["status"] == "ok", f"result.{metric}"].astype(float).tolist()
    return (estimate(values).text(".3f") + without) if values else without.strip()


def main() -> None:
    text = table()
    if "--write" not in sys.argv:
        print(text)
        return
    readme = ROOT / "README.md"
    before, _, rest = readme.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    readme.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")


if __name__ == "__main__":
    main()
