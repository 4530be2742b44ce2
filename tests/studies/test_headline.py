"""The sentences of a study: rivals are what the last axis of its rows tells apart, and nobody wins by a hair."""

from __future__ import annotations

from collections.abc import Mapping

from scipy import stats

from dsbench.reports.statistics import estimate
from dsbench.studies.answers import Answer, Found
from dsbench.studies.headline import headline, rivals
from dsbench.studies.study_file import TableOf


def answer(labels: Mapping[str, str], scores: list[float], latency: float = 100.0) -> Answer:
    runs = [Found(f"run-{place}", "ok", None, {}, {}) for place, _ in enumerate(scores)]
    found = estimate(scores) if scores else None
    return Answer({"env": "umbrella", **labels}, runs, {"score": found, "latency": estimate([latency])})


def test_equals_share_the_best_and_close_ones_are_named() -> None:
    answers = [
        answer({"backbone": "gpt"}, [1.0, 1.0]),
        answer({"backbone": "s4"}, [1.0, 1.0]),
        answer({"backbone": "lstm"}, [0.9, 1.0]),
        answer({"backbone": "mlp"}, [0.1, 0.1]),
    ]
    half = stats.t.ppf(0.975, 1) * stats.sem([0.9, 1.0])
    assert headline(TableOf(rows=["backbone"], measures=["score"]), answers) == (
        f"On umbrella, gpt and s4 share the best score, 1.000 ± 0.000 (n = 2), not apart from lstm (0.950 ± {half:.3f}).",
    )


def test_less_is_better_where_the_measure_says_so() -> None:
    answers = [answer({"backbone": name}, [0.5, 0.5], latency) for name, latency in (("gpt", 300.0), ("lstm", 100.0))]
    (sentence,) = headline(TableOf(rows=["backbone"], measures=["latency"]), answers)
    assert sentence.startswith("On umbrella, lstm has the best latency p50, µs, 100 (n = 1)")


def test_columns_part_the_rivals_and_so_does_every_row_axis_but_the_last() -> None:
    answers = [
        answer({"backbone": name, "window": window}, [score, score])
        for name in ("gpt", "s4")
        for window, score in (("10", 0.2), ("50", 0.3), ("100", 0.9))
    ]
    table = TableOf(rows=["window"], columns="backbone", measures=["score"])
    assert [[one.labels["window"] for one in group] for group in rivals(table, answers)] == [["10", "50", "100"]] * 2
    assert headline(table, answers) == tuple(
        f"On umbrella, {name}, window 100 has the best score, 0.900 ± 0.000 (n = 2), apart from all others."
        for name in ("gpt", "s4")
    )


def test_two_labels_are_set_against_each_other_over_all_backbones() -> None:
    joint = [answer({"backbone": name, "layout": "joint"}, scores, 100.0) for name, scores in
             (("gpt", [0.9, 0.91]), ("s4", [0.1, 0.9]), ("rnn", [0.20, 0.21]))]  # fmt: skip
    separate = [answer({"backbone": name, "layout": "separate"}, scores, latency) for name, scores, latency in
                (("gpt", [0.4, 0.41], 150.0), ("s4", [0.2, 0.8], 300.0), ("rnn", [0.70, 0.71], 200.0))]  # fmt: skip
    (sentence,) = headline(TableOf(rows=["backbone", "layout"], measures=["score", "latency"]), [*joint, *separate])
    assert sentence == (
        "On umbrella, layout separate against joint: score better for rnn, worse for gpt, not told apart for 1 of 3; "
        "latency p50 µs × 2.00 (1.50 to 3.00)."
    )


def test_an_environment_without_a_score_says_so_and_leaves_the_others_be() -> None:
    answers = [answer({"backbone": "gpt"}, [0.5, 0.6]), answer({"backbone": "gpt", "env": "cartpole"}, [])]
    assert headline(TableOf(rows=["backbone"], measures=["score"]), answers)[1:] == (
        "On cartpole no run has ended yet.",
    )


def test_environments_are_never_rivals() -> None:
    answers = [
        answer({"backbone": name, "env": env}, [score, score])
        for env in ("umbrella", "cartpole")
        for name, score in (("gpt", 0.2), ("s4", 0.3))
    ]
    for rows in (["backbone", "env"], ["env"], ["env", "backbone"]):
        groups = rivals(TableOf(rows=rows, measures=["score"]), answers)
        assert [[one.labels["backbone"] for one in group] for group in groups] == [["gpt", "s4"]] * 2
