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
from dsbench.reading import MIB, Limits, Unparsable, open_regular, parse_json
from dsbench.reading.models import Document, checked
from dsbench.records.documents import JOURNAL_SIZE, SMALL, Digest
from dsbench.records.encoding import seal
from dsbench.records.record_files import PackedFiles

SUFFIX = ".dsb"
MANIFEST = "pack.json"
FORMAT = 1
MOST_BYTES, MOST_MEMBERS = 2048 * MIB, 400_000
# Records shrink to a thirtieth; what shrinks to less than a thousandth was made to fill somebody's memory.
_FREE, _RATIO = 32 * MIB, 250
_MANIFEST = Limits(size=24 * MIB, depth=4, entries=110_000, text=1_000)
_MEMORY = 32 * MIB  # of the decompressor; ours takes 9 MiB
_BLOCK = tarfile.BLOCKSIZE
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
    parts = [_member(MANIFEST, seal(manifest))]
    for kind, members in zip(KINDS, (runs, bench), strict=True):
        for name in sorted(members):
            parts += [_member(f"{kind}/{name}/{file}", members[name][file]) for file in sorted(members[name])]
    return lzma.compress(b"".join([*parts, bytes(2 * _BLOCK)]), check=lzma.CHECK_SHA256, preset=6)


def _member(name: str, data: bytes) -> bytes:
    return _header(name, len(data)) + data + bytes(-len(data) % _BLOCK)


def _header(name: str, size: int) -> bytes:
    """Owner, time and mode are the same for all, so that the bytes are; `ValueError` for a name of more than 255 characters."""
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o644
    return member.tobuf(tarfile.USTAR_FORMAT, "ascii", "strict")


# ---------------------------------------------------------------------- reading


def read_pack(path: Path, inside: Path | None = None) -> Pack:
    """What is in the pack at `path`; writes nothing and runs nothing.

    Args:
        path: the file.
        inside: the folder that it must lie in, links followed; None where the user named this very path.

    Raises:
        UsageError: there is no such file.
        UnreadableRecord: no pack, damaged, or larger than one may be.
    """
    try:
        with open_regular(path, inside) as file:
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
        if missing := names.keys() - {name for own, name in seen if own == kind}:
            raise Unparsable(f"{kind}/{min(missing)} is missing")
    return pack


def _groups(members: Iterator[tuple[str, bytes]]) -> Iterator[tuple[tuple[str, str], dict[str, bytes]]]:
    """Members of one run or bench together; they stand next to each other."""
    current: tuple[str, str] | None = None
    files: dict[str, bytes] = {}
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
    """The decompressed bytes of an xz stream, which are not more than its compressed ones may become."""

    def __init__(self, file: io.FileIO) -> None:
        self._file, self._data, self._place = file, b"", 0
        self._given = self._found = 0  # compressed and decompressed bytes so far
        self._decompressor = lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=_MEMORY)

    def read(self, size: int) -> bytes:
        """Just so many bytes; `EOFError` where there are fewer."""
        found = self._data[self._place : self._place + size]
        self._place += size
        if len(found) == size:
            return found
        parts, missing = [found], size - len(found)
        while missing > 0:
            self._data = self._more()
            if not self._data:
                raise EOFError("it ends too early")
            parts.append(self._data[:missing])
            self._place = min(missing, len(self._data))
            missing -= len(self._data)
        return b"".join(parts)

    def check_end(self) -> None:
        """`Unparsable` where more follows than the zeros that fill the last record of an archive."""
        rest = self._data[self._place :]
        while len(rest) <= tarfile.RECORDSIZE and (more := self._more()):
            rest += more
        ended = self._decompressor.eof and not self._decompressor.unused_data and not self._file.read(1)
        if not ended or len(rest) > tarfile.RECORDSIZE or rest.strip(b"\0"):
            raise Unparsable("something follows its end")

    def _more(self) -> bytes:
        while not self._decompressor.eof:
            data = self._file.read(1 << 16) if self._decompressor.needs_input else b""
            if not data and self._decompressor.needs_input:
                raise EOFError("it was cut short")
            self._given += len(data)
            found = self._decompressor.decompress(data, max_length=1 << 18)
            self._found += len(found)
            if self._found > min(MOST_BYTES, _FREE + _RATIO * self._given):
                raise Unparsable(
                    f"its {self._given:,} bytes become more than {self._found:,}, as those of no records do"
                )
            if found:
                return found
        return b""


def _members(stream: _Stream) -> Iterator[tuple[str, bytes]]:
    """Name and content of each member of the archive; only regular files of the sizes that their kinds may have."""
    for _ in range(MOST_MEMBERS):
        header = stream.read(_BLOCK)
        if header == bytes(_BLOCK):
            if stream.read(_BLOCK) != header:
                raise Unparsable("its archive does not end as archives end")
            stream.check_end()
            return
        name, size = _described(header)
        if size > _largest(name):
            raise Unparsable(f"{name[:80]!r} has {size:,} bytes, more than such a file may have")
        data = stream.read(size)
        if stream.read(-size % _BLOCK).strip(b"\0"):
            raise Unparsable(f"something follows {name[:80]!r}")
        yield name, data
    raise Unparsable(f"it has more than {MOST_MEMBERS:,} files")


_PLAIN = _header("", 0)  # what is the same in all of them: links, devices and other forms of names differ from it
_NAME, _SIZE, _SUM, _PREFIX = slice(0, 100), slice(124, 136), slice(148, 156), slice(345, 500)
_BETWEEN = (slice(100, 124), slice(136, 148), slice(156, 345), slice(500, 512))
_OCTAL = re.compile(rb"[0-7]{11}\0\Z")


def _described(header: bytes) -> tuple[str, int]:
    """Name and size of a member; `Unparsable` for a header that `_header` does not make."""
    total = sum(header) - sum(header[_SUM]) + 8 * ord(" ")  # its own place counts as blanks
    if (
        any(header[part] != _PLAIN[part] for part in _BETWEEN)
        or header[_SUM] != b"%06o\0 " % total
        or not _OCTAL.match(header[_SIZE])
    ):
        raise Unparsable(f"{header[_NAME].rstrip(bytes(1))[:80]!r} is no plain file as dsbench pack writes them")
    name, prefix = (header[part].rstrip(b"\0").decode("ascii") for part in (_NAME, _PREFIX))
    return f"{prefix}/{name}" if prefix else name, int(header[_SIZE][:-1], 8)


def _largest(name: str) -> int:
    if name == MANIFEST:
        return _MANIFEST.size
    return JOURNAL_SIZE if name.endswith(("/journal.jsonl", "/samples.npz")) else SMALL.size
