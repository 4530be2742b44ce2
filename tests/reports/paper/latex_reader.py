"""LaTeX read back and compiled: the tests' own reader, which shares no line with what writes it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

PDFLATEX = shutil.which("pdflatex")
needs_pdflatex = pytest.mark.skipif(
    PDFLATEX is None, reason="no pdflatex on the PATH: apt install texlive-latex-recommended"
)
PRINTED = {
    r"\textbackslash{}": "\\", r"\textasciicircum{}": "^", r"\textasciitilde{}": "~", r"\textless{}": "<",
    r"\textgreater{}": ">", r"\textbar{}": "|", r"{\char34}": '"', r"{\char96}": "`", r"\{": "{", r"\}": "}", r"\$": "$",
    r"\&": "&", r"\#": "#", r"\%": "%", r"\_": "_", r"$\pm$": "±", "$-$": "−", r"$\downarrow$": "↓", r"$\uparrow$": "↑",
    r"$\mu$": "µ", "{[}": "[", "{]}": "]", "--": "–",
}  # fmt: skip


def compiled(folder: Path, *tables: str) -> str:
    """The log of pdfLaTeX on a document of these tables, which has to come through."""
    folder.mkdir(parents=True, exist_ok=True)
    for place, table in enumerate(tables):
        (folder / f"t{place}.tex").write_text(table, encoding="utf-8")
    body = "\n".join(rf"\input{{t{place}}}" for place in range(len(tables)))
    begin = r"\documentclass{article}\usepackage{booktabs,longtable}\begin{document}Text.\par"
    (folder / "paper.tex").write_text(f"{begin}\n{body}\n\\end{{document}}\n", encoding="utf-8")
    command = [str(PDFLATEX), "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "paper.tex"]
    for _ in range(2):  # of a longtable the widths are known the second time
        done = subprocess.run(command, cwd=folder, capture_output=True, timeout=120)
        log = (folder / "paper.log").read_text(encoding="utf-8", errors="replace")
        assert done.returncode == 0, log[-3000:]
    return log


def text_of(cell: str) -> tuple[str, bool]:
    """What is printed of a cell, and whether it is bold."""
    cell = cell.strip()
    bold = re.fullmatch(r"\\textbf\{(.*)\}", cell, re.DOTALL)
    cell = bold[1] if bold else cell
    stacked = re.fullmatch(r"\\begin\{tabular\}\[[bt]\]\{@\{\}[lr]@\{\}\}(.*)\\end\{tabular\}", cell, re.DOTALL)
    lines = re.split(r" \\\\ ", stacked[1]) if stacked else [cell]
    return "".join(printed(line) for line in lines), bold is not None


def printed(text: str) -> str:
    """What stands on paper."""
    out, place = "", 0
    while place < len(text):
        for code, letters in PRINTED.items():
            if text.startswith(code, place):
                out, place = out + letters, place + len(code)
                break
        else:
            if not text.startswith("{}", place):
                out += text[place]
                place += 1
            else:
                place += 2
    return out


def panels_of(table: str) -> list[tuple[list[str], list[list[tuple[str, bool]]]]]:
    """Of each panel the headings, and the rows of (text, bold)."""
    found = []
    for panel in table.split("\n\\toprule\n")[1:]:
        lines = [line for line in panel.split("\n") if line.endswith(r" \\") and " & " in line]
        heads, *rows = [[text_of(cell) for cell in re.split(r"(?<!\\) & ", line[:-3])] for line in lines]
        found.append(([text for text, _ in heads], rows))
    return found
