"""``dsbench bench`` as a user meets it: tiny models, two rounds, every kind of row, and mistakes in one line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from dsbench.cli import main
from dsbench.measuring import bench, process
from dsbench.measuring.bench_records import new_folder, read_bench, read_benches
from dsbench.measuring.peaks import Peaks
from dsbench.measuring.process import Measured
from dsbench.measuring.request import Request
from dsbench.measuring.timing import Schedule

TINY = ("--rounds", "2", "--context", "1,6", "--set", "backbone.d_model=8", "--modes")


@pytest.fixture
def measured_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measures in this process, and takes the rates of the machine for known: what is quick about a bench."""

    def measure(request: Request, _display: object) -> Measured:
        measuring = bench.Measuring(request, lambda *_: None)
        folder = new_folder(Path(request.results), request.kind)
        measuring.run(folder)
        return Measured(folder, 0)

    monkeypatch.setattr(process, "measure_apart", measure)
    monkeypatch.setattr(bench, "measure_peaks", lambda device, generator: Peaks(1e10, 1e11, 2**20, 1e11))


def test_two_tiny_backbones_from_command_to_table(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    modes = "recurrent,kv_cache,window,train,empty,copy"
    arguments = ["--backbones", "gpt,lstm", "--length", "6", "--results", str(tmp_path), *TINY, modes]
    assert main(["bench", *arguments]) == 0
    shown = capfd.readouterr().out
    for text in (
        "DECISION, us",
        "with umbrella in the loop",
        "CROSSOVER",
        "TRAINING STEP",
        "SIZE AND MEMORY",
        "SANITY",
    ):
        assert text in shown
    (folder,) = (tmp_path / "bench").iterdir()
    cells = read_bench(folder).cells
    assert {row["status"] for row in cells.values()} == {"ok"}
    gpt, lstm = cells["gpt.kv_cache.model.t6.b1"], cells["lstm.recurrent.env.t6.b1"]
    assert (gpt["state_bytes"], lstm["state_bytes"]) == (6 * 128 + 16, 128)
    assert gpt["options"] == '{"context_len": 7}'
    for row in cells.values():
        assert 0 < row["p50_us"] <= row["p90_us"] <= row["p99_us"], row["cell_id"]
        assert row["limit_us"] > 0 and row["limit_ratio"] > 0
        assert row["peak_allocated_bytes"] is not None
    with np.load(folder / "samples.npz", allow_pickle=False) as samples:
        assert set(samples) == set(cells)
        assert samples["gpt.kv_cache.model.t6.b1"].shape == (2, Schedule().samples)
        p50 = np.median(samples["gpt.kv_cache.model.t6.b1"])
    assert p50 == pytest.approx(gpt["p50_us"])
    table = read_benches(tmp_path).set_index("cell_id")
    speed = table.loc["lstm.train.L6.b16"]
    assert speed["train_tokens_per_second"] == pytest.approx(16 * 6 / speed["p50_us"] * 1e6)
    assert (folder / "cells.csv").is_file() and (folder / "provenance.json").is_file()
    told = b"".join((folder / name).read_bytes() for name in ("journal.jsonl", "cells.csv", "provenance.json"))
    assert str(tmp_path).encode() not in told  # records are shared; where they were kept stays at home


@pytest.mark.usefixtures("measured_here")
def test_a_backbone_that_breaks_is_a_row_and_the_others_go_on(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "mine.py"
    broken.write_text(
        "from dsbench.backbones.lstm import LSTM\n"
        "class Broken(LSTM):\n"
        "    def make_stepper(self, batch_size, *, compiled=False):\n"
        "        raise RuntimeError('a wheel came off')\n"
    )
    name = f"{broken}:Broken"
    arguments = ["--backbones", f"{name},lstm", "--json", "--results", str(tmp_path), *TINY, "recurrent"]
    assert main(["bench", *arguments]) == 1
    found = {(row["backbone"], row["loop"], row["context"]): row for row in json.loads(capfd.readouterr().out)["cells"]}
    assert (found[name, "model", 6]["status"], found["lstm", "model", 6]["status"]) == ("failed", "ok")
    assert "a wheel came off" in found[name, "model", 6]["reason"]


def test_a_mistake_comes_back_from_the_process_that_measures(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--backbones", "s4x", "--results", str(tmp_path)]) == 2
    assert "Did you mean" in capfd.readouterr().err
    assert not any(tmp_path.iterdir())


@pytest.mark.usefixtures("measured_here")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--backbones", "gpt", "--set", "backbone.n_layer=3"), "n_layers"),
        (("--backbones", "gpt", "--env", "umbrela"), "umbrella"),
        (("--backbones", "gpt", "--modes", "kvcache"), "Did you mean 'kv_cache'"),
        (("--backbones", "gpt", "--context", "x"), "--context is 'x'; expected whole numbers from 0 to 9,999,999"),
        (("--backbones", ""), "no backbone to measure"),
        (("--backbones", "gpt,lstm", "--set", "backbone.d_state=16"), "none of gpt, lstm has an option 'd_state'"),
        (("--backbones", "gpt", "--match", "params=7"), "no width of backbone 'gpt' comes near 7"),
        (
            ("--backbones", "gpt", "--match", "params=1k", "--set", "backbone.d_model=8"),
            "which chooses backbone.d_model",
        ),
    ],
)
def test_mistakes_are_told_before_anything_is_written(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str
) -> None:
    assert main(["bench", *arguments, "--results", str(tmp_path)]) == 2
    shown = capfd.readouterr().err
    assert said in shown
    assert not any(tmp_path.iterdir())


@pytest.mark.usefixtures("measured_here")
def test_widths_are_chosen_by_size_and_options_go_to_those_that_have_them(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    arguments = ["--backbones", "s4d,lstm", "--rounds", "1", "--context", "1", "--modes", "recurrent,empty"]
    sizes = ["--match", "params=5k", "--set", "backbone.d_state=4", "--results", str(tmp_path)]
    assert main(["bench", *arguments, *sizes, "--length", "0"]) == 0
    assert "off the size asked for" in capfd.readouterr().out
    table = read_benches(tmp_path).set_index("cell_id")
    widths = {name: table.loc[f"{name}.recurrent.model.t1.b1", "d_model"] for name in ("s4d", "lstm")}
    assert widths["s4d"] != widths["lstm"]
    s4d = table.loc["s4d.recurrent.model.t1.b1"]
    assert s4d["state_bytes"] == 4 * 2 * widths["s4d"] * 4  # layers, channels, reals of two conjugate pairs
    for name in widths:
        row = table.loc[f"{name}.recurrent.model.t1.b1"]
        found = row["parameters_embedding"] + row["parameters_backbone"] + row["parameters_head"]
        assert (row["match_target"], row["match_found"]) == (5000, found)
        assert row["match_off"] == pytest.approx(found / 5000 - 1)
        assert abs(row["match_off"]) < 0.2
    assert table["match_target"].isna().sum() == 2  # the two rows of a wrapper without a backbone
