"""The files of published numbers are read as one, and what is wrong with them is said in one sentence."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from dsbench.errors import UsageError
from dsbench.reports.published import PATH, published
from dsbench.reports.published_file import load

PART = ("decision-s4/1/offline", "decision-s4/1/online", "decision-transformer/gym")


def changed(tmp_path: Path, change: Any) -> Path:
    """A part of what is published, in one file, after a change."""
    content = published().model_dump(mode="json")
    content["tables"] = [one for one in content["tables"] if one["id"] in PART]
    change(content)
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(content))
    return tmp_path / "mine.yaml"


def table(book: Any, table_id: str = "decision-s4/1/offline") -> Any:
    return next(one for one in book["tables"] if one["id"] == table_id)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda book: table(book)["rows"][0]["scores"].pop(), "row 'IQL' of table 'decision-s4/1/offline' has 8 scores"),
        (lambda book: table(book).update(source="s5"), "is of 's5'; expected one of the sources: corl"),
        (lambda book: table(book).update(caveats=["no"]), "has the caveat 'no'; expected one of: antmaze-physics"),
        (lambda book: book["tables"].append(table(book)), "two tables are called 'decision-s4/1/offline'"),
        (lambda book: table(book)["columns"].append({"env": "hopper", "data": "medium"}), "are called 'hopper/medium'"),
        (lambda book: table(book)["rows"].append(table(book)["rows"][0]), "are called 'IQL'; expected"),
        (
            lambda book: table(book, "decision-transformer/gym").update(spread=None),
            "has spreads; expected the table to say under 'spread'",
        ),
        (
            lambda book: table(book, "decision-s4/1/online")["rows"][0].update(cell_caveats={"hopper/expert": ["quoted"]}),
            "has a caveat on 'hopper/expert'; expected a column with a score",
        ),
        (lambda book: book["tables"][0]["rows"][0].update(scores="x"), "tables.0.rows.0.scores is 'x'; expected another"),
        (lambda book: book["tables"][0]["columns"][0].pop("env"), "tables.0.columns.0.env is"),
        (lambda book: table(book)["rows"][0]["scores"].__setitem__(0, float("nan")), "finite number"),
        (lambda book: book.update(tabels=[]), "tabels is []; expected another value: extra inputs"),
        (lambda book: book.update(format=2), "format is 2; expected another value: input should be 1"),
    ],
)  # fmt: skip
def test_every_fault_of_a_file_is_one_sentence(change: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        load(changed(tmp_path, change))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("mine.yaml: ")


def test_a_folder_is_read_as_one_file_and_its_faults_are_one_sentence(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(PATH, tmp_path / "mine"))
    assert load(folder) == published()
    assert load(changed(tmp_path, lambda content: None)).tables[0] in published().tables
    extra = folder / "zz.yaml"
    for text, message in (
        (
            "format: 1\ncaveats: {quoted: x}",
            "mine: 'quoted' stands under 'caveats' of shared.yaml and of zz.yaml; expected",
        ),
        ("format: 2", "zz.yaml: format is 2; expected another value"),
        ("format: [", "cannot read"),
    ):
        extra.write_text(text)
        with pytest.raises(UsageError) as caught:
            load(folder)
        assert str(caught.value).startswith(message) and "\n" not in str(caught.value)
    extra.unlink()
    (folder / "shared.yaml").unlink()
    with pytest.raises(UsageError, match="^mine: table .* has the caveat '.*'; expected one of: "):
        load(folder)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="holds no .*yaml file; expected one a source"):
        load(tmp_path / "empty")


def test_each_file_of_the_folder_is_of_the_source_that_it_is_called_after() -> None:
    for path in PATH.glob("*.yaml"):
        content = yaml.safe_load(path.read_text())
        assert path.stem == "shared" or path.stem in content["sources"]
        assert all(one["source"] in content["sources"] for one in content.get("tables", []))
        assert len(path.read_text().splitlines()) < 250


@pytest.mark.parametrize("content", [b"a: [", b"\xff\xfe\x00", b"!!python/object:os.system {}", b"- 1", b""])
def test_what_is_no_such_file_is_refused_in_one_sentence(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_bytes(content)
    for path in (tmp_path / "mine.yaml", tmp_path / "nowhere.yaml"):
        with pytest.raises(UsageError) as caught:
            load(path)
        assert "\n" not in str(caught.value)
