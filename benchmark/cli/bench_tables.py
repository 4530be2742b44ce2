"""What `dsbench bench` shows at its end: a table a mode, the crossover, the paper's beside it, and what says how far to
trust them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dsbench.cli.bench_cells import (
    MISSING,
    Row,
    by_context,
    how_close,
    in_bytes,
    microseconds,
    milliseconds,
    number,
    tail,
    zipped,
)
from dsbench.cli.tables import print_pairs, print_table
from dsbench.measuring.bench_records import CELLS, SAMPLES, Bench
from dsbench.measuring.crossover import at, crossover
from dsbench.reports.contention import LEGEND
from dsbench.text import say

PARTS = ("embedding", "backbone", "head", "trainable")
PAPER = "decision-s4/4/latency"  # id of the published table
MODE_NAMES = {
    "recurrent": "recurrent step",
    "kv_cache": "KV cache",
    "window": "window re-encode",
    "compiled": "compiled",
}


def show(bench: Bench, folder: Path) -> None:
    """Print everything, and where it is kept."""
    for batch in sorted({row["batch"] for row in bench.rows() if row["context"] is not None and row["loop"]}):
        for loop in ("model", "env"):
            _decisions(bench, loop, batch)
        _crossovers(bench, batch)
    _beside_the_paper(bench)
    _training(bench)
    _sizes(bench)
    _sanity(bench)
    _failures(bench)
    print_pairs([("folder", str(folder)), ("cells", str(folder / CELLS)), ("samples", str(folder / SAMPLES))])


def _decisions(bench: Bench, loop: str, batch: int) -> None:
    rows = [row for row in bench.rows(loop=loop, batch=batch) if row["mode"] in MODE_NAMES]
    if not rows:
        return
    contexts = sorted({row["context"] for row in rows})
    env = rows[0]["env"]
    where = "model only" if loop == "model" else f"with {env} in the loop"
    _title(f"DECISION, us: median (95 % interval ±), batch {batch}, {where}; t decisions before")
    lines = []
    for (backbone, mode, implementation), group in _grouped(rows, "backbone", "mode", "implementation").items():
        cells = {row["context"]: row for row in group}
        longest = cells[max(cells)]
        lines.append(
            (backbone, MODE_NAMES[mode], implementation or MISSING, *(microseconds(cells.get(t)) for t in contexts),
             tail(longest), number(longest["limit_ratio"], "{:,.0f}"))
        )  # fmt: skip
    header = ("backbone", "mode", "kernel", *(f"t={t}" for t in contexts), "p90 / p99 at last t", "x limit")
    print_table(header, lines)
    say()


def _crossovers(bench: Bench, batch: int) -> None:
    curves = _curves(bench, batch)
    rivals = {key: curve for key, curve in curves.items() if key[1] in ("kv_cache", "window")}
    flat = {key: curve for key, curve in curves.items() if key[1] == "recurrent"}
    if not (rivals and flat):
        return
    _title(f"CROSSOVER: from which t on a recurrent step is faster, model only, batch {batch}")
    lines = []
    for (backbone, _), ours in flat.items():
        growth = number(ours[max(ours)] / ours[min(ours)] if len(ours) > 1 else None, "{:.2f}")
        found = [crossover(rival, ours) for rival in rivals.values()]
        lines.append((backbone, growth, *(one.text if one else MISSING for one in found)))
    header = (
        "recurrent step",
        "p50 last t / first t",
        *(f"against {name} {MODE_NAMES[mode]}" for name, mode in rivals),
    )
    print_table(header, lines)
    say()


def _beside_the_paper(bench: Bench) -> None:
    """Decision S4's Table 4 as ratios to its recurrent model, with ours at the same contexts."""
    from dsbench.reports.published import published_scores

    curves = _curves(bench, 1)
    rivals = {key: curve for key, curve in curves.items() if key[1] in ("kv_cache", "window")}
    ours = curves.get(("s4", "recurrent"))
    if ours is None or not rivals:
        return
    printed = {one.method: one.score for one in published_scores() if one.table_id == PAPER}
    base = printed["DS4"]
    _title("SHAPE of Decision S4's Table 4: time of a decision over that of the recurrent S4 step")
    lines = []
    for method, printed_ms in printed.items():
        if not method.startswith("DT (k = "):
            continue
        k = int(method.removeprefix("DT (k = ").rstrip(")"))
        measured = [
            f"{at(curve, k) / at(ours, k):.1f}" if min(curve) <= k <= max(curve) else MISSING
            for curve in rivals.values()
        ]
        lines.append((str(k), f"{printed_ms:g} ms", f"{printed_ms / base:.1f}", *measured))
    header = (
        "context k",
        "DT, published",
        f"published / DS4's {base:g} ms",
        *(f"ours: {name} {MODE_NAMES[mode]}" for name, mode in rivals),
    )
    print_table(header, lines)
    say(
        "Published: other hardware, trained policies of other sizes. Ours between measured contexts: straight lines.",
        "",
    )


def _training(bench: Bench) -> None:
    rows = bench.rows(mode="train")
    if not rows:
        return
    lengths = sorted({row["length"] for row in rows})
    _title("TRAINING STEP (forward, backward, optimiser): ms, and tokens/s")
    lines = []
    for (backbone, implementation), group in _grouped(rows, "backbone", "implementation").items():
        cells = {row["length"]: row for row in group}
        times = [milliseconds(cells.get(length)) for length in lengths]
        speeds = [number(cells.get(length, {}).get("train_tokens_per_second"), "{:,.0f}") for length in lengths]
        peak = cells[max(cells)]["peak_allocated_bytes"]
        lines.append((backbone, implementation or MISSING, *zipped(times, speeds), in_bytes(peak)))
    batches = {row["length"]: row["batch"] for row in rows}
    names = [f"L={length} B={batches[length]}" for length in lengths]
    header = ("backbone", "kernel", *zipped([f"ms {n}" for n in names], [f"tokens/s {n}" for n in names]))
    print_table((*header, "peak allocated, last L"), lines)
    say()


def _sizes(bench: Bench) -> None:
    rows = [row for row in bench.rows(loop="model", batch=1) if row["mode"] in ("recurrent", "kv_cache")]
    if not rows:
        return
    optimisers = {row["backbone"]: row["optimiser_bytes"] for row in bench.rows(mode="train")}
    _title("SIZE AND MEMORY of one decision, batch 1")
    lines = []
    for (backbone,), group in _grouped(rows, "backbone").items():
        states = {row["context"]: row["state_bytes"] for row in group if row["state_bytes"] is not None}
        last = max(group, key=lambda row: int(row["context"]))
        parts = (last[name] for name in ("d_model", *(f"parameters_{part}" for part in PARTS)))
        lines.append(
            (backbone, *(number(count, "{:,}") for count in parts), in_bytes(last["parameter_bytes"]),
             in_bytes(optimisers.get(backbone)), by_context(states), in_bytes(last["peak_allocated_bytes"]),
             in_bytes(last["peak_rss_growth_bytes"]), how_close(last))
        )  # fmt: skip
    header = (
        "backbone", "d_model", *PARTS, "parameters", "optimiser", "state or cache",
        "peak allocated", "peak RSS growth", "off the size asked for",
    )  # fmt: skip
    print_table(header, lines)
    say()


def _sanity(bench: Bench) -> None:
    _title("SANITY")
    pairs = [
        (
            f"wrapper without a backbone, {'model only' if row['loop'] == 'model' else row['env']}, batch {row['batch']}",
            f"{microseconds(row)} us",
        )
        for row in bench.rows(mode="empty")
    ]
    pairs += [
        (
            f"copy of the bytes that {row['backbone']} must move at t={row['context']}",
            f"{microseconds(row)} us, limit {number(row['limit_us'], '{:,.1f}')} us",
        )
        for row in bench.rows(mode="copy")
    ]
    machine = bench.machine
    if "flop_per_second" in machine:
        places = {"memory": "memory", "last_cache": "the last-level cache", "cache": "L2"}
        known = {place: machine.get(f"{key}_bytes_per_second") for key, place in places.items()}
        rates = (f"{rate / 1e9:,.1f} GB/s in {place}" for place, rate in known.items() if rate is not None)
        pairs.append(("this machine", f"copies {', '.join(rates)}; {machine['flop_per_second'] / 1e9:,.0f} GFLOP/s"))
    if machine.get("noise_floor") is not None:
        pairs.append(("noise floor", f"equals came out {100 * machine['noise_floor']:.1f} % apart"))
    rounds = sum(row["rounds"] or 0 for row in bench.rows())
    contended = sum(row["contended_rounds"] or 0 for row in bench.rows())
    pairs.append(("contended", f"{contended} of {rounds} rounds, others had the core. {LEGEND}"))
    print_pairs(pairs)
    say()


def _failures(bench: Bench) -> None:
    failed = [row for row in bench.rows() if row["status"] != "ok"]
    if failed:
        _title("NOT MEASURED")
        print_table(
            ("cell", "status", "reason"),
            [(r["cell_id"], r["status"], " ".join(str(r["reason"]).split())[:120]) for r in failed],
        )
        say()


def _curves(bench: Bench, batch: int) -> dict[tuple[str, str], dict[int, float]]:
    """(backbone, mode) -> context -> median, model only."""
    curves: dict[tuple[str, str], dict[int, float]] = {}
    for row in bench.rows(loop="model", batch=batch):
        if row["mode"] in MODE_NAMES and row["p50_us"] is not None:
            curves.setdefault((row["backbone"], row["mode"]), {})[row["context"]] = row["p50_us"]
    return curves


def _grouped(rows: Sequence[Row], *names: str) -> dict[tuple[Any, ...], list[Row]]:
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in names), []).append(row)
    return groups


def _title(text: str) -> None:
    say(text)
