"""Made ``before.tar.xz`` and ``expected.json`` beside it, with dsbench 0.1.0; never to be run again with another version.

    python -m tests.records.before.make FOLDER       # FOLDER is new; takes four minutes

What lies in the archive is what users of that version have on their disks.
"""

from __future__ import annotations

import io
import json
import lzma
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

from dsbench.decision.policy import load_policy
from dsbench.files import to_json
from dsbench.records.encoding import read_sealed, seal
from dsbench.records.run_folder import RunFolder
from dsbench.records.tables import long_table, run_folders, runs_table
from dsbench.reports.table import rows
from tests.records.before.measured import decisions, sha256

HERE = Path(__file__).parent
RESULTS = Path("results")
TINY = [
    "data.episodes=40", "train.updates=10", "train.warmup=2", "train.batch_size=8", "train.eval_every=5",
    "train.checkpoint_every=5", "eval.episodes=10", "eval.selection_episodes=5", "measure.warmup=2", "measure.steps=5",
    "device=cpu",
]  # fmt: skip
SMALL = ["backbone.d_model=8"]
CHAIN = ["env.chain_length=3", "env.n_distractor=1"]
LONG = ["train.window=5"]
FINISHED: dict[str, list[str]] = {
    "gpt": ["--backbone=gpt", "--env=umbrella", *SMALL, *CHAIN, "wrapper.time=table", "wrapper.max_timestep=8"],
    "gpt, another seed": ["--backbone=gpt", "--env=umbrella", "--seed=1", *SMALL, *CHAIN],
    "gpt, third seed": ["--backbone=gpt", "--env=umbrella", "--seed=2", *SMALL, *CHAIN],
    "separate tokens": ["--backbone=gpt", "--env=umbrella", *SMALL, *CHAIN, "wrapper.tokens=separate"],
    "s4d": ["--backbone=s4d", "--env=umbrella", *SMALL, *CHAIN, "backbone.d_state=4"],
    "lstm": ["--backbone=lstm", "--env=umbrella", *SMALL, *CHAIN],
    "mlp": ["--backbone=mlp", "--env=umbrella", *SMALL, *CHAIN],
    "framestack": ["--backbone=framestack", "--env=memory-len", *SMALL],
    "mamba": ["--backbone=mamba", "--env=memory-len", *SMALL],
    "cartpole": ["--backbone=lstm", "--env=cartpole", *SMALL, *LONG],
    "door-key": ["--backbone=gru", "--env=door-key", *SMALL, *LONG],
    "key-to-door": ["--backbone=mingru", "--env=key-to-door", *SMALL, *LONG],
    "probe": ["--backbone=lstm", "--env=key-to-door", *SMALL, "train.objective=probe", "wrapper.condition=none"],
    "random": ["--policy=random", "--env=umbrella"],
    "optimal": ["--policy=optimal", "--env=key-to-door"],
    "best episodes": ["--backbone=lstm", "--env=umbrella", *SMALL, *CHAIN, "data.top_percent=10", "wrapper.condition=none"],
    "targets": ["--backbone=rnn", "--env=umbrella", *SMALL, *CHAIN, "eval.target_sweep=[-1.0,0.5,1.0]"],
    "matched": ["--backbone=lstm", "--env=umbrella", "--match=params=2k", *CHAIN],
    "plug-in": ["--backbone=plugin.py:Average", "--env=umbrella", *SMALL, *CHAIN],
    "task of a file": ["--backbone=lstm", "--env=plugin.py:frozen_lake", "--data=mixed", *SMALL, *LONG],
    "data of a folder": ["--backbone=lstm", "--env=umbrella", "--data=folder:data", *SMALL, *CHAIN],
}  # fmt: skip
DIVERGED = ["--backbone=plugin.py:Explodes", "--env=umbrella", *SMALL, *CHAIN]
LARGE_RATE = [
    "--backbone=s4d",
    "--env=umbrella",
    *SMALL,
    *CHAIN,
    "train.lr=1000.0",
    "train.warmup=0",
    "train.updates=40",
]
FRAGILE = ["--backbone=plugin.py:Fragile", "--env=umbrella", *SMALL, *CHAIN]
LIMITED = ["--backbone=gru", "--env=umbrella", *SMALL, *CHAIN]
UNFINISHED = ["--backbone=lstm", "--env=umbrella", "--seed=7", *SMALL, *CHAIN, "train.updates=400"]
KEPT = ("gpt", "s4d", "plug-in")  # runs whose trained policy stays


def arguments(asked: list[str], *flags: str, results: Path = RESULTS) -> list[str]:
    options = [one for one in asked if one.startswith("--")]
    settings = [text for one in [*TINY, *(one for one in asked if not one.startswith("--"))] for text in ("--set", one)]
    return [
        sys.executable, "-m", "dsbench", "run", "--preset=smoke", f"--results={results}", *options, *settings, *flags,
    ]  # fmt: skip


def ask(asked: list[str], *flags: str, results: Path = RESULTS, **variables: str) -> str:
    """Ask for a run; returns its id."""
    command = arguments(asked, *flags, results=results)
    shown = subprocess.run(command, env={**os.environ, **variables}, capture_output=True, text=True)
    print(shown.returncode, " ".join(command[5:10]), (shown.stderr.strip().splitlines() or [""])[-1], flush=True)
    folder = next(line for line in shown.stdout.splitlines() if line.startswith("Folder"))
    return Path(folder.split()[-1]).name


def stop_in_training(asked: list[str]) -> str:
    """Ask for a run and stop it by SIGTERM after some checkpoints; returns its id."""
    process = subprocess.Popen(arguments(asked), stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    run_id = next(Path(line.split()[-1]).name for line in process.stdout if line.startswith("Folder"))
    checkpoints = RunFolder.open(RESULTS, run_id).checkpoints_of(1)
    while not any(update >= 50 for update in checkpoints.updates()):
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    print("stopped", process.wait(), checkpoints.updates(), flush=True)
    return run_id


def without_a_host(results: Path) -> None:
    """Names of the machine and of its folders are nobody's business."""
    for path in results.glob("runs/*/claim.json"):
        claim = read_sealed(path, "")
        path.write_bytes(seal({**claim, "host": "node", "boot_id": "00000000-0000-0000-0000-000000000000"}))
    for path in results.glob("runs/*/error.txt"):
        text = path.read_text()
        for place, name in ((str(HERE.parents[2]), "DSBENCH"), (os.getcwd(), "HERE")):
            text = text.replace(place, name)
        path.write_text(re.sub(r'"[^"]*(?=/lib/python)', '"PYTHON', text))


def expected(ids: dict[str, str], unfinished: str) -> dict[str, Any]:
    runs, long = runs_table(RESULTS), long_table(RESULTS)
    by_run = long[long["attempt"].notna()].groupby("run_id")["value"]
    scores = {folder.run_id: score_of(folder) for folder in run_folders(RESULTS)}
    return {
        "ids": ids,
        "runs": {
            row.run_id: {"status": row.status, "attempt": int(row.attempt), **scores[row.run_id]}
            for row in runs.itertuples()
        },
        "long": {name: {"rows": len(values), "sum": values.sum()} for name, values in by_run},
        "rows": [
            {key: row[key] for key in ("measure", "n", "seeds", "failures", "unfinished", "metrics")}
            | {"runs": [run["run_id"] for run in row["runs"]]}
            for row in rows(RESULTS)
        ],
        "policies": {
            ids[name]: {
                "weights": sha256(RunFolder.open(RESULTS, ids[name]).checkpoints_of(1).load("final").tensors),
                "logits": decisions(load_policy(RESULTS / "runs" / ids[name])),
            }
            for name in KEPT
        },
        "unfinished": {"run_id": unfinished, **finished_copy(unfinished)},
    }


def score_of(folder: RunFolder) -> dict[str, Any]:
    row = folder.latest_result() or {}
    metric = row.get("success_metric")
    return {
        "metric": metric,
        "score": row.get(metric),
        "reason": row.get("reason"),
        "result_attempt": row.get("attempt"),
    }


def finished_copy(run_id: str) -> dict[str, Any]:
    """How the unfinished run ends; the weights that it ends with go to ``resumed.safetensors``."""
    from safetensors.torch import save_file

    copy = Path("copy")
    shutil.copytree(RESULTS / "runs" / run_id, copy / "runs" / run_id)
    began = max(RunFolder.open(copy, run_id).checkpoints_of(1).updates())
    assert ask(UNFINISHED, results=copy) == run_id
    folder = RunFolder.open(copy, run_id)
    tensors = folder.checkpoints_of(1).load("final").tensors
    save_file({name: tensor.clone() for name, tensor in tensors.items()}, "resumed.safetensors")
    row = folder.latest_result() or {}
    assert row["status"] == "ok"
    return {"resumed_after": began, "weights": sha256(tensors), "row": row}


def pack(names: list[str], out: Path) -> None:
    """The same files give the same bytes."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path in sorted(path for name in names for path in (Path(name), *Path(name).rglob("*"))):
            entry = archive.gettarinfo(path)
            entry.uid = entry.gid = 0
            entry.uname = entry.gname = ""
            entry.mtime, entry.mode = 0, 0o755 if path.is_dir() else 0o644
            archive.addfile(entry, io.BytesIO(path.read_bytes()) if path.is_file() else None)
    out.write_bytes(lzma.compress(data.getvalue(), preset=9 | lzma.PRESET_EXTREME))
    print(out, out.stat().st_size, "bytes")


def main(folder: Path) -> None:
    folder.mkdir(parents=True)
    os.chdir(folder)
    os.environ |= {"DSBENCH_DATA": str(Path("cache").absolute())}
    for name in ("plugin.py", "study.yaml"):
        shutil.copy(HERE / name, name)
    made = [sys.executable, "-m", "dsbench", "data", "export", "--env=umbrella", "--recipe=random", "--episodes=40"]
    subprocess.run([*made, *(text for one in CHAIN for text in ("--set", one)), "--to=folder:data"], check=True)
    ids = {name: ask(asked) for name, asked in FINISHED.items()}
    assert ask(FINISHED["mlp"], "--force") == ids["mlp"]
    ids["diverged"] = ask(DIVERGED)
    ids["large rate"] = ask(LARGE_RATE)
    ids["failed"] = ask([*FRAGILE, "--seed=1"], BREAKS="1")
    ids["failed, then ok"] = ask(FRAGILE, BREAKS="1")
    assert ask(FRAGILE) == ids["failed, then ok"]
    ids["timeout"] = ask([*LIMITED, "--seed=1", "time_limit_s=0.1"])
    ids["timeout, then ok"] = ask([*LIMITED, "time_limit_s=0.1"])
    assert ask(LIMITED) == ids["timeout, then ok"]
    unfinished = stop_in_training(UNFINISHED)
    without_a_host(RESULTS)
    for run in RESULTS.glob("runs/*"):
        if run.name not in (unfinished, *(ids[name] for name in KEPT)):
            shutil.rmtree(run / "checkpoints", ignore_errors=True)
        for place in run.glob("checkpoints/*/update-*"):
            if run.name != unfinished:
                shutil.rmtree(place)
    (HERE / "expected.json").write_bytes(to_json(json.loads(json.dumps(expected(ids, unfinished), default=str))))
    pack(["data", "plugin.py", "results", "resumed.safetensors", "study.yaml"], HERE / "before.tar.xz")


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())
