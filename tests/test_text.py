"""Text from elsewhere takes no effect where it is shown: in a terminal, a message, Markdown, a page, a spreadsheet."""

from __future__ import annotations

import ast
import io
import json
import pickle
import re
import time
import unicodedata
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsbench.config.errors import usage_error
from dsbench.errors import CannotWrite, DsbenchError, MissingExtra, UnknownName, UsageError
from dsbench.text import csv_cell, cut, json_text, markdown_code, markdown_text, printable, safe_text_columns, say, slug

ROOT = Path(__file__).parents[1]
ANYTHING = st.text(st.characters(exclude_categories=()), max_size=300)  # lone surrogates too
TURNING = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


@given(ANYTHING)
def test_what_is_printed_holds_no_control_and_no_unseen_character(text: str) -> None:
    shown = printable(text)
    assert not [one for one in shown if unicodedata.category(one) in UNSEEN]
    shown.encode()
    assert printable(shown) == shown
    if all(" " <= one <= "~" for one in text):
        assert shown == text


@pytest.mark.parametrize(
    "mark", [*TURNING, "\x1b", "\x7f", "\x85", "\x9b", "\u2028", "\u2029", "\u200b", "\ufeff", "\udc80"]
)
def test_every_mark_that_a_terminal_obeys_is_shown_as_its_number(mark: str) -> None:
    assert printable(f"a{mark}b").lower() == f"a{ascii(mark)[1:-1]}b"


@pytest.mark.parametrize("text", ["模型 é ± µs × λ", "1\u00a0000", "🙂", "C:\\x1b"])
def test_what_is_drawn_stays(text: str) -> None:
    assert printable(text) == text


@given(ANYTHING, st.integers(40, 400))
def test_a_long_text_is_cut_and_says_how_long_it_was(text: str, limit: int) -> None:
    shown = cut(text * 9, limit)
    assert len(shown) <= limit
    assert shown == printable(text * 9) or f" {len(text * 9):,} characters " in shown


@given(ANYTHING, st.sampled_from(["'{}'", '"{}"', "{}", "no {!r} there", "({!r})"]))
def test_a_message_is_one_short_clean_line(value: str, form: str) -> None:
    for text in (form.format(value), form.format(value * 50)):
        message = str(DsbenchError(f"cannot read {text}; choose another"))
        assert not {unicodedata.category(one) for one in message} & UNSEEN
        assert len(message) <= 4_000


@pytest.mark.parametrize("value", ["x" * 5_000, "x y " * 2_000, "/a" * 3_000, "it's " * 1_000, "\u202e" * 5_000])
def test_a_long_value_is_cut_where_it_stands(value: str) -> None:
    message = str(UsageError(f"option is {value!r}; expected a number"))
    assert len(message) < 260
    assert message.startswith("option is ") and message.endswith("; expected a number")


def test_a_path_of_usual_length_stays_whole_and_prose_is_not_taken_for_a_value() -> None:
    path = "/" + "folder/" * 28 + "end"
    assert len(path) == 200
    prose = "the environment's own words and those of the run's other parts " * 5
    assert str(UsageError(f"cannot read '{path}': {prose}")) == f"cannot read '{path}': {prose}"


@pytest.mark.parametrize(
    "evil", ["'\\" * 100_000, "\\'" * 100_000, "\"'" * 100_000, "' " * 150_000, "\u202e" * 300_000]
)
def test_a_message_takes_no_time_whatever_it_holds(evil: str) -> None:
    began = time.perf_counter()
    assert len(str(UsageError(evil))) <= 4_000
    assert time.perf_counter() - began < 2


def test_a_list_of_problems_keeps_its_lines_and_no_value_makes_another() -> None:
    assert str(usage_error(["a is\n  b is fine", "c"])) == "2 settings cannot be used:\n  a is\\n  b is fine\n  c"
    many = str(usage_error([f"p{number}" for number in range(10_000)]))
    assert len(many.splitlines()) < 60 and "more" in many.splitlines()[-1]


@pytest.mark.parametrize(
    "error",
    [UsageError("a", "  b"), UnknownName("env", "x", ["y"]), MissingExtra("a", "hf"), CannotWrite("x\x1b")],
    ids=lambda error: type(error).__name__,
)
def test_errors_are_pickled_and_told_again(error: DsbenchError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.exit_code) == (type(error), str(error), error.exit_code)
    assert vars(again) == vars(error)
    assert str(UsageError.told(str(error), 7)) == str(error) and UsageError.told("x", 7).exit_code == 7


# ------------------------------------------------------------------ Markdown, JSON, CSV


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>", "<img src=x>", "&lt;b&gt; &#42;", "![x](http://a/b.png)", "[a](b)", "`c`", "a|b",
        "# h", "> q", "- i", "+ i", "1. i", "1) i", "---", "- - -", "***", "___", "===", "~~~",
        "```", "*a* _b_ ~c~", "$x$", "a\n\n<b>", "\\", "a\\|b", "\x1b[1m",
    ],
)  # fmt: skip
def test_markdown_shows_text_as_text(text: str) -> None:
    written = markdown_text(text)
    assert "\n" not in written and "<" not in written and written.isprintable()
    for mark in "|`*[]~$":
        assert not re.search(rf"(?<!\\)(?:\\\\)*{re.escape(mark)}", written), (mark, written)
    assert not re.match(r"#|>|[-+]( |$|--)|\d+[.)]( |$)|=+$|___", written)
    unescaped = re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", written).replace("&lt;", "<").replace("&amp;", "&")
    assert unescaped == printable(" ".join(text.split()))


def test_markdown_code_is_not_left() -> None:
    assert markdown_code("a`b\n<script>\x1b") == "`a'b <script>\\x1b`"


@given(ANYTHING)
def test_json_is_ascii_without_controls_and_reads_back(text: str) -> None:
    written = json_text({text: text})
    assert all(one == "\n" or " " <= one <= "~" for one in written)
    assert json.loads(written) == {text: text}


@pytest.mark.parametrize(
    "text", ["=1+1", "+1+1", "-1+1", "@SUM(A1)", "\tx", "\rx", " =1", "\u00a0=1", "＝1", "=", "-a"]
)
def test_a_cell_of_text_is_no_formula(text: str) -> None:
    assert csv_cell(text) == f"'{text}"


@pytest.mark.parametrize("value", [1, -1.5, True, None, "-1.5", "+3", "-1e-5", "s4", "", "a=b", "2-1", "–"])
def test_numbers_and_plain_texts_of_a_cell_stay(value: object) -> None:
    assert csv_cell(value) is value


def test_a_table_with_formulas_in_cells_and_headings_is_made_safe_and_its_numbers_stay() -> None:
    table = pd.DataFrame(
        {"=a": ["=x", None, "b"], "n": [-1, None, 3.5], "m": pd.array(["-q", pd.NA, "r"], dtype="string")}
    )
    assert safe_text_columns(table).to_csv(index=False) == "'=a,n,m\n'=x,-1.0,'-q\n,,\nb,3.5,r\n"
    assert table["=a"][0] == "=x"


@given(ANYTHING)
def test_the_name_of_a_file_is_safe(text: str) -> None:
    assert re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,98}[a-z0-9])?", slug(text))


# ------------------------------------------------------------------ one way to print


def test_say_prints_a_line_for_each_text() -> None:
    place = io.StringIO()
    say("a\nb", "\x1b[2Jc", stream=place)
    say(stream=place)
    assert place.getvalue() == "a\\nb\n\\x1b[2Jc\n\n"


PRINTING = re.compile(
    r"print|.*\bstd(out|err)\.(write|writelines)|.*\becho|.*\bsecho|.*console\.(print|log|out)|.*\bConsole\(.*\)\.\w+"
)
ALLOWED = {
    "benchmark/text.py",
    "benchmark/running/sizing.py",  # JSON to its parent
}  # and what makes behaviour policies, which is run by hand


def prints(source: str) -> list[str]:
    calls = (ast.unparse(node.func) for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    return [name for name in calls if PRINTING.fullmatch(name)]


def test_nothing_prints_but_the_room_of_texts() -> None:
    for call in (
        "print('a')",
        "sys.stdout.write('a')",
        "typer.echo('a')",
        "self.console.print('a')",
        "Console().print(1)",
    ):
        assert prints(call), call
    assert not prints("say('a'); print_pairs([]); fingerprint(1)")
    files = [path for folder in ("benchmark", "backbones", "envs", "reports") for path in (ROOT / folder).rglob("*.py")]
    found = {str(path.relative_to(ROOT)): names for path in files if (names := prints(path.read_text()))}
    wrong = {path for path in found if path not in ALLOWED and not path.startswith("envs/behaviour_training/")}
    assert not wrong
