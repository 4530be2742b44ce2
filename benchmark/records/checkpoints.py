"""Checkpoints of one attempt: tensors as safetensors beside a JSON manifest with hashes; never pickle.

    checkpoints/<attempt>/update-00000700/    tensors.safetensors  manifest.json
    checkpoints/<attempt>/final/              the policy that `dsbench.load_policy` reads

A checkpoint is written beside its place, read back, and only then renamed, so a name either is absent or stands for a
whole checkpoint. What rots on the disk afterwards is found by its hash, and the one before it is used.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from dsbench.errors import CorruptFile, UsageError
from dsbench.files import cannot_write, check_name, fsync_folder, stays_inside, write_atomic
from dsbench.records.encoding import read_sealed, seal

if TYPE_CHECKING:
    from torch import Tensor

TENSORS, MANIFEST = "tensors.safetensors", "manifest.json"
_WAY_OUT = "run the same command with --force to make the run again"


class Checkpoint(NamedTuple):
    """A checkpoint in memory; tensors are on the CPU, and tied ones are one tensor again."""

    update: int | None  # None for a named checkpoint
    tensors: dict[str, Tensor]
    meta: dict[str, Any]
    warnings: tuple[str, ...] = ()  # one sentence for each newer, damaged checkpoint that `latest` passed over


class Checkpoints:
    """The checkpoints in `folder`; one process writes."""

    def __init__(self, folder: Path, keep: int = 2) -> None:
        self.folder, self.keep = folder, keep

    def save(self, which: int | str, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> Path:
        """Save under an update number (the last `keep` of these stay) or under a name (``final``; stays).

        Args:
            which: update number or name.
            tensors: any tensors, also tied, overlapping, strided or complex ones.
            meta: JSON data; keys are text and numbers are finite.

        Raises:
            CannotWrite: disk full or no rights; older checkpoints are untouched.
        """
        place = self.folder / _folder_name(which)
        self._check_place()
        try:
            self._discard_leftovers()
            self.folder.mkdir(parents=True, exist_ok=True)
            beside = Path(tempfile.mkdtemp(dir=self.folder, prefix=f".{place.name}.", suffix=".tmp"))
            try:
                beside.chmod(self.folder.stat().st_mode & 0o777)  # mkdtemp's are private; results are shared
                _write(beside, tensors, meta)
                _read(beside)
                _replace_folder(beside, place)
            finally:
                shutil.rmtree(beside, ignore_errors=True)
        except OSError as error:
            raise cannot_write(place, error) from error
        if isinstance(which, int):
            self._rotate(which)
        return place

    def load(self, which: int | str) -> Checkpoint:
        """The checkpoint of this update number or name.

        Raises:
            UsageError: there is none; names those that exist.
            CorruptFile: torn or changed.
        """
        place = self.folder / _folder_name(which)
        if not place.is_dir():
            known = ", ".join(self.names()) or "none"
            raise UsageError(f"no checkpoint {which!r} in {self.folder}; there are: {known}")
        tensors, meta = _read(place)
        return Checkpoint(which if isinstance(which, int) else None, tensors, meta)

    def latest(self) -> Checkpoint | None:
        """The newest good checkpoint with an update number, or None if none was ever saved.

        Raises:
            CorruptFile: there are some and all are damaged.
        """
        damaged: list[str] = []
        for update in reversed(self.updates()):
            try:
                return self.load(update)._replace(warnings=tuple(damaged))
            except CorruptFile as error:
                damaged.append(str(error))
        if damaged:
            raise CorruptFile(f"no good checkpoint is left: {damaged[0]}")
        return None

    def updates(self) -> list[int]:
        """Update numbers that have a checkpoint, ascending."""
        return sorted(int(name.removeprefix("update-")) for name in self.names() if name.startswith("update-"))

    def names(self) -> list[str]:
        """Folder names of all checkpoints, sorted."""
        if not self.folder.is_dir():
            return []
        return sorted(place.name for place in self.folder.iterdir() if place.is_dir() and place.name[0] != ".")

    def drop_updates(self) -> None:
        """Delete the checkpoints with update numbers; named ones stay."""
        self._check_place()
        for update in self.updates():
            shutil.rmtree(self.folder / _folder_name(update), ignore_errors=True)

    def _check_place(self) -> None:
        stays_inside(self.folder, self.folder.parent.parent)  # RUN/checkpoints/ATTEMPT: nothing is deleted elsewhere

    def _rotate(self, newest: int) -> None:
        # Higher numbers than the one just saved are damaged ones that a resumed run passed over.
        kept = [update for update in self.updates() if update <= newest][-self.keep :]
        for update in self.updates():
            if update not in kept:
                shutil.rmtree(self.folder / _folder_name(update), ignore_errors=True)

    def _discard_leftovers(self) -> None:
        if self.folder.is_dir():
            for leftover in self.folder.glob(".*.tmp"):
                shutil.rmtree(leftover, ignore_errors=True)


def _folder_name(which: int | str) -> str:
    if isinstance(which, int):
        return f"update-{which:08d}"
    if which.startswith("update-"):
        raise UsageError(f"checkpoint name {which!r} is kept for update numbers; choose another, such as 'final'")
    return check_name(which, "checkpoint name")


def _write(folder: Path, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> None:
    from safetensors.torch import save

    stored, ties, complex_names = _storable(tensors)
    data = save(stored)
    write_atomic(folder / TENSORS, data)
    digest = hashlib.sha256(data).hexdigest()
    manifest = {"tensors_sha256": digest, "ties": ties, "complex": complex_names, "meta": dict(meta)}
    write_atomic(folder / MANIFEST, seal(manifest))


def _read(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and meta of the checkpoint in `folder`; `CorruptFile` names the file that is missing or damaged."""
    import torch
    from safetensors.torch import load

    path = folder / MANIFEST
    try:
        manifest = read_sealed(path, _WAY_OUT)
        path = folder / TENSORS
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise CorruptFile(f"{path} is missing; {_WAY_OUT}") from error
    if hashlib.sha256(data).hexdigest() != manifest["tensors_sha256"]:
        raise CorruptFile(f"{path} is damaged (its checksum does not match); {_WAY_OUT}")
    tensors = load(data)
    for name in manifest["complex"]:
        tensors[name] = torch.view_as_complex(tensors[name])
    for name, first in manifest["ties"].items():
        tensors[name] = tensors[first]
    meta: dict[str, Any] = manifest["meta"]
    return tensors, meta


def _storable(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, str], list[str]]:
    """Contiguous copies that share no memory, {tied name: name it equals}, and names of complex tensors."""
    import torch

    stored: dict[str, Tensor] = {}
    ties: dict[str, str] = {}
    complex_names: list[str] = []
    seen: dict[Any, str] = {}
    for name, tensor in tensors.items():
        # Same memory looked at in the same way is a tie; a mere overlap is stored twice.
        view = (tensor.device, tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype, tensor.is_conj())
        first = seen.setdefault(view, name) if tensor.numel() else name
        if first != name:
            ties[name] = first
            continue
        copy = tensor.detach().to("cpu").resolve_conj().resolve_neg()
        if copy.is_complex():
            complex_names.append(name)
            copy = torch.view_as_real(copy)
        stored[name] = copy.clone(memory_format=torch.contiguous_format)
    return stored, ties, complex_names


def _replace_folder(beside: Path, place: Path) -> None:
    """Rename `beside` to `place`; an old checkpoint there is moved away first, since a folder cannot be overwritten."""
    old = beside.with_name(f".{place.name}.old.tmp")
    shutil.rmtree(old, ignore_errors=True)
    if place.exists():
        os.rename(place, old)
    os.rename(beside, place)
    fsync_folder(place.parent)
    shutil.rmtree(old, ignore_errors=True)
