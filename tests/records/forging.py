"""Forged documents: every kind that is stored, cut, flipped, changed in its shape, or laid where another belongs.

The same number gives the same forgery. Half of them are sealed again, so that their checksums are right and only the
models of the kinds stand between them and a report.
"""

from __future__ import annotations

import hashlib
import json
import random
import tomllib
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import yaml

from dsbench.files import to_json
from dsbench.records.pack import pack_bytes
from dsbench.records.run_records import HEADER

Path_: TypeAlias = tuple[str | int, ...]
DEEP = 100_000
# Each is put in the place of a value; those of RAW are written into the text as they stand.
RAW = {
    "@more than a double@": "1e999", "@less than one@": "-1e999", "@nan@": "NaN", "@infinity@": "-Infinity",
    "@digits@": "9" * 5_000, "@deep lists@": "[" * DEEP + "]" * DEEP, "@deep and open@": "[" * DEEP,
    "@deep objects@": '{"a":' * 3_000 + "1" + "}" * 3_000, "@half a character@": '"\\ud800"', "@no escape@": '"\\x"',
    "@hexadecimal@": "0x10", "@octal@": "010", "@word@": "nul", "@nothing@": "",
}  # fmt: skip
POISON: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 7, 10**9, 2**31, 2**53 + 1, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 10**30, 10**400,
    0.1, -0.0, 5e-324, 1e-300, 1e16, 1e154, 1e200, 1.7e308, -1.7e308, "", " ", "0", "1.5", "NaN", "ok", "text", "true",
    "[", "[]", "[1, 2", '["argmax"]', "{", "running", "unreadable", "conflicting", "x" * 150, "x" * 30_000, "a\nb", "a\r\nb",
    "\x00", "\x1b[31mred", "\u202egnp", "\u2028", "\ud800", "<script>alert(1)</script>", "|a|b|", "`a`", "$x$", "$\\frac{$",
    "=1+1", "../../up", "/dev/zero", "%s%n{0}", "٣", "é" * 70, [], {}, [1], ["a", 1, None], [[1], {"a": 2}], {"a": {"b": 1}},
    {"name": "os:system", "command": "false"}, {"result.return_mean": 1}, {str(n): n for n in range(2_000)}, [0] * 5_000, *RAW,
)  # fmt: skip
NAMES = (
    "run_id", "attempt", "status", "reason", "seed", "backbone", "env", "backbone.name", "env.name", "result.return_mean",
    "result.result.status", "return_mean", "success_metric", "first_action_accuracy",
    "first_action_accuracy_opposite", "decode",
    "acting", "latency_p50_us", "latency_contended", "score_normalised", "parameters_total", "peak_rss_bytes",
    "peak_device_bytes", "physics_note", "target_rule", "journal", "format", "sha256", "kind", "preset", "match",
    "target_return", "dsbench", "options", "value", "metric", "step", "detail", "", " ", "a\nb", "é", "x" * 1_000, "__class__",
    "policy", "data", "data.recipe", "train", "unit", "p50_us", "cell_id", "<b>",
)  # fmt: skip


@dataclass(frozen=True)
class Forged:
    """One forgery.

    Attributes:
        number: what it is made from.
        kind: of document.
        how: what was done to it, for whoever looks for the cause of a failure.
        sealed: whether its checksums are right.
        files: path in the results -> new bytes, None where the file is taken away.
        special: path in the results -> what is made in its place, one of `PLACES`.
    """

    number: int
    kind: str
    how: str
    sealed: bool
    files: Mapping[str, bytes | None] = field(default_factory=dict)
    special: Mapping[str, str] = field(default_factory=dict)


PLACES = (
    "link to a copy outside", "link to the same of another run", "link to /dev/zero", "link to /dev/full", "link to /dev/tty",
    "link to itself", "link to nothing", "link to a folder", "a pipe", "a socket", "a folder", "a terabyte of nothing",
    "70 MiB of zeros", "nothing",
)  # fmt: skip


@dataclass(frozen=True)
class Sound:
    """What is forged.

    Attributes:
        files: path -> bytes of everything that lies in a folder.
        documents: kind -> path of the document of that kind that is forged.
        packed: run id -> name -> bytes of what is in the pack, if one of the documents is a pack.
    """

    files: Mapping[str, bytes]
    documents: Mapping[str, str]
    packed: Mapping[str, Mapping[str, bytes]] = field(default_factory=dict)


def forged(number: int, sound: Sound) -> Forged:
    """The forgery of that number, from 0 on; even ones are sealed again."""
    rng = random.Random(number)
    kind = sorted(sound.documents)[number // 2 % len(sound.documents)]
    path = sound.documents[kind]
    if number % 2 == 0:
        return _sealed(rng, number, kind, path, sound)
    others = [other for other in sound.files.values() if other != sound.files[path]] or [b"{}"]
    if rng.random() < 0.15:
        place = rng.choice(PLACES)
        return Forged(number, kind, place, False, special={path: place})
    data = sound.files[path]
    how, data = _text_changed(rng, data, others) if rng.random() < 0.6 else _tree_changed(rng, kind, data)
    return Forged(number, kind, how, False, {path: data})


# ---------------------------------------------------------------------- text and bytes


def _text_changed(rng: random.Random, data: bytes, others: list[bytes]) -> tuple[str, bytes]:
    """Cut, flipped, filled, or another file's content."""
    place, length = rng.randrange(len(data) + 1), rng.randrange(1, 40)
    lines = data.split(b"\n")
    line = rng.randrange(len(lines))
    ways: dict[str, Callable[[], bytes]] = {
        "cut": lambda: data[:place],
        "cut at a line": lambda: b"\n".join(lines[:line]) + b"\n",
        "without its beginning": lambda: data[place:],
        "without a piece": lambda: data[:place] + data[place + length :],
        "a bit flipped": lambda: _flipped(rng, data),
        "bits flipped": lambda: _flipped(rng, _flipped(rng, _flipped(rng, data))),
        "zeros at the end": lambda: data[:place] + b"\0" * (len(data) - place),
        "zeros in the middle": lambda: data[:place] + b"\0" * length + data[place + length :],
        "a piece twice": lambda: data[: place + length] + data[place:],
        "twice": lambda: data + data,
        "a line twice": lambda: b"\n".join(lines[: line + 1] + lines[line:]),
        "without a line": lambda: b"\n".join(lines[:line] + lines[line + 1 :]),
        "two lines swapped": lambda: b"\n".join(_swapped(rng, lines)),
        "not UTF-8": lambda: data[:place] + b"\xff\xfe" + data[place:],
        "a mark of byte order": lambda: b"\xef\xbb\xbf" + data,
        "UTF-16": lambda: data.decode("latin-1").encode("utf-16"),
        "lines of Windows": lambda: data.replace(b"\n", b"\r\n"),
        "more behind it": lambda: data + rng.choice((b"x", b"{}", b"\n---\na: 1\n", b"\0", b"[]\n")),
        "empty": lambda: b"",
        "a blank": lambda: rng.choice((b" ", b"\n", b"\0", b"null", b"{}", b"[]", b'""', b"0")),
        "of another file": lambda: rng.choice(others),
    }
    how = rng.choice(list(ways))
    return how, ways[how]()


def _flipped(rng: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _swapped(rng: random.Random, lines: list[bytes]) -> list[bytes]:
    one, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    lines = list(lines)
    lines[one], lines[other] = lines[other], lines[one]
    return lines


# ---------------------------------------------------------------------- trees


def _tree_changed(rng: random.Random, kind: str, data: bytes) -> tuple[str, bytes]:
    """A value of the document changed; its checksum is of before."""
    if kind.endswith("settings"):
        header, _, text = data.partition(b"\n")
        how, tree = changed(rng, yaml.safe_load(text))
        return how, header + b"\n" + as_yaml(tree)
    if "journal" in kind:
        lines = data.splitlines()
        place = rng.randrange(len(lines))
        how, tree = changed(rng, json.loads(lines[place][9:]))
        lines[place] = lines[place][:9] + as_json(tree, indent=None)
        return how, b"\n".join(lines) + b"\n"
    if kind == "pack":
        return "bits flipped", _flipped(rng, _flipped(rng, data))
    return _plain_changed(rng, kind, data)


def _plain_changed(rng: random.Random, kind: str, data: bytes) -> tuple[str, bytes]:
    """A value of a document without a checksum, or with one inside that is left as it is."""
    if kind.endswith("toml"):
        how, tree = changed(rng, tomllib.loads(data.decode()))
        return how, as_toml(tree)
    if kind.endswith(("yaml", "study")):
        how, tree = changed(rng, yaml.safe_load(data))
        return how, as_yaml(tree)
    how, tree = changed(rng, json.loads(data))
    return how, as_json(tree)


def changed(rng: random.Random, tree: Any) -> tuple[str, Any]:
    """One to three values of a tree replaced, taken away, renamed, exchanged or added."""
    told = []
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        paths = [path for path in _paths(tree) if path]
        if not paths:
            break
        path = rng.choice(paths)
        way = rng.choice((_replaced, _replaced, _replaced, _retyped, _removed, _renamed, _exchanged, _added, _wrapped))
        how, tree = way(rng, tree, path)
        told.append(f"{'.'.join(map(str, path))[:60]} {how}")
    return "; ".join(told), tree


def _paths(tree: Any, above: Path_ = ()) -> Iterator[Path_]:
    yield above
    entries = tree.items() if isinstance(tree, dict) else enumerate(tree[:20]) if isinstance(tree, list) else ()
    for key, value in entries:
        yield from _paths(value, (*above, key))


def _at(tree: Any, path: Path_) -> Any:
    for key in path:
        tree = tree[key]
    return tree


def _with(tree: Any, path: Path_, value: Any) -> Any:
    if not path:
        return value
    copy = dict(tree) if isinstance(tree, dict) else list(tree)
    copy[path[0]] = _with(tree[path[0]], path[1:], value)
    return copy


def _replaced(rng: random.Random, tree: Any, path: Path_) -> tuple[str, Any]:
    value = rng.choice(POISON) if rng.random() < 0.8 else rng.choice(NAMES)
    return f"is {str(value)[:30]!r}", _with(tree, path, value)


def _retyped(rng: random.Random, tree: Any, path: Path_) -> tuple[str, Any]:
    value = _at(tree, path)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "is a number", _with(tree, path, rng.choice((0, 1, 0.5, 64)))
    other = rng.choice((str(value), float(value), -value, value * 3, bool(value), value + 1, value / 7))
    return f"is {other!r}", _with(tree, path, other)


def _removed(rng: random.Random, tree: Any, path: Path_) -> tuple[str, Any]:
    parent = _at(tree, path[:-1])
    kept = (
        {key: value for key, value in parent.items() if key != path[-1]}
        if isinstance(parent, dict)
        else [value for place, value in enumerate(parent) if place != path[-1]]
    )
    return "taken away", _with(tree, path[:-1], kept)


def _renamed(rng: random.Random, tree: Any, path: Path_) -> tuple[str, Any]:
    parent = _at(tree, path[:-1])
    if not isinstance(parent, dict):
        return _replaced(rng, tree, path)
    name = rng.choice((*NAMES, str(path[-1]).upper(), f"{path[-1]} ", f"{path[-1]}_reason"))
    renamed = {(name if key == path[-1] else key): value for key, value in parent.items()}
    return f"renamed {name[:30]!r}", _with(tree, path[:-1], renamed)


def _exchanged(rng: random.Random, tree: Any, path: Path_) -> tuple[str, Any]:
    other = rng.choice(
        [one for one in _paths(tree) if one and one[: len(path)] != path and path[: len(one)] != one] or [path]
    )
    mine, its = _at(tree, path), _at(tree, other)
    return f"exchanged with {'.'.join(map(str, other))[:60]}", _with(_with(tree, path, its), other, mine)


def _added(rng: random.Random, tree: Any, path: Path_) -> tuple[str, Any]:
    parent = _at(tree, path[:-1])
    if not isinstance(parent, dict):
        return _replaced(rng, tree, path)
    name, value = rng.choice(NAMES), rng.choice(POISON)
    return f"beside it {name[:30]!r}: {str(value)[:30]!r}", _with(tree, path[:-1], parent | {name: value})


def _wrapped(rng: random.Random, tree: Any, path: Path_) -> tuple[str, Any]:
    value = _at(tree, path)
    return "inside another", _with(tree, path, rng.choice(([value], {"a": value}, [value, value])))


# ---------------------------------------------------------------------- writing and sealing


def as_json(tree: Any, indent: int | None = 2) -> bytes:
    """JSON text with what RAW stands for."""
    text = json.dumps(tree, indent=indent, separators=None if indent else (",", ":"))
    return _raw(text, '"').encode()


def as_yaml(tree: Any) -> bytes:
    """YAML text with what RAW stands for."""
    quick = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    try:
        text = yaml.dump(tree, Dumper=quick, sort_keys=False, allow_unicode=True)
    except UnicodeEncodeError:  # half a character
        text = yaml.dump(tree, Dumper=yaml.SafeDumper, sort_keys=False, allow_unicode=True)
    return _raw(text, "'").encode("utf-8", "surrogatepass")


def as_toml(tree: Any) -> bytes:
    """TOML text: inline tables and lists are JSON with other signs, and null is a word that TOML has not."""

    def written(value: Any) -> str:
        if isinstance(value, dict):
            return "{" + ", ".join(f"{json.dumps(str(key))} = {written(one)}" for key, one in value.items()) + "}"
        return f"[{', '.join(map(written, value))}]" if isinstance(value, list) else json.dumps(value)

    lines = (
        [f"{json.dumps(str(key))} = {written(value)}" for key, value in tree.items()] if isinstance(tree, dict) else []
    )
    return _raw("\n".join(lines), '"').encode("utf-8", "surrogatepass")


def _raw(text: str, quote: str) -> str:
    for name, what in RAW.items():
        text = text.replace(f"{quote}{name}{quote}", what)
    return text


def as_sealed(tree: Any) -> bytes:
    """JSON with the sha256 of everything else in it, as far as anybody could compute one."""
    body = {key: value for key, value in tree.items() if key != "sha256"} if isinstance(tree, dict) else {}
    try:
        kept = json.loads(as_json(body))
        digest = hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()
    except (ValueError, RecursionError):
        digest = "0" * 64
    return as_json({**body, "sha256": digest}) if isinstance(tree, dict) else as_json(tree)


def with_header(text: bytes) -> bytes:
    """Settings with the checksum of the lines below."""
    return f"{HEADER}{hashlib.sha256(text).hexdigest()}\n".encode() + text


def with_checksums(lines: list[bytes]) -> bytes:
    """The lines of a journal, each with its checksum."""
    return b"".join(b"%08x %s\n" % (zlib.crc32(line), line) for line in lines)


def _sealed(rng: random.Random, number: int, kind: str, path: str, sound: Sound) -> Forged:
    data = sound.files[path]
    if kind.endswith("settings"):
        how, content = _settings_sealed(rng, data.partition(b"\n")[2])
        return Forged(number, kind, how, True, {path: with_header(content)})
    if "journal" in kind:
        how, content = _journal_sealed(rng, data)
        row = path.replace("journal.jsonl", "result-1.json")
        goes_with = {row: _with_seal_of(sound.files[row], content)} if b'"journal"' in sound.files.get(row, b"") else {}
        return Forged(number, kind, how, True, {path: content, **goes_with})
    if kind == "pack":
        return _pack_sealed(rng, number, path, sound)
    if kind.endswith(("yaml", "toml", "json", "study")):
        how, content = _tricked(rng, data) if kind.endswith(("yaml", "study")) else _plain_changed(rng, kind, data)
        return Forged(number, kind, how, True, {path: content})
    how, tree = changed(rng, json.loads(data))
    content = _data_sealed(tree) if kind == "data manifest" else as_sealed(tree)
    if rng.random() < 0.1 and b"\n" in content:
        lines = content.split(b"\n")
        how, content = f"{how}; a key twice", b"\n".join([lines[0], lines[1], *lines[1:]])
    return Forged(number, kind, how, True, {path: content})


def _pack_sealed(rng: random.Random, number: int, path: str, sound: Sound) -> Forged:
    """A pack with right hashes of forged documents."""
    runs = {name: dict(files) for name, files in sound.packed.items()}
    name = rng.choice(sorted(runs))
    kinds = {
        "settings": "config.yaml",
        "result": "result-1.json",
        "journal": "journal.jsonl",
        "provenance": "provenance-1.json",
    }
    kind = rng.choice(sorted(kinds))
    inner = _sealed(rng, number, kind, kinds[kind], Sound(runs[name], kinds))
    runs[name] |= {file: data for file, data in inner.files.items() if data is not None}
    return Forged(number, "pack", f"its {kind}: {inner.how}", True, {path: pack_bytes(runs, {})})


def _data_sealed(tree: Any) -> bytes:
    """The manifest of a data set with its own hash, as far as anybody could compute one."""
    if not isinstance(tree, dict):
        return as_json(tree)
    body = {key: value for key, value in tree.items() if key != "manifest_sha256"}
    try:
        digest = hashlib.sha256(to_json(json.loads(as_json(body)))).hexdigest()
    except (ValueError, RecursionError):
        digest = "0" * 64
    return as_json({**body, "manifest_sha256": digest})


def _with_seal_of(row: bytes, journal: bytes) -> bytes:
    """The final row that goes with a journal."""
    seal = {"lines": journal.count(b"\n"), "sha256": hashlib.sha256(journal).hexdigest()}
    return as_sealed(json.loads(row) | {"journal": seal})


def _journal_sealed(rng: random.Random, data: bytes) -> tuple[str, bytes]:
    lines = [line[9:] for line in data.splitlines()]
    way = rng.random()
    if way < 0.15:
        how, text = _text_changed(rng, b"\n".join(lines), [b"{}"])
        return how, with_checksums(text.split(b"\n"))
    if way < 0.2:
        return "10,000 lines", with_checksums([lines[len(lines) // 2]] * 10_000)
    for _ in range(rng.choice((1, 1, 5))):
        place = rng.randrange(len(lines))
        try:
            how, tree = changed(rng, json.loads(lines[place]))
        except (ValueError, RecursionError):
            continue
        lines[place] = as_json(tree, indent=None)
    return f"line {place + 1}: {how}", with_checksums(lines)


_TRICKS = (
    b"env: &a {name: umbrella}\nseed: 0\n", b"a: *a\n", b"env: !!python/object/apply:os.system [false]\n", b"---\nseed: 1\n",
    b"<<: {seed: 5}\n", b"seed: 1\n", b"? [1, 2]\n: 3\n", b"? {a: b}\n: c\n", b"seed: 0x10\n", b"seed: 1_0\n", b"seed: 1:30\n",
    b"seed: .inf\n", b"seed: 2001-01-01\n", b"a: " + b"[" * 10_000 + b"\n", b"a: " + b"{b: " * 5_000 + b"\n",
    b"- " * 5_000 + b"1\n", b"%YAML 9.9\n---\nseed: 1\n", b"\tseed: 1\n", b"seed: 1 # \xff\n",
    b"null: 1\n", b"1: 2\n", b"'': 1\n",
    b"? " + b"x" * 2_000 + b"\n: 1\n", b"a: |\n" + b"  x\n" * 50_000, b"result.status: ok\n",
    b"__class__: 1\n", b"...\nseed: 1\n",
    b"a: &b [1]\nc: [" + b"*b, " * 1_000 + b"]\n",
)  # fmt: skip


def _settings_sealed(rng: random.Random, text: bytes) -> tuple[str, bytes]:
    return _text_changed(rng, text, [b"[1]", b"seed: 1\n"]) if rng.random() < 0.2 else _tricked(rng, text)


def _tricked(rng: random.Random, text: bytes) -> tuple[str, bytes]:
    """YAML with a value changed, or with what YAML can do besides values."""
    if rng.random() < 0.25:
        trick = rng.choice(_TRICKS)
        return f"with {trick[:30]!r}", rng.choice((text + trick, trick + text, trick))
    how, tree = changed(rng, yaml.safe_load(text))
    return how, as_yaml(tree)
