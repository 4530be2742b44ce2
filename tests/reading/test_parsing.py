"""What is read is what is there, or one sentence; however deep, long or crooked the text, it takes no time to say so."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from dsbench.reading import Limits, Unparsable, parse_json, parse_yaml

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=40)
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(value=values)
@settings(max_examples=150, deadline=None)
def test_json_is_read_as_the_standard_library_reads_it(value: Any) -> None:
    assert parse_json(json.dumps(value).encode()) == value
    assert parse_json(json.dumps(value, ensure_ascii=False).encode()) == value


@given(value=values)
@settings(max_examples=150, deadline=None)
def test_yaml_is_read_as_its_own_library_reads_it(value: Any) -> None:
    text = yaml.safe_dump(value, allow_unicode=True)
    assert parse_yaml(text) == yaml.safe_load(text)


@given(text=st.text(max_size=200))
@settings(max_examples=200, deadline=None)
def test_any_text_is_a_value_or_a_sentence(text: str) -> None:
    told = []
    for parse in (parse_yaml, lambda text: parse_json(text.encode("utf-8", "surrogatepass"))):
        try:
            parse(text)
        except Unparsable as error:
            told.append(str(error))
    assert not any("\n" in sentence for sentence in told)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"[" * 100_000, "deep"),
        (b'{"a":' * 100_000, "deep"),
        (b"[" * 40 + b"]" * 40, "deep"),
        (b'{"a": 1, "b": {"c": 1, "c": 2}}', "'c' is given twice"),
        (b"NaN", "no JSON number"),
        (b"[-Infinity]", "no JSON number"),
        (b"1e999", "too large"),
        (b"9" * 5_000, "digits"),
        (b"9" * 30, "64"),
        (b'"\\ud800"', "surrogate"),
        (b'{"\\udfff": 1}', "surrogate"),
        (b"\xff\xfe1\x00", "UTF-8"),
        (b"", "not valid JSON"),
        (b'{"a": 1} x', "not valid JSON"),
        (b'["' + b"a" * 2_000_000 + b'"]', "larger"),
        (b"[" + b"0," * 200_000 + b"0]", "entries"),
    ],
)
def test_crooked_json_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(Unparsable, match=reason):
        parse_json(data)


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join([f'*{chr(97 + i)}'] * 9)}]\n" for i in range(12)
)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[" * 100_000, "deep"),
        ("- " * 100_000 + "x", "deep"),
        ("{a: " * 100_000, "deep"),
        (BOMB, "anchors"),
        ("a: *x", "aliases"),
        ("a: !!python/object/apply:os.system [id]", "tag"),
        ("a: !x 1", "tag"),
        ("a: 1\nb: {c: 1, c: 2}", "b.c is given twice"),
        ("a: 1\n---\nb: 2", "second document"),
        ("? [1, 2]\n: 3", "key"),
        ("1: 2", "key '1' is not text"),
        ("<<: {a: 1}", "key"),
        ("a: 2020-01-01", "a: '2020-01-01' is a timestamp"),
        ("a: 0x10", "decimal number"),
        ("a: 010", "decimal number"),
        ("a: 1_000", "decimal number"),
        ("a: 12:30:45", "decimal number"),
        ("a: .inf", "decimal number"),
        ("a: " + "9" * 5_000, "decimal number"),
        ("a: 99999999999999999999", "64"),
        ("a: \x00", "not valid YAML"),
        ("a: \ud800", "not valid YAML"),
        ("a: [1", "not valid YAML"),
        ("- x\n" * 300_000, "larger|entries"),
    ],
)
def test_crooked_yaml_is_refused(text: str, reason: str) -> None:
    with pytest.raises(Unparsable, match=reason):
        parse_yaml(text)


def test_limits_are_those_that_were_asked_for() -> None:
    small = Limits(size=40, depth=2, entries=3, text=5)
    assert parse_json(b'{"a": [1]}', small) == {"a": [1]}
    for data in (b'{"a": [[1]]}', b"[1, 2, 3, 4]", b'"abcdef"', b" " * 41):
        with pytest.raises(Unparsable):
            parse_json(data, small)
