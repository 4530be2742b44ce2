"""One table over a results folder: settings in rows, the mean over seeds with its interval, failures shown.

The interval is Student's t over seeds, 95 %; with one seed there is none. Nothing is bold and nothing is left out: a
run that failed is counted, a number that is missing is '-'.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dsbench.records.tables import runs_table

METRICS = {
    "first_action_accuracy": ("accuracy at target", "{:.3f}"),
    "first_action_accuracy_opposite": ("at opposite", "{:.3f}"),
    "regret": ("regret", "{:.2f}"),
    "return_mean": ("return", "{:.2f}"),
    "parameters_total": ("parameters", "{:,.0f}"),
    "train_seconds": ("train s", "{:.1f}"),
    "train_tokens_per_second": ("tokens/s", "{:,.0f}"),
    "latency_p50_us": ("decision p50 us", "{:,.0f}"),
    "state_bytes": ("state bytes", "{:,.0f}"),
}
_NOT_SETTINGS = {
    *("run_id", "backbone", "env", "seed", "attempt", "status", "reason"),
    *("preset", "time_limit_s", "train.log_every", "train.checkpoint_every"),  # cannot change a result
}
_COUNTS = ("parameters_total", "state_bytes")  # the same for every seed, so an interval would say nothing
_COUNTED_OK = "ok"


def summarise(results: Path | str) -> list[dict[str, Any]]:
    """A dictionary for each group of runs that differ in their seed alone.

    Keys: backbone, env, settings (those that differ between groups), n (finished seeds), failures (status -> how many),
    runs (run ids), metrics (name -> mean, low, high, values; the bounds are None with fewer than two values).

    Raises:
        UsageError: there is no such results folder.
    """
    rows = [
        {str(name): _python(value) for name, value in row.items()}
        for row in runs_table(results).to_dict(orient="records")
    ]
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        key = {"backbone": row["backbone"], "env": row["env"], **_settings(row)}
        groups.setdefault(json.dumps(key, sort_keys=True, default=str), []).append(row)
    varying = _varying([_settings(group[0]) for group in groups.values()])
    return [_summary(group, varying) for group in groups.values()]


def markdown(groups: Sequence[dict[str, Any]]) -> str:
    """The groups as one Markdown table with a note that says what the numbers are."""
    shown = [name for name in METRICS if any(name in group["metrics"] for group in groups)]
    header = ["backbone", "environment", "settings", "n", "failed", *(METRICS[name][0] for name in shown)]
    lines = [header, ["---"] * len(header)]
    for group in groups:
        settings = ", ".join(f"{name}={_word(value)}" for name, value in group["settings"].items()) or "-"
        failures = ", ".join(f"{count} {status}" for status, count in group["failures"].items()) or "0"
        cells = [_cell(group["metrics"].get(name), METRICS[name][1]) for name in shown]
        lines.append([str(group["backbone"]), str(group["env"]), settings, str(group["n"]), failures, *cells])
    table = "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)
    return f"{table}\n\nMean over n seeds ± half of the 95 % interval (Student's t over seeds).\n"


def interval(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean and half-width of its 95 % Student t interval; None for fewer than two values."""
    from scipy.stats import t

    mean = math.fsum(values) / len(values)
    if len(values) < 2:
        return mean, None
    variance = math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)
    return mean, float(t.ppf(0.975, len(values) - 1)) * math.sqrt(variance / len(values))


def _summary(rows: list[dict[str, Any]], varying: Sequence[str]) -> dict[str, Any]:
    finished = [row for row in rows if row["status"] == _COUNTED_OK]
    settings = _settings(rows[0])
    failures: dict[str, int] = {}
    for row in rows:
        if row["status"] != _COUNTED_OK:
            failures[row["status"]] = failures.get(row["status"], 0) + 1
    metrics = {}
    for name in METRICS:
        values = [float(value) for row in finished if (value := row.get(f"result.{name}")) is not None]
        if values:
            mean, half = interval(values)
            bounds = (
                {"low": None, "high": None}
                if half is None or (name in _COUNTS and half == 0)
                else {"low": mean - half, "high": mean + half}
            )
            metrics[name] = {"mean": mean, **bounds, "values": values}
    return {
        "backbone": rows[0]["backbone"],
        "env": rows[0]["env"],
        "settings": {name: settings.get(name) for name in varying},
        "n": len(finished),
        "failures": failures,
        "runs": [row["run_id"] for row in rows],
        "metrics": metrics,
    }


def _settings(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value
        for name, value in row.items()
        if name not in _NOT_SETTINGS and not name.startswith("result.") and value is not None
    }


def _varying(settings: Sequence[dict[str, Any]]) -> list[str]:
    """Settings that tell the groups apart; a setting that only some backbones have does not count."""
    names = sorted({name for one in settings for name in one})
    return [
        name
        for name in names
        if len({json.dumps(one[name], default=str) for one in settings if name in one}) > 1
        or (not name.startswith("backbone.") and any(name not in one for one in settings))
    ]


def _python(value: Any) -> Any:
    """Plain Python of a cell; whatever pandas uses for missing becomes None."""
    if hasattr(value, "item"):
        value = value.item()
    return None if value is None or value != value or str(value) == "<NA>" else value


def _cell(metric: dict[str, Any] | None, form: str) -> str:
    if metric is None:
        return "-"
    mean = form.format(metric["mean"])
    return mean if metric["high"] is None else f"{mean} ± {form.format(metric['high'] - metric['mean'])}"


def _word(value: Any) -> str:
    return (
        {True: "true", False: "false", None: "null"}.get(value, str(value))
        if not isinstance(value, list)
        else str(value)
    )
