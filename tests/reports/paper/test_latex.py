"""Tables in LaTeX: what is printed is what was measured, whatever the names, and no line is wider than the page."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsbench.cli import main
from dsbench.records.tables import runs_table
from dsbench.reports.content.material import material_of
from dsbench.reports.document import Cell, Heading, Table
from dsbench.reports.latex import latex
from dsbench.reports.latex_text import latex_text
from dsbench.reports.panels import panels
from tests.reports.paper.latex_reader import compiled, needs_pdflatex, panels_of, printed
from tests.reports.synthetic import make_run

HOSTILE = (
    r"\input{/etc/passwd}", r"a_b & c%d", "$x^2$ #1 {", "}~\\\\[1cm]", "[opt]", "*star", "naïve Ωmega µ", "模型 🜁 ж",
    "a--b''c``d?`", "\\end{table}", "x" * 300, "\x1b[2J\u202e", "%", "-", "ﬁ—“q”", "\n\n\\par", "^^5cinput{x}", "~" * 40,
    "\\catcode`\\%=12", "é̈ẅå", "|<>\"'`", "@{}", "…", " & & ",
)  # fmt: skip


@needs_pdflatex
def test_eight_backbones_on_ten_tasks_compile_and_equal_the_table_of_runs(tmp_path: Path) -> None:
    names = ["gpt", "s4", "s4d", "s5", "mamba", "lstm", "a_b&c%#$", r"\input{x}"]
    envs = [*(f"task-{place}" for place in range(8)), "long_horizon & more, 100%", r"\def\x{y}^2"]
    generator, place = np.random.default_rng(0), 0
    for env in envs:
        for number, name in enumerate(names):
            for seed in range(5):
                place += 1
                score = float(np.clip(0.2 + 0.1 * number + 0.02 * generator.normal(), 0, 1))
                result = {"measure_minimum": 0.0, "measure_maximum": 1.0}
                status = "failed" if place % 53 == 0 else "ok"
                make_run(tmp_path / "runs", name, env, seed, score, result=result, status=status)
    out = tmp_path / "t.tex"
    assert main(["report", str(tmp_path / "runs"), "--out", str(out)]) == 0
    log = compiled(tmp_path / "paper", out.read_text())
    assert "Overfull" not in log and "Missing character" not in log
    runs = runs_table(tmp_path / "runs")
    runs["score"] = runs["result.return_mean"].fillna(0.0)  # failed: the measure's floor
    wanted = runs.groupby(["backbone", "env"])["score"].mean()
    found = material_of(tmp_path / "runs", {})
    claims, keys = found.judged.claims, {task.title: task.name for task in found.tasks}
    seen = {}
    for heads, rows in panels_of(out.read_text()):
        for row in rows:
            for head, (text, bold) in zip(heads[1:], row[1:], strict=True):
                seen[row[0][0], head] = text, bold
    titles = {re.sub(r"\s", "", env): env for env in envs}
    assert len(seen) == 80
    best = {env: max(names, key=lambda name, env=env: wanted[name, env]) for env in envs}
    for (name, head), (text, bold) in seen.items():
        env = titles[re.sub(r"\s", "", head)]
        assert text.partition(" ")[0] == f"{wanted[name, env]:.3f}", (name, env)
        assert bold is not claims.above(keys[env], best[env], name), (name, env)
    assert {bold for _, bold in seen.values()} == {True, False}
    failed = int(runs["status"].eq("failed").sum())
    told = re.search(r"count at the floor of their task: (.*?)\. ", out.read_text())
    assert failed > 5 and told is not None and told[1].count(" on ") == failed


@needs_pdflatex
@pytest.mark.parametrize("rows", [1, 24, 120])
def test_any_name_compiles_and_no_line_leaves_the_page(tmp_path: Path, rows: int) -> None:
    """Names of rows and columns, a caption and cells in bold; few rows stand on a page, many go over several."""
    names = [f"{name} {place}" for place in range(rows) for name in HOSTILE][:rows]
    headings = (Heading("name", numeric=False), *(Heading(name) for name in HOSTILE))
    cells = ("1,234.5 ± 0.1", "-0.100 [-0.200, -0.050]", "–", "4/5 [0.28, 0.99]*", "12")
    lines = tuple(
        (
            Cell(name, name),
            *(Cell(cells[(place + number) % 5], 1.0, best=place % 2 == 0) for number in range(len(HOSTILE))),
        )
        for place, name in enumerate(names)
    )
    log = compiled(tmp_path, latex(Table("hostile", HOSTILE[0], headings, lines, HOSTILE)))
    assert "Overfull" not in log and "Missing character" not in log


SAFE = re.compile(
    r"""[^\\{}$&\#%_^~]                                                  # a letter that is one
      | \\[{}$&\#%_]                                                     # an escaped one
      | \\text(?:backslash|asciicircum|asciitilde|less|greater|bar)\{\}
      | \\(?:ldots|S|ss|ae|o|O|l)\{\}
      | \\[`'^~"=.rvcuH]\{[A-Za-z]\}                                     # an accent
      | \{\\char(?:34|96)\} | \{[\[\]]\} | \{\} | ~
      | \$(?:-|\^\\circ|\^[23]|\\[A-Za-z]+)\$                            # a symbol
    """,
    re.VERBOSE,
)


@given(st.text())
def test_any_text_is_letters_and_known_commands_and_pdflatex_has_all_of_them(text: str) -> None:
    written = latex_text(text)
    assert written.isascii() and "\n" not in written
    assert SAFE.sub("", written) == ""


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126)))
def test_what_is_printed_is_what_was_there(text: str) -> None:
    assert printed(latex_text(text)) == " ".join(text.split())


@given(st.lists(st.floats(0.1, 300), max_size=30), st.floats(1, 300))
def test_panels_hold_every_column_once_in_order_and_fit(widths: list[float], limit: float) -> None:
    found = panels(widths, limit)
    assert [place for panel in found for place in panel] == list(range(len(widths)))
    for panel in found:
        assert len(panel) == 1 or sum(widths[place] for place in panel) <= limit
    fewest, taken = 0, limit + 1.0
    for width in widths:  # filled one after the other: no fewer panels can be
        if taken + width > limit:
            fewest, taken = fewest + 1, 0.0
        taken += width
    assert len(found) == fewest


def test_a_table_that_is_longer_than_a_page_goes_over_several_with_its_headings() -> None:
    headings = (Heading("name", numeric=False), Heading("score"))
    short, long = (
        latex(Table("t", "T", headings, tuple((Cell(f"n{place}"), Cell("0.5", 0.5)) for place in range(rows))))
        for rows in (5, 200)
    )
    assert "longtable" not in short and r"\begin{table}" in short
    assert r"\endhead" in long and "Needs \\usepackage{booktabs, longtable}" in long
    assert all(unicodedata.category(letter) != "Cc" or letter == "\n" for letter in short + long)
