"""The sentences of a study: rivals are what the last axis of its rows tells apart, and nobody wins by a hair."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from scipy import stats

from dsbench.reports.outcomes import Sample
from dsbench.reports.statistics import estimate
from dsbench.studies.answers import Answer, Found
from dsbench.studies.headline import headline
from dsbench.studies.study_file import TableOf
from dsbench.studies.verdicts import rivals, verdicts


def answer(labels: Mapping[str, str], scores: list[float], latency: float = 100.0) -> Answer:
    runs = [Found(f"run-{place}", "ok", None, {}, {}) for place, _ in enumerate(scores)]
    samples = {"score": Sample(dict(enumerate(scores)))} if scores else {}
    found = estimate(scores) if scores else None
    return Answer({"env": "umbrella", **labels}, runs, {"score": found, "latency": estimate([latency])}, samples)


def told(table: TableOf, answers: list[Answer]) -> tuple[str, ...]:
    return headline(table, answers, verdicts(table, answers))


def around(mean: float) -> list[float]:
    """Five seeds about a mean."""
    return [mean - 0.02, mean - 0.01, mean, mean + 0.01, mean + 0.02]


SCORE = TableOf(rows=["backbone"], measures=["score"])


def test_equals_share_the_best_and_close_ones_are_named() -> None:
    answers = [
        answer({"backbone": "gpt"}, around(0.9)),
        answer({"backbone": "s4"}, around(0.9)),
        answer({"backbone": "lstm"}, around(0.89)),
        answer({"backbone": "mlp"}, around(0.1)),
    ]
    half = stats.t.ppf(0.975, 4) * stats.sem(around(0.9))
    assert told(SCORE, answers) == (
        f"On umbrella, gpt and s4 share the best score, 0.900 ± {half:.3f} (n = 5), not apart from lstm (0.890 ± {half:.3f}).",
    )


@pytest.mark.parametrize("scores", [[1.0, 1.0], [1.0, 1.0, 1.0, 1.0, 1.0]])
def test_scores_without_spread_are_apart_from_nothing(scores: list[float]) -> None:
    answers = [answer({"backbone": "gpt"}, scores), answer({"backbone": "s4"}, [score / 2 for score in scores])]
    (sentence,) = told(SCORE, answers)
    assert "not apart from s4" in sentence
    assert ("n = 2 cannot support a claim" if len(scores) == 2 else "do not vary from seed to seed") in sentence
    assert verdicts(SCORE, answers).made == 0


def test_costs_are_no_contest() -> None:
    answers = [answer({"backbone": name}, [0.5, 0.5], latency) for name, latency in (("gpt", 300.0), ("lstm", 100.0))]
    table = TableOf(rows=["backbone"], measures=["latency"])
    assert told(table, answers) == ("On umbrella, lstm has the lowest mean of latency p50, µs, 100 (n = 1).",)
    assert verdicts(table, answers).family == 0


def test_columns_part_the_rivals_and_so_does_every_row_axis_but_the_last() -> None:
    answers = [
        answer({"backbone": name, "window": window}, around(score))
        for name in ("gpt", "s4")
        for window, score in (("10", 0.2), ("50", 0.3), ("100", 0.9))
    ]
    table = TableOf(rows=["window"], columns="backbone", measures=["score"])
    assert [[one.labels["window"] for one in group] for group in rivals(table, answers)] == [["10", "50", "100"]] * 2
    half = stats.t.ppf(0.975, 4) * stats.sem(around(0.9))
    assert told(table, answers) == tuple(
        f"On umbrella, {name}, window 100 has the best score, 0.900 ± {half:.3f} (n = 5), apart from all others."
        for name in ("gpt", "s4")
    )
    assert verdicts(table, answers).family == 6  # three pairs for each of two backbones


def test_two_labels_are_set_against_each_other_over_all_backbones() -> None:
    joint = [answer({"backbone": name, "layout": "joint"}, scores, 100.0) for name, scores in
             (("gpt", around(0.9)), ("s4", around(0.50)), ("rnn", around(0.20)))]  # fmt: skip
    separate = [answer({"backbone": name, "layout": "separate"}, scores, latency) for name, scores, latency in
                (("gpt", around(0.4), 150.0), ("s4", around(0.51), 300.0), ("rnn", around(0.7), 200.0))]  # fmt: skip
    table = TableOf(rows=["backbone", "layout"], measures=["score", "latency"])
    assert told(table, [*joint, *separate]) == (
        "On umbrella, layout separate against joint: score better for rnn, worse for gpt, not told apart for 1 of 3; "
        "latency p50 µs × 2.00 (1.50 to 3.00).",
    )
    assert verdicts(table, [*joint, *separate]).family == 3


def test_an_environment_without_a_score_says_so_and_leaves_the_others_be() -> None:
    answers = [answer({"backbone": "gpt"}, [0.5, 0.6]), answer({"backbone": "gpt", "env": "cartpole"}, [])]
    assert told(SCORE, answers)[1:] == ("On cartpole no run has ended yet.",)


def test_environments_are_never_rivals() -> None:
    answers = [
        answer({"backbone": name, "env": env}, [score, score])
        for env in ("umbrella", "cartpole")
        for name, score in (("gpt", 0.2), ("s4", 0.3))
    ]
    for rows in (["backbone", "env"], ["env"], ["env", "backbone"]):
        groups = rivals(TableOf(rows=rows, measures=["score"]), answers)
        assert [[one.labels["backbone"] for one in group] for group in groups] == [["gpt", "s4"]] * 2


def test_a_scripted_policy_is_no_rival() -> None:
    """The best policy stands in the table, and the sentence is about those that learned."""
    best = answer({"backbone": "optimal"}, [1.0] * 5)
    scripted = Answer(best.labels, best.runs, best.estimates, best.samples, learned=False)
    learned = [answer({"backbone": name}, around(mean)) for name, mean in (("gpt", 0.9), ("s4", 0.2), ("lstm", 0.1))]
    (sentence,) = told(SCORE, [scripted, *learned])
    assert sentence.startswith("On umbrella, gpt has the best score") and sentence.endswith("apart from all others.")
    assert verdicts(SCORE, [scripted, *learned]).family == 3
