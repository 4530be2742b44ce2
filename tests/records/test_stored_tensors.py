"""A file of tensors is what its header and its manifest say, or one sentence says why not; checksums are right throughout."""

from __future__ import annotations

import copy
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dsbench.errors import CorruptFile
from dsbench.records.checkpoints import MANIFEST, TENSORS, Checkpoints
from dsbench.records.encoding import seal
from dsbench.records.stored_tensors import LARGEST_HEADER, BadTensors, StoredTensor, read_header

JUNK: tuple[Any, ...] = (
    None, True, 0, -1, 3, 10**12, 2**63, 10**30, 1.5, 1e308, "", "x", "F32", "w", "a" * 10_000, "\x1b[2J", [], [1], [1, 2],
    [0, 0], [[]], [None], [2**62] * 16, [1] * 17, {}, {"w": "w"}, {"w": None}, {"nothing": "w"}, {"tied": "nothing"},
)  # fmt: skip


class Lie:
    """A checkpoint of three tensors, one tied and one complex, to be rewritten with right checksums."""

    def __init__(self, folder: Path) -> None:
        self.checkpoints = Checkpoints(folder, run_id="run", attempt=1)
        weight = torch.arange(6.0).reshape(2, 3)
        self.tensors = {
            "w": weight, "tied": weight, "c": torch.tensor([1 + 2j, 3j]), "n": torch.arange(4), "none": torch.zeros(0, 5)
        }  # fmt: skip
        meta = {
            "updates_done": 7,
            "tokens_seen": 3,
            "progress": {"seconds": 1.0, "last_loss": 0.5, "history": [{"a": 1.0}]},
        }
        self.place = self.checkpoints.save("final", self.tensors, meta)
        stored = json.loads((self.place / MANIFEST).read_text())
        self.manifest = {key: value for key, value in stored.items() if key not in ("sha256", "format")}
        data = (self.place / TENSORS).read_bytes()
        length = int.from_bytes(data[:8], "little")
        self.header, self.body = json.loads(data[8 : 8 + length]), data[8 + length :]
        self.read = dict(self.tensors)

    def tell(self, *, manifest: Any = None, header: bytes | None = None, data: bytes | None = None) -> str | None:
        """The sentence that reading it ends with; None if it is read, and then the tensors are those of the file."""
        header = json.dumps(self.header).encode() if header is None else header
        data = len(header).to_bytes(8, "little") + header + self.body if data is None else data
        (self.place / TENSORS).write_bytes(data)
        manifest = copy.deepcopy(self.manifest) if manifest is None else manifest
        if manifest.get("tensors_sha256") == self.manifest["tensors_sha256"]:
            manifest["tensors_sha256"] = hashlib.sha256(data).hexdigest()
        (self.place / MANIFEST).write_bytes(seal(manifest))
        try:
            loaded = self.checkpoints.load("final")
        except CorruptFile as error:
            return checked(str(error), self.place)
        for name, stored in read_header(data).items():
            assert str(loaded.tensors[name].dtype).removeprefix("torch.") in (stored.dtype, "complex64")
            assert loaded.tensors[name].nbytes == stored_bytes(stored)
        self.read = loaded.tensors
        return None

    def is_right(self) -> bool:
        """Whether what was read last is what was saved."""
        return self.read.keys() == self.tensors.keys() and all(
            torch.equal(self.read[name], tensor) for name, tensor in self.tensors.items() if name in self.read
        )


def checked(text: str, place: Path) -> str:
    """One sentence that names the file and the way out."""
    assert "\n" not in text
    assert len(text) < 1500
    assert str(place) in text
    assert "--force" in text
    return text


def stored_bytes(stored: StoredTensor) -> int:
    return int(torch.zeros(stored.shape, dtype=getattr(torch, stored.dtype)).nbytes)


@pytest.fixture(scope="module")
def lie(tmp_path_factory: pytest.TempPathFactory) -> Lie:
    return Lie(tmp_path_factory.mktemp("lie"))


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in JSON data, but the whole."""
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in items:
        yield from places(part, (*path, key))


def changed(value: Any, path: tuple[Any, ...], junk: Any) -> Any:
    value = copy.deepcopy(value)
    part = value
    for key in path[:-1]:
        part = part[key]
    if junk is Lie:
        del part[path[-1]]
    else:
        part[path[-1]] = junk
    return value


def test_what_nobody_touched_is_read(lie: Lie) -> None:
    assert lie.tell() is None
    assert lie.is_right()


def test_any_field_of_the_manifest_may_lie(lie: Lie) -> None:
    refused = set()
    for path in places(lie.manifest):
        for junk in (*JUNK, Lie):
            if lie.tell(manifest=changed(lie.manifest, path, junk)) is not None:
                refused.add(path[0])
            else:
                assert lie.is_right() or path[0] in ("ties", "complex"), (path, junk)
    assert refused == lie.manifest.keys()


def test_any_field_of_the_header_may_lie(lie: Lie) -> None:
    told = [
        (path, junk, lie.tell(header=json.dumps(changed(lie.header, path, junk)).encode()))
        for path in places(lie.header)
        for junk in (*JUNK[::2], Lie)
    ]
    assert all(text is not None for path, junk, text in told if junk is Lie and path[0] != "none")
    assert sum(text is not None for _, _, text in told) > 0.9 * len(told)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_any_bytes_of_the_file_may_be_others(lie: Lie, data: st.DataObject) -> None:
    whole = len(header := json.dumps(lie.header).encode()).to_bytes(8, "little") + header + lie.body
    place = data.draw(st.integers(0, 8 + len(header) - 1))
    few = data.draw(st.binary(min_size=0, max_size=4))
    lie.tell(data=whole[:place] + few + whole[place + data.draw(st.integers(0, 4)) :])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda header, body: (2**40).to_bytes(8, "little") + header + body, "header has 1099511627776 bytes"),
        (lambda header, body: b"", "header has 0 bytes, in a file of 0"),
        (lambda header, body: b"\x02\0\0\0\0\0\0\0[]", "no dictionary"),
        (lambda header, body: framed(b"[" * 100_000, body), "not valid JSON"),
        (lambda header, body: framed(header.replace(b'"w"', b'"w' + b"9" * 600 + b'"'), body), "printable"),
        (lambda header, body: framed(b'{"w":' + b"9" * 6000 + b"}", body), "not valid JSON"),
        (lambda header, body: framed(header[:-1] + b"," + header[1:], body), "not valid JSON"),  # every name twice
        (lambda header, body: framed(header, body + b"x"), "bytes of tensors"),
        (lambda header, body: framed(header, body[:-1]), "bytes of tensors"),
    ],
)
def test_a_header_that_does_not_fit_its_file_is_named(
    lie: Lie, change: Callable[[bytes, bytes], bytes], reason: str
) -> None:
    assert reason in str(lie.tell(data=change(json.dumps(lie.header).encode(), lie.body)))


def framed(header: bytes, body: bytes) -> bytes:
    return len(header).to_bytes(8, "little") + header + body


def test_a_header_longer_than_any_is_not_parsed() -> None:
    with pytest.raises(BadTensors, match="says that its header has"):
        read_header(framed(b" " * (LARGEST_HEADER + 1), b""))


def test_types_and_shapes_are_told_before_a_tensor_is_made(lie: Lie) -> None:
    found = read_header(framed(json.dumps(lie.header).encode(), lie.body))
    assert found == {
        "w": StoredTensor("float32", (2, 3)), "c": StoredTensor("float32", (2, 2)), "n": StoredTensor("int64", (4,)),
        "none": StoredTensor("float32", (0, 5)),
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_what_is_no_file_is_not_read(tmp_path: Path, kind: str) -> None:
    lie = Lie(tmp_path / "checkpoints")
    path = lie.place / TENSORS
    path.rename(tmp_path / "elsewhere")
    {"link": lambda: path.symlink_to(tmp_path / "elsewhere"), "pipe": lambda: os.mkfifo(path), "folder": path.mkdir}[
        kind
    ]()
    with pytest.raises(CorruptFile, match=r"tensors\.safetensors is (a link out of its folder|a pipe|a folder)"):
        lie.checkpoints.load("final")


@pytest.mark.parametrize(("name", "value"), [("run_id", "another"), ("attempt", 2), ("updates_done", 8)])
def test_a_checkpoint_of_another_run_attempt_or_update_is_refused(tmp_path: Path, name: str, value: Any) -> None:
    mine = Checkpoints(tmp_path, run_id="run", attempt=1)
    place = mine.save(7, {"w": torch.zeros(2)}, {"updates_done": 7})
    assert mine.load(7).meta == {"run_id": "run", "attempt": 1, "updates_done": 7}
    manifest = json.loads((place / MANIFEST).read_text())
    content = {key: part for key, part in manifest.items() if key not in ("sha256", "format")}
    (place / MANIFEST).write_bytes(seal({**content, "meta": {**content["meta"], name: value}}))
    with pytest.raises(CorruptFile, match=rf"is of {name} '{value}', and stands where"):
        mine.load(7)


def test_one_that_names_no_owner_is_of_an_older_version_and_read(tmp_path: Path) -> None:
    Checkpoints(tmp_path).save("final", {"w": torch.ones(2)}, {"x": 1})
    assert Checkpoints(tmp_path, run_id="run", attempt=3).load("final").meta == {"x": 1}
