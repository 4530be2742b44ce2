"""The worker as a process: one row, made once, the same bits however often it was killed; bad input writes nothing."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from dsbench import rollout
from dsbench.config import from_dict, resolve, run_id, to_dict
from dsbench.decision.policy import load_policy
from dsbench.envs import get_spec
from dsbench.envs.targets import Target
from dsbench.errors import UsageError
from dsbench.outside import trust
from dsbench.records.run_folder import RunFolder
from dsbench.running.experiment import Experiment
from dsbench.running.request import WorkerRequest
from dsbench.seeds import seed_for
from dsbench.stopping import STOPPING

ROOT = Path(__file__).parents[2]
SMALL = [
    "env.chain_length=3", "env.n_distractor=1", "backbone.d_model=8", "device=cpu", "train.batch_size=8",
    "train.updates=300", "train.eval_every=100", "train.checkpoint_every=20", "wrapper.embedding_dropout=0.1",
]  # fmt: skip
COSTS = ("latency", "train_seconds", "train_tokens", "train_contended", "peak_rss")  # differ from run to run


class Bench:
    """Starts workers on one configuration; data in one folder, results in folders by name."""

    def __init__(self, tmp: Path, backbone: str = "mlp", overrides: tuple[str, ...] = ()) -> None:
        self.tmp = tmp
        config = resolve(preset="smoke", backbone=backbone, env="umbrella", overrides=[*SMALL, *overrides])
        self.settings = to_dict(config)

    def start(self, results: str, *flags: str) -> subprocess.Popen[str]:
        file = self.tmp / "request.json"
        file.write_text(json.dumps(WorkerRequest.of(from_dict(self.settings)).to_json()))
        command = [
            sys.executable,
            "-m",
            "dsbench.running.worker",
            "--results",
            str(self.tmp / results),
            "--request",
            str(file),
        ]
        environment = {
            **os.environ,
            **trust.environment(),
            "DSBENCH_DATA": str(self.tmp / "data"),
            "OMP_NUM_THREADS": "1",
        }
        environment.pop("DSBENCH_PROGRESS_FD", None)
        return subprocess.Popen([*command, *flags], env=environment, cwd="/", stderr=subprocess.PIPE, text=True)

    def finish(self, results: str, *flags: str) -> tuple[int, str]:
        """(exit code, stderr) of a worker that is left alone."""
        process = self.start(results, *flags)
        _, errors = process.communicate(timeout=120)
        return process.returncode, errors

    def folder(self, results: str) -> RunFolder:
        return RunFolder.open(self.tmp / results, run_id(from_dict(self.settings)))

    def stop_in_training(self, results: str, number: int, delay: float) -> int:
        """Send a signal `delay` seconds after the first checkpoint of this process; its exit code."""
        checkpoints = self.folder(results).checkpoints
        before = checkpoints.updates()[-1:]
        process = self.start(results)
        while checkpoints.updates()[-1:] == before and process.poll() is None:
            time.sleep(0.002)
        time.sleep(delay)
        process.send_signal(number)
        process.communicate(timeout=120)
        return process.returncode


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    bench = Bench(tmp_path_factory.mktemp("worker"))
    code, errors = bench.finish("whole")
    assert code == 0, errors
    return bench


def numbers(folder: RunFolder) -> dict[str, Any]:
    """The final row without what the machine decides."""
    row = folder.latest_result()
    assert row is not None
    own = ("sha256", "journal", *COSTS)  # a journal holds times and every start
    return {name: value for name, value in row.items() if not name.startswith(own)}


def assert_same(one: RunFolder, other: RunFolder) -> None:
    """Weights, optimiser moments and scores agree bit for bit."""
    assert numbers(one) == numbers(other)
    for name in ("final", 300):
        first, second = one.checkpoints_of(1).load(name), other.checkpoints_of(1).load(name)
        assert set(first.tensors) == set(second.tensors)
        for tensor, value in first.tensors.items():
            assert value.numpy().tobytes() == second.tensors[tensor].numpy().tobytes(), tensor


def scores(folder: RunFolder) -> dict[tuple[Any, ...], set[float]]:
    """Recorded metrics by what they measure; a repeated record adds nothing when it repeats the value."""
    found: dict[tuple[Any, ...], set[float]] = {}
    for record in folder.journal.read():
        if record["kind"] == "metric" and record["phase"] in ("train", "evaluate"):
            key = tuple(record.get(name) for name in ("phase", "split", "step", "metric", "decode", "target_return"))
            found.setdefault(key, set()).add(record["value"])
    return found


def test_a_run_ends_in_one_row_with_every_column(bench: Bench) -> None:
    row = bench.folder("whole").latest_result()
    assert row is not None
    assert row["status"] == "ok"
    assert row["reason"] is None
    assert row["updates"] == 300
    measured = {"first_action_accuracy", "regret", "return_mean"}
    decoded = {name + suffix for name in measured for suffix in ("", "_sample", "_opposite", "_opposite_sample")}
    assert decoded <= set(row)
    assert {"first_action_accuracy_best", "first_action_accuracy_mean_k", "best_step", "mean_k"} <= set(row)
    assert {"run_id", "backbone", "env", "seed", "target_return", "opposite_return", "decode", "acting"} <= set(row)
    assert {"data_sha256", "implementation", "implementation_reason", "loss", "train_seconds"} <= set(row)
    costs = {"latency_p50_us", "latency_p90_us", "latency_p99_us", "state_bytes", "peak_rss_bytes", "peak_device_bytes"}
    costs |= {"latency_p50_low_us", "latency_p50_high_us", "latency_contended"}
    assert costs | {"parameters_total", "parameters_backbone", "tokens_per_decision"} <= set(row)
    assert (row["device"], row["decision_context"]) == ("cpu", None)
    assert 0 <= row["train_contended"] < 1
    assert bench.folder("whole").status() == "ok"


def test_the_same_command_again_trains_nothing(bench: Bench) -> None:
    folder = bench.folder("whole")
    before = {path: path.stat().st_mtime_ns for path in folder.path.rglob("*") if path.is_file()}
    assert bench.finish("whole") == (0, "")
    after = {path: path.stat().st_mtime_ns for path in folder.path.rglob("*") if path.is_file()}
    assert {path for path in before | after if before.get(path) != after.get(path)} <= {folder.path / "claim.lock"}


@pytest.mark.slow  # the kills below show the same, and more
def test_another_process_in_another_folder_gives_the_same_bits(bench: Bench) -> None:
    assert bench.finish("again")[0] == 0
    assert_same(bench.folder("whole"), bench.folder("again"))
    assert scores(bench.folder("whole")) == scores(bench.folder("again"))


def test_three_kills_leave_no_trace_in_the_result(bench: Bench) -> None:
    draw = random.Random(5)
    killed = [bench.stop_in_training("killed", signal.SIGKILL, draw.uniform(0, 0.15)) for _ in range(3)]
    assert killed == [-signal.SIGKILL] * 3
    assert bench.folder("killed").status() == "interrupted"
    code, errors = bench.finish("killed")
    assert code == 0, errors
    events = [record["event"] for record in bench.folder("killed").journal.read() if record["kind"] == "event"]
    assert events.count("resume") == 3
    assert_same(bench.folder("whole"), bench.folder("killed"))
    assert scores(bench.folder("whole")) == scores(bench.folder("killed"))


def test_sigterm_saves_ends_with_143_and_resumes(bench: Bench) -> None:
    assert bench.stop_in_training("stopped", signal.SIGTERM, 0.05) == 143
    folder = bench.folder("stopped")
    assert folder.status() == "interrupted"
    assert 20 <= folder.checkpoints.updates()[-1] < 300
    assert bench.finish("stopped")[0] == 0
    assert_same(bench.folder("whole"), folder)


def test_a_loaded_policy_scores_what_the_row_says(bench: Bench) -> None:
    folder, settings = bench.folder("whole"), bench.settings
    row, final = folder.latest_result(), folder.checkpoints_of(1).load("final")
    policy = load_policy(folder.path)
    assert row is not None
    assert not policy.training
    assert all(torch.equal(tensor, final.tensors[name]) for name, tensor in policy.state_dict().items())
    spec = get_spec("umbrella", chain_length=3, n_distractor=1)
    for decode, suffix in (("argmax", ""), ("sample", "_sample")):
        means = rollout.evaluate(
            policy, spec, split="eval", seed=seed_for(settings["seed"], spec.task, "eval"),
            episodes=settings["eval"]["episodes"], target=Target(row["target_return"]), decode=decode,  # type: ignore[arg-type]
        ).means()  # fmt: skip
        assert means["return"] == row[f"return_mean{suffix}"]
        assert means["first_action_accuracy"] == row[f"first_action_accuracy{suffix}"]


def test_a_live_run_is_left_alone(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    with bench.folder("held").claim():
        code, errors = bench.finish("held")
    assert code == 75
    assert f"pid {os.getpid()}" in errors
    assert not (bench.folder("held").path / "config.yaml").exists()


def test_two_hosts_without_common_locks_end_well_both(bench: Bench, tmp_path: Path) -> None:
    file = tmp_path / "request.json"
    file.write_text(json.dumps(WorkerRequest.of(from_dict(bench.settings)).to_json()))
    shown = subprocess.run(
        [sys.executable, "-m", "tests.running.two_hosts", str(tmp_path / "results"), str(file)],
        capture_output=True, text=True, cwd=ROOT, env={**os.environ, "DSBENCH_DATA": str(tmp_path / "data")},
    )  # fmt: skip
    assert shown.stdout.split() == ["0", "0"], shown.stderr
    folder = RunFolder.open(tmp_path / "results", run_id(from_dict(bench.settings)))
    assert_same(bench.folder("whole"), folder)
    assert scores(bench.folder("whole")) == scores(folder)


def test_a_storm_of_signals_keeps_the_checkpoint(bench: Bench) -> None:
    folder = bench.folder("storm")
    process = bench.start("storm")
    while not folder.checkpoints.updates() and process.poll() is None:
        time.sleep(0.002)
    before = folder.checkpoints.updates()
    for number in (signal.SIGUSR2, *STOPPING, *STOPPING):
        process.send_signal(number)
        time.sleep(0.005)
    process.communicate(timeout=120)
    # The last signal may find a Python that is past its end and has let go of its handlers.
    assert process.returncode in {code for number in STOPPING for code in (128 + number, -number)}
    events = [record["event"] for record in folder.journal.read() if record["kind"] == "event"]
    assert events[-2:] == ["checkpoint", "interrupted"]
    assert folder.checkpoints.updates()[-1] > before[-1]
    assert bench.finish("storm")[0] == 0
    assert_same(bench.folder("whole"), folder)


def test_memory_that_is_refused_is_out_of_memory(tmp_path: Path) -> None:
    (tmp_path / "hungry.py").write_text(HUNGRY)
    bench = Bench(tmp_path, f"{tmp_path / 'hungry.py'}:Hungry")
    code, errors = bench.finish("results")
    assert (code, errors) == (1, "")
    row = bench.folder("results").latest_result()
    assert row is not None
    assert (row["status"], row["attempt"]) == ("out_of_memory", 1)
    assert "can't allocate memory" in row["reason"]


def test_a_wrong_option_ends_with_2_and_writes_nothing(tmp_path: Path) -> None:
    code, errors = Bench(tmp_path, overrides=("backbone.n_layer=1",)).finish("refused")
    assert code == 2
    assert errors == "Error: backbone 'mlp' has no option 'n_layer'. Did you mean 'n_layers'?\n"
    assert [path.name for path in tmp_path.iterdir()] == ["request.json"]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("env.chain_lenght=3",), "Did you mean 'chain_length'"),
        (("data.recipe=randon",), "Did you mean 'random'"),
        (("backbone.n_layers=0",), "expected a positive integer"),
        (("wrapper.tokens=separate",), "wrapper.tokens=joint"),
        (("wrapper.time=table",), "needs wrapper.max_timestep"),
        (("wrapper.time=table", "wrapper.max_timestep=2"), "3 timesteps and wrapper.max_timestep is 2"),
    ],
)
def test_what_is_wrong_is_known_before_a_file_is_written(
    tmp_path: Path, overrides: tuple[str, ...], message: str
) -> None:
    config = from_dict(Bench(tmp_path, overrides=overrides).settings)
    with pytest.raises(UsageError, match=message):
        Experiment(config, lambda *_: None)


HUNGRY = """
import torch
from dsbench.backbones.mlp import MLP

class Hungry(MLP):
    def forward(self, *arguments):
        if self.training:
            torch.empty(2**60, dtype=torch.uint8)
        return super().forward(*arguments)
"""
DIVERGES = """
from torch import nn
from dsbench.backbones import Backbone

class Explodes(Backbone):
    receptive_field = 1

    def __init__(self, d_model):
        super().__init__(d_model)
        self.inner = nn.Linear(d_model, d_model)
        self.scale = nn.Identity()
        self.calls = 0

    def parallel(self, x):
        self.calls += self.training
        return self.scale(self.inner(x) * (float("inf") if self.calls > 60 else 1.0))
"""


def test_a_divergence_is_a_result_that_names_the_layer(tmp_path: Path) -> None:
    (tmp_path / "explodes.py").write_text(DIVERGES)
    bench = Bench(tmp_path, f"{tmp_path / 'explodes.py'}:Explodes")
    code, errors = bench.finish("results")
    assert (code, errors) == (1, "")
    row = bench.folder("results").latest_result()
    assert row is not None
    assert row["status"] == "diverged"
    assert row["reason"].startswith("update 60: loss nan; first bad layer: backbone.scale;")
    assert {"run_id", "backbone", "env", "seed"} <= set(row)
    assert bench.finish("results")[0] == 1  # a result, not made again
