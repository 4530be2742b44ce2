"""A cell that was built does what its name says."""

from __future__ import annotations

import pytest
import torch

from dsbench.config import RunConfig, resolve
from dsbench.measuring.cells import build_model, build_subject, contender
from dsbench.measuring.plan import Cell, Contender

CPU = torch.device("cpu")


def config(backbone: str, *overrides: str, env: str = "umbrella") -> RunConfig:
    return resolve(backbone=backbone, env=env, overrides=["backbone.d_model=8", *overrides])


def test_what_the_grid_knows_of_a_backbone_comes_from_its_options() -> None:
    assert contender(config("gpt"), CPU) == Contender("gpt", attention=True)
    assert contender(config("s4d"), CPU) == Contender("s4d", attention=False, implementations=("c", "torch"))
    assert contender(config("lstm"), CPU) == Contender("lstm", attention=False)


@pytest.mark.parametrize(
    ("layout", "tokens"),
    [((), 1), (("wrapper.tokens=separate",), 3), (("wrapper.tokens=separate", "wrapper.condition=none"), 2)],
)
def test_attention_sees_every_timestep_of_its_context_and_no_more(layout: tuple[str, ...], tokens: int) -> None:
    for cell in (Cell("gpt", "kv_cache", "model", 9), Cell("gpt", "train", length=10)):
        model, options = build_model(cell, config("gpt", *layout), CPU)
        assert options == {"context_len": 10 * tokens}
        assert model.tokens_per_decision == tokens


@pytest.mark.parametrize("env", ["umbrella", "graph-walk"])
@pytest.mark.parametrize("loop", ["model", "env"])
@pytest.mark.parametrize(
    ("backbone", "mode"),
    [("gpt", "kv_cache"), ("gpt", "window"), ("gpt", "compiled"), ("lstm", "recurrent"), ("lstm", "empty")],
)
def test_decisions_follow_each_other_beyond_the_end_of_an_episode(
    backbone: str, mode: str, loop: str, env: str
) -> None:
    if mode == "compiled":
        pytest.importorskip("onnxruntime")
    subject = build_subject(Cell(backbone, mode, loop, 7, batch=2), config(backbone, env=env), CPU)  # type: ignore[arg-type]
    for _ in range(60):
        subject.prepare()
        subject.run()
    # of a step, whatever computes whole rows
    assert subject.implementation == ("onnx" if mode == "compiled" else "torch")


def test_a_continuous_action_goes_into_the_environment() -> None:
    subject = build_subject(Cell("lstm", "recurrent", "env", 2, batch=2), config("lstm", env="hopper"), CPU)
    subject.prepare()
    subject.run()


def test_the_empty_row_has_no_backbone_and_a_compiled_step_names_its_engine() -> None:
    empty = build_subject(Cell("empty", "empty", "model", 1), config("s4"), CPU)
    assert not list(empty.model.backbone.parameters())
    pytest.importorskip("onnxruntime")
    assert build_subject(Cell("lstm", "compiled", "model", 3), config("lstm"), CPU).implementation == "onnx"


def test_a_step_of_training_changes_the_weights_a_little() -> None:
    subject = build_subject(Cell("gpt", "train", length=12, batch=3), config("gpt"), CPU)
    before = {name: value.clone() for name, value in subject.model.named_parameters()}
    subject.run()
    moved = [float((value - before[name]).detach().abs().max()) for name, value in subject.model.named_parameters()]
    assert 0 < max(moved) < 1e-4
    assert subject.trainer is not None and subject.trainer.tokens_seen == 36


def test_a_copy_moves_what_a_decision_must_move() -> None:
    subject = build_subject(Cell("lstm", "copy", None, 5), config("lstm"), CPU)
    subject.run()
    kept, model = 2 * 2 * 8 * 4, subject.model
    weights = sum(p.numel() for p in model.parameters()) - 8  # of the table of two actions one row is read
    assert subject.options["bytes"] == 4 * weights + 2 * kept
