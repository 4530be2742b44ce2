"""The grid: what is in it, what a limit keeps out, and names that never meet."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from dsbench.measuring.plan import FULL, QUICK, STEPS, Cell, Contender, cells, estimated_seconds

ATTENTION, RECURRENT = (
    Contender("gpt", attention=True),
    Contender("s4d", attention=False, implementations=("c", "torch")),
)


def test_quick_is_what_the_command_promises() -> None:
    found = cells([ATTENTION, RECURRENT], QUICK)

    def contexts(backbone: str, mode: str) -> list[int | None]:
        return [c.context for c in found if (c.backbone, c.mode, c.loop) == (backbone, mode, "model")]

    assert contexts("gpt", "kv_cache") == [1, 20, 100, 300, 1000]
    assert contexts("gpt", "window") == [1, 20, 100, 300]
    assert contexts("s4d", "recurrent") == [1, 1000]
    assert len(contexts("gpt", "compiled")) == len(contexts("s4d", "compiled")) == 1
    assert [(c.length, c.batch) for c in found if c.mode == "train" and c.backbone == "s4d"] == [(64, 16), (1024, 16)]
    for mode in (*STEPS, "empty"):
        assert {c.loop for c in found if c.mode == mode} == {"model", "env"}
    assert {c.implementation for c in found} == {None}


def test_full_asks_for_every_implementation_and_keeps_training_batches_in_bounds() -> None:
    found = cells([ATTENTION, RECURRENT], FULL)
    training = [c for c in found if c.mode == "train" and c.backbone == "s4d"]
    assert {c.implementation for c in training} == {None, "c", "torch"}
    assert all(c.length is not None and c.length * c.batch <= 16_384 for c in training)
    assert max(c.length or 0 for c in training) == 16_384
    assert {c.batch for c in found if c.mode == "kv_cache"} == {1, 64}
    assert {c.implementation for c in found if c.mode != "train"} == {None}


def test_own_contexts_replace_those_of_the_grid() -> None:
    grid = QUICK.with_contexts([50, 5, 50])
    found = [c for c in cells([ATTENTION, RECURRENT], grid) if c.context is not None and c.mode != "empty"]
    assert {c.context for c in found} == {5, 50}
    assert {c.context for c in found if c.mode == "window"} == {5, 50}


@given(st.lists(st.sampled_from(["gpt", "a.py:Net", "b.py:Net", "hf:gpt2", "s4"]), unique=True, min_size=1))
@settings(max_examples=20, deadline=None)
def test_names_of_cells_differ_and_survive_json(names: list[str]) -> None:
    found = cells([Contender(name, name == "gpt", ("c",)) for name in names], FULL)
    assert len({c.id for c in found}) == len(found)
    assert [Cell(**c.to_json()) for c in found] == found


def test_an_estimate_is_bounded_by_the_limit_of_a_cell() -> None:
    found = cells([ATTENTION, RECURRENT], FULL)
    assert 60 < estimated_seconds(cells([ATTENTION, RECURRENT], QUICK), 20, 1e9) < 600
    assert estimated_seconds(found, 20, 1.0) <= 1.7 * len(found)
