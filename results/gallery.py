"""docs/gallery.md and its pictures, out of the reports of results/reference: python results/gallery.py"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from markdown_table import ROOT

from dsbench.cli.results import families
from dsbench.files import write_atomic
from dsbench.reports.content.build import build
from dsbench.reports.document import Figure, Report
from dsbench.reports.markdown import escaped

REFERENCE = ROOT / "results" / "reference"
DOCS = ROOT / "docs"


class Wall(NamedTuple):
    """Pictures that hang together: out of which results, in what words, and which of the figures of their report."""

    folder: str
    title: str
    command: str
    figures: tuple[str, ...]


WALLS = (
    Wall("tasks", "Thirteen tasks", "make tasks", ("latency-overall", "parameters-overall", "performance-profile",
                                                   "learning-key-to-door", "learning-repeat-previous")),
    # no times of these: their runs shared the cores with other work
    Wall("mujoco", "Simulated bodies", "make mujoco", ("parameters-overall", "performance-profile")),
    Wall(".", "What a decision costs after a long past", "make bench", ("latency-context", "memory-context")),
)  # fmt: skip


def main() -> None:
    parts = [
        "# Gallery",
        "Made by `make gallery` from the runs and benches in `results/reference`. What the axes mean, how the intervals are "
        "made and what each number stands on is in the report of the same folder: `dsbench report results/reference/tasks "
        "--out report`.",
    ]
    for wall in WALLS:
        report = build(REFERENCE / wall.folder, families()).report
        parts += [f"## {wall.title}", f"From the runs of `{wall.command}`."]
        parts += [_hung(figure, wall) for figure in _chosen(report, wall)]
    write_atomic(DOCS / "gallery.md", ("\n\n".join(parts) + "\n").encode())
    print(f"Saved   {Path('docs') / 'gallery.md'}")


def _chosen(report: Report, wall: Wall) -> Iterator[Figure]:
    """In the order of the wall; one that the report has not is told, for its runs may not be there yet."""
    there = {figure.name: figure for section in report.sections for figure in section.figures}
    for name in wall.figures:
        if name in there:
            yield there[name]
        else:
            print(f"no figure {name!r} in the report of results/reference/{wall.folder}; it has {', '.join(there)}")


def _hung(figure: Figure, wall: Wall) -> str:
    """The picture written to disk, and the Markdown that shows it."""
    stem = f"{wall.folder.replace('.', 'bench')}-{figure.name}"
    write_atomic(DOCS / "figures" / f"{stem}.svg", figure.svg.encode())
    write_atomic(DOCS / "figures" / f"{stem}.png", figure.png)
    return (
        f"### {escaped(figure.title)}\n\n![{escaped(figure.title)}](figures/{stem}.svg)\n\n{escaped(figure.caption)} "
        f"([PNG](figures/{stem}.png))"
    )


if __name__ == "__main__":
    main()
