"""Published numbers are transcribed as printed (re-ranking them gives the paper's own ranks), oddities included."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsbench.config import resolve, to_dict
from dsbench.errors import UnknownName
from dsbench.reports.published import NORMALISED, mean_ranks, published, published_scores
from dsbench.reports.published_file import Table

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


def numbers(table: str, column: int = 0) -> dict[str, float]:
    """What one column prints, by method."""
    return {row.method: score for row in published().table(table).rows if (score := row.scores[column]) is not None}


def test_table_4_has_the_ratios_to_decision_s4_that_were_computed_from_the_paper() -> None:
    ms = numbers("decision-s4/4/latency")
    contexts = {f"DT (k = {k})": ratio for k, ratio in ((1, 1.10), (20, 1.48), (100, 2.43), (250, 5.0), (300, 8.9))}
    assert {name: ms[name] / ms["DS4"] for name in contexts} == pytest.approx(contexts, abs=0.05)
    assert [round(ms[name] / ms["DS4"], 2) for name in list(contexts)[:4]] == [1.10, 1.48, 2.43, 5.0]
    assert mean_ranks(published().table("decision-s4/4/latency"))["DS4"] == 1.0  # less is better
    assert numbers("decision-s4/4/latency")["TTq, TTu"] == 17_000


def test_table_3_s_two_rows_of_sizes_follow_from_each_other() -> None:
    """Own size times the 15 % of the largest model are the printed shares of the Decision Transformer's."""
    own, of_dt = numbers("decision-s4/3/sizes", 0), numbers("decision-s4/3/sizes", 1)
    assert list(of_dt.values()) == [0.15, 0.13, 0.12, 0.07, 0.04, 0.06, 1.0]
    assert {name: round(0.15 * share + 1e-9, 2) for name, share in own.items()} == {
        name: share for name, share in of_dt.items() if name != "DT"
    }


def test_table_3_repeats_table_1_but_for_one_digit_that_says_so() -> None:
    for method, mine in (("DS4 (N = 64, H = 64)", "DS4"), ("DT", "DT")):
        small, full = cells("decision-s4/3/scores", method), cells("decision-s4/1/offline", mine)[3:6]
        assert [round(a - b, 2) for a, b in zip(small, full, strict=True)] == (
            [0.0, -0.01, 0.0] if mine == "DS4" else [0] * 3
        )
    assert [one.score for one in published_scores() if "replay-rounding" in one.caveats] == [43.80]
    assert all(score > 36 for name, score in numbers("decision-s4/3/scores", 1).items() if "H = 16" not in name)


def test_key_to_door_is_learned_from_good_walks_alone_as_well() -> None:
    """Environments' facts: cloning the successful walks equals the Decision Transformer, all other baselines fail."""
    for column in (0, 1):
        success = numbers("decision-transformer/key-to-door", column)
        assert abs(success["DT"] - success["%BC"]) < 2
        assert max(success["CQL"], success["BC"], success["random"]) < 15
    assert {one.measure for one in published_scores("key-to-door")} == {"success, %"}


def test_both_models_of_the_course_report_differ_by_less_than_the_printed_spread() -> None:
    dt, ssm = published().table("ssm-for-offline-rl/2").rows
    assert dt.spreads is not None and ssm.spreads is not None
    for cells_of_one in zip(dt.scores, ssm.scores, dt.spreads, ssm.spreads, strict=True):
        one, other, *spreads = (cell for cell in cells_of_one if cell is not None)
        assert abs(one - other) <= max(spreads)
    assert "reward-unit" in published_scores("hopper", method="SSM")[0].caveats


def test_what_was_recalled_from_memory_says_so_and_a_user_s_runs_stand_beside_the_maximum() -> None:
    best, last = published_scores("hopper", "medium", "Decision Mamba")
    assert (best.text, last.text) == ("83.5 ± 12.5", "55.93 ± 1.95")
    assert "recalled" in best.caveats and "maximum-over-evaluations" in best.caveats and "recalled" not in last.caveats
    for data, gap in (("medium", 35), ("medium-replay", 38)):
        by_source = {
            one.source: one.score for one in published_scores("hopper", data, "DS4") if "online" not in one.caveats
        }
        assert round(by_source["decision-s4"] - by_source["decision-mamba"]) == gap


def test_settings_of_a_protocol_are_those_of_its_preset() -> None:
    with_settings = {(one.env, tuple(one.settings.items())): one for one in published_scores() if one.settings}
    assert {one.settings["preset"] for one in with_settings.values()} == {
        "decision-s4", "decision-transformer", "decision-mamba", "ssm-for-offline-rl",
    }  # fmt: skip
    for one in with_settings.values():
        config = to_dict(resolve(preset=str(one.settings["preset"]), env=one.env))
        for name, value in one.settings.items():
            section, _, key = name.rpartition(".")
            assert (config[section] if section else config)[key] == value, (one.env, name)


def test_measures_that_are_no_scores_are_named_and_shown_in_full() -> None:
    costs = {one.measure: one for one in published_scores(method="Mamba")}
    assert {measure: one.text for measure, one in costs.items()} == {
        "runtime, s": "25", "memory, GB": "2.9", "trainable parameters": "900,000",
    }  # fmt: skip
    assert all(one.env is None and not one.larger_is_better for one in costs.values())
    assert {one.measure for one in published_scores() if not one.larger_is_better}.isdisjoint(
        {NORMALISED, "success, %"}
    )


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
