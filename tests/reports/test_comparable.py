"""A run is comparable with a published number only where data, physics, protocol and measure are the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsbench.config import resolve, to_dict
from dsbench.records.tables import runs_table
from dsbench.reports.comparable import BY_CAVEAT, COLUMNS, comparison
from dsbench.reports.published import PublishedScore, published, published_scores

TASKS = Path(__file__).parents[2] / "results" / "reference" / "tasks"
ENVS = ("hopper", "halfcheetah", "walker2d")
DATA = ("medium", "medium-replay", "medium-expert")


def of_dt(env: str = "hopper", data: str = "medium") -> PublishedScore:
    (score,) = (one for one in published_scores(env, data, "DT") if one.table_id == "decision-transformer/gym")
    return score


def row(
    env: str = "hopper", data: str = "medium", preset: str = "decision-transformer", **changes: Any
) -> dict[str, Any]:
    """The row of a run that repeats what the paper did, after changes."""
    overrides = ["env.physics=v4", f"data.recipe=d4rl:/x/{env}_{data.replace('-', '_')}-v2.hdf5"]
    config = to_dict(resolve(preset=preset, env=env, overrides=overrides))
    flat: dict[str, Any] = {"run_id": "r", "status": "ok"}
    for section, content in config.items():
        if isinstance(content, dict):
            flat |= {f"{section}.{key}": value for key, value in content.items()}
        else:
            flat[section] = content
    flat |= {"env": flat.pop("env.name"), "backbone": flat.pop("backbone.name")}
    flat |= {
        "result.score_normalised": 66.0,
        "result.references": "D4RL's constants",
        "result.simulator": f"gymnasium {env}-v4, mujoco 3.3.0",
        "result.physics_note": None,
    }
    return flat | {name.replace("__", "."): value for name, value in changes.items()}


@pytest.mark.parametrize("env", ENVS)
@pytest.mark.parametrize("data", DATA)
def test_a_run_of_the_paper_s_protocol_on_d4rl_s_file_may_be_compared(env: str, data: str) -> None:
    verdict = comparison(row(env, data), of_dt(env, data))
    assert verdict.comparable and verdict.value == 66.0 and verdict.reasons == ()
    assert verdict.text.startswith("yes: The run is one seed, the printed number a mean over 3 seeds.")
    assert any("name of its file" in caveat for caveat in verdict.caveats)


@pytest.mark.parametrize(
    ("changes", "aspect", "words"),
    [
        ({"status": "diverged"}, "run", "diverged"),
        ({"policy": "random"}, "run", "random"),
        ({"env": "walker2d"}, "task", "walker2d"),
        ({"result__score_normalised": None}, "measure", "score_normalised"),
        ({"result__references": "exact"}, "measure", "D4RL's constants"),
        ({"data__recipe": "medium"}, "data", "'medium'"),
        ({"data__recipe": "imported:hopper_medium-v2"}, "data", "imported"),
        ({"data__recipe": "minari:mujoco/hopper/medium-v0"}, "data", "minari"),
        ({"data__recipe": "d4rl:hopper_medium-v1.hdf5"}, "data", "D4RL v2"),
        ({"data__recipe": "d4rl:hopper_medium_expert-v2.hdf5"}, "data", "hopper medium"),
        ({"data__recipe": "d4rl:walker2d_medium-v2.hdf5"}, "data", "hopper medium"),
        ({"data__permute_returns": True}, "data", "returns"),
        ({"data__top_percent": 10.0}, "data", "best 10 %"),
        ({"env__physics": "v5", "result__simulator": "gymnasium Hopper-v5"}, "physics", "Hopper-v5"),
        ({"env__physics": None}, "physics", "v4 stands"),
        (
            {"result__physics_note": "data made in Hopper-v4, evaluated in Hopper-v5"},
            "physics",
            "data made in Hopper-v4",
        ),
        ({"preset": "quick"}, "protocol", "'quick'"),
        ({"train__updates": 20_000}, "protocol", "train.updates is 20000 where 100000 is published"),
        ({"train__seconds": 60.0}, "protocol", "trained for 60 seconds"),
        ({"eval__target_return": 1800.0}, "protocol", "eval.target_return is 1800.0"),
        ({"eval__target_return": None}, "protocol", "eval.target_return is None"),
        ({"wrapper__condition": "none"}, "protocol", "wrapper.condition"),
    ],
)
def test_one_difference_is_one_reason_in_one_sentence(changes: dict[str, Any], aspect: str, words: str) -> None:
    verdict = comparison(row() | {name.replace("__", "."): value for name, value in changes.items()}, of_dt())
    (reason,) = verdict.reasons
    assert reason.aspect == aspect and words in reason.text
    assert reason.text.endswith(".") and "\n" not in reason.text
    assert not verdict.comparable and verdict.text == f"no: {reason.text}"


def test_another_backbone_or_seed_is_no_reason_but_is_said() -> None:
    verdict = comparison(row(backbone="lstm", seed=7), of_dt())
    assert verdict.comparable and "The run's backbone is lstm, the printed method DT." in verdict.caveats


@pytest.mark.parametrize(
    ("preset", "table", "method", "aspects"),
    [
        ("decision-s4", "decision-s4/1/offline", "DS4", {"protocol"}),  # the best of three targets
        ("decision-s4", "decision-s4/1/offline", "DT", {"protocol"}),  # quoted
        ("decision-s4", "decision-s4/1/online", "DS4", {"protocol"}),
        ("decision-mamba", "decision-mamba/gym", "Decision Mamba", {"protocol", "source"}),  # maximum, from memory
        ("decision-mamba", "decision-mamba-issue/last", "Decision Mamba", {"protocol"}),
        ("decision-transformer", "corl/last", "DT", {"protocol"}),
        ("decision-transformer", "corl/best", "DT", {"protocol"}),
        ("ssm-for-offline-rl", "ssm-for-offline-rl/2", "SSM", {"measure", "data", "physics"}),
    ],
)
def test_even_the_source_s_own_preset_on_its_data_is_not_enough(
    preset: str, table: str, method: str, aspects: set[str]
) -> None:
    (score,) = (
        one
        for one in published_scores("hopper", method=method)
        if one.table_id == table and one.data in ("medium", None)
    )
    verdict = comparison(row(preset=preset), score)
    assert {reason.aspect for reason in verdict.reasons} == aspects


def test_baselines_printed_under_expert_were_not_learned_from_expert_data() -> None:
    quoted, own = (published_scores("hopper", "expert", method)[0] for method in ("DT", "DS4"))
    assert any("medium-expert" in one.text for one in comparison(row(data="expert"), quoted).reasons)
    assert not any("medium-expert" in one.text for one in comparison(row(data="expert"), own).reasons)


def test_ms_and_success_are_shown_in_the_unit_of_print_and_not_compared() -> None:
    (ms,) = published_scores("halfcheetah", method="DT (k = 20)")
    verdict = comparison(row("halfcheetah", result__latency_p50_us=3_210.0), ms)
    assert verdict.value == pytest.approx(3.21)
    assert "which machine" in verdict.text
    (success,) = published_scores("key-to-door", "random-1k", "DT")
    verdict = comparison({"status": "ok", "policy": "learned", "env": "key-to-door", "result.success": 0.544}, success)
    assert verdict.value == pytest.approx(54.4) and {"data", "physics", "protocol"} == {
        r.aspect for r in verdict.reasons
    }


def test_no_run_on_data_of_ours_is_comparable_with_anything() -> None:
    """Real runs of the reference results, one a task, against all that is printed."""
    table = runs_table(TASKS)
    table = table[table["run_id"].str.startswith("gpt-") & table["seed"].eq(0)]
    assert table["env"].nunique() > 10 and set(table["status"]) == {"ok"}
    for _, found in table.iterrows():
        for score in published_scores():
            assert not comparison(found, score).comparable
    ours = table[table["env"].eq("key-to-door")].iloc[0]
    reasons = comparison(ours, published_scores("key-to-door", "random-1k", "DT")[0]).reasons
    assert "the paper's own episodes" in next(one.text for one in reasons if one.aspect == "data")


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(published_scores()),
    st.sampled_from(["medium", "random", "imported:d4rl", "minari:D4RL/x", "folder:d4rl", "hopper_medium-v2.hdf5", ""]),
    st.sampled_from(["decision-transformer", "decision-s4", "decision-mamba", "quick"]),
    st.sampled_from([None, float("nan"), "D4RL's constants"]),
)
def test_never_where_the_data_was_not_made_by_the_source(
    score: PublishedScore, recipe: str, preset: str, said: Any
) -> None:
    """Even where all else is forged to fit."""
    fitting = {"result." + name: 1.0 for name in ("success", "latency_p50_us", "parameters_trainable")}
    forged = row() | fitting | dict(score.settings) | {"env": score.env, "data.recipe": recipe, "preset": preset}
    verdict = comparison(forged | {"result.references": said}, score)
    assert not verdict.comparable
    if "data" in score.protocol:
        assert "data" in {reason.aspect for reason in verdict.reasons}


def test_an_empty_row_is_comparable_with_nothing_and_every_sentence_ends() -> None:
    for score in published_scores():
        verdict = comparison({}, score)
        assert not verdict.comparable and verdict.value is None
        for text in (*(reason.text for reason in verdict.reasons), *verdict.caveats):
            assert text.endswith(".") and "\n" not in text and text[0].isupper()


def test_caveats_and_measures_that_decide_are_really_published() -> None:
    assert set(BY_CAVEAT) <= set(published().caveats)
    assert set(COLUMNS) <= {one.measure for one in published_scores()}
    marked = replace(of_dt(), caveats=("recalled", "recalled"))
    assert [one.aspect for one in comparison(row(), marked).reasons] == ["source"]
