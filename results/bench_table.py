"""The table of the newest bench in results/reference: prints it, or writes it into docs/speed.md with --write.

python results/bench_table.py [--write]
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import pandas as pd
from markdown_table import MISSING, ROOT, head, line, write_blocks

from dsbench.measuring.bench_records import read_benches
from dsbench.reports.content.ways import core_of, plain

RECORDS = ROOT / "results" / "reference"
BEGIN = "<!-- table: python results/bench_table.py -->"
CONTEXTS = (1, 1000)
LENGTHS = (64, 1024)
MODES = {
    "recurrent": "recurrent step",
    "kv_cache": "KV cache",
    "window": "window re-encode",
    "compiled": "compiled",
}
MIDDLE = 300  # where windows end that are encoded anew, and where compiled decisions are timed


def table() -> str:
    """A row a backbone and way of deciding: medians at the shortest and the longest context, their ratio, and the rest."""
    benches = read_benches(RECORDS)
    newest = benches[benches["bench_id"].eq(benches["bench_id"].max())]
    cells = newest[newest["batch"].eq(1).fillna(False)]
    steps = [f"t = {context:,}" for context in CONTEXTS]
    lines = head("backbone", "decides by", *(f"µs, {step} ↓" for step in steps), "ratio", "state there, KiB ↓",
                 *(f"training tokens/s, L = {length:,} ↑" for length in LENGTHS), "parameters ↓")  # fmt: skip
    for backbone in dict.fromkeys(cells["backbone"].dropna()):
        for mode, words in MODES.items():
            own = cells[cells["backbone"].eq(backbone) & cells["mode"].eq(mode) & cells["loop"].eq("model")]
            if not own.empty:
                training = newest[newest["backbone"].eq(backbone) & newest["mode"].eq("train")]
                lines.append(line([backbone, words, *_steps(own), *_training(training), _size(own)]))
    return "\n".join(lines)


def _steps(own: pd.DataFrame) -> list[str]:
    by_context = {int(row["context"]): row for row in own.to_dict(orient="records")}
    first, last = by_context.get(CONTEXTS[0], {}), by_context.get(CONTEXTS[1], by_context.get(MIDDLE, {}))
    where = "" if last.get("context") == CONTEXTS[1] else f" (t = {last.get('context')})"
    ratio = last["p50_us"] / first["p50_us"] if first and last else None
    state = last.get("state_bytes", pd.NA)
    return [
        _median(first),
        _median(last) + where,
        MISSING if ratio is None else f"{ratio:.2f}",
        MISSING if pd.isna(state) else f"{state / 2**10:,.1f}",
    ]


def _median(row: Mapping[str, Any]) -> str:
    """``612 [598, 640]``: the median and its 95 % interval; marked as in reports where others may have had the core."""
    if not row or pd.isna(row["p50_us"]):
        return MISSING
    return f"{row['p50_us']:,.0f} [{row['p50_low_us']:,.0f}, {row['p50_high_us']:,.0f}]{_mark(row)}"


def _training(own: pd.DataFrame) -> list[str]:
    cells = {int(row["length"]): row for row in own.to_dict(orient="records")}
    return [_speed(cells[length]) if length in cells else MISSING for length in LENGTHS]


def _speed(row: Mapping[str, Any]) -> str:
    rate = row["train_tokens_per_second"]
    return MISSING if pd.isna(rate) else f"{rate:,.0f}{_mark(row)}"


def _mark(row: Mapping[str, Any]) -> str:
    """As in reports, where others had the core or may have had it."""
    return core_of({name: plain(row[name]) for name in ("rounds", "contended_rounds", "threads", "device")}).value


def _size(own: pd.DataFrame) -> str:
    parts = own[["parameters_embedding", "parameters_backbone", "parameters_head"]].iloc[0]
    return MISSING if parts.isna().any() else f"{parts.sum():,.0f}"


if __name__ == "__main__":
    if "--write" in sys.argv:
        write_blocks({BEGIN: table()})
    else:
        print(table())
