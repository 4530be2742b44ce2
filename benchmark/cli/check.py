"""``dsbench check``: whether a backbone keeps the contract, and whether an environment is what a comparison needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, NamedTuple, Optional

import typer

from dsbench.cli import completing
from dsbench.text import json_text, say

BACKBONE, ENV = "backbone", "env"


def check(
    backbone: Annotated[
        Optional[str],  # noqa: UP045
        typer.Argument(metavar="[NAME|module:Class|file.py:Class|file.py]", autocompletion=completing.backbone),
    ] = None,
    env: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            "--env",
            metavar="NAME",
            help="An environment instead: a name, gym:ID or file.py:task.",
            autocompletion=completing.env,
        ),
    ] = None,
    set_: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--set", metavar="OPTION=VALUE", help="Option of it. Repeatable."),
    ] = None,
    only: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--only", metavar="A,B", help="Run these checks alone, while you mend what they found."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable output.")] = False,
) -> int:
    """Prove that a backbone keeps the contract, or that an environment is sound; exit code 1 when not, 2 when code raises.

    A backbone, in float64: it is causal, its views are one function, resets leave nothing, rows do not mix, gradients are
    those of differences through time. In float32 and over 3,000 tokens, the longest episode of any task: what trains is what
    acts. Takes seconds; a few times longer for a map written as a step alone.

    An environment: the same seed gives the same episode, alone, beside others, after another one and in vector environments;
    observations are what its spaces say and stay as they were shown; ends are named and the horizon is long enough; a batched
    twin equals it; stated returns are those that are earned. What is wrong is said in one sentence each.

    Examples:

    dsbench check s4

    dsbench check mine.py:MyBackbone --set n_layers=1

    dsbench check mine.py:MyBackbone --only gradients_through_time,float32_over_long_episodes

    dsbench check --env my_env.py:my_task

    dsbench check --env gym:Acrobot-v1
    """
    from dsbench.errors import UsageError

    if (backbone is None) == (env is None):
        raise UsageError(
            "expected a backbone, such as dsbench check s4, or an environment, such as dsbench check --env umbrella"
        )
    chosen = None if only is None else [name.strip() for name in only.split(",")]
    if env is not None:
        return _tell(ENV, _environment(env, set_ or [], chosen), as_json)
    return _tell(BACKBONE, _backbone(str(backbone), set_ or [], chosen), as_json)


class Told(NamedTuple):
    """What came out.

    Attributes:
        exit_code: 0 where all is well; a class of the user's that raises is bad input, one that runs and breaks the contract
            has failed checks.
        outcomes: as JSON values.
        rows: check, status, seconds, detail.
        frames: lines of the user's own code that raised.
    """

    name: str
    exit_code: int
    outcomes: Sequence[Mapping[str, Any]]
    rows: Sequence[tuple[str, str, str, str]]
    frames: Sequence[str] = ()


def _backbone(name: str, set_: list[str], chosen: list[str] | None) -> Told:
    from pydantic import ValidationError

    from dsbench.backbones.catalogue import BACKBONES
    from dsbench.backbones.check import CHECKS, check_backbone
    from dsbench.config.errors import problems, usage_error
    from dsbench.config.settings import BackboneConfig
    from dsbench.config.sources import parse_override
    from dsbench.errors import UsageError

    name = BACKBONES.spelled_out(name)
    options = dict(parse_override(text.removeprefix("backbone.")) for text in set_)
    if "name" in options:
        raise UsageError(f"--set name is given beside {name!r}; expected options of the backbone alone")
    try:
        asked = BackboneConfig.model_validate({"name": name, "d_model": 8, **options})
    except ValidationError as error:
        raise usage_error(problems(error, BackboneConfig)) from None
    with _Progress(asked.name, len(CHECKS) if chosen is None else len(chosen)) as on_result:
        report = check_backbone(
            asked.name, d_model=asked.d_model, options=asked.options, only=chosen, on_result=on_result
        )
    rows = [
        (one.name, one.status, f"{one.seconds:.2f}", one.error or one.detail or one.reason) for one in report.results
    ]
    raised = dict.fromkeys(one.frames for one in report.results if one.frames and not one.ok)
    exit_code = UsageError.exit_code if raised else int(not report.ok)
    lines = [line for frames in raised for frame in frames for line in frame.told()]
    return Told(report.backbone, exit_code, report.table(), rows, lines)


def _environment(name: str, set_: list[str], chosen: list[str] | None) -> Told:
    from dsbench.cli.data_asked import spec_asked
    from dsbench.envs.judging import CHECKS, judge_env

    spec, _ = spec_asked(name, [f"env.{text.removeprefix('env.')}" for text in set_])
    with _Progress(name, len(CHECKS)) as on_result:
        judged = judge_env(spec, chosen, on_result)
    rows = [(one.name, one.status, f"{one.seconds:.2f}", one.detail) for one in judged.findings]
    return Told(name, int(not judged.ok), judged.table(), rows)


class _Progress:
    """A line of progress while checks run; called with each result."""

    def __init__(self, name: str, total: int) -> None:
        from dsbench.running.progress import display

        self.name, self.total, self.done, self.display = name, total, 0, display()

    def __enter__(self) -> Callable[[Any], None]:
        self.shown = self.display.__enter__()
        return self._tell

    def __exit__(self, *error: Any) -> None:
        self.display.__exit__(*error)

    def _tell(self, result: Any) -> None:
        self.done += 1
        told = {"phase": "check", "done": self.done, "total": self.total, "message": result.name}
        self.shown.event(self.name, told)


def _tell(kind: str, told: Told, as_json: bool) -> int:
    """Print the outcomes; the exit code."""
    from dsbench.cli.tables import print_table

    if as_json:
        say(*json_text({kind: told.name, "ok": told.exit_code == 0, "checks": told.outcomes}).split("\n"))
        return told.exit_code
    print_table(("check", "status", "seconds", "detail"), told.rows)
    if told.frames:
        say("", *told.frames)
    counts = {
        status: sum(row[1] == status for row in told.rows)
        for status in ("failed", "stale_excuse", "skipped", "doubtful")
    }
    failed = counts["failed"] + counts["stale_excuse"]
    verdict = f"{failed} of {len(told.rows)} checks failed" if failed else f"all {len(told.rows)} checks passed"
    verdict += f", {counts['skipped']} could not be made" if counts["skipped"] else ""
    verdict += f", {counts['doubtful']} with a doubt" if counts["doubtful"] else ""
    say("", f"{told.name}: {verdict}")
    return told.exit_code
