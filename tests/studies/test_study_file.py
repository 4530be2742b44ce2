"""Files of studies: what ships can be used at every size, and what is wrong in one is said with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from dsbench.backbones import load_class
from dsbench.config import resolve
from dsbench.errors import UsageError
from dsbench.reports.published import published
from dsbench.studies.grid import cells_of, runs_of
from dsbench.studies.study_file import SIZES, Study, load_study, shipped

GOOD = """\
format: 1
title: A title
question: A question?
backbones: [gpt, rnn]
envs: [umbrella]
axes:
  length:
    "3": {env.chain_length: 3}
    "6": {env.chain_length: 6}
table: {rows: [backbone], columns: length, measures: [score]}
figure: {x: length, y: score, label: length}
sizes:
  smoke: {preset: smoke}
  quick: {seeds: 2}
  full: {seeds: 5}
"""


def read(folder: Path, text: str) -> Study:
    path = folder / "mine.yaml"
    path.write_text(text)
    return load_study(path)[1]


def test_the_studies_of_the_issue_ship() -> None:
    names = {"token-layout", "latency-context", "low-budget", "context-limit", "s4-vs-rnn", "umbrella-length"}
    assert set(shipped()) >= names


@pytest.mark.parametrize("name", sorted(shipped()))
@pytest.mark.parametrize("size", SIZES)
def test_every_run_of_a_shipped_study_has_a_configuration_that_can_be_used(name: str, size: str) -> None:
    _, study = load_study(name)
    if study.kind == "bench":
        chosen = study.size(size)
        for backbone in chosen.backbones or study.backbones:
            overrides = [f"{path}={value}" for path, value in {**study.set, **chosen.set}.items()]
            resolve(backbone=backbone, env=(chosen.envs or study.envs)[0], overrides=overrides)
        return
    cells = cells_of(study, size)
    assert len({tuple(cell.labels.items()) for cell in cells}) == len(cells)
    assert all(len(cell.configs) == study.size(size).seeds for cell in cells)
    assert len(runs_of(cells)) == sum(len(cell.configs) for cell in cells)  # no two labels are the same run
    for cell in cells:
        if cell.configs[0].wrapper.tokens == "separate":
            assert not load_class(cell.configs[0].backbone.name).memoryless or cell.labels["backbone"] == "framestack"


@pytest.mark.parametrize("name", sorted(shipped()))
def test_published_tables_of_a_shipped_study_are_known(name: str) -> None:
    for table_id in load_study(name)[1].published:
        assert published().table(table_id).rows


def test_an_own_file_is_a_study(tmp_path: Path) -> None:
    study = read(tmp_path, GOOD)
    assert study.axes_of("full") == study.axes
    assert [len(cells_of(study, size)) for size in SIZES] == [4, 4, 4]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("seeds: 2", "seed: 2", "mine.yaml:14: unknown setting 'sizes.quick.seed'. Did you mean"),
        ("backbones: [gpt, rnn]", "backbone: [gpt, rnn]", "unknown setting 'backbone'. Did you mean"),
        ("question: A question?\n", "", "question is missing; every study has it"),
        ("seeds: 5", "seeds: 0", "sizes.full.seeds is 0; expected at least 1"),
        ("format: 1", "format: 2", "format is 2; expected 1"),
        ("measures: [score]", "measures: [scores]", "unknown measure 'scores' in table. Did you mean 'score'?"),
        ("columns: length", "columns: lenght", "unknown axis 'lenght' in table. Did you mean 'length'?"),
        ("x: length", "x: layout", "unknown axis 'layout' in figure.x"),
        ('"6": {env', "six: {env", "figure.x is 'length', which has the label 'six'; expected numbers alone"),
        ("envs: [umbrella]", "envs: []", "envs is []; expected at least one entry"),
        ("seeds: 5", "axes: {width: {a: {}}}", "unknown axis 'width' in sizes.full.axes"),
        ("quick: {seeds: 2}", "quick: {set: {seed: 4}}", "sizes.quick.set has seed; expected seeds, a number of them"),
        ("format: 1", "format: 1\nkind: bench", "kind is 'bench' and table is given; leave it out"),
        ("format: 1", "format: 1\npublished: [decision-s4/5]", "unknown published table 'decision-s4/5'. Did you mean"),
    ],
)
def test_what_is_wrong_in_a_file_is_said(tmp_path: Path, old: str, new: str, expected: str) -> None:
    with pytest.raises(UsageError) as caught:
        read(tmp_path, GOOD.replace(old, new))
    assert any(expected in line for line in str(caught.value).splitlines())


def test_an_unknown_name_and_an_unknown_size_are_answered_with_the_closest(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown study 'umbrela-length'. Did you mean 'umbrella-length'"):
        load_study("umbrela-length")
    with pytest.raises(UsageError, match="unknown size of a study 'quik'. Did you mean 'quick'"):
        read(tmp_path, GOOD).size("quik")
    with pytest.raises(UsageError, match="cannot read config file"):
        load_study(tmp_path / "none.yaml")


# ---------------------------------------------------------------------- from a file to runs


def test_a_label_wins_over_its_size_and_the_size_over_the_study(tmp_path: Path) -> None:
    text = GOOD.replace("axes:\n", "set: {train.lr: 0.1, train.updates: 70, eval.decode: [argmax]}\naxes:\n", 1)
    text = text.replace("quick: {seeds: 2}", "quick: {seeds: 2, set: {train.lr: 0.2, train.warmup: 7}}")
    text = text.replace('"6": {env.chain_length: 6}', '"6": {env.chain_length: 6, train.warmup: 9}')
    cells = cells_of(read(tmp_path, text), "quick", ["train.updates=80"])
    short, long = (cell.configs[0] for cell in cells if cell.labels["backbone"] == "gpt")
    assert (short.train.lr, short.train.updates, short.train.warmup) == (0.2, 80, 7)
    assert (long.train.warmup, long.env.options["chain_length"]) == (9, 6)
    assert (long.eval.decode, [one.seed for one in cells[0].configs]) == (("argmax",), [0, 1])


def test_a_label_may_stand_for_another_protocol() -> None:
    cells = cells_of(load_study("low-budget")[1], "full")
    by_model = {cell.labels["model"]: cell.configs[0] for cell in cells if cell.labels["data"] == "medium"}
    transformer, small = by_model["DT"], by_model["N=64, H=16"]
    assert (transformer.backbone.name, transformer.preset, transformer.train.window) == (
        "gpt",
        "decision-transformer",
        20,
    )
    assert (small.preset, small.backbone.d_model, small.backbone.options["d_state"]) == ("decision-s4", 16, 64)
    assert small.data.recipe == transformer.data.recipe == "medium"


def test_text_stays_text_and_nothing_stays_nothing(tmp_path: Path) -> None:
    text = GOOD.replace(
        "axes:\n", 'set: {data.recipe: "10", train.window: null, data.permute_returns: true}\naxes:\n', 1
    )
    config = cells_of(read(tmp_path, text), "quick")[0].configs[0]
    assert (config.data.recipe, config.train.window, config.data.permute_returns) == ("10", None, True)
