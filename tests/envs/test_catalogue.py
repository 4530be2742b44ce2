"""An environment from a user's own file: its options, and its data when the file changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from dsbench.envs import get_spec
from dsbench.envs.data.cache import cache_folder
from dsbench.errors import UsageError

TAKES_ALL = "from dsbench.envs import get_spec\ndef mine(**options): return get_spec('umbrella', **options)\n"


def own(folder: Path, source: str) -> str:
    folder.mkdir()
    (folder / "mine.py").write_text(source)
    return f"{folder}/mine.py:mine"


def test_a_function_that_takes_any_keyword_judges_its_options_itself(tmp_path: Path) -> None:
    name = own(tmp_path / "a", TAKES_ALL)
    assert get_spec(name, chain_length=7).horizon == 7
    with pytest.raises(UsageError, match="no option 'nope'"):
        get_spec(name, nope=1)


def test_data_of_a_file_that_was_changed_since_is_not_taken_for_its_own(tmp_path: Path) -> None:
    names = [own(tmp_path / "a", TAKES_ALL), own(tmp_path / "b", TAKES_ALL), own(tmp_path / "c", TAKES_ALL + "# new\n")]
    folders = [cache_folder(get_spec(name), "random", 10, 0, tmp_path) for name in names]
    assert folders[0] == folders[1] != folders[2]
    assert get_spec("umbrella").origin.code is None
