"""Times belong to a way of acting on an undisturbed machine: nothing is averaged over several, marked ones win nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsbench.reports.conditions import choose, no_contest
from dsbench.reports.content.build import build
from dsbench.reports.content.fronts import Point, front
from dsbench.reports.content.gathering import tasks_of
from dsbench.reports.content.prices import Cost, mean_cost
from dsbench.reports.contention import LATENCY, Core
from dsbench.reports.document import Figure, Report, Table
from dsbench.reports.groups import read_groups
from dsbench.reports.table import COLUMNS, markdown, rows
from tests.reports.synthetic import ORIGIN, make_run, seeds

pytestmark = pytest.mark.usefixtures("undrawn")
WINDOWED = {"acting": "windowed", "decision_context": 20}
INTEL = {"machine": ORIGIN["machine"] | {"cpu_model": "Babbage 2"}}


def table(report: Report, name: str) -> Table:
    return next(table for one in report.sections for table in one.tables if table.name == name)


def figures(report: Report) -> dict[str, Figure]:
    return {figure.name: figure for one in report.sections for figure in one.figures}


def column(table: Table, heading: str) -> dict[str, str]:
    place = [one.text for one in table.headings].index(heading)
    return {row[0].text: row[place].text for row in table.rows}


def timed(results: Path, backbone: str, env: str, latencies: list[float], **given: Any) -> None:
    """Three seeds of 0.9, 0.8, ... with these latencies."""
    own = given.pop("result", {})
    for seed, latency in enumerate(latencies):
        make_run(results, backbone, env, seed, 0.9 - 0.1 * seed, result={"latency_p50_us": latency} | own, **given)


class One(NamedTuple):
    """A run with what tells its conditions."""

    settings: dict[str, Any]
    result: dict[str, Any]
    provenance: dict[str, Any]


WAYS = st.sampled_from([{"acting": "stateful"}, {"acting": "windowed", "decision_context": 20},
                        {"acting": "windowed", "decision_context": 32}])  # fmt: skip
RUNS = st.lists(
    st.tuples(
        WAYS,
        st.sampled_from(["c", "torch"]),
        st.sampled_from([None, 0.0, 0.25, 0.26, 1.0]),
        st.sampled_from([1, 2]),
        st.sampled_from(["Abacus 3", "Babbage 2"]),
    ),
    max_size=6,
)


def made(runs: list[tuple[dict[str, Any], str, float | None, int, str]]) -> list[One]:
    out = []
    for way, kernel, share, threads, cpu in runs:
        result = way | {"decision_implementation": kernel} | ({} if share is None else {LATENCY: share})
        out.append(One({}, result, {"machine": {"cpu_model": cpu}, "torch": {"threads": threads}}))
    return out


@given(RUNS)
def test_a_mean_is_over_equals_that_were_the_least_disturbed_or_there_is_none(runs: list[Any]) -> None:
    found = choose(made(runs), LATENCY)
    classes = {
        "alone": [r for r in runs if r[2] is not None and r[2] <= 0.25],
        "unknown": [r for r in runs if r[2] is None],
    }
    least = classes["alone"] or classes["unknown"] or runs
    if len({repr((way, kernel, threads, cpu)) for way, kernel, _, threads, cpu in least}) > 1:
        assert not found.runs and found.reason
    else:
        assert list(found.runs) == made(least)
        assert found.reason is None
    assert (found.core is Core.ALONE) == (bool(classes["alone"]) or not runs)


@given(RUNS, RUNS)
def test_a_contest_needs_one_way_of_acting_one_machine_and_a_core_for_each(ours: list[Any], theirs: list[Any]) -> None:
    choices = [choose(made(runs), LATENCY) for runs in (ours, theirs)]
    counted = [choice for choice in choices if choice.runs]
    shares = [run.result.get(LATENCY) for choice in counted for run in choice.runs]
    alike = {
        (run.result["acting"], run.result.get("decision_context"), run.provenance["torch"]["threads"],
         run.provenance["machine"]["cpu_model"]) for choice in counted for run in choice.runs
    }  # fmt: skip
    fair = all(choice.reason is None for choice in choices) and len(alike) <= 1
    assert (no_contest(choices) is None) == (fair and all(share is not None and share <= 0.25 for share in shares))


def test_seeds_timed_by_several_kernels_have_no_mean_and_the_reason_is_told(tmp_path: Path) -> None:
    timed(tmp_path, "gpt", "umbrella", [500.0, 500.0])
    make_run(tmp_path, "s4", "umbrella", 0, result={"latency_p50_us": 100.0, "decision_implementation": "c"})
    make_run(tmp_path, "s4", "umbrella", 1, result={"latency_p50_us": 300.0, "decision_implementation": "torch"})
    report = build(tmp_path, {}).report
    found = table(report, "umbrella-costs")
    assert column(found, "latency p50 µs ↓") == {"gpt": "500.0 ± 0.0", "s4": "–"}
    assert "not of s4 (computed in several ways: c and torch)" in " ".join(found.notes)
    assert "latency-umbrella" not in figures(report)  # a single mark shows nothing
    assert {row["backbone"]: row["metrics"]["latency_p50_us"] for row in rows(tmp_path)}["s4"] is None
    assert "s4 on umbrella (computed in several ways: c and torch)" in markdown(tmp_path)


def test_rows_of_several_ways_to_act_say_how_and_share_no_front(tmp_path: Path) -> None:
    timed(tmp_path, "s4", "umbrella", [100.0, 110.0])
    timed(tmp_path, "lstm", "umbrella", [80.0, 81.0])
    for place, name in enumerate(("gpt", "mamba")):
        timed(
            tmp_path, name, "umbrella", [900.0 + 200 * place] * 2, settings={"eval.acting": "windowed"}, result=WINDOWED
        )
    report = build(tmp_path, {}).report
    found = table(report, "umbrella-costs")
    assert column(found, "acts") == {
        "s4": "stateful", "lstm": "stateful", "gpt": "windowed over 20", "mamba": "windowed over 20"
    }  # fmt: skip
    assert not any(cell.best for row in found.rows for cell in row)
    assert (
        "no contest between rows that were measured acting in several ways: stateful and windowed over 20"
        in " ".join(found.notes)
    )
    caption = figures(report)["latency-umbrella"].caption
    assert "Dashed line, stateful: the front of those that no other beats in both: lstm." in caption
    assert "Dashed line, windowed over 20: the front of those that no other beats in both: gpt." in caption


def test_over_all_tasks_each_way_to_act_has_a_picture_of_its_own_tasks(tmp_path: Path) -> None:
    means = {"a": 100.0, "b": 300.0, "c": 1000.0, "d": 3000.0}
    for env, mean in means.items():
        for place, backbone in enumerate(("s4", "gpt")):
            way = WINDOWED if env in "cd" else {}
            timed(tmp_path, backbone, env, [mean * (place + 1)] * 2, result=way)
    report = build(tmp_path, {}).report
    drawn = figures(report)
    assert "Of a, b, and of those that act statefully:" in drawn["latency-overall"].caption
    assert (
        "Of c, d, and of those that act windowed over 20 timesteps:"
        in drawn["latency-overall-windowed-over-20"].caption
    )
    tasks = tasks_of(read_groups(tmp_path), {})
    own = [one for task in tasks for one in task.learned if one.name == "gpt"]
    assert mean_cost(own, "latency_p50_us") == "acting in several ways: stateful and windowed over 20"
    stateful = mean_cost(own[:2], "latency_p50_us")
    assert isinstance(stateful, Cost)
    assert (stateful.mean, stateful.least, stateful.most) == (400.0, 200.0, 600.0)
    (sentence,) = build(tmp_path, dict.fromkeys(means, "letters")).report.headline
    assert "at no one latency (acting in several ways: stateful and windowed over 20) with" in sentence


@pytest.mark.parametrize(("share", "mark", "why"), [(0.9, "*", "other work had the core"), (None, "?", "not known")])
def test_a_time_of_a_shared_core_is_marked_in_table_picture_and_headline(
    tmp_path: Path, share: float | None, mark: str, why: str
) -> None:
    timed(tmp_path, "s4", "umbrella", [100.0, 110.0], result={LATENCY: share})
    timed(tmp_path, "gpt", "umbrella", [500.0, 510.0])
    timed(tmp_path, "lstm", "umbrella", [400.0, 410.0])
    report = build(tmp_path, {}).report
    found = table(report, "umbrella-costs")
    cells = column(found, "latency p50 µs ↓")
    assert [name for name, text in cells.items() if text.endswith(mark)] == ["s4"]
    assert any(note.startswith("Latency: ") and f"({mark}" in note for note in found.notes)
    caption = figures(report)["latency-umbrella"].caption
    assert f"Hollow, and on no front ({mark}): s4; " in caption and why in caption
    assert "no other beats in both: lstm." in caption  # s4 would be quicker
    place = [heading.text for heading in found.headings].index("latency p50 µs ↓")
    assert not any(row[place].best for row in found.rows)


def test_seeds_with_the_core_alone_stand_for_their_contestant(tmp_path: Path) -> None:
    timed(tmp_path, "s4", "umbrella", [100.0, 120.0])
    make_run(tmp_path, "s4", "umbrella", 2, 0.9, result={"latency_p50_us": 9000.0, LATENCY: 0.8})
    make_run(tmp_path, "s4", "umbrella", 3, 0.9, result={"latency_p50_us": 9000.0, LATENCY: None})
    seeds(tmp_path, "gpt", "umbrella", [0.1, 0.2])
    report = build(tmp_path, {}).report
    assert column(table(report, "umbrella-costs"), "latency p50 µs ↓")["s4"].startswith("110.0 ±")
    assert "Hollow" not in figures(report)["latency-umbrella"].caption
    assert "at 110 µs a decision with" in report.headline[0]


def test_process_peaks_are_no_contest_however_far_apart(tmp_path: Path) -> None:
    for backbone, peak in (("s4", 1e6), ("gpt", 1e12)):
        timed(tmp_path, backbone, "umbrella", [100.0, 100.0, 100.0], result={"peak_rss_bytes": peak})
    found = table(build(tmp_path, {}).report, "umbrella-costs")
    place = [heading.text for heading in found.headings].index("process peak MiB")
    assert [row[place].best for row in found.rows] == [False, False]
    assert "training included" in found.headings[place].hint


def test_times_of_several_machines_share_no_front(tmp_path: Path) -> None:
    timed(tmp_path, "s4", "umbrella", [100.0, 110.0])
    timed(tmp_path, "lstm", "umbrella", [80.0, 81.0])
    timed(tmp_path, "gpt", "umbrella", [10.0, 10.0], origin=INTEL)
    timed(tmp_path, "rnn", "umbrella", [11.0, 11.0], origin=INTEL)
    caption = figures(build(tmp_path, {}).report)["latency-umbrella"].caption
    assert "Dashed line, machine 1: the front of those that no other beats in both: lstm." in caption
    assert "Dashed line, machine 2: the front of those that no other beats in both: gpt." in caption
    assert "made on several machines: Abacus 3, 4 cores" in caption


def test_a_picture_of_sizes_has_one_front_whatever_made_the_times() -> None:
    points = [Point("s4", Cost(10.0), 0.5, None, None), Point("gpt", Cost(20.0), 0.9, None, None)]
    drawn = front("x", "score", "task", "parameters_total", points)
    assert drawn is not None
    assert "Dashed line: the front of those that no other beats in both: s4, gpt." in drawn.caption
    assert "Hollow" not in drawn.caption


def test_every_time_among_the_columns_has_a_mark() -> None:
    """A column in seconds, or in something a second, that is averaged without regard to who had the core would be one more."""
    timed_ones = {column.key for column in COLUMNS if "µs" in column.heading or "/s" in column.heading}
    assert timed_ones == {column.key for column in COLUMNS if column.mark is not None}
    assert len(timed_ones) == 2


def test_the_protocol_tells_what_was_loaded_what_varied_and_what_0_is(tmp_path: Path) -> None:
    references = {"references": "D4RL's constants", "reference_random": -20.272305, "reference_optimal": 3234.3}
    asked = {"data.episodes": 10_000, "data.timesteps": 100_000}
    for seed, loaded in enumerate([98, 103, 101, 99]):
        told = {"data_episodes": loaded, "data_timesteps": 100_000 + loaded, "varied": "init, batches, data, eval"}
        make_run(tmp_path, "s4", "hopper", seed, result=told | references, settings=asked, origin={"result_version": 2})
    make_run(tmp_path, "s4", "umbrella", 0)  # of before any of that was noted
    found = table(build(tmp_path, {}).report, "protocol")
    assert column(found, "episodes of data") == {"hopper": "98 to 103", "umbrella": "10,000 asked for"}
    assert column(found, "timesteps of data")["hopper"] == "100,098 to 100,103"
    assert column(found, "varied") == {"hopper": "init, batches, data, eval", "umbrella": "init, batches"}
    assert column(found, "normalised") == {
        "hopper": "0 is a return of -20.27, 100 one of 3,234 (D4RL's constants)", "umbrella": "not recorded"
    }  # fmt: skip


def test_how_a_policy_acts_changes_nothing_of_its_training(tmp_path: Path) -> None:
    timed(tmp_path, "s4", "umbrella", [100.0, 110.0], result={"implementation": "c"})
    timed(tmp_path, "gpt", "umbrella", [900.0, 910.0], settings={"eval.acting": "windowed"}, result=WINDOWED)
    notes = " ".join(table(build(tmp_path, {}).report, "umbrella-costs").notes)
    assert "Latency p50 µs is no contest" in notes
    assert "tokens/s" not in notes


def test_contestants_of_several_ways_on_the_same_tasks_have_their_marks_in_pictures_of_their_own(
    tmp_path: Path,
) -> None:
    for env in "ab":
        for name in ("s4", "gpt", "lstm"):
            timed(tmp_path, name, env, [100.0, 110.0])
        for name in ("mamba", "rnn"):
            timed(tmp_path, name, env, [500.0, 510.0], result=WINDOWED)
        timed(tmp_path, "s5", env, [100.0, 110.0], result=WINDOWED if env == "a" else {})
    drawn = figures(build(tmp_path, {}).report)
    assert drawn["latency-overall"].title.endswith("2 tasks, stateful")
    assert "both: gpt." in drawn["latency-overall"].caption  # of equals the first by name
    assert "both: mamba." in drawn["latency-overall-windowed-over-20"].caption
    for name in ("latency-overall", "latency-overall-windowed-over-20"):
        assert "Without a mark: s5, for no mean is over times acting in several ways" in drawn[name].caption
