"""The check catches every planted fault by the right name, and passes what is healthy."""

from __future__ import annotations

import contextlib
import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from dsbench.backbones.catalogue import BACKBONES
from dsbench.backbones.check import CHECKS, CheckReport, check_backbone
from dsbench.backbones.check.probe import LONGEST
from dsbench.backbones.contract import options_of
from dsbench.envs import get_spec
from dsbench.envs.catalogue import ENVS
from dsbench.errors import MissingExtra, UsageError

EXAMPLES = Path(__file__).parent / "examples"
FAULTS = EXAMPLES / "planted_faults.py"
IN_TIME = EXAMPLES / "planted_in_time.py"
AWKWARD = EXAMPLES / "awkward_but_right.py"
CAUGHT_BY = {
    "LooksAhead": {"causality", "causality_after_update"},
    "ForgetfulStep": {"forward_equals_step"},
    "CachedGate": {"forward_equals_step_after_update"},
    "LeakyReset": {"reset_drops_the_state", "resets_equal_episodes"},
    "MultiplyingReset": {"nan_does_not_survive_a_reset"},
    "BatchNorm": {"rows_independent"},
    "UnusedParameter": {"gradients_reach_every_parameter"},
    "BatchAxisSecond": {"batch_axis_first"},
    "WritesItsInput": {"inputs_not_mutated"},
    "WritesItsState": {"inputs_not_mutated"},
    "UnderstatedField": {"receptive_field"},
    "AbsolutePosition": {"receptive_field"},
    "DetachedStep": {"gradients_of_views_agree"},
    "GrowingState": {"state_size_constant"},
    "NoisyEval": {"eval_deterministic"},
    "HiddenTensor": {"state_dict_round_trip"},
    "GradientThroughReset": {"no_gradient_crosses_a_reset"},
    "SharedStepper": {"stepper_equals_step"},
    "LostParameter": {"param_groups_complete"},
    "AnyWidth": {"construction"},
    "SingleState": {"shape_and_dtype"},
    "EndOfTable": {"lengths_beyond_training"},
    "ForgetsWhatIsCarried": {"forward_equals_chunks"},
    "OtherParallel": {"scan_and_parallel_equal_forward"},
    "RowStatistics": {"right_padding_inert", "causality"},
    "OtherStructure": {"state_round_trip"},
}
# Right over a dozen tokens in float64; here the set is the whole finding.
THROUGH_TIME = {"gradients_through_time", "gradients_equal_differences"}
IN_FLOAT32 = {"float32_over_long_episodes", "float32_after_training"}
CAUGHT_IN_TIME = {
    "DetachedThroughout": THROUGH_TIME,
    "GradientOfAnother": THROUGH_TIME,
    "CumulativeRatios": IN_FLOAT32 | {"lengths_beyond_training"},
    "CumulativeRatiosOnceTrained": {"float32_after_training"},
    "DriftingScan": IN_FLOAT32,
    "TableOf1024": {"lengths_beyond_training"},
    "StepTableOf2000": {"lengths_beyond_training"} | IN_FLOAT32,
    "TruncatedGradient": {"gradients_through_time"},
    "GradientCutOnce": {"gradients_through_time"},
    "DetachedBetweenCalls": {"gradients_of_chunks_agree", "gradients_equal_differences"},
    "DetachedResult": {"gradients_of_chunks_agree", "gradients_equal_differences"},
    "WrongForOneParameter": {"gradients_equal_differences"},
    "WrongForOneEntry": {"gradients_equal_differences"},
    "WrongForTheFirstState": {"gradients_equal_differences"},
    "WrongWithResets": {"gradients_equal_differences"},
    "WrongScanAlone": {"gradients_of_views_agree"},
    "WrongInLongRows": {"gradients_of_chunks_agree"},
    "WrongInTraining": THROUGH_TIME,
    "ZeroGradientInFloat32": {"float32_equals_float64", "float32_over_long_episodes"},
    "NarrowInFloat32": {"float32_equals_float64"},
    "NarrowAlways": {"gradients_equal_differences"},
    "GrowingCache": {"state_size_constant"},
    "GrowsLate": {"state_size_constant", "lengths_beyond_training"},
    "InfiniteStep": {"float32_over_long_episodes"},
    "NoGradientFromLogs": {"float32_over_long_episodes"},
}
# What the message has to say about where the fault is.
SAYS = {
    "DetachedThroughout": ("gradients_through_time", "gradient of output 1 for the token 1 before it"),
    "GradientOfAnother": ("gradients_equal_differences", "3 of 4|mix.weight"),
    "CumulativeRatios": ("float32_over_long_episodes", "forward in float32 is not finite from token"),
    "TableOf1024": ("lengths_beyond_training", "forward takes 1,024 tokens and no more"),
    "StepTableOf2000": ("lengths_beyond_training", "step raises IndexError at token 2000 of 3,000"),
    "TruncatedGradient": ("gradients_through_time", "gradient of output 99 for the token 1 before it"),
    "GradientCutOnce": ("gradients_through_time", "gradient of output 1499 for the token 1 before it"),
    "WrongForOneParameter": ("gradients_equal_differences", "gradient for gate through forward"),
    "WrongForOneEntry": ("gradients_equal_differences", "gradient for mix.bias through forward"),
    "WrongWithResets": ("gradients_equal_differences", "through forward with a state and resets"),
    "WrongInLongRows": ("gradients_of_chunks_agree", "gradient for gate over 600 tokens"),
    "InfiniteStep": ("float32_over_long_episodes", "the stepper in float32 is not finite from token 2662"),
}
# Faults that no other check may report: the one name is the whole finding.
ALONE = {"MultiplyingReset", "UnusedParameter", "DetachedStep", "HiddenTensor", "LostParameter", "SharedStepper",
         "AnyWidth", "EndOfTable"}  # fmt: skip


def failed(report: CheckReport) -> set[str]:
    return {result.name for result in report.results if result.status == "failed"}


@pytest.mark.parametrize("fault", CAUGHT_BY)
def test_a_planted_fault_is_caught_by_the_right_check(fault: str) -> None:
    assert failed(check_backbone(f"{FAULTS}:{fault}", only=CAUGHT_BY[fault])) == CAUGHT_BY[fault]


@pytest.mark.slow  # every check on every fault
@pytest.mark.parametrize("fault", CAUGHT_BY)
def test_a_planted_fault_is_caught_by_few_checks(fault: str) -> None:
    report = check_backbone(f"{FAULTS}:{fault}")
    names = failed(report)
    assert CAUGHT_BY[fault] <= names
    assert not report.ok
    if fault in ALONE:
        assert {name.removesuffix("_after_update") for name in names} == {
            name.removesuffix("_after_update") for name in CAUGHT_BY[fault]
        }


@pytest.mark.slow  # every check on every fault
@pytest.mark.parametrize("fault", CAUGHT_IN_TIME)
def test_a_fault_in_time_or_in_float32_is_caught_by_its_checks_alone(fault: str) -> None:
    assert failed(check_backbone(f"{IN_TIME}:{fault}")) == CAUGHT_IN_TIME[fault]


@pytest.mark.parametrize("fault", CAUGHT_IN_TIME)
def test_a_fault_in_time_or_in_float32_is_caught_by_its_checks(fault: str) -> None:
    report = check_backbone(f"{IN_TIME}:{fault}", only=CAUGHT_IN_TIME[fault])
    assert failed(report) == CAUGHT_IN_TIME[fault]
    if fault in SAYS:
        check, place = SAYS[fault]
        detail = next(result.detail for result in report.results if result.name == check)
        assert re.search(place, detail), detail
        assert "Look for" in detail


def test_checks_are_chosen_by_name_and_run_in_their_own_order() -> None:
    report = check_backbone("mlp", only=["eval_deterministic", "causality"])
    assert [result.name for result in report.results] == ["causality", "eval_deterministic"]
    with pytest.raises(
        UsageError, match="only names the check 'casuality', which does not exist. Did you mean 'causality'"
    ):
        check_backbone("mlp", only=["casuality"])


def test_every_check_can_fail() -> None:
    tables = (CAUGHT_BY, CAUGHT_IN_TIME)
    caught = {name.removesuffix("_after_update") for table in tables for names in table.values() for name in names}
    assert caught == {check.name.removesuffix("_after_update") for check in CHECKS}


@pytest.mark.parametrize("file", [FAULTS, IN_TIME])
def test_the_healthy_twin_of_the_faults_passes(file: Path) -> None:
    report = check_backbone(f"{file}:Healthy")
    assert report.ok, report.failures()


@pytest.mark.parametrize(
    "name",
    ["Rectified", "RectifiedFromZero", "Clamped", "Chaotic", "LargestSoFar", "LearnedStart", "ClampedTable",
     "Checkpointed", "BlocksOfRatios", "Deep"],
)  # fmt: skip
def test_kinks_chaos_and_long_products_are_no_faults(name: str) -> None:
    report = check_backbone(f"{AWKWARD}:{name}")
    assert report.ok, report.failures()


def test_the_longest_episode_of_the_catalogue_is_checked() -> None:
    horizons = []
    for entry in ENVS:
        with contextlib.suppress(MissingExtra):
            horizons.append(get_spec(entry.name).horizon)
    assert 500 <= max(horizons) <= LONGEST / 3  # tokens of a timestep: return, observation, action


@pytest.mark.parametrize("name", ["GRU", "LinearAttention", "ShortConv", "ConvStack"])
def test_a_users_backbone_passes(name: str) -> None:
    report = check_backbone(f"{EXAMPLES / 'user_backbones.py'}:{name}")
    assert report.ok, report.failures()


@pytest.mark.parametrize("name", [entry.name for entry in BACKBONES])
def test_a_built_in_backbone_passes(name: str) -> None:
    report = check_backbone(name)
    assert report.ok, report.failures()


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("gpt", {"context_len": 4, "n_heads": 2}),
        ("gpt", {"block": "paper", "context_len": 5}),
        ("mamba", {"block": "paper"}),
        ("s4", {"n_layers": 1, "d_state": 4}),
        ("s4d", {"preset": "decision-s4"}),
    ],
)
def test_a_variant_of_a_built_in_backbone_passes(name: str, options: dict[str, Any]) -> None:
    report = check_backbone(name, options=options)
    assert report.ok, report.failures()


def test_messages_have_the_measured_number_the_bound_and_a_hint() -> None:
    report = check_backbone(f"{FAULTS}:LooksAhead")
    message = next(result.detail for result in report.results if result.name == "causality")
    assert "max difference 0.000" in message
    assert "> 1" in message
    assert "Look for" in message


def test_an_excuse_turns_a_failure_into_a_reasoned_pass() -> None:
    excuses = {"gradients_reach_every_parameter": "the parameter is kept for old checkpoints"}
    report = check_backbone(f"{FAULTS}:UnusedParameter", excuses=excuses)
    (result,) = (result for result in report.results if result.status == "excused")
    assert report.ok
    assert result.reason == "the parameter is kept for old checkpoints"


def test_an_excuse_for_a_check_that_passes_is_a_failure() -> None:
    report = check_backbone(f"{FAULTS}:Healthy", excuses={"causality": "it was acausal once"})
    assert not report.ok
    assert report.failures() == ["causality: passes although it is excused (it was acausal once); remove the excuse"]


@pytest.mark.parametrize(
    ("excuses", "message"), [({"causalty": "x"}, "'causality'"), ({"causality": " "}, "no reason")]
)
def test_a_bad_excuse_is_refused(excuses: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        check_backbone(f"{FAULTS}:Healthy", excuses=excuses)


def test_unknown_names_and_options_are_refused() -> None:
    with pytest.raises(UsageError, match="kernel_size"):
        check_backbone(f"{EXAMPLES / 'user_backbones.py'}:ShortConv", options={"kernel_sise": 3})
    with pytest.raises(UsageError, match="subclass"):
        check_backbone(torch.nn.Linear)  # type: ignore[arg-type]


def test_a_backbone_that_cannot_be_built_is_reported_not_raised() -> None:
    def broken(d_model: int) -> torch.nn.Module:
        raise RuntimeError("no such kernel")

    report = check_backbone(broken)  # type: ignore[arg-type]
    assert failed(report) == {check.name for check in CHECKS}
    assert "RuntimeError: no such kernel" in report.failures()[0]


def test_a_class_and_a_function_can_be_checked_and_the_global_generator_stays() -> None:
    spec = importlib.util.spec_from_file_location("planted_faults_for_test", FAULTS)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    before = torch.get_rng_state()
    by_class, by_function = check_backbone(module.Healthy), check_backbone(lambda d_model: module.Healthy(d_model))
    assert torch.equal(before, torch.get_rng_state())
    assert by_class.ok
    assert by_function.ok
    assert [row["detail"] for row in by_class.table()] == [row["detail"] for row in by_function.table()]
    assert options_of(module.Healthy) == {}
