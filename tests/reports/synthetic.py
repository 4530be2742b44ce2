"""Run folders as the worker leaves them, made in bulk: the same bytes, without training and without waiting for the disk."""

from __future__ import annotations

import copy
import hashlib
import json
import re
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from dsbench.records.encoding import seal

CONFIG: dict[str, Any] = {
    "backbone": {"name": "s4", "d_model": 64},
    "env": {"name": "umbrella"},
    "data": {"recipe": "random", "episodes": 10_000, "seed": 0, "permute_returns": False, "top_percent": None},
    "wrapper": {
        "tokens": "joint", "condition": "return", "previous_action": None, "time": "sinusoidal", "max_timestep": None,
        "combine": "sum", "encoder_width": None, "encoder_activation": "none", "embedding_norm": False,
        "action_tanh": False, "embedding_dropout": 0.0,
    },
    "train": {
        "updates": 500, "batch_size": 64, "lr": 0.003, "warmup": 50, "schedule": "cosine", "clip": 1.0,
        "weight_decay": 0.01, "window": 20, "row_length": None, "mean_last_k": 5, "balance_returns": False,
        "objective": "action", "log_every": 20, "eval_every": 100, "checkpoint_every": 200,
    },
    "eval": {
        "episodes": 100, "selection_episodes": 20, "seed": 0, "target_return": None, "target_quantile": 0.95,
        "opposite_quantile": 0.05, "decode": ["argmax", "sample"], "acting": None, "window": None,
    },
    "measure": {"warmup": 50, "steps": 500},
    "seed": 0, "threads": 1, "device": "auto", "precision": "fp32", "policy": "learned", "time_limit_s": None,
    "stall_limit_s": 600.0, "preset": "quick",
}  # fmt: skip
ORIGIN: dict[str, Any] = {
    "dsbench": "0.1.0",
    "environment": {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "MALLOC_TRIM_THRESHOLD_": "2147483647"},
    "git": {"commit": "0123456789abcdef", "dirty": False, "reason": None},
    "machine": {
        "architecture": "x86_64", "cores_usable": 4, "cores_physical": 4, "cpu_isa": ["avx", "avx2", "fma", "avx512f"],
        "cpu_model": "Abacus 3", "memory_bytes": 2**34, "release": "6.1", "system": "Linux",
    },
    "packages": {"torch": "2.13.0", "numpy": "2.4.6", "gymnasium": "1.4.0", "pandas": "3.1.1", "scipy": "1.17.1"},
    "torch": {"threads": 1, "gpus": [], "cuda": None, "parallel_info": [f"ATen/Parallel, line {n}" for n in range(12)]},
    "python": "3.11.7",
}  # fmt: skip
LOSSES, EVALUATIONS = 25, 5  # lines of a journal: a loss every 20 updates, an evaluation every 100


def make_run(
    results: Path,
    backbone: str,
    env: str,
    seed: int,
    score: float | None = 0.5,
    *,
    settings: Mapping[str, Any] | None = None,
    result: Mapping[str, Any] | None = None,
    origin: Mapping[str, Any] | None = None,
    options: Mapping[str, Any] | None = None,
    status: str = "ok",
    metric: str = "return_mean",
    normalised: bool = True,
) -> str:
    """One run; returns its id.

    Args:
        results: the results folder.
        backbone: its name.
        env: its environment.
        seed: its seed.
        score: by `metric`; the normalised score is 100 times it.
        settings: dotted name -> value, over those of `CONFIG`.
        result: further columns of the final row.
        origin: parts of the provenance, over those of `ORIGIN`.
        options: of the environment, defaults included, as the data event tells them.
        status: any of a run's; ``running`` and ``interrupted`` have no final row.
        metric: the measure that counts.
        normalised: whether there is a normalised score.
    """
    config = copy.deepcopy(CONFIG)
    config["backbone"]["name"], config["env"]["name"], config["seed"] = backbone, env, seed
    for name, value in (settings or {}).items():
        part, _, key = name.rpartition(".")
        (config[part] if part else config)[key] = value
    text = yaml.dump(config, Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper), sort_keys=False, allow_unicode=True)
    digest = hashlib.sha256(text.encode()).hexdigest()
    version = dict(origin or {}).get("result_version", "")  # it is part of a name
    named = hashlib.sha256(f"{text}{version}".encode()).hexdigest()
    run_id = re.sub(r"[^a-z0-9-]+", "_", f"{backbone}-{env}-s{seed}-{named[:10]}-made".lower()).strip("_")
    folder = results / "runs" / run_id
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_bytes(f"# dsbench run, sha256 of the lines below: {digest}\n{text}".encode())
    (folder / "provenance.json").write_bytes(seal(ORIGIN | dict(origin or {})))
    claim = {"attempt": 1, "host": "node", "pid": 7, "boot_id": None, "since": "2026-01-01T00:00:00+00:00"}
    (folder / "claim.json").write_bytes(seal(claim))
    journal = _journal(env, seed, score, metric, dict(options or {}), status)
    (folder / "journal.jsonl").write_bytes(journal)
    if status in ("running", "interrupted"):
        return run_id
    row = {"run_id": run_id, "backbone": backbone, "env": env, "seed": seed, "attempt": 1, "status": status}
    row |= {"reason": None} | (_measured(score, metric, normalised) if status == "ok" else {"reason": "it broke"})
    sealed = {"journal": {"lines": journal.count(b"\n"), "sha256": hashlib.sha256(journal).hexdigest()}}
    (folder / "result-1.json").write_bytes(seal(row | sealed | dict(result or {})))
    return run_id


def seeds(results: Path, backbone: str, env: str, scores: list[float], **given: object) -> None:
    """A run for each score, of seeds from 0 on; `given` as in `make_run`."""
    for seed, score in enumerate(scores):
        make_run(results, backbone, env, seed, score, **given)  # type: ignore[arg-type]


def make_runs(results: Path, backbones: int, envs: int, seeds: int) -> int:
    """A grid of runs whose scores differ; one in 97 failed. Returns their number."""
    generator = np.random.default_rng(0)
    scores = generator.uniform(0.2, 0.9, (backbones, envs, 1)) + 0.05 * generator.normal(size=(backbones, envs, seeds))
    latencies = generator.uniform(100, 900, (backbones, envs, seeds))
    for place, (one, env, seed) in enumerate(np.ndindex(backbones, envs, seeds)):
        make_run(
            results, f"backbone{one}", f"task{env}", seed, float(scores[one, env, seed]),
            result={"latency_p50_us": float(latencies[one, env, seed]), "parameters_total": 10_000 * (one + 1)},
            status="failed" if place % 97 == 5 else "ok",
        )  # fmt: skip
    return backbones * envs * seeds


def _measured(score: float | None, metric: str, normalised: bool) -> dict[str, Any]:
    row = {
        "success_metric": metric, metric: score, "return_mean": score, "latency_p50_us": 500.0, "decode": "argmax",
        "parameters_total": 70_000, "parameters_trainable": 70_000, "parameters_backbone": 66_000, "acting": "stateful",
        "peak_rss_bytes": 3 * 2**28, "train_tokens_per_second": 50_000.0, "state_bytes": 1024, "target_return": 1.0,
        "target_rule": "quantile of the data", "train_seconds": 10.0, "updates": 500, "tokens_per_decision": 1,
        "latency_contended": 0.0, "train_contended": 0.0, "decision_implementation": "torch", "device": "cpu",
    }  # fmt: skip
    return row | ({"score_normalised": 100 * score} if normalised and score is not None else {})


def _journal(env: str, seed: int, score: float | None, metric: str, options: Mapping[str, Any], status: str) -> bytes:
    name = "return" if metric == "return_mean" else metric
    records: list[dict[str, Any]] = [{"kind": "event", "event": "data", "detail": {"env": env, "options": options}}]
    for number in range(1, LOSSES + 1):
        records.append({"kind": "metric", "metric": "loss", "value": 1 / number, "phase": "train", "step": 20 * number})
    for number in range(1, EVALUATIONS + 1):
        for split in ("selection", "eval"):
            value = None if score is None else score * number / EVALUATIONS
            told = {"kind": "metric", "metric": name, "value": value, "phase": "train", "split": split}
            records.append(told | {"step": 100 * number, "decode": "argmax", "acting": "stateful"})
            if name != "return":
                records.append(records[-1] | {"metric": "return"})
    if status not in ("running", "interrupted"):
        records.append({"kind": "event", "event": "end", "detail": {"status": status}})
    return b"".join(map(_line, records))


def _line(record: Mapping[str, Any]) -> bytes:
    text = json.dumps({**record, "time": 1.0, "attempt": 1}, separators=(",", ":")).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)
