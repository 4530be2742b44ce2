"""Checkpoints of one attempt: tensors as safetensors beside a JSON manifest with hashes; never pickle.

    checkpoints/<attempt>/update-00000700/    tensors.safetensors  manifest.json
    checkpoints/<attempt>/final/              the policy that `dsbench.load_policy` reads

A checkpoint is written beside its place, read back, and only then renamed, so a name either is absent or stands for a
whole checkpoint. What rots on the disk afterwards is found by its hash, and the one before it is used.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import TypeAdapter

from dsbench.errors import CorruptFile, UsageError
from dsbench.files import cannot_write, check_name, replace_file, replace_folder, stays_inside
from dsbench.reading import MIB, Limits, Unparsable
from dsbench.records.encoding import read_sealed, seal
from dsbench.records.manifest import check_names, read_manifest
from dsbench.records.record_files import FolderFiles
from dsbench.records.stored_tensors import BadTensors, read_header
from dsbench.temporaries import discard_leftovers, temporary_beside

if TYPE_CHECKING:
    from torch import Tensor

TENSORS, MANIFEST = "tensors.safetensors", "manifest.json"
_LIMITS = Limits(size=256 * MIB, depth=24, entries=10_000_000, text=MIB)  # a long training tells of each evaluation
_LARGEST = (
    1 << 42
)  # bytes of tensors; what is made of them is bounded by the file, whose size its header must account for
_ANY: TypeAdapter[dict[str, Any]] = TypeAdapter(dict[str, Any])
_WAY_OUT = "run the same command with --force to make the run again"


class Checkpoint(NamedTuple):
    """A checkpoint in memory; tensors are on the CPU, and tied ones are one tensor again."""

    update: int | None  # None for a named checkpoint
    tensors: dict[str, Tensor]
    meta: dict[str, Any]
    warnings: tuple[str, ...] = ()  # one sentence for each newer, damaged checkpoint that `latest` passed over


class Checkpoints:
    """The checkpoints in `folder`; one process writes, and where locks do not hold between hosts, a second does no harm.

    Args:
        folder: made at the first save; the folder that its own folder lies in must exist.
        keep: how many of those with an update number stay.
        root: the folder that all of it must lie in, such as the run's; `folder` if not given.
        run_id, attempt: whose they are; noted in each, and one that names others is not believed.
        may_write: called before anything is written; raises where that is not allowed.
    """

    def __init__(
        self,
        folder: Path,
        keep: int = 2,
        *,
        root: Path | None = None,
        run_id: str | None = None,
        attempt: int | None = None,
        may_write: Callable[[], None] = lambda: None,
    ) -> None:
        self.folder, self.keep, self.root, self.may_write = folder, keep, root or folder, may_write
        self._owner = {"run_id": run_id, "attempt": attempt}

    def save(self, which: int | str, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> Path:
        """Save under an update number (the last `keep` of these stay) or under a name (``final``; stays).

        Args:
            which: update number or name.
            tensors: any tensors, also tied, overlapping, strided or complex ones.
            meta: JSON data; keys are text and numbers are finite.

        Raises:
            CannotWrite: disk full, no rights, or the folder is gone; older checkpoints are untouched.
        """
        self.may_write()
        place = self.folder / _folder_name(which)
        self._check_place()
        beside = temporary_beside(place)
        try:
            self.folder.parent.mkdir(exist_ok=True)
            self.folder.mkdir(exist_ok=True)
            discard_leftovers(self.folder)
            try:
                beside.mkdir()
                _write(beside, tensors, {**meta, **{key: own for key, own in self._owner.items() if own is not None}})
                _read(beside, self.root)
                replace_folder(beside, place)
            finally:
                shutil.rmtree(beside, ignore_errors=True)
        except OSError as error:
            raise cannot_write(place, error) from error
        if isinstance(which, int):
            self._rotate(which)
        return place

    def place(self, which: int | str) -> Path:
        """The folder of the checkpoint of this update number or name, there or not."""
        return self.folder / _folder_name(which)

    def load(self, which: int | str) -> Checkpoint:
        """The checkpoint of this update number or name.

        Raises:
            UsageError: there is none; names those that exist.
            CorruptFile: torn or changed, not what a checkpoint holds, or that of another run, attempt or update.
        """
        place = self.place(which)
        if not place.is_dir():
            known = ", ".join(self.names()) or "none"
            raise UsageError(f"no checkpoint {which!r} in {self.folder}; there are: {known}")
        tensors, meta = _read(place, self.root)
        update = which if isinstance(which, int) else None
        for name, expected in (*self._owner.items(), ("updates_done", update)):
            if None not in (expected, meta.get(name)) and meta[name] != expected:
                raise CorruptFile(
                    f"{place / MANIFEST} is of {name} {str(meta[name])[:100]!r}, and stands where {str(expected)!r} belongs; "
                    f"{_WAY_OUT}"
                )
        return Checkpoint(update, tensors, meta)

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
        # Higher numbers than the one just saved are damaged ones that a resumed run passed over, or another process's.
        for update in [update for update in self.updates() if update <= newest][: -self.keep]:
            shutil.rmtree(self.folder / _folder_name(update), ignore_errors=True)


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
    replace_file(folder / TENSORS, data)
    digest = hashlib.sha256(data).hexdigest()
    manifest = {"tensors_sha256": digest, "ties": ties, "complex": complex_names, "meta": dict(meta)}
    replace_file(folder / MANIFEST, seal(manifest))


def _read(folder: Path, inside: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and meta of the checkpoint in `folder`; `CorruptFile` names the file that is missing or damaged.

    Its files must really lie in `inside`, links followed.
    """
    import torch
    from safetensors.torch import load

    path = folder / MANIFEST
    try:
        files = FolderFiles(folder, inside)
        manifest, _ = read_manifest(read_sealed(files, MANIFEST, _ANY, _WAY_OUT, _LIMITS))
        path = folder / TENSORS
        data = files.read(TENSORS, _LARGEST)
        if hashlib.sha256(data).hexdigest() != manifest.tensors_sha256:
            raise BadTensors("is damaged (its checksum does not match)")
        header = read_header(data)
        path = folder / MANIFEST
        check_names(manifest, header)
    except FileNotFoundError as error:
        raise CorruptFile(f"{path} is missing; {_WAY_OUT}") from error
    except (BadTensors, Unparsable) as error:
        raise CorruptFile(f"{path} {error}; {_WAY_OUT}") from error
    tensors = load(data)
    for name in manifest.complex:
        tensors[name] = torch.view_as_complex(tensors[name])
    for name, first in manifest.ties.items():
        tensors[name] = tensors[first]
    return tensors, manifest.meta


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
