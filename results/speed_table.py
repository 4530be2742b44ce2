"""The tables of speed from results/reference/speed: prints them, or writes them into docs/speed.md with --write.

python results/speed_table.py [--write]
"""

from __future__ import annotations

import sys

import pandas as pd
from markdown_table import ROOT, write_blocks

SOURCE = ROOT / "results" / "reference" / "speed" / "ratios.csv"
CONTEXTS = (20, 100, 300)


def training(ratios: pd.DataFrame) -> str:
    """How many times as fast as what they are compared with our routes train, by length."""
    rows = ratios[~ratios["cell"].str.contains("^step of| in the shared block")].copy()
    rows[["what", "length"]] = rows["cell"].str.extract(r"^(.*), L (\d+)$")
    # a comparison's name says what it is against only where there are several
    rows["what"] = rows["what"].str.replace(r" against [^,]+", "", regex=True)
    lengths = sorted(rows["length"].astype(int).unique())
    lines = _head("training", "route", "against", *(f"L {length}" for length in lengths))
    for (what, ours, rival), group in rows.groupby(["what", "ours", "rival"], sort=False):
        by_length = dict(zip(group["length"].astype(int), group["ratio"], strict=True))
        cells = [f"{by_length[length]:.2f}" if length in by_length else "" for length in lengths]
        lines.append(f"| {what} | {ours} | {rival} | {' | '.join(cells)} |")
    return "\n".join(lines)


def shared(ratios: pd.DataFrame) -> str:
    """Milliseconds of a training pass of every backbone in the shared block, by shape; the LSTM is the one measured
    beside the others, so its time is the median over its comparisons."""
    rows = ratios[ratios["cell"].str.contains(" in the shared block")].copy()
    rows[["name", "shape"]] = rows["cell"].str.extract(r"^(\S+) in the shared block, (.*)$")
    shapes = list(rows["shape"].unique())
    lines = _head("", "kernel", *(f"{shape}: ms (times the LSTM)" for shape in shapes))
    lstm = [f"{rows.loc[rows['shape'] == shape, 'rival_ms'].median():.1f} (1)" for shape in shapes]
    lines.append(f"| lstm | onednn | {' | '.join(lstm)} |")
    for name, group in rows.groupby("name", sort=False):
        cells = [f"{row.ours_ms:.1f} ({1 / row.ratio:.2f})" for row in group.itertuples()]
        lines.append(f"| {name} | {group['ours'].iloc[0]} | {' | '.join(cells)} |")
    return "\n".join(lines)


def steps(ratios: pd.DataFrame) -> str:
    """Microseconds of a decision step of each recurrent backbone, eager and compiled."""
    rows = ratios[ratios["cell"].str.match(r"step of .*, batch 1$")]
    names = rows["cell"].str.extract(r"step of (.*), batch 1")[0]
    lines = _head("", *names)
    for kind, column in (("eager", "rival_ms"), ("compiled", "ours_ms")):
        lines.append(f"| {kind} | {' | '.join(f'{1e3 * value:.0f}' for value in rows[column])} |")
    return "\n".join(lines)


def transformers(ratios: pd.DataFrame) -> str:
    """Microseconds of one decision of a transformer, by timesteps of context."""
    cells = {context: ratios[ratios["cell"] == f"step of a transformer, context {context}"] for context in CONTEXTS}
    lines = _head("context in timesteps", *map(str, CONTEXTS))
    rival = [f"{1e3 * cell['rival_ms'].iloc[0]:,.0f}" for cell in cells.values()]
    lines.append(f"| {cells[CONTEXTS[0]]['rival'].iloc[0]}, three tokens | {' | '.join(rival)} |")
    for name in cells[CONTEXTS[0]]["ours"]:
        values = [1e3 * cell.loc[cell["ours"] == name, "ours_ms"].iloc[0] for cell in cells.values()]
        lines.append(f"| {name} | {' | '.join(f'{value:,.0f}' for value in values)} |")
    return "\n".join(lines)


def _head(*titles: str) -> list[str]:
    return ["|" + "|".join(f" {title} " if title else " " for title in titles) + "|", "|---" * len(titles) + "|"]


TABLES = {"training": training, "shared": shared, "steps": steps, "transformers": transformers}


def begin(name: str) -> str:
    """The line before a table."""
    return f"<!-- table: python results/speed_table.py ({name}) -->"


def main() -> None:
    ratios = pd.read_csv(SOURCE)
    tables = {begin(name): table(ratios) for name, table in TABLES.items()}
    if "--write" in sys.argv:
        write_blocks(tables)
    else:
        print(*tables.values(), sep="\n\n")


if __name__ == "__main__":
    main()
