"""Reading a configuration part by part gives what reading it whole gives."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from dsbench.records.config_text import parse_config

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=90)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
keys = st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True) | st.text(max_size=8)


@given(config=st.dictionaries(keys, values, max_size=5))
@settings(max_examples=60, deadline=None)
def test_it_is_what_reading_the_whole_gives(config: dict[str, Any]) -> None:
    text = yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
    assert parse_config(text) == yaml.safe_load(text)


@pytest.mark.parametrize(
    "text",
    [
        "a: &x [1, 2]\nb: *x\n",
        "a: |\n  one\n\n  two\nb: 2\n",
        "a: 1\n# a remark\nb: {c: 2}\n",
        "a:\n- 1\n- b: 2\nc: yes\n",
    ],
)
def test_what_is_unusual_is_read_too(text: str) -> None:
    assert parse_config(text) == yaml.safe_load(text)


def test_nothing_is_shared_between_two_readings() -> None:
    text = "train:\n  decode:\n  - argmax\n"
    parse_config(text)["train"]["decode"].append("sample")
    assert parse_config(text) == {"train": {"decode": ["argmax"]}}
