"""``dsbench pack``."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Optional

import typer

from dsbench.cli.arguments import a_path

Places = Annotated[
    Optional[list[Path]],  # noqa: UP045  (typer reads the annotation)
    typer.Argument(
        parser=a_path, metavar="RESULTS...", help="Folders and packs (*.dsb), any number; ./results by default."
    ),
]


def pack(
    results: Places = None,
    out: Annotated[Path, typer.Option("--out", parser=a_path, metavar="FILE.dsb", help="The pack to write.")] = Path(
        "results.dsb"
    ),
    command: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--command", metavar="TEXT", help="What made the results, for whoever reads the pack."),
    ] = None,
    only: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--only", metavar="runs|bench", help="Leave the other where it is."),
    ] = None,
    code: Annotated[bool, typer.Option("--code", help="Take the runs' own outside code along.")] = False,
) -> int:
    """Pack results into one file: final rows, settings, provenance and journals, no weights; every command reads it.

    Examples:

    dsbench pack results --out paper.dsb

    dsbench report paper.dsb
    """
    from dsbench.cli.tables import print_pairs
    from dsbench.records.packing import pack as write_pack

    packed = write_pack(places(results), out, command, only=only, code=code)
    print_pairs(
        [
            ("Saved", f"{packed.path} ({packed.size:,} bytes, {packed.runs} runs, {packed.benches} benches)"),
            *(("Left out", f"{name}: {why}") for name, why in sorted(packed.left_out.items())),
            ("Next", shlex.join(["dsbench", "report", str(packed.path)])),
        ]
    )
    return int(bool(packed.left_out))


def places(results: list[Path] | None) -> list[Path]:
    """What was asked for, or the folder where runs are kept by default."""
    return results or [Path("results")]
