"""The final tables of ``dsbench run`` and ``dsbench sweep``: numbers as people read them, '-' where there is none."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dsbench.config import RunConfig
from dsbench.running.worker_process import Outcome

_MISSING = "-"
_UNITS = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))


def run_table(row: Mapping[str, Any], folder: Path, config: RunConfig) -> list[tuple[str, str]]:
    """(what, value) of one finished run, the next command last."""
    latency = " / ".join(_number(row.get(f"latency_{point}_us"), "{:,.0f}") for point in ("p50", "p90", "p99"))
    accuracy = [_number(row.get(f"first_action_accuracy{which}"), "{:.3f}") for which in ("", "_opposite")]
    parameters = [_number(row.get(f"parameters_{which}"), "{:,}") for which in ("total", "backbone")]
    speed = _number(row.get("train_tokens_per_second"), "{:,.0f}")
    implementation = str(row.get("implementation") or _MISSING)
    reason = row.get("implementation_reason")
    lines = [
        ("backbone", str(row.get("backbone", _MISSING))),
        ("environment", str(row.get("env", _MISSING))),
        ("seed", str(row.get("seed", _MISSING))),
        ("status", _status(row)),
        ("first-action accuracy", f"{accuracy[0]} at the target, {accuracy[1]} at the opposite target"),
        ("regret", _number(row.get("regret"), "{:.3f}")),
        ("return", f"{_number(row.get('return_mean', row.get('return')), '{:.2f}')} ({_targets(row)})"),
        ("parameters", f"{parameters[0]} total, {parameters[1]} backbone"),
        ("training", f"{_number(row.get('train_seconds'), '{:.1f}')} s, {speed} tokens/s"),
        ("decision latency", f"{latency} us (p50 / p90 / p99)"),
        ("peak memory", _size(row.get("peak_rss_bytes"))),
        ("state", _size(row.get("state_bytes"), exact=True)),
        ("implementation", f"{implementation} ({reason})" if reason else implementation),
        ("folder", str(folder)),
    ]
    return lines + [("next", command) for command in next_commands(config, folder.parent.parent)]


def next_commands(config: RunConfig, results: Path) -> list[str]:
    """What to type next: compare, and the same run with another backbone."""
    where = "" if str(results) == "results" else f" --results {results}"
    other = "gpt" if config.backbone.name != "gpt" else "s4"
    return [
        f"dsbench report {results}",
        f"dsbench run --backbone {other} --env {config.env.name} --seed {config.seed}{where}",
    ]


SWEEP_HEADER = ("run", "status", "accuracy", "opposite", "regret", "parameters", "train s", "p50 us")


def sweep_rows(outcomes: Sequence[Outcome]) -> list[tuple[str, ...]]:
    """A row a run, under `SWEEP_HEADER`."""
    formats = {
        "first_action_accuracy": "{:.3f}",
        "first_action_accuracy_opposite": "{:.3f}",
        "regret": "{:.3f}",
        "parameters_total": "{:,}",
        "train_seconds": "{:.1f}",
        "latency_p50_us": "{:,.0f}",
    }
    return [
        (
            outcome.run_id,
            outcome.status,
            *(_number((outcome.row or {}).get(key), form) for key, form in formats.items()),
        )
        for outcome in outcomes
    ]


def print_pairs(pairs: Sequence[tuple[str, str]], write: Callable[[str], None] = print) -> None:
    """Two aligned columns; names in bold on a terminal."""
    if _is_terminal():
        from rich.console import Console
        from rich.table import Table

        table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
        table.add_column(style="bold", no_wrap=True)
        table.add_column(overflow="fold")
        for name, value in pairs:
            table.add_row(_plain(name), _plain(value))
        Console().print(table)
        return
    width = max(len(name) for name, _ in pairs)
    for name, value in pairs:
        write(f"{name:<{width}}  {value}")


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]], write: Callable[[str], None] = print) -> None:
    """A table with a header; aligned text when this is no terminal."""
    if _is_terminal():
        from rich.console import Console
        from rich.table import Table

        table = Table(*header, box=None, padding=(0, 2, 0, 0), header_style="bold")
        for row in rows:
            table.add_row(*(_plain(cell) for cell in row))
        Console().print(table)
        return
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    for row in (header, *rows):
        write("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())


def _is_terminal() -> bool:
    return sys.stdout is not None and sys.stdout.isatty()  # None when it was closed


def _plain(text: str) -> Any:
    from rich.text import Text

    return Text(text)  # no markup: a name with brackets stays as it is


def _number(value: Any, form: str) -> str:
    return _MISSING if value is None or isinstance(value, str) else form.format(value)


def _status(row: Mapping[str, Any]) -> str:
    reason = row.get("reason")
    return f"{row.get('status', _MISSING)}{f': {reason}' if reason else ''}"


def _targets(row: Mapping[str, Any]) -> str:
    target = _number(row.get("target_return"), "{:.2f}")
    return f"asked for {target}" if target != _MISSING else "no return asked for"


def _size(value: Any, exact: bool = False) -> str:
    """Bytes in the largest fitting unit; with `exact` the bytes beside it."""
    if value is None:
        return _MISSING
    for unit, name in _UNITS:
        if value >= unit:
            shown = f"{value / unit:,.1f} {name}"
            return f"{shown} ({value:,} bytes)" if exact else shown
    return f"{value:,} bytes"
