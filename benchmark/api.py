"""What Python users call: one function for each thing that the command line does, with the same names and the same rules.

Every run is done by a worker process, so that memory, threads and signals are those of the command line, and a notebook stays
what it was. Progress goes to stderr; ``progress=False`` is silent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from dsbench.config import RunConfig, resolve
from dsbench.config.outside_code import name_all, sources_of
from dsbench.config.sources import as_overrides
from dsbench.errors import UsageError
from dsbench.outside.trust import using
from dsbench.records.store import Places
from dsbench.running import launcher
from dsbench.running.matched import matched
from dsbench.running.progress import Display, Silent, display
from dsbench.running.request import unproven_may_run
from dsbench.running.sweep import default_jobs, expand, names_in

if TYPE_CHECKING:
    import pandas as pd

    from dsbench.reports.document import Report

Names: TypeAlias = str | Sequence[str]
Settings: TypeAlias = Mapping[str, Any]
Seeds: TypeAlias = int | Sequence[int]


def run(
    config: RunConfig | None = None,
    results: Path | str = "results",
    *,
    backbone: str | None = None,
    env: str | None = None,
    policy: str | None = None,
    seed: int | None = None,
    data: str | None = None,
    match: str | None = None,
    preset: str | None = None,
    settings: Settings | None = None,
    config_file: Path | str | None = None,
    force: bool = False,
    progress: bool = False,
    trust_code: bool = False,
    unproven: bool = False,
) -> dict[str, Any]:
    """Do one run, or return what it gave before.

    Args:
        config: the run, as `resolve` gives it; in its place everything below but `force`.
        results: folder of results.
        backbone, env, policy, seed, match, preset, config_file: as the options of ``dsbench run``.
        data: recipe of the offline data, or where it comes from.
        settings: others by their dotted names: ``{"train.lr": 1e-3, "env.chain_length": 20}``.
        force: make it again even if it is finished.
        trust_code: code from outside that a file names may run.
        unproven: train a backbone from outside even if it is not causal, or acts otherwise than it is trained; the row says so.

    Returns:
        The final row; its ``status`` is ``ok``, ``diverged``, ``failed``, ``timeout``, ``out_of_memory`` or
        ``interrupted``.

    Raises:
        UsageError: something in the configuration cannot be used.
        RunHeld: another live process works on the same run.
    """
    asked: dict[str, Any] = {
        "backbone": backbone, "env": env, "policy": policy, "seed": seed, "match": match, "preset": preset,
        "config_file": config_file,
    }  # fmt: skip
    if config is None:
        config = resolve(**asked, overrides=_overrides(settings, data), trust_code=trust_code)
    elif settings or data or any(value is not None for value in asked.values()):
        raise UsageError("a config is given and settings besides; resolve them together: dsbench.resolve(...)")
    elif trust_code:
        name_all([config])
    with using(sources_of([config])), unproven_may_run(unproven):
        (outcome,) = launcher.run_all(matched([config]), Path(results), force=force, display=_shown(progress, False))
    if outcome.row is None:
        raise launcher.error_of(outcome)
    return dict(outcome.row)


def sweep(
    backbone: Names = (),
    env: Names = (),
    results: Path | str = "results",
    *,
    control: Names = (),
    seeds: Seeds = 3,
    data: str | None = None,
    match: str | None = None,
    preset: str | None = None,
    settings: Settings | None = None,
    config_file: Path | str | None = None,
    jobs: int | None = None,
    force: bool = False,
    progress: bool = True,
    trust_code: bool = False,
    unproven: bool = False,
) -> pd.DataFrame:
    """Every backbone and control on every environment with every seed; what is finished is not done again.

    Args:
        backbone, env, control: a name, or several.
        seeds: a number N for 0 .. N - 1, or the seeds themselves.
        jobs: runs at once; by default the cores divided by the threads of a run.
        data, match, preset, settings, config_file, force, trust_code, unproven: as for `run`, the same for all.

    Returns:
        Their rows of `load`'s ``runs`` in the order of the sweep, failed ones too. Runs that were not done, for another
        process holds them or somebody interrupted the sweep, have nothing but their ``status``.

    Raises:
        UsageError: something cannot be used; nothing was run.
    """
    configs = expand(
        _joined(backbone), _joined(env), _seeds(seeds), controls=_joined(control), preset=preset, match=match,
        config_file=None if config_file is None else Path(config_file), overrides=_overrides(settings, data),
        trust_code=trust_code,
    )  # fmt: skip
    at_once = min(jobs or default_jobs(configs[0].threads), len(configs))
    shown = _shown(progress, True)
    with unproven_may_run(unproven):
        outcomes = launcher.run_all(configs, Path(results), force=force, at_once=at_once, display=shown)
    return _rows(outcomes, Path(results))


def report(results: Places = "results", out: Path | str | None = None) -> Report:
    """The whole report of results: its ``headline``, and ``sections`` of tables and figures.

    Args:
        results: folders and packs, one or several.
        out: folder to write page, Markdown, figures and tidy tables into.

    Raises:
        UsageError: there are no results.
        CannotWrite: disk full or no rights.
    """
    from dsbench.envs.catalogue import families
    from dsbench.files import stays_inside
    from dsbench.ladders.known import ladders_in
    from dsbench.reports.content.build import build
    from dsbench.reports.write import write

    places = [Path(place) for place in ([results] if isinstance(results, str | Path) else results)]
    if out is not None:
        for place in places:
            stays_inside(Path(out), place)
    built = build(places, families(), lambda envs: ladders_in(places, envs))
    if out is not None:
        write(built.report, built.groups, Path(out))
    return built.report


def ladder(
    name: str | None = None,
    results: Path | str = "results",
    *,
    every: bool = False,
    backbone: Names | None = None,
    control: Names | None = None,
    seeds: Seeds | None = None,
    to: str | None = None,
    twice: bool = False,
    match: str | None = None,
    preset: str | None = None,
    settings: Settings | None = None,
    jobs: int | None = None,
    out: Path | str | None = None,
    progress: bool = True,
    trust_code: bool = False,
    unproven: bool = False,
) -> Report:
    """Climb a ladder until every contestant has fallen, or go on where that stopped.

    Args:
        name: of a ladder that ships, or the path of a file; None with ``every=True`` for all that ship.
        backbone, control: a name, or several; None leaves them to the ladder.
        to: label of the last rung.
        twice: climb again at twice the updates.
        out: folder of the page; by default ``RESULTS/ladders/NAME``.
        seeds, match, preset, settings, jobs, trust_code, unproven: as for `sweep`.

    Returns:
        The report: its ``headline`` says who reaches further than whom, its ``sections`` hold the tables.

    Raises:
        UsageError: something cannot be used; nothing was run.
    """
    from dsbench.ladders.climbs import Way, asked, climb_all
    from dsbench.ladders.plan import Wishes
    from dsbench.running.sweep import parse_seeds
    from dsbench.text import complain

    wishes = Wishes(
        backbones=None if backbone is None else names_in(_joined(backbone)),
        controls=None if control is None else names_in(_joined(control)),
        seeds=None if seeds is None else tuple(parse_seeds(_seeds(seeds))), to=to, match=match, preset=preset,
        overrides=tuple(_overrides(settings, None)), trust_code=trust_code,
    )  # fmt: skip
    way = Way(lambda: _shown(progress, True), complain if progress else lambda line: None, jobs)
    what = asked(name, every, wishes, twice)
    folder = None if out is None else Path(out)
    with unproven_may_run(unproven):
        return climb_all(what, Path(results), folder, "dsbench.ladder in Python", way).report


def _rows(outcomes: Sequence[Any], results: Path) -> pd.DataFrame:
    """The rows of these runs among all that lie there."""
    import pandas as pd

    from dsbench.records.tables import runs_table

    table, ids = runs_table(results), [one.run_id for one in outcomes]
    rows = table.set_index("run_id", drop=False).reindex(ids).reset_index(drop=True)
    missing = rows["run_id"].isna()
    rows["run_id"] = rows["run_id"].where(~missing, pd.Series(ids, dtype=table["run_id"].dtype))
    ended = pd.Series([one.status for one in outcomes], dtype=table["status"].dtype)
    rows["status"] = rows["status"].where(~missing, ended)
    return rows


def _overrides(settings: Settings | None, data: str | None) -> list[str]:
    return as_overrides({**(settings or {}), **({} if data is None else {"data.recipe": data})})


def _joined(names: Names) -> str:
    return names if isinstance(names, str) else ",".join(names)


def _seeds(seeds: Seeds) -> str:
    return str(seeds) if isinstance(seeds, int) else "".join(f"{seed}," for seed in seeds)


def _shown(progress: bool, several: bool) -> Display:
    return display(several=several) if progress else Silent()
