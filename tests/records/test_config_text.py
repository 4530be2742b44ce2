"""Reading settings part by part gives what reading them whole gives, and nothing that is no setting gets through."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from dsbench.config import RunConfig, to_dict
from dsbench.reading import Unparsable
from dsbench.records.config_text import flat, parse_config, parse_flat

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63) + 1, 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=90)
)
options = st.dictionaries(
    st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True), scalars | st.lists(scalars, max_size=3)
)
own_keys = {"name", "d_model", "options"}


@given(backbone=options, env=options, seed=st.integers(0, 2**63 - 1), recipe=st.text(min_size=1, max_size=20))
@settings(max_examples=80, deadline=None)
def test_it_is_what_reading_the_whole_gives(
    backbone: dict[str, Any], env: dict[str, Any], seed: int, recipe: str
) -> None:
    config = {
        "backbone": {"name": "s4"} | {key: value for key, value in backbone.items() if key not in own_keys},
        "env": {"name": "umbrella"} | {key: value for key, value in env.items() if key not in own_keys},
        "data": {"recipe": recipe},
        "seed": seed,
    }
    text = yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
    assert parse_config(text) == yaml.safe_load(text)
    assert parse_flat(text) == flat(yaml.safe_load(text))


@pytest.mark.parametrize(
    "text",
    [
        "# a remark\nseed: 3\nenv: {name: umbrella}\n",
        "backbone:\n  name: |\n    one\n\n    two\nseed: 2\n",
        'seed: 3\nenv:\n  name: "a\\\n    b"\n',
        "eval:\n  decode:\n  - argmax\n  - sample\n",
    ],
)
def test_what_is_unusual_is_read_too(text: str) -> None:
    assert parse_config(text) == yaml.safe_load(text)


def test_all_settings_of_a_run_are_read_back() -> None:
    config = to_dict(RunConfig.model_validate({"backbone": {"name": "s4"}, "env": {"name": "umbrella"}}))
    assert parse_config(yaml.safe_dump(config, sort_keys=False)) == config


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("seed: 1\nseed: 2\n", "seed is given twice"),
        ("result.score: 1\n", "unknown setting 'result.score'"),
        ("seed: one\n", "seed"),
        ("train: {lr: .nan}\n", "decimal number"),
        ("env: {name: umbrella, x: &a 1}\n", "anchors"),
        ("- 1\n", "holds list"),
        ("seed: 1\n---\nseed: 2\n", "second document"),
        ("env: !!python/name:os.system\n", "tag"),
        ("env: {name: umbrella, x: " + "[" * 100 + "]" * 100 + "}\n", "deep"),
    ],
)
def test_what_is_no_setting_is_refused(text: str, reason: str) -> None:
    with pytest.raises(Unparsable, match=reason):
        parse_config(text)


def test_nothing_is_shared_between_two_readings() -> None:
    text = "eval:\n  decode:\n  - argmax\n"
    parse_config(text)["eval"]["decode"].append("sample")
    assert parse_config(text) == {"eval": {"decode": ["argmax"]}}
