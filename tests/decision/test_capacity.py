"""What is played at once is bounded by bytes, and who is played beside whom changes no score."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsbench import rollout
from dsbench.backbones import BACKBONES
from dsbench.backbones.state import nbytes
from dsbench.config import resolve
from dsbench.config.presets import PRESETS
from dsbench.decision import Actor, DecisionSequence, capacity
from dsbench.decision.policy import build_policy
from dsbench.envs import get_spec
from dsbench.envs.data import generate
from dsbench.envs.rolling import MAX_ROWS, groups, rows_together
from dsbench.envs.targets import Target
from dsbench.running.describing import describe
from dsbench.running.evaluating import Evaluation
from dsbench.running.probe import Answerer, ProbeExperiment

NAMES = [name for name in BACKBONES.names() if ":" not in name]
ACTING: list[dict[str, Any]] = [{"acting": "stateful"}, {"acting": "windowed", "window": 2}]
SPEC = get_spec("umbrella", chain_length=4, n_distractor=1)
EPISODES = 12


def policy(backbone: str) -> DecisionSequence:
    """A policy for `SPEC` in double precision, so that no rounding of another number of rows decides."""
    config = resolve(backbone=backbone, env="umbrella", overrides=["backbone.d_model=8"])
    return build_policy(describe(config, SPEC)).double().eval()


class Counted(Actor):
    """An actor that counts what the actors of an evaluation hold."""

    made: list[tuple[int, int]]  # rows and bytes of each
    last: Callable[[], Actor | None]

    def __init__(self, policy: DecisionSequence, batch_size: int, **options: Any) -> None:
        assert type(self).last() is None, "the one before still holds its memory"
        super().__init__(policy, batch_size, **options)
        state = self._memory.stepper.state() if options["acting"] == "stateful" else ()  # type: ignore[union-attr]
        type(self).made.append((batch_size, nbytes(state)))
        type(self).last = weakref.ref(self)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> type[Counted]:
    Counted.made, Counted.last = [], staticmethod(lambda: None)
    monkeypatch.setattr(rollout, "Actor", Counted)
    return Counted


def play(model: DecisionSequence, acting: dict[str, Any], decode: rollout.Decode) -> np.ndarray:
    found = rollout.evaluate(
        model, SPEC, split="eval", episodes=EPISODES, seed=3, target=Target(1.0), decode=decode, **acting
    )
    return found.metrics["return"]


@pytest.mark.parametrize("decode", ["argmax", "sample"])
@pytest.mark.parametrize("acting", ACTING, ids=["stateful", "windowed"])
@pytest.mark.parametrize("backbone", NAMES)
def test_a_bound_is_held_and_changes_no_score(
    counted: type[Counted], monkeypatch: pytest.MonkeyPatch, backbone: str, acting: dict[str, Any],
    decode: rollout.Decode,
) -> None:  # fmt: skip
    model = policy(backbone)
    whole = play(model, acting, decode)
    assert [rows for rows, _ in counted.made] == [EPISODES]
    counted.made.clear()
    of_a_row = nbytes(model.initial_state(1))
    if acting["acting"] == "windowed":
        of_a_row += capacity.encoding_bytes(model, acting["window"])
    bound = 5 * of_a_row + of_a_row // 2
    monkeypatch.setattr(capacity, "AT_ONCE", bound)
    np.testing.assert_array_equal(play(model, acting, decode), whole)
    assert [rows for rows, _ in counted.made] == ([5, 5, 2] if of_a_row else [1] * EPISODES)
    assert max(held for _, held in counted.made) <= bound


def test_rows_that_fit_nowhere_are_played_one_by_one(counted: type[Counted], monkeypatch: pytest.MonkeyPatch) -> None:
    model = policy("gpt")
    whole = play(model, ACTING[0], "argmax")
    counted.made.clear()
    monkeypatch.setattr(capacity, "AT_ONCE", 1)
    np.testing.assert_array_equal(play(model, ACTING[0], "argmax"), whole)
    assert [rows for rows, _ in counted.made] == [1] * EPISODES


def test_a_backbone_without_memory_has_as_many_rows_as_the_task() -> None:
    assert capacity.rows_at_once(policy("mlp"), "stateful") >= rows_together(SPEC)


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_no_shipped_preset_is_split(preset: str) -> None:
    """So that their numbers are those of before there was a bound."""
    for backbone in NAMES:
        config = resolve(preset=preset, backbone=backbone, env="umbrella")
        evaluation = Evaluation(config, SPEC, build_policy(describe(config, SPEC)))
        rows = capacity.rows_at_once(evaluation.model, evaluation.acting, evaluation.window)
        assert rows >= min(config.eval.episodes, MAX_ROWS), backbone


def test_a_long_cache_is_split_into_what_512_mib_hold() -> None:
    config = resolve(backbone="gpt", env="memory-len", overrides=["backbone.context_len=10000"])
    model = build_policy(describe(config, SPEC))
    rows = capacity.rows_at_once(model, "stateful")
    assert rows * nbytes(model.initial_state(1)) <= 512 * 2**20 < (rows + 1) * nbytes(model.initial_state(1))
    assert rows == 52  # of two layers, 9,999 keys and values of 64 float32 numbers, and two counts


@given(st.integers(1, 5_000), st.integers(1, 3_000))
def test_groups_are_all_episodes_in_order_and_none_reaches_across_a_stream(episodes: int, together: int) -> None:
    found = list(groups(episodes, together))
    assert [first for first, _ in found] == [0, *np.cumsum([rows for _, rows in found])[:-1]]
    assert sum(rows for _, rows in found) == episodes
    assert all(0 < rows <= together and first // MAX_ROWS == (first + rows - 1) // MAX_ROWS for first, rows in found)


def test_a_probe_answers_alike_in_as_many_passes_as_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    config = resolve(
        backbone="gpt", env="key-to-door", preset="smoke",
        overrides=["train.objective=probe", "wrapper.condition=none", "device=cpu"],
    )  # fmt: skip
    experiment = ProbeExperiment(config, lambda *_: None)
    episodes = experiment._asked(generate(experiment.spec, "random", 40, 0))
    answers = experiment.probe.label(episodes)
    experiment.answerer = Answerer(experiment.model, experiment.probe.timestep, answers).double()
    whole, passes = experiment._answers(episodes), []
    logits = Answerer.logits

    def seen(self: Answerer, batch: Any) -> Any:
        passes.append(len(batch.mask))
        return logits(self, batch)

    monkeypatch.setattr(Answerer, "logits", seen)
    window = capacity.encoding_bytes(experiment.model, experiment.probe.timestep + 1)
    monkeypatch.setattr(capacity, "AT_ONCE", 16 * (window + nbytes(experiment.model.initial_state(1))))
    np.testing.assert_allclose(experiment._answers(episodes), whole, rtol=1e-6)  # which leave in single precision
    assert passes[:2] == [16, 16]
