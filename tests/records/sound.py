"""Small results as they are stored: runs, a bench and a pack, without training anything."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from dsbench.config import RunConfig, to_dict
from dsbench.config.naming import run_id
from dsbench.records.encoding import seal
from dsbench.records.pack import is_packed, pack_bytes
from dsbench.records.run_records import HEADER
from tests.records.forging import Sound
from tests.reports.synthetic import ORIGIN

BENCH = "20260101t000000-quick"
Files = dict[str, bytes]


def run_files(
    backbone: str,
    env: str = "umbrella",
    seed: int = 0,
    score: float = 0.5,
    *,
    status: str = "ok",
    before: bool = False,
    settings: Mapping[str, Any] | None = None,
    result: Mapping[str, Any] | None = None,
    origin: Mapping[str, Any] | None = None,
) -> tuple[str, Files]:
    """The id and the files of a run.

    Args:
        backbone, env, seed: what it is.
        score: by its measure, the share of first actions that are right.
        status: as in a final row; ``interrupted`` has a note in its place.
        before: as it was once: one provenance for all attempts, no seal of the journal in the final row.
        settings: part -> name -> value, over the defaults.
        result: further columns of the final row.
        origin: parts of the provenance.
    """
    given: dict[str, Any] = {"backbone": {"name": backbone}, "env": {"name": env}, "seed": seed}
    for part, values in (settings or {}).items():
        given[part] = given.get(part, {}) | values
    config = RunConfig.model_validate(given)
    name, text = run_id(config), yaml.safe_dump(to_dict(config), sort_keys=False).encode()
    journal = _journal(env, score, status)
    row = {
        "run_id": name,
        "backbone": backbone,
        "env": env,
        "seed": seed,
        "attempt": 1,
        "status": status,
        "reason": None,
    }
    row |= _measured(score) if status == "ok" else {"reason": "it was stopped"}
    row |= dict(result or {})
    if not before and status != "interrupted":
        row["journal"] = {"lines": journal.count(b"\n"), "sha256": hashlib.sha256(journal).hexdigest()}
    claim = {"attempt": 1, "host": "node", "pid": 7, "boot_id": None, "since": "2026-01-01T00:00:00+00:00"}
    return name, {
        "config.yaml": f"{HEADER}{hashlib.sha256(text).hexdigest()}\n".encode() + text,
        "provenance.json" if before else "provenance-1.json": seal(ORIGIN | dict(origin or {})),
        "claim.json": seal(claim),
        "journal.jsonl": journal,
        "interrupted-1.json" if status == "interrupted" else "result-1.json": seal(row),
    }


def _measured(score: float) -> dict[str, Any]:
    return {
        "success_metric": "first_action_accuracy", "first_action_accuracy": score, "first_action_accuracy_opposite": 0.1,
        "regret": 1 - score, "return_mean": 2 * score - 1, "score_normalised": 100 * score, "latency_p50_us": 500.0 + score,
        "latency_p50_low_us": 490.0, "latency_p50_high_us": 510.0, "latency_contended": 0.0, "decode": "argmax", "loss": 0.002,
        "parameters_total": 70_000, "parameters_trainable": 70_000, "parameters_backbone": 66_000, "acting": "stateful",
        "peak_rss_bytes": 3 * 2**28, "peak_device_bytes": None, "train_tokens_per_second": 50_000.0, "state_bytes": 1024,
        "target_return": 6.0, "target_rule": "quantile of the data", "train_seconds": 10.0, "updates": 500,
        "data_sha256": "0" * 64, "physics_note": None, "implementation": "torch", "implementation_reason": "the only one",
        "reference_random": 0.0, "reference_optimal": 1.0, "references": "exact", "simulator": None, "best_step": 500,
    }  # fmt: skip


def _journal(env: str, score: float, status: str) -> bytes:
    records: list[dict[str, Any]] = [
        {"kind": "event", "event": "start", "detail": {"pid": 7}},
        {
            "kind": "event",
            "event": "data",
            "detail": {"env": f"{env}-v0", "options": {"chain_length": 10}, "recipe": "random"},
        },
    ]
    for step in range(100, 600, 100):
        records.append({"kind": "metric", "metric": "loss", "value": 1 / step, "phase": "train", "step": step})
        for split in ("selection", "eval"):
            told = {
                "phase": "train",
                "split": split,
                "step": step,
                "decode": "argmax",
                "acting": "stateful",
                "target_return": 6.0,
            }
            records.append({"kind": "metric", "metric": "first_action_accuracy", "value": score * step / 500, **told})
    records.append({"kind": "event", "event": "checkpoint", "step": 500})
    if status != "interrupted":
        records.append({"kind": "event", "event": "end", "detail": {"status": status}})
    return lines_of([{**record, "time": 1.5, "attempt": 1} for record in records])


def bench_files() -> Files:
    """A bench of three backbones, decisions and training."""
    records: list[dict[str, Any]] = [
        {"backbones": ["gpt", "s4"], "env": "umbrella", "grid": {}, "kind": "bench",
        "modes": [], "overrides": [], "match": None,
         "threads": 1, "device": "auto", "rounds": 10, "seconds_limit": 60.0, "grid_kind": "quick", "cells": 14},
        {"kind": "machine", "memory_bytes_per_second": 2.5e10, "noise_floor": 0.01, "cache_bytes": 2**20},
    ]  # fmt: skip
    ways = [("gpt", "kv_cache", 1.0), ("gpt", "window", 4.0), ("s4", "recurrent", 0.0), ("lstm", "recurrent", 0.0)]
    for backbone, mode, slope in ways:
        for context in (1, 100, 1000):
            key = {"cell_id": f"{backbone}.{mode}.t{context}", "backbone": backbone, "mode": mode, "context": context}
            records += _cell({**key, "loop": "model", "length": None}, 150.0 + slope * context)
    for length in (64, 1024):
        key = {"cell_id": f"s4.train.L{length}", "backbone": "s4", "mode": "train", "context": None, "loop": None}
        records += _cell({**key, "length": length}, 9000.0, train_tokens_per_second=50_000.0 + length)
    return {"journal.jsonl": lines_of(records), "provenance.json": seal(ORIGIN)}


def _cell(key: Mapping[str, Any], microseconds: float, **told: float) -> list[dict[str, Any]]:
    planned = {
        "kind": "planned",
        **key,
        "env": "umbrella",
        "batch": 1,
        "d_model": 64,
        "n_layers": 2,
        "device": "cpu",
        "threads": 1,
    }
    timed = {
        "kind": "timed", "cell_id": key["cell_id"], "status": "ok", "reason": None, "rounds": 10, "samples": 320,
        "contended_rounds": 0, "p50_us": microseconds, "p50_low_us": 0.9 * microseconds, "p50_high_us": 1.1 * microseconds,
        "p90_us": 2 * microseconds, "p99_us": 3 * microseconds, "setup_seconds": 0.5, "implementation": "torch", **told,
    }  # fmt: skip
    counted = {
        "kind": "counted", "cell_id": key["cell_id"], "parameters_backbone": 66_000, "parameters_embedding": 1_000,
        "parameters_head": 130, "parameter_bytes": 264_000, "optimiser_bytes": None, "state_bytes": 1040,
        "peak_allocated_bytes": 2068, "peak_rss_growth_bytes": 12288, "limit_us": 2.5,
        "limit_ratio": 60.0, "limit_kind": "cache",
        "match_target": None, "match_found": None, "match_off": 0.01,
    }  # fmt: skip
    return [planned, timed, counted]


def lines_of(records: Sequence[Mapping[str, Any]]) -> bytes:
    """A journal of these records."""
    texts = [json.dumps(record, separators=(",", ":")).encode() for record in records]
    return b"".join(b"%08x %s\n" % (zlib.crc32(text), text) for text in texts)


def put(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files below a folder."""
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


def sound_results() -> Sound:
    """Seven runs, a bench and a pack of one run more; two of the runs are never forged."""
    runs = dict(
        [
            run_files("gpt", score=0.6),
            run_files("gpt", "memory-len", score=0.7),
            run_files("s4", score=0.5),
            run_files("s4", "memory-len", score=0.55),
            run_files("s4", seed=1, score=0.45),
            run_files("s4", seed=2, score=0.4, before=True),
            run_files("lstm", status="interrupted"),
        ]
    )
    first, before, stopped = (name for name in runs if "-s1-" in name or "-s2-" in name or name.startswith("lstm"))
    name, own = run_files("s5", score=0.65)
    packed = {name: {file: data for file, data in own.items() if is_packed(file)}}
    files = {f"runs/{name}/{file}": data for name, own in runs.items() for file, data in own.items()}
    files |= {f"bench/{BENCH}/{file}": data for file, data in bench_files().items()}
    files |= {"some.dsb": pack_bytes(packed, {})}
    documents = {
        "settings": f"runs/{first}/config.yaml",
        "provenance": f"runs/{first}/provenance-1.json",
        "claim": f"runs/{first}/claim.json",
        "result": f"runs/{first}/result-1.json",
        "journal": f"runs/{first}/journal.jsonl",
        "provenance of before": f"runs/{before}/provenance.json",
        "result of before": f"runs/{before}/result-1.json",
        "old journal": f"runs/{before}/journal.jsonl",
        "interrupted note": f"runs/{stopped}/interrupted-1.json",
        "bench journal": f"bench/{BENCH}/journal.jsonl",
        "bench provenance": f"bench/{BENCH}/provenance.json",
        "pack": "some.dsb",
    }
    return Sound(files, documents, packed)
