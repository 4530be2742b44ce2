"""``dsbench report``: what came out, on the terminal, as a page, or as a table or figures for a paper."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from dsbench.cli.arguments import a_path
from dsbench.cli.packs import Places, places
from dsbench.errors import UsageError
from dsbench.text import json_text, say

if TYPE_CHECKING:
    from dsbench.reports.content.build import Built
    from dsbench.reports.content.material import Material

TERMINAL, WIDE, JSON = "terminal", "wide", "json"
HTML, LATEX, MARKDOWN, CSV, FIGURES = "html", "latex", "markdown", "csv", "pdf-figures"
FORMATS = {HTML: ".html", LATEX: ".tex", MARKDOWN: ".md", CSV: ".csv", FIGURES: ".pdf"}
OF_A_TABLE = (TERMINAL, LATEX, MARKDOWN, CSV)
WIDTH, LEAST = 100, 60  # columns of a terminal that everything fits, and below which nothing would


def report(
    results: Places = None,
    out: Annotated[
        Optional[Path],  # noqa: UP045  (typer reads the annotation)
        typer.Option(
            "--out",
            parser=a_path,
            metavar="DIR|FILE",
            help="Folder for the whole report, or a file: .tex, .md, .csv, .html or .pdf.",
        ),
    ] = None,
    format_: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--format", metavar="|".join(FORMATS), help="By default what the suffix of --out says."),
    ] = None,
    table: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--table", metavar="tasks|costs|ladders|paired", help="Which table; in a file by default tasks."),
    ] = None,
    wide: Annotated[bool, typer.Option("--wide", help="Every column and every note, as Markdown.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable table.")] = False,
) -> int:
    """What came out: scores and costs here, with --out DIR the whole report as a page, or a table for a paper.

    Examples:

    dsbench report results

    dsbench report results --table paired

    dsbench report paper.dsb results --out report

    dsbench report results --out scores.tex

    dsbench report results --table costs --format markdown

    dsbench report results --format pdf-figures --out figures
    """
    from dsbench.files import stays_inside, write_atomic

    found, kind = places(results), _kind(out, format_, table, wide=wide, as_json=as_json)
    if out is not None:
        to_file = _is_file(kind, out)
        for place in found:
            stays_inside(out.parent if to_file else out, place)
        if to_file and out.is_dir():
            raise UsageError(
                f"--out {out} is a folder; expected a file, such as {out / 'report'}{FORMATS.get(kind, '.md')}"
            )
        if not to_file and out.is_file():
            raise UsageError(
                f"--out {out} is a file; expected a folder, or the name of a file in {_listed(FORMATS.values())}"
            )
        if kind in (HTML, FIGURES):
            return _draw(found, kind, out)
    text = _text(found, kind, table)
    if out is None:
        say(*text.replace("\r\n", "\n").rstrip("\n").split("\n"))  # lines of CSV end as RFC 4180 has them
    else:
        write_atomic(out, text.encode())
        say(f"Saved   {out}")
    return 0


def _kind(out: Path | None, asked: str | None, table: str | None, *, wide: bool, as_json: bool) -> str:
    """What to make. Raises `UsageError` of options that do not go together."""
    if asked is not None and asked not in FORMATS:
        raise UsageError(f"--format is {asked!r}; expected {_listed(FORMATS)}")
    named = {suffix: name for name, suffix in FORMATS.items()}.get(out.suffix) if out is not None else None
    if None not in (asked, named) and asked != named:
        raise UsageError(f"--format {asked} and --out {out} do not agree; expected a name in {FORMATS[str(asked)]}")
    given = asked or named
    if wide or as_json:
        kind, fitting = (JSON, None) if as_json else (WIDE, MARKDOWN)
        clash = {
            "--wide": wide and as_json,
            "--table": table is not None,
            f"the format {given}": given not in (None, fitting),
        }
        if others := [name for name, is_given in clash.items() if is_given]:
            raise UsageError(f"--{kind} and {others[0]} do not go together; expected one of them")
        return kind
    kind = given or (TERMINAL if out is None else HTML)
    if table is not None and kind not in OF_A_TABLE:
        raise UsageError(f"--table {table} and the format {kind} do not go together; expected {_listed(OF_A_TABLE)}")
    if out is None and kind in (HTML, FIGURES):
        raise UsageError(f"--format {kind} does not fit a terminal; expected --out DIR, or --out FILE{FORMATS[kind]}")
    return kind


def _is_file(kind: str, out: Path) -> bool:
    return kind not in (HTML, FIGURES) or out.suffix == FORMATS[kind]


def _listed(names: Iterable[str]) -> str:
    *rest, last = names
    return f"{', '.join(rest)} or {last}"


def _material(results: list[Path]) -> Material:
    from dsbench.envs.catalogue import families
    from dsbench.ladders.known import ladders_in
    from dsbench.reports.content.material import material_of

    return material_of(results, families(), lambda envs: ladders_in(results, envs))


# ---------------------------------------------------------------------- pages and figures


def _draw(results: list[Path], kind: str, out: Path) -> int:
    """Write page or figures; prints the first screen and where they are."""
    from dsbench.reports.content.build import built_of

    built = built_of(_material(results))
    saved = _page(built, out) if kind == HTML else _figures(built, out)
    say(*built.report.headline, "", *(f"Saved   {path}" for path in saved))
    return 0


def _page(built: Built, out: Path) -> list[Path]:
    """The page alone, or all of it in a folder."""
    from dsbench.files import write_atomic
    from dsbench.reports.page import page
    from dsbench.reports.write import write

    if not _is_file(HTML, out):
        return write(built.report, built.groups, out)
    write_atomic(out, page(built.report).encode())
    return [out]


def _figures(built: Built, out: Path) -> list[Path]:
    """A PDF and an SVG a figure in a folder, or one PDF of them all."""
    from dsbench.files import write_atomic
    from dsbench.reports.paper.figures import pdf_of_all, write_figures

    figures = [figure for section in built.report.sections for figure in section.figures]
    if not figures:
        raise UsageError("the report of these results has no figure; expected runs of at least two backbones on a task")
    if not _is_file(FIGURES, out):
        return write_figures(figures, out)
    write_atomic(out, pdf_of_all(figures))
    return [out]


# ---------------------------------------------------------------------- texts


def _text(results: list[Path], kind: str, table: str | None) -> str:
    from dsbench.reports.table import markdown, rows

    if kind == JSON:
        return json_text(rows(results)) + "\n"
    if kind == WIDE:
        return markdown(results)
    if kind == TERMINAL:
        return "\n".join(_screen(_material(results), table, results)) + "\n"
    from dsbench.reports.latex import latex
    from dsbench.reports.markdown import table_csv, table_markdown
    from dsbench.reports.paper.tables import TASKS, paper_table

    shown = paper_table(table or TASKS, _material(results))
    return {LATEX: latex, MARKDOWN: table_markdown, CSV: lambda one: table_csv(one).decode()}[kind](shown)


def _screen(found: Material, table: str | None, results: list[Path]) -> list[str]:
    """One table, or all that are read together: reach, scores and costs."""
    from dsbench.reports.paper.tables import COSTS, LADDERS, TABLES, TASKS, paper_table
    from dsbench.reports.plain import plain
    from dsbench.reports.smoke import smoke_sentences

    width = max(LEAST, min(WIDTH, _terminal_width()))
    if table is not None:
        return plain(paper_table(table, found), width)
    names = [*([LADDERS] if found.climbed else []), *([TASKS] if found.scored else [])]
    names += [COSTS] if any(one.learned and one.ok for task in found.scored for one in task.contestants) else []
    lines = [line for sentence in smoke_sentences(found.presets) for line in (sentence, "")]
    lines += [line for name in names for line in (*plain(TABLES[name](found), width), "")]
    if not names:
        lines += ["No run has ended with a score yet.", ""]
    where = shlex.join(map(str, results))
    return [
        *lines,
        *_lost(found),
        f"All     dsbench report {where} --wide",
        f"Page    dsbench report {where} --out report",
    ]


def _terminal_width() -> int:
    is_terminal = sys.stdout is not None and sys.stdout.isatty()
    return shutil.get_terminal_size((WIDTH, 24)).columns if is_terminal else WIDTH


def _lost(found: Material) -> list[str]:
    """How many runs have no result; why is told where there is room."""
    counts = Counter(run.status for group in found.groups for run in group.runs if run.status != "ok")
    told = ", ".join(f"{count:,} {status}" for status, count in sorted(counts.items()))
    return [f"Without a result: {told}."] if told else []
