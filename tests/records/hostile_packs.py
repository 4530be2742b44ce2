"""Files called ``.dsb`` that somebody made to do harm: bombs, tricks of archives, lies, damage."""

from __future__ import annotations

import io
import json
import lzma
import os
import random
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from dsbench.records.encoding import seal
from dsbench.records.pack import MANIFEST, files_hash, pack_bytes
from tests.records.sound import bench_files, run_files

Member = tuple[str, bytes]
SUMS = (lzma.CHECK_SHA256, lzma.CHECK_NONE, lzma.CHECK_CRC32)


def sound_runs() -> dict[str, dict[str, bytes]]:
    """Three runs as they are packed."""
    runs = dict([run_files("gpt", score=0.6), run_files("s4"), run_files("s4", seed=1, score=0.4)])
    return {name: {file: data for file, data in own.items() if file != "claim.json"} for name, own in runs.items()}


def sound_pack() -> bytes:
    """The pack of them, and of a bench."""
    return pack_bytes(sound_runs(), {"20260101t000000-quick": bench_files()}, "dsbench sweep")


def packed(archive: bytes, **how: Any) -> bytes:
    """An archive compressed, with the format and checks of ours unless told otherwise."""
    return lzma.compress(archive, **{"check": lzma.CHECK_SHA256, **how})


def archive_of(members: list[Member], end: bytes = bytes(1024)) -> bytes:
    """An archive of members as ours writes them, in this order."""
    return b"".join(_member(tarfile.TarInfo(name), data) for name, data in members) + end


def _member(info: tarfile.TarInfo, data: bytes = b"", form: int = tarfile.USTAR_FORMAT) -> bytes:
    info.size, info.mode = info.size or len(data), 0o644
    return info.tobuf(form, "utf-8", "surrogateescape") + data + bytes(-len(data) % 512)


def members_of(runs: Mapping[str, Mapping[str, bytes]], /, **changed: Any) -> list[Member]:
    """A manifest with right hashes, and the files of these runs."""
    manifest = {"format": 1, "kind": "dsbench pack", "command": None, "bench": {}}
    manifest["runs"] = {name: files_hash(files) for name, files in runs.items()}
    files = [(f"runs/{name}/{file}", own[file]) for name, own in sorted(runs.items()) for file in sorted(own)]
    return [(MANIFEST, seal(manifest | changed)), *files]


def bombs() -> Iterator[tuple[str, bytes]]:
    """Small files that become gigabytes."""
    name, runs = next(iter(sound_runs())), sound_runs()
    zeros = lzma.compress(bytes(64 << 20), preset=0)
    yield "zeros alone", zeros
    yield "many streams of zeros", zeros * 40
    yield "zeros after a sound pack", sound_pack() + zeros
    yield "zeros after the end", packed(archive_of(members_of(runs)) + bytes(200 << 20), preset=0)
    journal = runs | {name: runs[name] | {"journal.jsonl": bytes(64 << 20)}}
    yield "a journal of zeros", packed(archive_of(members_of(journal)), preset=0)
    ends = runs | {name: runs[name] | {"journal.jsonl": b"\n" * (60 << 20)}}
    yield "a journal of line ends", packed(archive_of(members_of(ends)), preset=0)
    many = {f"{name[:-4]}{number:04}": {"journal.jsonl": bytes(1 << 20)} for number in range(200)}
    yield "two hundred journals of zeros", packed(archive_of(members_of(many)), preset=0)
    text = json.dumps({"a": "x" * (20 << 20)}).encode()
    yield "a manifest of one text", packed(archive_of([(MANIFEST, text)]), preset=0)
    yield "a manifest of lists", packed(archive_of([(MANIFEST, b"[" + b"[]," * (8 << 20) + b"[]]")]), preset=0)
    names = {f"a{number}": "0" * 64 for number in range(100_000)}
    yield "a hundred thousand runs that are not there", packed(archive_of(members_of({}, runs=names)), preset=0)
    yield (
        "a million runs that are not there",
        packed(
            archive_of(
                [
                    (
                        MANIFEST,
                        seal({"format": 1, "kind": "dsbench pack", "runs": {f"a{n}": "0" * 64 for n in range(10**6)}}),
                    )
                ]
            ),
            preset=0,
        ),
    )
    empty = [(f"runs/a{number}/config.yaml", b"") for number in range(50_000)]
    yield "fifty thousand empty files", packed(archive_of([members_of({})[0], *empty]), preset=0)
    for size in (26, 28, 30):
        filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << size, "preset": 0}]
        yield (
            f"a dictionary of 2^{size} bytes",
            _with_dictionary(packed(archive_of(members_of(runs)), filters=[filters[0] | {"dict_size": 1 << 16}]), size),
        )
    yield "one letter for ever", packed(b"a" * (128 << 20), preset=0)


def _with_dictionary(data: bytes, power: int) -> bytes:
    """The header of an xz block, which then asks for so large a dictionary; its checksum is right."""
    size = (data[12] + 1) * 4
    header = bytearray(data[12 : 12 + size - 4])
    place = header.index(b"\x21\x01") + 2
    header[place] = 2 * (power - 12)
    return data[:12] + bytes(header) + zlib.crc32(header).to_bytes(4, "little") + data[12 + size :]


def tricks() -> Iterator[tuple[str, bytes]]:
    """What archives can do beside holding files, and lies about what is in them."""
    runs = sound_runs()
    first, second, third = sorted(runs)
    members = members_of(runs)
    manifest, files = members[0], members[1:]
    for name in (
        "../evil", "/tmp/evil", f"runs/{first}/../../evil", f"runs/{first}/config.yaml/../evil", "runs/../evil", "./runs/a",
        f"runs//{first}/config.yaml", f"runs/{first}/", f"runs/{first}", "runs", "bench", "", ".", "..", "~/evil", "C:\\evil",
        f"runs/{first}/evil.py", f"runs/{first}/claim.json", f"runs/{first}/claim.lock", f"runs/{first}/checkpoints/1/final/x",
        f"runs/{first}/result-0.json", f"runs/{first}/result-01.json", f"runs/{first}/result-100000.json", "pack.json",
        f"runs/{first}/result-1.json\n", f"runs/{first}/config.yaml ", f"runs/{first.upper()}/config.yaml", "x" * 100,
        f"runs/{first}/code/../../../evil.py", f"runs/{first}/code//evil.py",
        f"runs/{first}/code/.hidden", "runs/é/config.yaml",
        f"runs/{first}/code/a/../b.py", "runs/.hidden/config.yaml", f"code/{first}/x.py", "runs/a\x01b/config.yaml",
    ):  # fmt: skip
        yield f"beside them {name!r}", packed(archive_of([manifest, *files, (name, b"x")]))
        yield f"before them {name!r}", packed(archive_of([manifest, (name, b"x"), *files]))
        yield f"in front {name!r}", packed(archive_of([(name, b"x"), manifest, *files]))
    for kind in (tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE,
                 tarfile.CONTTYPE, tarfile.AREGTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.GNUTYPE_SPARSE,
                 tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, b"V", b"M", b"Z", b"\xff"):  # fmt: skip
        for name in (f"runs/{first}/config.yaml", "evil"):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            yield (
                f"{name[-11:]} of type {kind!r}",
                packed(archive_of([manifest, *files], b"") + _member(info) + bytes(1024)),
            )
            yield f"{name[-11:]} of type {kind!r} first", packed(_member(info) + archive_of(members))
    for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        long = tarfile.TarInfo(f"runs/{first}/" + "x" * 300)
        yield (
            f"a long name, format {form}",
            packed(archive_of([manifest], b"") + _member(long, b"x", form) + bytes(1024)),
        )
        info = tarfile.TarInfo(manifest[0])
        info.pax_headers = {"path": "../../evil", "size": "5"}
        yield f"another path, format {form}", packed(_member(info, manifest[1], form) + archive_of(files))
    for place, value in (
        (124, b"-0000000001\0"), (124, b"\x80" + bytes(10) + b"\x05"), (124, b"\xff" * 12),
        (124, b"77777777777\0"), (124, b" " * 12),
        (124, b"\x80" + b"\xff" * 11), (124, bytes(12)), (100, b"0000777\0"), (108, b"0001750\0"), (136, b"14000000000\0"),
        (148, b"0000000\0"), (156, b"1"), (157, b"/etc/passwd"), (257, b"ustar  \0"), (257,
        bytes(8)), (265, b"root"), (329, b"0000001\0"),
        (345, b"../.."), (345, b"/etc"), (500, b"x" * 12), (0, b"\0"), (0, b"runs/\0evil"), (99, b"x"), (124, b"0x000000005\0"),
    ):  # fmt: skip
        for right in (True, False):
            archive = bytearray(archive_of(members))
            start = 512 + -(-len(manifest[1]) // 512) * 512
            archive[start + place : start + place + len(value)] = value
            if right and place != 148:
                header = bytes(archive[start : start + 148]) + b" " * 8 + bytes(archive[start + 156 : start + 512])
                archive[start + 148 : start + 156] = b"%06o\0 " % sum(header)
            yield f"{value[:12]!r} at {place} of a header, {'right' if right else 'wrong'} sum", packed(bytes(archive))
    yield "the manifest last", packed(archive_of([*files, manifest]))
    yield "no manifest", packed(archive_of(files))
    yield "two manifests", packed(archive_of([manifest, manifest, *files]))
    yield "a file twice", packed(archive_of([manifest, *files, files[0]]))
    yield "a file twice, next to itself", packed(archive_of([manifest, files[0], *files]))
    yield "a run twice", packed(archive_of([manifest, *files, *[one for one in files if first in one[0]]]))
    yield (
        "files of runs mixed",
        packed(archive_of([manifest, *sorted(files, key=lambda one: one[0].rpartition("/")[2])])),
    )
    yield "files turned round", packed(archive_of([manifest, *files[::-1]]))
    yield "a run that is not in the manifest", packed(archive_of([members_of({first: runs[first]})[0], *files]))
    yield "a run that is missing", packed(archive_of([manifest, *[one for one in files if first not in one[0]]]))
    yield "nothing", packed(archive_of(members_of({})))
    yield "no end", packed(archive_of(members, b""))
    yield "half an end", packed(archive_of(members, bytes(512)))
    yield "text at its end", packed(archive_of(members) + b"x")
    yield "another archive at its end", packed(archive_of(members) + archive_of(members))
    yield "two streams", packed(archive_of(members)) * 2
    yield "an archive in two streams", packed(archive_of(members)[:1024]) + packed(archive_of(members)[1024:])
    for swapped in ((first, second), (second, third), (first, third)):
        lying = runs | {swapped[0]: runs[swapped[1]], swapped[1]: runs[swapped[0]]}
        yield f"runs under each other's names {swapped[0][-4:]}", pack_bytes(lying, {})
    for file in sorted(runs[first]):
        mixed = runs | {first: runs[first] | {file: runs[second].get(file, b"")}}
        yield f"another run's {file}", pack_bytes(mixed, {})
        yield f"without {file}", pack_bytes(runs | {first: {n: d for n, d in runs[first].items() if n != file}}, {})
    for key, value in (
        ("format", 2), ("format", "1"), ("kind", "another"), ("kind", None), ("runs", []),
        ("runs", {first: "0" * 64}), ("runs", None),
        ("runs", {"../evil": "0" * 64}), ("bench", {"x": 1}), ("command", 5), ("command", "x" * 2_000), ("command", "\x1b[31m"),
        ("runs", {first: "A" * 64}), ("runs", {"": "0" * 64}), ("bench", {first: "0" * 64}), ("extra", [1, 2]),
    ):  # fmt: skip
        yield f"{key} is {str(value)[:20]!r}", packed(archive_of([members_of(runs, **{key: value})[0], *files]))
    wrong = json.loads(manifest[1]) | {"sha256": "0" * 64}
    yield "a manifest without its sum", packed(archive_of([(MANIFEST, json.dumps(wrong).encode()), *files]))


def others() -> Iterator[tuple[str, bytes]]:
    """Files of other kinds, and other forms of the same."""
    archive = archive_of(members_of(sound_runs()))
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as file:
        file.writestr("../../evil", "x")
    yield "nothing at all", b""
    yield "text", b"hello\n"
    yield "YAML", b"seed: 1\n"
    yield "a zip", zipped.getvalue()
    yield "an archive that is not compressed", archive
    yield "gzip", zlib.compress(archive, wbits=31)
    yield "the old format of lzma", lzma.compress(archive, format=lzma.FORMAT_ALONE)
    yield "the head of an xz file", b"\xfd7zXZ\0"
    yield "a program", b"\x7fELF" + bytes(100)
    for check in SUMS[1:]:
        yield f"another check {check}", packed(archive, check=check)
    yield (
        "with a filter",
        packed(archive, filters=[{"id": lzma.FILTER_DELTA, "dist": 4}, {"id": lzma.FILTER_LZMA2, "preset": 1}]),
    )


def damaged(count: int) -> Iterator[tuple[str, bytes]]:
    """A sound pack cut at every 97th byte, and with bits flipped before and after it is compressed."""
    data, rng = sound_pack(), random.Random(0)
    for end in range(0, len(data), 97):
        yield f"cut at {end}", data[:end]
    archive = lzma.decompress(data)
    for number in range(count):
        yield f"bits flipped {number}", _flipped(rng, data)
        yield f"bits flipped in the archive {number}", packed(_flipped(rng, archive), check=SUMS[number % 3], preset=0)


def _flipped(rng: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 3))):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def places() -> dict[str, Callable[[Path, Path], None]]:
    """What else may be called x.dsb: how it is made, given its path and the folder outside that holds a sound pack."""
    return {
        "a pipe": lambda path, outside: os.mkfifo(path),
        "a folder": lambda path, outside: path.mkdir(),
        "a link to an endless device": lambda path, outside: path.symlink_to("/dev/zero"),
        "a link to nothing": lambda path, outside: path.symlink_to(outside / "nothing"),
        "a link to itself": lambda path, outside: path.symlink_to(path),
        "a link out of the folder": lambda path, outside: path.symlink_to(outside / "sound.dsb"),
    }
