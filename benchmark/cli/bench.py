"""``dsbench bench``: what decisions and updates cost on this machine, and from which context on recurrence is faster."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from dsbench.cli import completing
from dsbench.cli.arguments import a_path
from dsbench.text import json_text, say

if TYPE_CHECKING:
    from dsbench.measuring.plan import Grid

MOST_ROUNDS, _LARGEST = 1_000_000, 9_999_999  # rounds of the timing; contexts, rows and lengths
_COUNT = re.compile(r"\d{1,7}", re.ASCII)


def bench(
    backbones: Annotated[
        str,
        typer.Option(
            "--backbones", metavar="A,B", help="Backbones, separated by commas.", autocompletion=completing.backbones
        ),
    ] = "gpt,s4,s4d,s5,mamba,mamba2,lstm",
    full: Annotated[
        bool,
        typer.Option(
            "--full/--quick", help="Contexts to 4,000, batch 1 and 64, rows to 16k in every implementation; or minutes."
        ),
    ] = False,
    context: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--context", metavar="T,U", help="Decisions before the timed one, in place of the grid's."),
    ] = None,
    batch: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--batch", metavar="B,C", help="Rows that decide at once."),
    ] = None,
    length: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--length", metavar="L,M", help="Timesteps of a training row; 0 leaves training out."),
    ] = None,
    modes: Annotated[
        str,
        typer.Option("--modes", metavar="A,B", help="Only these: recurrent, kv_cache, window, compiled, train, ..."),
    ] = "",
    env: Annotated[str, typer.Option("--env", metavar="NAME", help="Whose spaces the policies have.")] = "umbrella",
    set_: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(
            "--set", metavar="A.B=VALUE", help="Setting of every model that has it: backbone.d_state=16. Repeatable."
        ),
    ] = None,
    match: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--match", metavar="SIZE", help="Choose each width so that it has it: params=100k, state=16KiB."),
    ] = None,
    threads: Annotated[int, typer.Option("--threads", min=1, max=4096)] = 1,
    device: Annotated[str, typer.Option("--device", metavar="NAME", help="auto, cpu or cuda.")] = "auto",
    rounds: Annotated[
        int, typer.Option("--rounds", min=1, max=MOST_ROUNDS, help="Rounds of the timing; half of training.")
    ] = 20,
    limit: Annotated[
        float, typer.Option("--limit", metavar="SECONDS", min=0.1, help="Longest timing of one cell.")
    ] = 120.0,
    results: Annotated[
        Path, typer.Option("--results", parser=a_path, metavar="DIR", help="Where records are kept.")
    ] = Path("results"),
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable output.")] = False,
) -> int:
    """Measure latency, throughput, memory and size of backbones side by side; minutes.

    Examples:

    dsbench bench --backbones gpt,s4,mamba,lstm

    dsbench bench --backbones gpt,s4d --context 1,100,1000 --length 0

    dsbench bench --backbones gpt,s4 --env hopper --set backbone.d_model=128 --set backbone.n_layers=3

    dsbench bench --backbones gpt,mamba,lstm --match params=100k

    dsbench bench --full
    """
    from dsbench.backbones.catalogue import BACKBONES
    from dsbench.cli.arguments import finite
    from dsbench.measuring import bench_records
    from dsbench.measuring.code_asked import code_asked, name_asked
    from dsbench.measuring.plan import FULL, QUICK
    from dsbench.measuring.process import measure_apart
    from dsbench.measuring.request import Request
    from dsbench.outside.trust import using
    from dsbench.running.progress import Silent, display

    grid = _grid(FULL if full else QUICK, context, batch, length)
    contestants = tuple(map(BACKBONES.spelled_out, _names(backbones)))
    request = Request(
        backbones=contestants, env=env, grid=grid, kind="full" if full else "quick", results=str(results),
        modes=tuple(_names(modes)), overrides=tuple(set_ or ()), match=match, threads=threads, device=device, rounds=rounds,
        seconds_limit=finite("--limit", limit),
    )  # fmt: skip
    name_asked(request)
    with using(code_asked(request)):
        measured = measure_apart(request, Silent() if as_json else display())
    found = bench_records.read_bench(measured.folder)
    if as_json:
        cells = list(found.cells.values())
        say(json_text({"folder": str(measured.folder), "machine": found.machine, "cells": cells}, indent=None))
    else:
        from dsbench.cli.bench_tables import show

        show(found, measured.folder)
    return measured.exit_code or int(any(row["status"] == "failed" for row in found.cells.values()))


def _names(text: str) -> list[str]:
    return list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def _grid(grid: Grid, context: str | None, batch: str | None, length: str | None) -> Grid:
    if context is not None:
        grid = grid.with_contexts(_numbers(context, "--context", least=0))
    if batch is not None:
        grid = replace(grid, batches=_numbers(batch, "--batch", least=1))
    if length is not None:
        grid = replace(grid, lengths=() if length.strip() == "0" else _numbers(length, "--length", least=1))
    return grid


def _numbers(text: str, option: str, least: int) -> tuple[int, ...]:
    from dsbench.errors import UsageError

    parts = [part.strip() for part in text.split(",")]
    if not all(_COUNT.fullmatch(part) for part in parts) or min(map(int, parts)) < least:
        raise UsageError(
            f"{option} is {text!r}; expected whole numbers from {least} to {_LARGEST:,}, separated by commas"
        )
    return tuple(sorted(set(map(int, parts))))
