"""`dsbench export-model`: the written file decides as the policy does, without dsbench."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces

from dsbench.backbones.state import flatten
from dsbench.cli import main
from dsbench.config import resolve, run_id, to_dict
from dsbench.decision import DecisionSequence
from dsbench.decision import export as export_module
from dsbench.decision.export import BOUND, export_model
from dsbench.decision.policy import build_policy, policy_spec
from dsbench.errors import UsageError
from dsbench.records.run_folder import RunFolder

onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

NUMBERS = spaces.Box(-np.inf, np.inf, (3,), np.float32)
MIXED = spaces.Dict(
    {"image": spaces.Box(0, 255, (16, 16, 3), np.uint8), "goal": spaces.Discrete(4, start=1), "speed": NUMBERS}
)
TORQUE = spaces.Box(np.array([-1.0, -2.0], np.float32), np.array([1.0, 3.0], np.float32))


def spec_of(
    backbone: str, seen: spaces.Space = NUMBERS, acts: spaces.Space | None = None, **options: Any
) -> dict[str, Any]:
    return policy_spec(
        observation_space=seen, action_space=acts or spaces.Discrete(4), backbone=backbone, d_model=8,
        backbone_options={}, **options,
    )  # fmt: skip


def made(spec: dict[str, Any]) -> DecisionSequence:
    torch.manual_seed(0)
    return build_policy(spec).eval()


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A results folder with one finished run."""
    config, spec = resolve(backbone="lstm", env="umbrella", overrides=["backbone.d_model=8"]), spec_of("lstm")
    folder = RunFolder.open(tmp_path, run_id(config))
    with folder.claim():
        folder.write_config(to_dict(config))
        folder.checkpoints.save("final", made(spec).state_dict(), {"policy": spec})
        folder.finish("ok", {"env": "umbrella", "target_return": 6.0})
    return tmp_path


def test_the_command_writes_what_it_says(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run,) = (results / "runs").iterdir()
    by_id = ["export-model", run.name, "--results", str(results), "--out", str(results / "a.onnx")]
    assert main(by_id) == 0
    shown = capsys.readouterr().out
    assert str(results / "a.onnx") in shown and str(results / "a.json") in shown
    assert f"(bound {BOUND:.0e})" in shown
    assert main(["export-model", str(run), "--out", str(results / "b.onnx")]) == 0
    assert (results / "a.onnx").read_bytes() == (results / "b.onnx").read_bytes()
    carried = onnxruntime.InferenceSession(results / "a.onnx").get_modelmeta().custom_metadata_map["dsbench"]
    told = json.loads((results / "a.json").read_text())
    assert json.loads(carried).items() <= told.items() and set(told) - set(json.loads(carried)) == {"model", "example"}
    assert told["trained"] == {"run": run.name, "environment": "umbrella", "target_return": 6.0}
    assert any('spec["trained"]["target_return"]' in line for line in told["example"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("export-model nothing --results RESULTS", "holds no run"),
        ("export-model RUN --out model.pt", "expected a name that ends in .onnx"),
    ],
)
def test_bad_input_is_one_line(arguments: str, message: str, results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run,) = (results / "runs").iterdir()
    assert main(arguments.replace("RESULTS", str(results)).replace("RUN", str(run)).split()) == 2
    shown = capsys.readouterr().err
    assert message in shown and shown.count("\n") == 1


@pytest.mark.parametrize(
    "spec",
    [
        spec_of("s4d", tokens="separate", embedding_norm=True),
        spec_of("gpt", MIXED, TORQUE, action_tanh=True, combine="concat"),
        spec_of("mamba", acts=TORQUE, tokens="separate", time="table", max_timestep=7),
        spec_of("mlp", previous_action=False, condition="none", time="none"),
    ],
    ids=["s4d", "gpt", "mamba", "mlp"],
)
def test_the_file_decides_as_the_policy_does(spec: dict[str, Any], tmp_path: Path) -> None:
    policy = made(spec)
    assert export_model(policy, tmp_path / "policy.onnx").gap <= BOUND
    told = json.loads((tmp_path / "policy.json").read_text())
    model = onnxruntime.InferenceSession(tmp_path / "policy.onnx")
    assert [i.name for i in model.get_inputs()] == [i["name"] for i in told["inputs"]]
    assert [i.shape for i in model.get_inputs()] == [i["shape"] for i in told["inputs"]]
    assert [o.name for o in model.get_outputs()] == [o["name"] for o in told["outputs"]]
    assert [o.shape for o in model.get_outputs()] == [o["shape"] for o in told["outputs"]]
    initial = {f"state/{name}": leaf for name, leaf in flatten(policy.initial_state(1)).items()}
    assert set(initial) == set(told["initial_state"]) == set(told["state"])
    for name, leaf in initial.items():
        assert float(leaf.sum()) == told["initial_state"][name]["fill"] * leaf.numel()


def test_the_example_acts_without_dsbench(tmp_path: Path) -> None:
    policy = made(spec_of("lstm"))
    export_model(policy, tmp_path / "policy.onnx")
    program = "\n".join(json.loads((tmp_path / "policy.json").read_text())["example"])
    (tmp_path / "policy.json").unlink()  # the model says all that is needed
    assert program.count("\n") < 13
    program += "\nimport sys; print(any(name in sys.modules for name in ('torch', 'dsbench')))"
    ran = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    *actions, imported = ran.stdout.split("\n")[:-1]
    assert imported == "False"
    assert [int(action.strip("[]")) for action in actions] == zeros_seen(policy, decisions=3)


def zeros_seen(policy: DecisionSequence, decisions: int) -> list[int]:
    """Actions of a policy that sees zeros."""
    state, action, taken = policy.initial_state(1), None, []
    for t in range(decisions):
        action, state = policy.act(
            torch.zeros(1, 3), state, return_to_go=torch.zeros(1), previous_action=action,
            first=torch.tensor([t == 0]), timestep=torch.tensor([t]),
        )  # fmt: skip
        taken.append(int(action))
    return taken


def test_a_model_that_differs_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_module, "largest_gap", lambda *_: float("nan"))
    with pytest.raises(UsageError, match="nothing was written"):
        export_model(made(spec_of("lstm")), tmp_path / "policy.onnx")
    assert not list(tmp_path.iterdir())
