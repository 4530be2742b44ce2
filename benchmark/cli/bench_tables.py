"""What `dsbench bench` shows at its end: a table a mode, the crossover, the paper's beside it, and what says how far to
trust them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dsbench.cli.summary import print_pairs, print_table
from dsbench.measuring.bench_records import CELLS, SAMPLES, Bench
from dsbench.measuring.crossover import at, crossover

MISSING = "-"
PAPER = "decision-s4/4/latency"  # id of the published table
MODE_NAMES = {
    "recurrent": "recurrent step",
    "kv_cache": "KV cache",
    "window": "window re-encode",
    "compiled": "compiled",
}
Row = Mapping[str, Any]


def show(bench: Bench) -> None:
    """Print everything."""
    for batch in sorted({row["batch"] for row in bench.rows() if row["context"] is not None and row["loop"]}):
        for loop in ("model", "env"):
            _decisions(bench, loop, batch)
        _crossovers(bench, batch)
    _beside_the_paper(bench)
    _training(bench)
    _sizes(bench)
    _sanity(bench)
    _failures(bench)
    print_pairs(
        [("folder", str(bench.path)), ("cells", str(bench.path / CELLS)), ("samples", str(bench.path / SAMPLES))]
    )


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
            (backbone, MODE_NAMES[mode], implementation or MISSING, *(_time(cells.get(t)) for t in contexts),
             _tail(longest), _number(longest["limit_ratio"], "{:,.0f}"))
        )  # fmt: skip
    header = ("backbone", "mode", "kernel", *(f"t={t}" for t in contexts), "p90 / p99 at last t", "x limit")
    print_table(header, lines)
    print()


def _crossovers(bench: Bench, batch: int) -> None:
    curves = _curves(bench, batch)
    rivals = {key: curve for key, curve in curves.items() if key[1] in ("kv_cache", "window")}
    flat = {key: curve for key, curve in curves.items() if key[1] == "recurrent"}
    if not (rivals and flat):
        return
    _title(f"CROSSOVER: from which t on a recurrent step is faster, model only, batch {batch}")
    lines = []
    for (backbone, _), ours in flat.items():
        growth = _number(ours[max(ours)] / ours[min(ours)] if len(ours) > 1 else None, "{:.2f}")
        found = [crossover(rival, ours) for rival in rivals.values()]
        lines.append((backbone, growth, *(one.text if one else MISSING for one in found)))
    header = (
        "recurrent step",
        "p50 last t / first t",
        *(f"against {name} {MODE_NAMES[mode]}" for name, mode in rivals),
    )
    print_table(header, lines)
    print()


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
    for method, milliseconds in printed.items():
        if not method.startswith("DT (k = "):
            continue
        k = int(method.removeprefix("DT (k = ").rstrip(")"))
        measured = [
            f"{at(curve, k) / at(ours, k):.1f}" if min(curve) <= k <= max(curve) else MISSING
            for curve in rivals.values()
        ]
        lines.append((str(k), f"{milliseconds:g} ms", f"{milliseconds / base:.1f}", *measured))
    header = (
        "context k",
        "DT, published",
        f"published / DS4's {base:g} ms",
        *(f"ours: {name} {MODE_NAMES[mode]}" for name, mode in rivals),
    )
    print_table(header, lines)
    print(
        "Published: other hardware, trained policies of other sizes. Ours between measured contexts: straight lines.\n"
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
        times = [_milliseconds(cells.get(length)) for length in lengths]
        speeds = [_number(cells.get(length, {}).get("train_tokens_per_second"), "{:,.0f}") for length in lengths]
        peak = cells[max(cells)]["peak_allocated_bytes"]
        lines.append((backbone, implementation or MISSING, *_zipped(times, speeds), _bytes(peak)))
    batches = {row["length"]: row["batch"] for row in rows}
    names = [f"L={length} B={batches[length]}" for length in lengths]
    header = ("backbone", "kernel", *_zipped([f"ms {n}" for n in names], [f"tokens/s {n}" for n in names]))
    print_table((*header, "peak allocated, last L"), lines)
    print()


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
        parts = (last[f"parameters_{part}"] for part in ("embedding", "backbone", "head", "trainable"))
        lines.append(
            (backbone, *(_number(count, "{:,}") for count in parts), _bytes(last["parameter_bytes"]),
             _bytes(optimisers.get(backbone)), _by_context(states), _bytes(last["peak_allocated_bytes"]),
             _bytes(last["peak_rss_growth_bytes"]))
        )  # fmt: skip
    header = (
        "backbone", "embedding", "backbone", "head", "trainable", "parameters", "optimiser", "state or cache",
        "peak allocated", "peak RSS growth",
    )  # fmt: skip
    print_table(header, lines)
    print()


def _sanity(bench: Bench) -> None:
    _title("SANITY")
    pairs = [
        (
            f"wrapper without a backbone, {'model only' if row['loop'] == 'model' else row['env']}, batch {row['batch']}",
            f"{_time(row)} us",
        )
        for row in bench.rows(mode="empty")
    ]
    pairs += [
        (
            f"copy of the bytes that {row['backbone']} must move at t={row['context']}",
            f"{_time(row)} us, limit {_number(row['limit_us'], '{:,.1f}')} us",
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
    pairs.append(("contended", f"{contended} of {rounds} rounds, others had the core; times with * had some"))
    print_pairs(pairs)
    print()


def _failures(bench: Bench) -> None:
    failed = [row for row in bench.rows() if row["status"] != "ok"]
    if failed:
        _title("NOT MEASURED")
        print_table(
            ("cell", "status", "reason"),
            [(r["cell_id"], r["status"], " ".join(str(r["reason"]).split())[:120]) for r in failed],
        )
        print()


def _curves(bench: Bench, batch: int) -> dict[tuple[str, str], dict[int, float]]:
    """(backbone, mode) -> context -> median, of the backbones' own choice of kernel, model only."""
    curves: dict[tuple[str, str], dict[int, float]] = {}
    for row in bench.rows(loop="model", batch=batch):
        asked = f".{row['implementation']}." in row["cell_id"]
        if row["mode"] in MODE_NAMES and row["p50_us"] is not None and not asked:
            curves.setdefault((row["backbone"], row["mode"]), {})[row["context"]] = row["p50_us"]
    return curves


def _grouped(rows: Sequence[Row], *names: str) -> dict[tuple[Any, ...], list[Row]]:
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in names), []).append(row)
    return groups


def _zipped(first: Sequence[str], second: Sequence[str]) -> Iterator[str]:
    for pair in zip(first, second, strict=True):
        yield from pair


def _time(row: Row | None) -> str:
    """``412 ±3``: median and half the width of its interval; a star where a round was contended."""
    if row is None:
        return MISSING
    if row["p50_us"] is None:
        return str(row["status"])
    low, high = row["p50_low_us"], row["p50_high_us"]
    spread = "" if low is None or high is None else f" ±{(high - low) / 2:,.0f}"
    return f"{row['p50_us']:,.0f}{spread}{'*' if row['contended_rounds'] else ''}"


def _milliseconds(row: Row | None) -> str:
    if row is None:
        return MISSING
    return (
        str(row["status"])
        if row["p50_us"] is None
        else f"{row['p50_us'] / 1e3:,.1f}{'*' if row['contended_rounds'] else ''}"
    )


def _tail(row: Row) -> str:
    return " / ".join(_number(row[name], "{:,.0f}") for name in ("p90_us", "p99_us"))


def _by_context(states: Mapping[int, int]) -> str:
    """One number where it does not depend on the context."""
    if len(set(states.values())) <= 1:
        return _bytes(next(iter(states.values()), None))
    first, last = min(states), max(states)
    return f"{_bytes(states[first])} (t={first}) to {_bytes(states[last])} (t={last})"


def _number(value: Any, form: str) -> str:
    return MISSING if value is None else form.format(value)


def _bytes(value: int | None) -> str:
    if value is None:
        return MISSING
    for unit, name in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if value >= unit:
            return f"{value / unit:,.1f} {name}"
    return f"{value} B"


def _title(text: str) -> None:
    print(text)
