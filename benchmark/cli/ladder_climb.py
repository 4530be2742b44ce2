"""What ``dsbench ladder`` prints while ladders are climbed, and in the end."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

from dsbench.cli.study_run import show_table
from dsbench.cli.summary import tell_unfinished
from dsbench.ladders.climbs import Way, asked, climb_all
from dsbench.ladders.plan import Wishes
from dsbench.running.outcomes import exit_code_of
from dsbench.running.progress import display
from dsbench.text import say


def run_ladders(
    name: str | None,
    every: bool,
    wishes: Wishes,
    twice: bool,
    results: Path,
    out: Path | None,
    jobs: int | None,
    check: Callable[[int], None],
) -> int:
    """Climb what is missing, write the page, print its tables; the exit code is that of a sweep."""
    what = asked(name, every, wishes, twice)
    check(what.most_runs)
    way = Way(lambda: display(several=True), lambda line: say(line), jobs)
    climbs = climb_all(what, results, out, _command(name, wishes, twice, results), way)
    tell_unfinished(climbs.outcomes, results)
    for section in climbs.report.sections:
        if section.name.startswith("verdicts") or (len(what.files) == 1 and section.name.startswith("ladder-")):
            show_table(section.tables[0])
    say(*climbs.report.headline, "", f"Saved   {climbs.page}")
    return exit_code_of(climbs.outcomes)


def _command(name: str | None, wishes: Wishes, twice: bool, results: Path) -> str:
    """The same again."""
    words = ["dsbench", "ladder", "--all" if name is None else name]
    for option, value in (("--backbone", wishes.backbones), ("--control", wishes.controls), ("--seeds", wishes.seeds)):
        if value is not None:
            words += [option, ",".join(map(str, value)) + ("," if option == "--seeds" and len(value) == 1 else "")]
    for option, text in (("--to", wishes.to), ("--match", wishes.match), ("--preset", wishes.preset)):
        words += [option, text] if text is not None else []
    words += [word for text in wishes.overrides for word in ("--set", text)]
    words += ["--twice"] if twice else []
    return shlex.join([*words, "--results", str(results)])
