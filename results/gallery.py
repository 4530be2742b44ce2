"""docs/gallery.md and its pictures, out of the reports of results/reference: python results/gallery.py"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from markdown_table import ROOT

from dsbench.envs.catalogue import families
from dsbench.files import write_atomic
from dsbench.reports.content.build import build
from dsbench.reports.document import Figure, Report
from dsbench.studies.answers import answers_of
from dsbench.studies.grid import cells_of
from dsbench.studies.latency import bench_report, measured_before, request_of
from dsbench.studies.page import report_of
from dsbench.studies.study_file import load_study
from dsbench.text import markdown_text

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
    Wall("full", "What it costs further on: 4,000 timesteps, 64 rows, rows of 16k", "make bench-full",
         ("latency-context", "latency-context-b64", "throughput")),
)  # fmt: skip


QUESTIONS = REFERENCE / "questions"
STUDIES = ("umbrella-length", "token-layout", "context-limit", "s4-vs-rnn", "low-budget", "latency-context")
SIZE = "quick"


def main() -> None:
    text, pictures = gallery()
    for name, data in pictures.items():
        write_atomic(DOCS / "figures" / name, data)
    write_atomic(DOCS / "gallery.md", text.encode())
    print(f"Saved   {Path('docs') / 'gallery.md'}")


def gallery() -> tuple[str, dict[str, bytes]]:
    """The page as Markdown, and its pictures by the names of their files."""
    pictures: dict[str, bytes] = {}
    parts = [
        "# Gallery",
        "Made by `make gallery` from the runs and benches in `results/reference`. What the axes mean, how the intervals are "
        "made and what each number stands on is in the report of the same folder: `dsbench report results/reference/tasks "
        "--out report`.",
    ]
    for wall in WALLS:
        report = build(REFERENCE / wall.folder, families()).report
        parts += [f"## {wall.title}", f"From the runs of `{wall.command}`."]
        parts += [_hung(figure, wall.folder.replace(".", "bench"), pictures) for figure in _chosen(report, wall)]
    parts += [
        "## Six questions",
        "What the studies say at their quick size (`make questions`): small models, short training and few seeds, so that the "
        "words are those of the intervals. Each page holds its table, what the paper prints and how to make it again.",
        *(part for name in STUDIES for part in _asked(name, pictures)),
    ]
    return "\n\n".join(parts) + "\n", pictures


def _chosen(report: Report, wall: Wall) -> Iterator[Figure]:
    """In the order of the wall; one that the report has not is told, for its runs may not be there yet."""
    there = {figure.name: figure for section in report.sections for figure in section.figures}
    for name in wall.figures:
        if name in there:
            yield there[name]
        else:
            print(f"no figure {name!r} in the report of results/reference/{wall.folder}; it has {', '.join(there)}")


def _asked(name: str, pictures: dict[str, bytes]) -> Iterator[str]:
    """A study: its title, what it says, its figure if it has one, and where its page is."""
    report = _answered(name)
    yield f"### {markdown_text(report.title)}"
    yield "\n".join(f"- {markdown_text(sentence)}" for sentence in report.headline)
    figures = [figure for section in report.sections for figure in section.figures]
    yield from (_hung(replace(figure, title=""), "study", pictures) for figure in figures)
    yield f"[The page](../results/reference/questions/studies/{name}-{SIZE}/study.md)"


def _answered(asked: str) -> Report:
    """The page of a study as its kept runs or its kept bench say it."""
    name, study = load_study(asked)
    if study.kind == "runs":
        return report_of(name, study, SIZE, answers_of(cells_of(study, SIZE), QUESTIONS), "")
    bench = measured_before(request_of(study, SIZE, QUESTIONS), QUESTIONS)
    if bench is None:
        raise SystemExit(f"{asked} was not measured yet; make questions does it")
    return bench_report(name, study, SIZE, bench, "")


def _hung(figure: Figure, prefix: str, pictures: dict[str, bytes]) -> str:
    """The Markdown that shows a picture, which is put to the others."""
    stem = f"{prefix}-{figure.name}"
    pictures |= {f"{stem}.svg": figure.svg.encode(), f"{stem}.png": figure.png}
    heading = f"### {markdown_text(figure.title)}\n\n" if figure.title else ""
    caption = markdown_text(figure.caption)
    return f"{heading}![{caption}](figures/{stem}.svg)\n\n{caption} ([PNG](figures/{stem}.png))"


if __name__ == "__main__":
    main()
