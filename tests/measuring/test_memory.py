"""Memory that is counted is memory that was asked for."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch

from dsbench.config import RunConfig, resolve
from dsbench.measuring.apart import Apart
from dsbench.measuring.cells import build_model
from dsbench.measuring.memory import occupied, peak_allocated
from dsbench.measuring.plan import Cell
from dsbench.running.process import process_environment

CPU = torch.device("cpu")
MIB = 2**20


def config(backbone: str, **options: object) -> RunConfig:
    sizes = ("backbone.d_model=8", "backbone.n_layers=2", *(f"backbone.{k}={v}" for k, v in options.items()))
    return resolve(backbone=backbone, env="umbrella", overrides=sizes)


def allocate() -> None:
    """16 MiB, then 32 beside it, then 8 in the place of the first: 48 at once."""
    first = torch.ones(4 * MIB)
    second = torch.ones(8 * MIB)
    del first
    third = torch.ones(2 * MIB)
    assert len(second) + len(third) == 10 * MIB


def test_the_peak_is_that_of_what_lives_at_once() -> None:
    assert peak_allocated(allocate, CPU) == pytest.approx(48 * MIB, rel=0.05)


def test_what_was_there_before_does_not_count() -> None:
    kept = torch.ones(4 * MIB)

    def grow() -> None:
        assert (kept + 1).sum() > 0

    assert peak_allocated(grow, CPU) == pytest.approx(16 * MIB, rel=0.05)


@pytest.mark.skipif(sys.platform != "linux", reason="the high-water mark is put back through /proc")
def test_resident_memory_grows_by_what_is_touched_and_shrinks_again() -> None:
    """In a process of its own, as a bench counts it: what other tests left free in this one would be used again."""
    program = (
        "import torch\nfrom dsbench.measuring.memory import rss_growth\n"
        "for _ in range(2):  # the second time it was given back\n"
        f"    print(rss_growth(lambda: [torch.ones({4 * MIB}), torch.ones({8 * MIB})]))"
    )
    environment = {**os.environ, **process_environment(1)}
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment)
    for line in shown.stdout.split():
        assert 0.9 * 48 * MIB < int(line) < 1.25 * 48 * MIB


def test_a_cache_grows_with_its_context_and_a_state_does_not() -> None:
    state = {
        (name, t): occupied(Cell(name, mode, "model", t), config(name), CPU)["state_bytes"]
        for name, mode in (("gpt", "kv_cache"), ("lstm", "recurrent"))
        for t in (3, 30)
    }  # fmt: skip
    kept = 2 * 2 * 8 * 4  # layers, keys and values, width, float32
    assert [state["gpt", t] for t in (3, 30)] == [t * kept + 2 * 8 for t in (3, 30)]  # and a count a layer
    assert state["lstm", 3] == state["lstm", 30] == kept


def test_an_update_has_two_moments_and_a_step_for_every_parameter() -> None:
    cell = Cell("lstm", "train", length=5, batch=2)
    found = occupied(cell, config("lstm"), CPU)
    steps = 4 * len(list(build_model(cell, config("lstm"), CPU)[0].parameters()))
    assert found["optimiser_bytes"] == 2 * found["parameter_bytes"] + steps
    assert found["state_bytes"] is None
    assert found["peak_allocated_bytes"] >= found["parameter_bytes"]  # the gradients


def test_a_process_apart_counts_the_same_and_its_failure_is_a_reason() -> None:
    apart = Apart(CPU, threads=1, seconds_limit=60)
    cell = Cell("gpt", "kv_cache", "model", 30)
    found, reason = apart.occupied(cell, config("gpt"))
    assert reason is None
    assert found["state_bytes"] == 30 * 128 + 16
    found, reason = apart.occupied(Cell("gpt", "train", length=0), config("gpt"))
    assert found == {}
    assert reason is not None and reason.startswith("memory: ")
    found, reason = Apart(CPU, threads=1, seconds_limit=0.0).occupied(cell, config("gpt"))
    assert (found, reason) == ({}, "memory: not counted within 0 s")
