"""``dsbench run`` and ``dsbench sweep``."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from dsbench.cli import completing
from dsbench.cli.arguments import a_path
from dsbench.cli.setting_help import from_setting
from dsbench.text import say

if TYPE_CHECKING:
    from dsbench.config import RunConfig
    from dsbench.running.progress import Display

Overrides = Annotated[
    Optional[list[str]],  # noqa: UP045  (typer reads the annotation)
    typer.Option(
        "--set",
        metavar="A.B=VALUE",
        help="Set one value, such as train.lr=1e-3; see dsbench list settings. Repeatable; wins over all.",
        autocompletion=completing.settings,
    ),
]
ConfigFile = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option(
        "--config",
        parser=a_path,
        metavar="FILE",
        help="Settings from .yaml, .toml or .json, such as a run's config.yaml.",
    ),
]
PresetName = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option("--preset", help="quick (default); see dsbench list presets.", autocompletion=completing.presets),
]
Results = Annotated[Path, typer.Option("--results", parser=a_path, metavar="DIR", help="Where runs are kept.")]
Policy = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option("--policy", metavar="NAME", help=from_setting("policy", more="random or optimal")),
]
Data = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        "--data", metavar="RECIPE", help=from_setting("data.recipe", "Offline data:"), autocompletion=completing.recipes
    ),
]
Match = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option("--match", metavar="SIZE", help=from_setting("match")),
]
Vary = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        "--vary", metavar="A,B", help=from_setting("vary", more="of init, batches, data, eval; by default all")
    ),
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask before more than 10,000 runs.")]
TrustCode = Annotated[bool, typer.Option("--trust-code", help="Run code from outside that a file names, and not you.")]
Log = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option("--log", metavar="tensorboard", help="Follow the runs in RESULTS/tensorboard (extra tensorboard)."),
]
Unproven = Annotated[
    bool,
    typer.Option(
        "--unproven", help="Train a backbone of your own even if it fails what is proved first; tables say so."
    ),
]
DryRun = Annotated[
    bool,
    typer.Option("--dry-run", help="Begin nothing: the settings as resolved, and what it would cost by a rehearsal."),
]
Force = Annotated[bool, typer.Option("--force", help="Make the run again even if it is finished.")]


def run(
    backbone: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            "--backbone",
            metavar="NAME",
            help=from_setting("backbone.name", "Backbone,"),
            autocompletion=completing.backbone,
        ),
    ] = None,
    env: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            "--env", metavar="NAME", help=from_setting("env.name", "Environment,"), autocompletion=completing.env
        ),
    ] = None,
    policy: Policy = None,
    data: Data = None,
    seed: Annotated[int | None, typer.Option("--seed", help=from_setting("seed", more="see --vary"))] = None,
    vary: Vary = None,
    match: Match = None,
    preset: PresetName = None,
    set_: Overrides = None,
    config: ConfigFile = None,
    results: Results = Path("results"),
    log: Log = None,
    force: Force = False,
    dry_run: DryRun = False,
    trust_code: TrustCode = False,
    unproven: Unproven = False,
) -> int:
    """Generate data, train, evaluate, measure; the same command again continues or shows the finished run.

    Examples:

    dsbench run --backbone s4 --env umbrella

    dsbench run --backbone mine.py:MyBackbone --env umbrella --preset smoke

    dsbench run --backbone gpt --env umbrella --seed 3 --set train.lr=1e-3 --set env.chain_length=20

    dsbench run --backbone mamba --env umbrella --match state=16KiB

    dsbench run --policy optimal --env key-to-door

    dsbench run --backbone lstm --env gym:Acrobot-v1

    dsbench run --backbone s4 --env umbrella --dry-run > s4.yaml

    dsbench run --backbone lstm --env key-to-door --seed 1 --vary init,batches

    dsbench run --backbone lstm --env key-to-door --set wrapper.condition=none --set data.top_percent=10
    """
    from dsbench.cli.dry_run import show_settings
    from dsbench.cli.hints import refuse_lists
    from dsbench.config import resolve
    from dsbench.config.outside_code import sources_of
    from dsbench.outside.trust import using
    from dsbench.running.request import unproven_may_run

    refuse_lists({"--backbone": backbone, "--env": env})
    settings = resolve(
        preset=preset, config_file=config, overrides=_overrides(set_, data, vary), backbone=backbone, env=env, policy=policy,
        seed=seed, match=match, trust_code=trust_code,
    )  # fmt: skip
    with using(sources_of([settings])), unproven_may_run(unproven):
        return show_settings(settings, results, force) if dry_run else _run(settings, results, log, force)


def _run(settings: RunConfig, results: Path, log: str | None, force: bool) -> int:
    """Do the run and print its row."""
    from dsbench.cli.summary import elsewhere, run_table
    from dsbench.cli.tables import print_pairs
    from dsbench.running import launcher
    from dsbench.running.matched import matched
    from dsbench.running.progress import display
    from dsbench.running.worker_process import folder_of

    shown = _logged(display(), results, log)
    (settings,) = matched([settings])
    folder = folder_of(settings, results)
    state = launcher.state_of(settings, results, force)
    print_pairs(
        [
            ("Run", f"{settings.backbone.name} on {settings.env.name}, seed {settings.seed}, preset {settings.preset}"),
            ("Folder", str(folder.path)),
            ("State", state),
            *([("Note", note)] if (note := elsewhere(settings)) else []),
        ]
    )
    say()
    (outcome,) = launcher.run_all([settings], results, force=force, display=shown)
    if outcome.row is None or outcome.status != "ok":
        raise launcher.error_of(outcome, folder.path)
    print_pairs(run_table(outcome.row, folder.path, settings))
    return outcome.exit_code


def _logged(display: Display, results: Path, log: str | None) -> Display:
    """The display, which logs besides what a user asks for."""
    from dsbench.errors import UnknownName
    from dsbench.records.tensorboard import require_tensorboard
    from dsbench.running.logged import Logged

    if log is None:
        return display
    if log != "tensorboard":
        raise UnknownName("--log", log, ["tensorboard"])
    require_tensorboard()
    return Logged(display, results)


def _overrides(set_: list[str] | None, data: str | None, vary: str | None) -> list[str]:
    """What has an option of its own, as ``--set`` would give it."""
    recipe = [] if data is None else [f"data.recipe='{data}'"]
    roles = [] if vary is None else ["vary=" + json.dumps([role.strip() for role in vary.split(",")])]
    return [*(set_ or ()), *recipe, *roles]


def sweep(
    env: Annotated[
        str,
        typer.Option(
            "--env", metavar="A,B", help="Environments, separated by commas, or all.", autocompletion=completing.envs
        ),
    ],
    backbone: Annotated[
        str,
        typer.Option(
            "--backbone", metavar="A,B", help="Backbones, separated by commas.", autocompletion=completing.backbones
        ),
    ] = "",
    control: Annotated[
        str,
        typer.Option(
            "--control",
            metavar="A,B",
            help="Controls beside them: mlp, copier, window, bc, random, ...",
            autocompletion=completing.controls,
        ),
    ] = "",
    data: Data = None,
    seeds: Annotated[str, typer.Option("--seeds", metavar="N|A,B", help="3 means 0,1,2; a list means itself.")] = "3",
    jobs: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option("--jobs", min=1, help="Runs at once; by default the cores divided by the threads of a run."),
    ] = None,
    vary: Vary = None,
    match: Match = None,
    preset: PresetName = None,
    set_: Overrides = None,
    config: ConfigFile = None,
    results: Results = Path("results"),
    log: Log = None,
    force: Force = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    trust_code: TrustCode = False,
    unproven: Unproven = False,
) -> int:
    """Every backbone on every environment with every seed; finished runs are skipped, so it can be repeated.

    Examples:

    dsbench sweep --backbone gpt,s4 --env umbrella --seeds 3

    dsbench sweep --backbone gpt,s4d,lstm --env umbrella --seeds 0,5,7 --jobs 4 --preset smoke

    dsbench sweep --backbone gpt,lstm --control mlp,copier,window,random,optimal --env memory-len,repeat-first

    dsbench sweep --backbone gpt,s4d,mamba,lstm --env umbrella --match params=100k
    """
    from dsbench.cli.arguments import ask_if_many
    from dsbench.cli.dry_run import show_costs
    from dsbench.cli.summary import begun, print_sweep, tell_unfinished
    from dsbench.reports.smoke import smoke_sentences
    from dsbench.running import launcher
    from dsbench.running.outcomes import exit_code_of
    from dsbench.running.progress import display
    from dsbench.running.request import unproven_may_run
    from dsbench.running.sweep import default_jobs, expand

    shown = _logged(display(several=True), results, log)
    configs = expand(
        backbone, env, seeds, controls=control, preset=preset, config_file=config, overrides=_overrides(set_, data, vary),
        match=match, check=ask_if_many(yes), trust_code=trust_code,
    )  # fmt: skip
    at_once = min(jobs or default_jobs(configs[0].threads), len(configs))
    before = 0 if force else launcher.done_before(configs, results)
    say(f"Sweep   {begun(len(configs), before, at_once)}, into {results}")
    if dry_run:
        with unproven_may_run(unproven):
            return show_costs(configs, results, force, at_once)
    with unproven_may_run(unproven):
        outcomes = launcher.run_all(configs, results, force=force, at_once=at_once, display=shown)
    say()
    print_sweep(outcomes, results)
    say("", *smoke_sentences([one.preset for one in configs]))
    say(f"Next    {shlex.join(['dsbench', 'report', str(results)])}")
    tell_unfinished(outcomes, results)
    return exit_code_of(outcomes)
