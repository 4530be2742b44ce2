"""Options of tasks: what looks like the right value and is another type is refused as well."""

from __future__ import annotations

import re
from typing import Any

import pytest

from dsbench.envs.options import check_choice, check_flag, check_integer
from dsbench.errors import UsageError


@pytest.mark.parametrize("value", [0, 11, True, 3.0, "3", None, float("nan"), [3]])
def test_an_integer_is_an_integer_within_its_bounds(value: Any) -> None:
    check_integer("size", 1, 1, 10)
    check_integer("size", 10, 1, 10)
    expected = f"env.size is {value!r}; expected an integer from 1 to 10"
    with pytest.raises(UsageError, match=re.escape(expected)):
        check_integer("size", value, 1, 10)


def test_an_integer_may_be_open_above() -> None:
    check_integer("seed", 2**70, 0)
    with pytest.raises(UsageError, match=r"env.seed is -1; expected an integer from 0$"):
        check_integer("seed", -1, 0)


@pytest.mark.parametrize("value", [0, 1, "true", None, 1.0])
def test_a_flag_is_true_or_false(value: Any) -> None:
    check_flag("apples", True)
    with pytest.raises(UsageError, match=re.escape(f"env.apples is {value!r}; expected true or false")):
        check_flag("apples", value)


@pytest.mark.parametrize("value", ["Easy", "", 5.0, True, None, ["easy"], {}])
def test_a_choice_is_one_of_those_on_offer(value: Any) -> None:
    check_choice("level", "easy", ["easy", 1, 5])
    check_choice("level", 5, ["easy", 1, 5])
    with pytest.raises(UsageError, match=re.escape(f"env.level is {value!r}; expected one of easy, 1, 5")):
        check_choice("level", value, ["easy", 1, 5])
