"""How far each backbone reaches, out of the packs of `make ladders`: python results/ladders_table.py [--write]

Prints the profile as Markdown and the rungs at which backbones part; with --write the profile goes into README.md and its
picture into docs/figures.
"""

from __future__ import annotations

import sys

from markdown_table import ROOT, head, line, write_blocks

from dsbench.files import write_atomic
from dsbench.ladders.known import shipped_ladders
from dsbench.ladders.page import groups_in, report_of
from dsbench.reports.document import Report
from dsbench.reports.ladders.climbs import climbs_of

RECORDS = ROOT / "results" / "reference" / "ladders"
BEGIN = "<!-- table: python results/ladders_table.py -->"


def report() -> Report:
    """The page of all reference climbs."""
    places = sorted(path for path in RECORDS.iterdir() if path.is_dir()) if RECORDS.is_dir() else []
    groups = [group for place in places for group in groups_in([place])]
    return report_of(shipped_ladders(), groups, "make ladders")


def table(page: Report) -> str:
    """Contestants by skills, with the headline of the page below; nothing before two ladders were climbed."""
    found = [one for section in page.sections for one in section.tables if one.name == "profile"]
    lines = [row for one in found for row in head(*(heading.text for heading in one.headings))]
    lines += [line([cell.text for cell in row]) for one in found for row in one.rows]
    return "\n".join([*lines, "", *page.headline])


def parting() -> dict[str, str | None]:
    """Ladder -> the rung at which backbones part in its reference climb, which its file names as `parts`."""
    found = {}
    for ladder in shipped_ladders():
        place = RECORDS / ladder.name
        climbs = climbs_of(groups_in([place]), [ladder]) if place.is_dir() else []
        if climbs:
            found[ladder.name] = climbs[0].parts_at
    return found


def main() -> None:
    page = report()
    print(table(page), end="\n\n")
    for name, label in parting().items():
        print(f"{name}: parts at {label}")
    if "--write" in sys.argv:
        write_blocks({BEGIN: table(page)})
        (figure,) = [one for section in page.sections for one in section.figures if one.name == "profile"]
        write_atomic(ROOT / "docs" / "figures" / "profile.svg", figure.svg.encode())


if __name__ == "__main__":
    main()
