"""The contract as code: `check_backbone` runs every check on one backbone and reports each as a line.

    report = check_backbone("s4d")                      # or a class, "package.module:Class", "file.py:Class"
    assert report.ok, report.failures()

All checks run on the CPU with small sizes and generators of their own, in float64 but for those that say float32.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch

from dsbench.backbones.catalogue import BACKBONES
from dsbench.backbones.check import derivatives, horizon, precision, states, training, views
from dsbench.backbones.check.probe import CheckFailed, Probe
from dsbench.backbones.contract import Backbone, options_of
from dsbench.backbones.factory import load_class, make_backbone
from dsbench.errors import UsageError, suggestion
from dsbench.outside.blame import Frame, blamed, brief, frames_of, one_line

Status = Literal["passed", "failed", "excused", "stale_excuse"]
Source = str | type[Backbone] | Callable[..., Backbone]


@dataclass(frozen=True)
class Check:
    """One property: its name, what runs, and whether on an instance that was used and then updated once."""

    name: str
    function: Callable[[Probe], None]
    updated: bool = False

    @property
    def summary(self) -> str:
        """The property in one sentence."""
        return " ".join((self.function.__doc__ or "").split())


@dataclass(frozen=True)
class CheckResult:
    """Outcome of one check. `detail` is the measured number or, after a failure, the message; `reason` the excuse.

    Attributes:
        error: what was raised instead of an answer, one line.
        frames: the lines of code from outside that it came from.
    """

    name: str
    status: Status
    seconds: float
    detail: str = ""
    reason: str = ""
    error: str = ""
    frames: tuple[Frame, ...] = ()

    @property
    def ok(self) -> bool:
        return self.status in ("passed", "excused")


@dataclass(frozen=True)
class CheckReport:
    """Outcomes of all checks of one backbone."""

    backbone: str
    results: tuple[CheckResult, ...]

    @property
    def ok(self) -> bool:
        return all(result.ok for result in self.results)

    def failures(self) -> list[str]:
        """One line for each check that failed or whose excuse is stale."""
        return [f"{result.name}: {result.detail}" for result in self.results if not result.ok]

    def table(self) -> list[dict[str, str | float]]:
        """Rows to print or to write as JSON."""
        return [
            {
                "backbone": self.backbone,
                "check": result.name,
                "status": result.status,
                "seconds": round(result.seconds, 3),
                "detail": result.detail,
                "reason": result.reason,
            }
            for result in self.results
        ]


# Gradients and the state_dict are looked at after an update: gates that start at zero let nothing through before it.
CHECKS: tuple[Check, ...] = (
    Check("construction", views.construction),
    Check("shape_and_dtype", views.shape_and_dtype),
    Check("causality", views.causality),
    Check("causality_after_update", views.causality, updated=True),
    Check("forward_equals_step", views.forward_equals_step),
    Check("forward_equals_chunks", views.forward_equals_chunks),
    Check("scan_and_parallel_equal_forward", views.scan_and_parallel_equal_forward),
    Check("resets_equal_episodes", views.resets_equal_episodes),
    Check("reset_drops_the_state", states.reset_drops_the_state),
    Check("nan_does_not_survive_a_reset", states.nan_does_not_survive_a_reset),
    Check("stepper_equals_step", states.stepper_equals_step),
    Check("forward_equals_step_after_update", views.forward_equals_step, updated=True),
    Check("forward_equals_chunks_after_update", views.forward_equals_chunks, updated=True),
    Check("scan_and_parallel_equal_forward_after_update", views.scan_and_parallel_equal_forward, updated=True),
    Check("resets_equal_episodes_after_update", views.resets_equal_episodes, updated=True),
    Check("reset_drops_the_state_after_update", states.reset_drops_the_state, updated=True),
    Check("stepper_equals_step_after_update", states.stepper_equals_step, updated=True),
    Check("right_padding_inert", views.right_padding_inert),
    Check("lengths_beyond_training", horizon.lengths_beyond_training),
    Check("receptive_field", views.receptive_field, updated=True),
    Check("rows_independent", states.rows_independent),
    Check("inputs_not_mutated", states.inputs_not_mutated),
    Check("batch_axis_first", states.batch_axis_first),
    Check("state_round_trip", states.state_round_trip),
    Check("state_size_constant", states.state_size_constant),
    Check("gradients_reach_every_parameter", training.gradients_reach_every_parameter, updated=True),
    Check("gradients_of_views_agree", training.gradients_of_views_agree, updated=True),
    Check("gradients_of_chunks_agree", training.gradients_of_chunks_agree, updated=True),
    Check("gradients_equal_differences", derivatives.gradients_equal_differences, updated=True),
    Check("gradients_through_time", derivatives.gradients_through_time, updated=True),
    Check("no_gradient_crosses_a_reset", training.no_gradient_crosses_a_reset, updated=True),
    Check("float32_equals_float64", precision.float32_equals_float64, updated=True),
    Check("float32_over_long_episodes", precision.float32_over_long_episodes, updated=True),
    Check("float32_after_training", precision.float32_after_training),
    Check("eval_deterministic", training.eval_deterministic),
    Check("state_dict_round_trip", training.state_dict_round_trip, updated=True),
    Check("param_groups_complete", training.param_groups_complete),
)


def check_backbone(
    backbone: Source,
    *,
    d_model: int = 8,
    options: Mapping[str, Any] | None = None,
    excuses: Mapping[str, str] | None = None,
    only: Collection[str] | None = None,
    seed: int = 0,
    on_result: Callable[[CheckResult], None] | None = None,
) -> CheckReport:
    """Run every check on `backbone`.

    Args:
        backbone: a built-in name, ``package.module:Class``, ``path/file.py:Class``, a class, or a function
            ``(d_model, **options)`` that makes an instance.
        d_model: width to build it with.
        options: keyword options of its constructor; options named ``*dropout*`` are 0 unless given, because train()
            mode is compared too.
        excuses: check name -> reason why it may fail. Strict: an excused check that passes is a failure.
        only: names of the checks to run; None for all, which alone say that the contract is kept.
        seed: root of all random streams.
        on_result: called with each result as it comes.

    Raises:
        UsageError: the name or an option is unknown, `only` or an excuse names no check, or an excuse gives no reason.
    """
    excuses = dict(excuses or {})
    _refuse_bad_excuses(excuses)
    chosen = chosen_checks(only)
    name, make = _maker(backbone, d_model, dict(options or {}))
    results: list[CheckResult] = []
    with torch.random.fork_rng(devices=[]):  # initialisation and dropout draw from the global generator
        _refuse_bad_options(make)
        for check in chosen:
            result = _run(check, lambda check=check: _prepare(check, make, d_model, seed), excuses.get(check.name))  # type: ignore[misc]
            results.append(result)
            if on_result is not None:
                on_result(result)
    return CheckReport(name, tuple(results))


def chosen_checks(only: Collection[str] | None) -> list[Check]:
    """The checks of these names in their own order; None is all. `UsageError` where a name is of none."""
    for name in only or ():
        _refuse_unknown(name, "only")
    return [check for check in CHECKS if only is None or check.name in only]


def _maker(backbone: Source, d_model: int, options: dict[str, Any]) -> tuple[str, Callable[[], Backbone]]:
    if isinstance(backbone, str):
        backbone = BACKBONES.spelled_out(backbone)
        options = _without_dropout(load_class(backbone), options)
        return backbone, lambda: make_backbone(backbone, d_model, options)
    if isinstance(backbone, type):
        if not issubclass(backbone, Backbone):
            raise UsageError(f"{backbone!r} is not a subclass of dsbench.backbones.Backbone; only such can be checked")
        options = _without_dropout(backbone, options)
    name = getattr(backbone, "__name__", type(backbone).__name__)
    return name, lambda: backbone(d_model, **options)


def _without_dropout(cls: type[Backbone], options: dict[str, Any]) -> dict[str, Any]:
    return {option: 0.0 for option in options_of(cls) if "dropout" in option} | options


def _refuse_bad_options(make: Callable[[], Backbone]) -> None:
    # A wrong option, a missing kernel or a constructor from outside that raises is the caller's mistake; whatever else goes
    # wrong, each check reports.
    try:
        make()
    except UsageError:
        raise
    except Exception as error:
        if (theirs := blamed(error)) is not None:
            raise theirs from error


def _prepare(check: Check, make: Callable[[], Backbone], d_model: int, seed: int) -> Probe:
    probe = Probe(make, d_model, seed, check.name)
    if check.updated:
        probe.update(probe.backbone)
    return probe


def _run(check: Check, prepare: Callable[[], Probe], excuse: str | None) -> CheckResult:
    begin = time.perf_counter()
    status: Status
    said, frames = "", tuple[Frame, ...]()
    try:
        probe = prepare()
        check.function(probe)
        status, detail = "passed", probe.detail()
    except CheckFailed as failure:
        status, detail = "failed", str(failure)
    except Exception as error:  # a backbone may raise anything; the other checks still have something to say
        status, detail, said, frames = "failed", brief(error), one_line(error), tuple(frames_of(error))
    if excuse is not None:
        if status == "failed":
            status = "excused"
        else:
            status, detail = "stale_excuse", f"passes although it is excused ({excuse}); remove the excuse"
    return CheckResult(check.name, status, time.perf_counter() - begin, detail, excuse or "", said, frames)


def _refuse_bad_excuses(excuses: Mapping[str, str]) -> None:
    for name, reason in excuses.items():
        _refuse_unknown(name, "an excuse")
        if not reason.strip():
            raise UsageError(f"the excuse for {name!r} gives no reason; say why this backbone may fail it")


def _refuse_unknown(name: str, who: str) -> None:
    names = [check.name for check in CHECKS]
    if name not in names:
        hint = suggestion(name, names) or f"Known: {', '.join(names)}."
        raise UsageError(f"{who} names the check {name!r}, which does not exist. {hint}")
