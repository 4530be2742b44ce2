"""What a run costs: time and memory of a decision, parameters, training speed."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from dsbench.batches import whole_batch
from dsbench.decision import DecisionSequence
from dsbench.episodes import Episodes
from dsbench.measuring import decision
from dsbench.records.tables import metric_record
from dsbench.running.evaluating import Evaluation

_ALONE = "CPU time tells it of one thread on a CPU alone"
SUFFIXES = {"us": "_us", "bytes": "_bytes"}  # of a column, by the unit of what it holds


class Cost(NamedTuple):
    """One measured number; None where it cannot be measured, `missing` saying why.

    `implementation` is what computes a decision, where that is not what computes whole rows; `context` the timesteps that
    it encodes anew, or the tokens that its cache looks back on.
    """

    metric: str
    value: float | None
    unit: str
    missing: str = ""
    implementation: str | None = None
    context: int | None = None


def decision_costs(
    evaluation: Evaluation, episodes: Episodes, device: torch.device, on_step: Callable[[], None]
) -> list[Cost]:
    """Latency, memory and size of a policy that acts as it was evaluated, in an episode of its horizon.

    Args:
        episodes: whose first observation it is shown all the time.
        on_step: called once a decision.
    """
    model, settings = evaluation.model, evaluation.config.measure
    observation = whole_batch(episodes.select([0])).to(device).observation
    first = (
        {key: value[:, 0] for key, value in observation.items()} if isinstance(observation, dict) else observation[:, 0]
    )
    latency = decision.decision_latency(
        model, first, horizon=evaluation.spec.horizon, warmup=settings.warmup, steps=settings.steps,
        acting=evaluation.acting, window=evaluation.window, on_step=on_step,
    )  # fmt: skip
    parameters = decision.count_parameters(model)
    return [
        *_latency_costs(latency, decision_context(model, evaluation.window)),
        Cost("parameters_total", parameters.total, "count"),
        Cost("parameters_backbone", parameters.backbone, "count"),
        Cost("parameters_trainable", parameters.trainable, "count"),
        Cost("state", decision.state_bytes(model), "bytes"),
        Cost("peak_rss", decision.peak_rss_bytes(), "bytes"),
        Cost("peak_device", decision.peak_device_bytes(device), "bytes", "only counted on CUDA devices"),
        Cost("tokens_per_decision", model.tokens_per_decision * (evaluation.window or 1), "tokens"),
    ]


def decision_context(model: DecisionSequence, window: int | None) -> int | None:
    """Timesteps that a windowed decision encodes anew; tokens that a stateful one's cache looks back on; None without one."""
    found = (getattr(module, "context_len", None) for module in model.backbone.modules())
    caches = [length for length in found if isinstance(length, int)]
    return window if window is not None else max(caches, default=None)


def _latency_costs(found: decision.Latency, context: int | None) -> list[Cost]:
    times = {
        "p50": found.p50_us, "p50_low": found.low_us, "p50_high": found.high_us, "p90": found.p90_us, "p99": found.p99_us,
    }  # fmt: skip
    return [
        *(
            Cost(f"latency_{name}", _finite(time), "us", "a single block of decisions", found.implementation, context)
            for name, time in times.items()
        ),
        Cost("latency_contended", found.contended, "share", _ALONE),
    ]


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def training_costs(seconds: float, cpu_seconds: float | None, tokens_seen: int, device: torch.device) -> list[Cost]:
    """How long the updates took, tokens a second, and the share of that time in which the process had no core.

    Args:
        cpu_seconds: of the process during the updates; None where they were not all counted.
    """
    alone = device.type == "cpu" and torch.get_num_threads() == 1 and cpu_seconds is not None and seconds > 0
    waited = max(0.0, 1 - cpu_seconds / seconds) if alone and cpu_seconds is not None else None
    return [
        Cost("train_seconds", seconds, "s"),
        Cost("train_tokens_per_second", tokens_seen / max(seconds, 1e-9), "tokens/s"),
        Cost("train_contended", waited, "share", _ALONE),
    ]


def cost_records(costs: list[Cost], evaluation: Evaluation) -> list[dict[str, Any]]:
    """A record for each; one without a value says why."""
    return [
        metric_record(
            phase="measure", metric=cost.metric, value=cost.value, unit=cost.unit, batch=1, acting=evaluation.acting,
            context=cost.context, implementation=cost.implementation or evaluation.model.backbone.kernel().name,
            reason=None if cost.value is not None else cost.missing,
        )
        for cost in costs
    ]  # fmt: skip


def cost_columns(costs: list[Cost]) -> dict[str, float | None]:
    """Columns of the final row, named with their unit."""
    return {cost.metric + SUFFIXES.get(cost.unit, ""): cost.value for cost in costs}


def condition_columns(costs: list[Cost], device: torch.device) -> dict[str, str | int | None]:
    """Columns of the final row on what its latency is a latency of, beside ``acting``."""
    timed = next(cost for cost in costs if cost.metric == "latency_p50")
    return {
        "decision_implementation": timed.implementation,
        "decision_context": timed.context,
        "device": device.type,
    }
