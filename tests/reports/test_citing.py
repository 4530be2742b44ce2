"""Every name of the catalogues has its citation, and only what was used is cited."""

from __future__ import annotations

import re
from pathlib import Path

from dsbench.backbones.catalogue import BACKBONES
from dsbench.envs.catalogue import ENVS
from dsbench.reports.content.citing import bibtex, citations, uses_of
from dsbench.reports.groups import read_groups
from dsbench.reports.published import published
from tests.reports.synthetic import make_run


def test_every_name_is_known_and_every_entry_is_used() -> None:
    known = citations()
    members = [entry.name for line in BACKBONES._families.values() for entry in line.members()]
    assert set(known["of"]["backbone"]) == {*BACKBONES.names(), *members, "random", "optimal"}
    assert set(known["of"]["env"]) == set(ENVS.names())
    used = {key for part in known["of"].values() for keys in part.values() for key in keys}
    assert used | {*known["always"], *known["pooled"]} == set(known["entries"])


def test_entries_are_bibtex_under_their_own_keys() -> None:
    for key, text in citations()["entries"].items():
        assert re.match(r"@[a-z]+\{" + key + ",\n", text)
        assert text.count("{") == text.count("}")
        assert {"author", "title", "year"} <= set(re.findall(r"^ +([a-z]+) *=", text, re.MULTILINE))


def test_arxiv_numbers_are_those_of_the_catalogue() -> None:
    for entry in BACKBONES:
        for number in re.findall(r"arXiv:(\d+\.\d+)", entry.source):
            keys = citations()["of"]["backbone"][entry.name]
            assert any(number in citations()["entries"][key] for key in keys), entry.name


def test_only_what_ended_ok_is_cited(tmp_path: Path) -> None:
    make_run(tmp_path, "s4", "umbrella", 0, settings={"data.recipe": "d4rl:a.hdf5"})
    make_run(tmp_path, "mamba", "cartpole", 0, status="failed")
    make_run(tmp_path, "mine.py:Net", "umbrella", 0)
    text, unknown = bibtex(uses_of(read_groups(tmp_path)), published().sources)
    keys = re.findall(r"@\w+\{([^,]+),", text)
    assert {"dsbench", "gu2022efficiently", "osband2020behaviour", "fu2020d4rl", "chen2021decision"} <= set(keys)
    assert not {"gu2023mamba", "barto1983neuronlike", "agarwal2021deep"} & set(keys)
    assert len(keys) == len(set(keys))
    assert sum("Decision Transformer" in entry.replace("{", "").replace("}", "") for entry in text.split("@")) == 1
    assert unknown == ["mine.py:Net"]
