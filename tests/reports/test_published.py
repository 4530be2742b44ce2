"""Published numbers are transcribed as printed (re-ranking them gives the paper's own ranks), oddities included."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from dsbench.errors import UnknownName, UsageError
from dsbench.reports.published import PATH, mean_ranks, published, published_scores
from dsbench.reports.published_file import Table, load

# Decision S4, Table 1, column "Mean Rank"; cut after the second digit there, not rounded (3.88 is 35 / 9).
RANKS = {
    "decision-s4/1/offline": {
        "DS4": 2.44, "TTq": 3.88, "IQL": 3.66, "TTu": 4.33, "CQL": 5.22, "DT": 5.55, "CDT": 5.66, "ODT": 6.16,
        "BRAC": 6.88, "BEAR": 8.22,
    },
    "decision-s4/1/online": {"IQL": 2.0, "ODT": 2.66, "DS4": 1.33},
}  # fmt: skip


def cells(table: str, method: str) -> list[float]:
    """The scores in print of one row."""
    row = next(row for row in published().table(table).rows if row.method == method)
    return [score for score in row.scores if score is not None]


def differences(method: str) -> list[float]:
    """Online minus offline, of the printed cells."""
    offline = {(one.env, one.data): one.score for one in published_scores(method=method) if "1/offl" in one.table_id}
    online = [one for one in published_scores(method=method) if one.table_id == "decision-s4/1/online"]
    return [round(one.score - offline[one.env, one.data], 2) for one in online]


@pytest.mark.parametrize("table", RANKS)
def test_re_ranking_the_printed_scores_gives_the_printed_mean_ranks(table: str) -> None:
    made = mean_ranks(published().table(table))
    assert {name: int(100 * rank + 1e-6) / 100 for name, rank in made.items()} == RANKS[table]
    assert {row.method: row.mean_rank for row in published().table(table).rows} == RANKS[table]


def test_the_printed_differences_of_decision_s4_are_not_those_of_its_rows() -> None:
    assert differences("DS4") == [21.83, 0.75, 0.01, 1.36, 0.35, -3.29]
    assert cells("decision-s4/1/difference", "DS4") == [20.9, 0.03, -0.18, 0.26, 0.35, -4.44]


def test_four_online_cells_of_odt_repeat_the_offline_ones_and_say_so() -> None:
    printed = cells("decision-s4/1/difference", "ODT")
    assert differences("ODT") == [*printed[:2], 0.0, 0.0, 0.0, 0.0]
    assert printed[2:] == [0.43, -0.54, 4.60, 7.94]
    marked = [(one.env, one.data) for one in published_scores(method="ODT") if "odt-online" in one.caveats]
    assert ("halfcheetah", "medium") in marked and ("walker2d", "medium-replay") in marked


def test_one_online_cell_of_iql_contradicts_its_difference() -> None:
    printed = cells("decision-s4/1/difference", "IQL")
    wrong = [place for place, made in enumerate(differences("IQL")) if made != pytest.approx(printed[place], abs=0.001)]
    assert wrong == [2]
    assert cells("decision-s4/1/offline", "IQL")[3] + printed[2] == pytest.approx(47.41)


def test_the_expert_column_repeats_the_medium_expert_scores_of_the_decision_transformer_s_paper() -> None:
    expert = published_scores(data="expert", method="DT")
    own = {one.env: one.score for one in published_scores(data="medium-expert", method="DT") if one.seeds == 3}
    assert {one.env: one.score for one in expert} == own
    assert all("expert-column" in one.caveats for one in published_scores(data="expert"))


def test_averages_printed_by_corl_are_those_of_its_rows() -> None:
    """README of corl-team/CORL, rows "locomotion average"."""
    printed = {
        "corl/last": {"BC": 50.40, "10% BC": 69.29, "IQL": 81.63, "DT": 73.84},
        "corl/best": {"BC": 70.15, "10% BC": 80.65, "IQL": 86.28, "DT": 77.49},
    }
    for table, averages in printed.items():
        for method, average in averages.items():
            assert sum(cells(table, method)[:9]) / 9 == pytest.approx(average, abs=0.0051)


def test_every_number_has_a_source_and_every_caveat_is_used() -> None:
    book = published()
    assert {key for one in published_scores() for key in one.caveats} == set(book.caveats)
    assert {one.source for one in published_scores()} == set(book.sources)
    assert all((one.spread is None) == (one.spread_kind is None) for one in published_scores())


def test_looking_up_a_task_gives_its_cells_alone_and_an_unknown_one_is_named() -> None:
    found = published_scores(env="antmaze-umaze", method="DS4")
    assert [(one.score, one.table, one.spread) for one in found] == [(90.0, "Table 2", None)]
    with pytest.raises(UnknownName, match=r"Did you mean 'hopper'\?"):
        published_scores(env="hoper")
    with pytest.raises(UnknownName, match=r"Did you mean 'corl/last'\?"):
        published().table("corl/lst")


def test_a_table_of_other_things_than_scores_fits_the_format(tmp_path: Path) -> None:
    """Part of Decision S4's Tables 3 and 4: sizes beside scores, and milliseconds, where less is better."""
    sizes = {
        "id": "decision-s4/3/sizes", "source": "decision-s4", "table": "Table 3", "measure": "normalised score",
        "seeds": None, "protocol": {},
        "columns": [{"env": "halfcheetah", "data": "medium"}, {"env": "halfcheetah", "measure": "size over DT's"}],
        "rows": [{"method": "DS4 (N=64, H=64)", "scores": [47.31, 0.15]}, {"method": "DT", "scores": [42.6, 1.0]}],
    }  # fmt: skip
    times = {
        "id": "decision-s4/4/latency", "source": "decision-s4", "table": "Table 4", "measure": "ms a decision",
        "larger_is_better": False, "seeds": None, "protocol": {}, "columns": [{"env": "halfcheetah"}],
        "rows": [{"method": "DT (k = 20)", "scores": [3.1]}, {"method": "DS4", "scores": [2.1]}],
    }  # fmt: skip
    book = load(changed(tmp_path, lambda content: content["tables"].extend([sizes, times])))
    found = [(one.method, one.measure, one.score) for one in published_scores("halfcheetah", book=book)]
    assert ("DT", "size over DT's", 1.0) in found
    assert ("DS4", "ms a decision", 2.1) in found
    assert mean_ranks(book.table("decision-s4/4/latency")) == {"DT (k = 20)": 2.0, "DS4": 1.0}


@settings(max_examples=20, deadline=None)
@given(st.lists(st.lists(st.none() | st.integers(0, 5), min_size=3, max_size=3), min_size=1, max_size=6), st.booleans())
def test_a_rank_counts_the_better_ones_in_the_column(rows: list[list[int | None]], larger: bool) -> None:
    rows = [row for row in rows if any(cell is not None for cell in row)] or [[1, 2, 3]]
    table = Table.model_validate(
        {
            "id": "t", "source": "s", "table": "T", "measure": "m", "larger_is_better": larger, "seeds": None,
            "protocol": {}, "columns": [{"env": name} for name in "abc"],
            "rows": [{"method": f"m{place}", "scores": row} for place, row in enumerate(rows)],
        }
    )  # fmt: skip
    sign = 1 if larger else -1
    for place, row in enumerate(rows):
        ranks = [
            1 + sum(other[column] is not None and sign * other[column] > sign * cell for other in rows)
            for column, cell in enumerate(row)
            if cell is not None
        ]
        assert mean_ranks(table)[f"m{place}"] == pytest.approx(sum(ranks) / len(ranks))


def changed(tmp_path: Path, change: Any) -> Path:
    content = yaml.safe_load(PATH.read_text())
    change(content)
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(content))
    return tmp_path / "mine.yaml"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda book: book["tables"][0]["rows"][0]["scores"].pop(), "row 'IQL' of table 'decision-s4/1/offline' has 8 scores"),
        (lambda book: book["tables"][0].update(source="s5"), "is of 's5'; expected one of the sources: corl"),
        (lambda book: book["tables"][0].update(caveats=["no"]), "has the caveat 'no'; expected one of: antmaze-physics"),
        (lambda book: book["tables"].append(book["tables"][0]), "two tables are called 'decision-s4/1/offline'"),
        (lambda book: book["tables"][0]["columns"].append({"env": "hopper", "data": "medium"}), "are called 'hopper/medium'"),
        (lambda book: book["tables"][0]["rows"].append(book["tables"][0]["rows"][0]), "are called 'IQL'; expected"),
        (lambda book: book["tables"][5].pop("spread"), "has spreads; expected the table to say under 'spread'"),
        (
            lambda book: book["tables"][1]["rows"][0].update(cell_caveats={"hopper/expert": ["quoted"]}),
            "has a caveat on 'hopper/expert'; expected a column with a score",
        ),
        (lambda book: book["tables"][0]["rows"][0].update(scores="x"), "tables.0.rows.0.scores is 'x'; expected another"),
        (lambda book: book["tables"][0]["rows"][0]["scores"].__setitem__(0, float("nan")), "finite number"),
        (lambda book: book.update(tabels=[]), "tabels is []; expected another value: extra inputs"),
        (lambda book: book.update(format=2), "format is 2; expected another value: input should be 1"),
    ],
)  # fmt: skip
def test_every_fault_of_a_file_is_one_sentence(change: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        load(changed(tmp_path, change))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("mine.yaml: ")


@pytest.mark.parametrize("content", [b"a: [", b"\xff\xfe\x00", b"!!python/object:os.system {}", b"- 1", b""])
def test_what_is_no_such_file_is_refused_in_one_sentence(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_bytes(content)
    for path in (tmp_path / "mine.yaml", tmp_path / "nowhere.yaml"):
        with pytest.raises(UsageError) as caught:
            load(path)
        assert "\n" not in str(caught.value)
