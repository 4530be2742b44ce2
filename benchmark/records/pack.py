"""Results in one file: final rows, settings, provenance and journals, compressed, with a hash for each run; no weights.

A pack is an xz stream of a tar archive (POSIX ustar) whose first member, ``pack.json``, names every run and bench with its
hash; the others are ``runs/<run_id>/<file>`` and ``bench/<bench_id>/<file>``. The same records give the same bytes. It is
never unpacked to disk: members are read one after the other into memory, each no larger than its kind may be.
"""

from __future__ import annotations

import hashlib
import io
import lzma
import re
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field, TypeAdapter

from dsbench.errors import UnreadableRecord, UsageError
from dsbench.reading import MIB, Document, Limits, Unparsable, checked, open_regular, parse_json
from dsbench.records.documents import JOURNAL_SIZE, SMALL, Digest
from dsbench.records.encoding import seal
from dsbench.records.record_files import PackedFiles

SUFFIX = ".dsb"
MANIFEST = "pack.json"
FORMAT = 1
MOST_BYTES, MOST_MEMBERS = 2048 * MIB, 400_000
_MANIFEST = Limits(size=64 * MIB, depth=4, entries=400_000, text=1_000)
_MEMORY = 64 * MIB  # of the decompressor; ours takes 9 MiB
KINDS = ("runs", "bench")
_ID = r"[a-z0-9][a-z0-9._-]{0,118}"
_FILE = (
    r"config\.yaml|journal\.jsonl|samples\.npz|provenance(?:-[1-9][0-9]{0,4})?\.json"
    r"|(?:result|interrupted)-[1-9][0-9]{0,4}\.json"
)
_CODE = r"code/[A-Za-z0-9_][A-Za-z0-9_./-]{0,200}"
_MEMBER = re.compile(rf"(runs|bench)/({_ID})/({_FILE}|{_CODE})\Z")
_WAY_OUT = "get the file again, or pack the results anew with dsbench pack"

Files: TypeAlias = Mapping[str, bytes]  # of one run or bench, by name


class Manifest(Document):
    """The first member: what is in the pack."""

    format: Literal[1]
    kind: Literal["dsbench pack"]
    command: str | None = None  # that made the results
    runs: dict[Annotated[str, Field(pattern=rf"^{_ID}$")], Digest] = Field(default={})
    bench: dict[Annotated[str, Field(pattern=rf"^{_ID}$")], Digest] = Field(default={})


_ADAPTER: TypeAdapter[Manifest] = TypeAdapter(Manifest)


@dataclass(frozen=True)
class Pack:
    """A pack that was read: its runs and benches by id, each with its hash compared, and those that are not what it says."""

    path: Path
    command: str | None
    runs: dict[str, PackedFiles] = field(default_factory=dict)
    bench: dict[str, PackedFiles] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)  # id -> reason


def is_packed(name: str) -> bool:
    """Whether a file of a run or bench, by its name, goes into a pack."""
    return re.fullmatch(_FILE, name) is not None


def files_hash(files: Files) -> str:
    """sha256 over names and contents, whatever their order."""
    whole = hashlib.sha256()
    for name in sorted(files):
        whole.update(f"{name}\0{hashlib.sha256(files[name]).hexdigest()}\n".encode())
    return whole.hexdigest()


# ---------------------------------------------------------------------- writing


def pack_bytes(runs: Mapping[str, Files], bench: Mapping[str, Files], command: str | None = None) -> bytes:
    """The pack of these runs and benches."""
    hashes = {
        kind: {name: files_hash(files) for name, files in members.items()}
        for kind, members in zip(KINDS, (runs, bench), strict=True)
    }
    manifest = {"format": FORMAT, "kind": "dsbench pack", "command": command, **hashes}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        _add(archive, MANIFEST, seal(manifest))
        for kind, members in zip(KINDS, (runs, bench), strict=True):
            for name in sorted(members):
                for file in sorted(members[name]):
                    _add(archive, f"{kind}/{name}/{file}", members[name][file])
    return lzma.compress(buffer.getvalue(), check=lzma.CHECK_SHA256, preset=6)


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)  # owner, time and mode are the same for all, so that the bytes are
    member.size, member.mode = len(data), 0o644
    archive.addfile(member, io.BytesIO(data))


# ---------------------------------------------------------------------- reading


def read_pack(path: Path) -> Pack:
    """What is in the pack at `path`; writes nothing and runs nothing.

    Raises:
        UsageError: there is no such file.
        UnreadableRecord: no pack, damaged, or larger than one may be.
    """
    try:
        with open_regular(path) as file:
            members = _members(_Stream(file))
            manifest = _manifest(members)
            return _gathered(path, manifest, members)
    except FileNotFoundError:
        raise UsageError(f"no pack {str(path)!r}; expected a file that dsbench pack wrote") from None
    except Unparsable as error:
        raise UnreadableRecord(path, f"is no sound pack: {error.reason}", _WAY_OUT) from None
    except (lzma.LZMAError, tarfile.HeaderError, EOFError, MemoryError, UnicodeError) as error:
        raise UnreadableRecord(path, f"is no sound pack: {error or type(error).__name__}", _WAY_OUT) from None


def _manifest(members: Iterator[tuple[str, bytes]]) -> Manifest:
    name, data = next(members, ("", b""))
    if name != MANIFEST:
        raise Unparsable(f"it begins with {name[:60]!r}; expected {MANIFEST}")
    body: Any = parse_json(data, _MANIFEST)
    if not isinstance(body, dict) or seal({k: v for k, v in body.items() if k not in ("format", "sha256")}) != data:
        raise Unparsable(f"the checksum of its {MANIFEST} does not match")
    return checked(_ADAPTER, body)


def _gathered(path: Path, manifest: Manifest, members: Iterator[tuple[str, bytes]]) -> Pack:
    pack = Pack(path, manifest.command)
    promised = {"runs": manifest.runs, "bench": manifest.bench}
    seen: set[tuple[str, str]] = set()
    for (kind, name), files in _groups(members):
        if (kind, name) in seen or name not in promised[kind]:
            raise Unparsable(f"{kind}/{name} {'is there twice' if (kind, name) in seen else f'is not in {MANIFEST}'}")
        seen.add((kind, name))
        if files_hash(files) != promised[kind][name]:
            pack.unreadable[name] = f"{path}: {kind}/{name} is not what {MANIFEST} says; {_WAY_OUT}"
            continue
        getattr(pack, kind)[name] = PackedFiles(f"{path}/{kind}/{name}", files)
    for kind, names in promised.items():
        for name in names:
            if (kind, name) not in seen:
                pack.unreadable[name] = f"{path}: {kind}/{name} is missing; {_WAY_OUT}"
    return pack


def _groups(members: Iterator[tuple[str, bytes]]) -> Iterator[tuple[tuple[str, str], dict[str, bytes]]]:
    """Members of one run or bench together; they stand next to each other."""
    current: tuple[str, str] | None = None
    files: dict[str, bytes] = Field(default={})
    for member, data in members:
        found = _MEMBER.match(member)
        if found is None or ".." in member:
            raise Unparsable(f"it holds {member[:80]!r}, which is no file of a run or bench")
        kind, name, file = found.groups()
        if (kind, name) != current:
            if current is not None:
                yield current, files
            current, files = (kind, name), {}
        if file in files:
            raise Unparsable(f"{member[:80]!r} is there twice")
        files[file] = data
    if current is not None:
        yield current, files


class _Stream:
    """The decompressed bytes of an xz stream, read no further than asked for."""

    def __init__(self, file: io.FileIO) -> None:
        self._file, self._left, self._data = file, MOST_BYTES, b""
        self._decompressor = lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=_MEMORY)

    def read(self, size: int) -> bytes:
        """Just so many bytes; `EOFError` where there are fewer."""
        parts = [self._data[:size]]
        self._data = self._data[size:]
        missing = size - len(parts[0])
        while missing:
            more = self._more(missing)
            if not more:
                raise EOFError("it ends too early")
            parts.append(more)
            missing -= len(more)
        return b"".join(parts)

    def check_end(self) -> None:
        """`Unparsable` where more follows than the zeros that fill the last record of an archive."""
        for _ in range(tarfile.RECORDSIZE // tarfile.BLOCKSIZE + 1):
            block = self._more(tarfile.BLOCKSIZE)
            if not block and self._decompressor.eof:
                if self._decompressor.unused_data or self._file.read(1):
                    break
                return
            if block.strip(b"\0"):
                break
        raise Unparsable("something follows its end")

    def _more(self, size: int) -> bytes:
        while not self._decompressor.eof:
            data = self._file.read(1 << 16) if self._decompressor.needs_input else b""
            if not data and self._decompressor.needs_input:
                raise EOFError("it was cut short")
            found = self._decompressor.decompress(data, max_length=min(size, MIB))
            if found:
                self._left -= len(found)
                if self._left < 0:
                    raise Unparsable(f"it holds more than {MOST_BYTES:,} bytes")
                return found
        return b""


def _members(stream: _Stream) -> Iterator[tuple[str, bytes]]:
    """Name and content of each member of the archive; only regular files of the sizes that their kinds may have."""
    for _ in range(MOST_MEMBERS):
        header = stream.read(tarfile.BLOCKSIZE)
        if not header.strip(b"\0"):
            if stream.read(tarfile.BLOCKSIZE).strip(b"\0"):
                raise Unparsable("its archive does not end as archives end")
            stream.check_end()
            return
        member = tarfile.TarInfo.frombuf(header, "ascii", "strict")
        if member.type != tarfile.REGTYPE or not member.isfile():
            raise Unparsable(f"{member.name[:80]!r} is no plain file")
        if not 0 <= member.size <= _largest(member.name):
            raise Unparsable(f"{member.name[:80]!r} has {member.size:,} bytes, more than such a file may have")
        data = stream.read(member.size)
        stream.read(-member.size % tarfile.BLOCKSIZE)
        yield member.name, data
    raise Unparsable(f"it has more than {MOST_MEMBERS:,} files")


def _largest(name: str) -> int:
    if name == MANIFEST:
        return _MANIFEST.size
    return JOURNAL_SIZE if name.endswith(("/journal.jsonl", "/samples.npz")) else SMALL.size
