"""A checkpoint is whole or found out, and the one before it is used."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from dsbench.errors import CannotWrite, CorruptFile, UsageError
from dsbench.records.checkpoints import Checkpoints


@pytest.fixture
def checkpoints(tmp_path: Path) -> Checkpoints:
    return Checkpoints(tmp_path / "checkpoints")


def tensors(value: float) -> dict[str, torch.Tensor]:
    return {"w": torch.full((3, 2), value)}


def test_every_kind_of_tensor_comes_back_bit_equal(checkpoints: Checkpoints) -> None:
    generator = torch.Generator().manual_seed(0)
    w = torch.randn(4, 6, generator=generator, requires_grad=True)
    saved = {
        "w": w, "tied": w, "transposed": w.T, "strided": w[:, ::2], "overlap": w[1:], "scalar": torch.tensor(3),
        "empty": torch.zeros(0, 5), "bool": torch.tensor([True, False]), "rng": generator.get_state(),
        "f64": torch.randn(3, dtype=torch.float64, generator=generator), "bf16": torch.ones(2, dtype=torch.bfloat16),
        "c64": torch.randn(3, dtype=torch.complex64, generator=generator),
        "c128_conj": torch.randn(3, 2, dtype=torch.complex128, generator=generator).mH,
        "nan": torch.tensor([float("nan"), float("inf"), -0.0]),
    }  # fmt: skip
    checkpoints.save(1, saved, {"lr": 0.1, "history": [1, None, "x"]})
    loaded = checkpoints.load(1)
    assert loaded.update == 1
    assert loaded.meta == {"lr": 0.1, "history": [1, None, "x"]}
    assert loaded.tensors.keys() == saved.keys()
    for name, tensor in saved.items():
        assert loaded.tensors[name].dtype == tensor.dtype
        torch.testing.assert_close(loaded.tensors[name], tensor.detach(), rtol=0, atol=0, equal_nan=True)
    assert loaded.tensors["w"] is loaded.tensors["tied"]


def test_a_module_with_tied_weights_round_trips(checkpoints: Checkpoints) -> None:
    a, b = torch.nn.Linear(3, 3), torch.nn.Linear(3, 3)
    b.weight = a.weight
    model = torch.nn.Sequential(a, b)
    checkpoints.save("final", model.state_dict(), {})
    model.load_state_dict(checkpoints.load("final").tensors)
    assert checkpoints.load("final").update is None


def test_the_last_two_and_the_named_one_are_kept(checkpoints: Checkpoints) -> None:
    checkpoints.save("final", tensors(0), {})
    for update in (1, 2, 10):
        checkpoints.save(update, tensors(update), {"update": update})
    assert checkpoints.updates() == [2, 10]
    assert "final" in checkpoints.names()
    latest = checkpoints.latest()
    assert latest is not None
    assert (latest.update, latest.meta, latest.warnings) == (10, {"update": 10}, ())


def test_without_any_there_is_nothing_to_resume(checkpoints: Checkpoints) -> None:
    assert checkpoints.latest() is None
    with pytest.raises(UsageError, match=r"no checkpoint 'final' .* there are: none"):
        checkpoints.load("final")
    with pytest.raises(UsageError):
        checkpoints.save("../x", tensors(0), {})
    with pytest.raises(UsageError, match="update-"):
        checkpoints.save("update-1", tensors(0), {})


@pytest.mark.parametrize("name", ["tensors.safetensors", "manifest.json"])
@pytest.mark.parametrize("damage", ["truncate", "empty", "flip", "delete"])
def test_a_damaged_newest_checkpoint_is_named_and_the_one_before_is_used(
    checkpoints: Checkpoints, name: str, damage: str
) -> None:
    checkpoints.save(1, tensors(1), {"n": 100})
    path = checkpoints.save(2, tensors(2), {"n": 200}) / name
    whole = path.read_bytes()
    middle = whole.index(b"200") if name == "manifest.json" else len(whole) // 2
    if damage == "delete":
        path.unlink()
    else:
        flipped = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
        path.write_bytes({"truncate": whole[:middle], "empty": b"", "flip": flipped}[damage])
    with pytest.raises(CorruptFile, match=f"{name} is .*--force"):
        checkpoints.load(2)
    latest = checkpoints.latest()
    assert latest is not None
    assert latest.update == 1
    assert torch.equal(latest.tensors["w"], tensors(1)["w"])
    assert len(latest.warnings) == 1
    assert "update-00000002" in latest.warnings[0]
    checkpoints.save(2, tensors(3), {})  # the resumed run comes by again
    again = checkpoints.latest()
    assert again is not None
    assert again.warnings == ()
    assert checkpoints.updates() == [1, 2]


def test_with_none_good_the_run_stops_with_the_way_out(checkpoints: Checkpoints) -> None:
    for update in (1, 2):
        (checkpoints.save(update, tensors(update), {}) / "manifest.json").write_text("{}")
    with pytest.raises(CorruptFile, match=r"no good checkpoint is left.*--force"):
        checkpoints.latest()


def test_any_flipped_bit_is_found(checkpoints: Checkpoints) -> None:
    place = checkpoints.save(1, tensors(1), {"step": 123})
    for path in place.iterdir():
        whole = path.read_bytes()
        for position in range(0, len(whole), 5):
            path.write_bytes(whole[:position] + bytes([whole[position] ^ (1 << position % 8)]) + whole[position + 1 :])
            try:
                loaded = checkpoints.load(1)
            except CorruptFile:
                continue
            assert loaded.meta == {"step": 123}  # white space in the manifest
            assert torch.equal(loaded.tensors["w"], tensors(1)["w"])
        path.write_bytes(whole)


@pytest.mark.parametrize("call", range(1, 4))
def test_a_full_disk_leaves_the_older_checkpoint(
    checkpoints: Checkpoints, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    checkpoints.save(1, tensors(1), {})
    calls, real = 0, os.fsync

    def fsync(descriptor: int) -> None:
        nonlocal calls
        calls += 1
        if calls == call:
            raise OSError(28, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(CannotWrite, match="the disk is full"):
        checkpoints.save(2, tensors(2), {})
    monkeypatch.undo()
    latest = checkpoints.latest()
    assert latest is not None
    assert latest.update == 1
    assert [place.name for place in checkpoints.folder.iterdir()] == ["update-00000001"]


WRITER = """
import sys
from pathlib import Path
import torch
from dsbench import temporaries
from dsbench.records.checkpoints import Checkpoints
temporaries._place = lambda: sys.argv[2] * 12
checkpoints = Checkpoints(Path(sys.argv[1]))
for update in range(1, 60):
    checkpoints.save(update, {"w": torch.full((1000,), float(update))}, {})
    checkpoints.save("final", {"w": torch.full((1000,), float(update))}, {})
"""


def test_two_hosts_that_save_into_one_folder_do_each_other_no_harm(checkpoints: Checkpoints) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(checkpoints.folder), host], stderr=subprocess.PIPE, text=True
        )
        for host in "ab"
    ]
    assert [process.communicate()[1] for process in processes] == ["", ""]
    latest = checkpoints.latest()
    assert latest is not None
    assert (latest.update, latest.warnings) == (59, ())
    assert torch.equal(checkpoints.load("final").tensors["w"], torch.full((1000,), 59.0))
    assert [place.name for place in checkpoints.folder.iterdir() if place.name.endswith(".tmp")] == []


def test_meta_with_a_number_that_is_not_finite_loses_no_meaning_silently(checkpoints: Checkpoints) -> None:
    checkpoints.save(1, tensors(1), {"best": float("-inf")})
    assert checkpoints.load(1).meta == {"best": None, "best_reason": "-inf"}
