"""``dsbench check``: whether a backbone keeps the contract, and whether an environment is what a comparison needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Optional

import typer

from dsbench.text import json_text, say

BACKBONE, ENV = "backbone", "env"


def check(
    backbone: Annotated[Optional[str], typer.Argument(metavar="[NAME|module:Class|file.py:Class]")] = None,  # noqa: UP045
    env: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--env", metavar="NAME", help="An environment instead: a name, gym:ID or file.py:task."),
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
    """Prove that a backbone keeps the contract, or that an environment is sound; exit code 1 when not.

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


Rows = Sequence[tuple[str, str, str, str]]  # check, status, seconds, detail
Told = tuple[
    str, bool, Sequence[Mapping[str, Any]], Rows
]  # who, whether all is well, the outcomes as JSON values and as lines


def _backbone(name: str, set_: list[str], chosen: list[str] | None) -> Told:
    from pydantic import ValidationError

    from dsbench.backbones.check import CHECKS, check_backbone
    from dsbench.config.errors import problems, usage_error
    from dsbench.config.settings import BackboneConfig
    from dsbench.config.sources import parse_override
    from dsbench.errors import UsageError

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
    rows = [(one.name, one.status, f"{one.seconds:.2f}", one.detail or one.reason) for one in report.results]
    return report.backbone, report.ok, report.table(), rows


def _environment(name: str, set_: list[str], chosen: list[str] | None) -> Told:
    from dsbench.cli.data_asked import spec_asked
    from dsbench.envs.judging import CHECKS, judge_env

    spec, _ = spec_asked(name, [f"env.{text.removeprefix('env.')}" for text in set_])
    with _Progress(name, len(CHECKS)) as on_result:
        judged = judge_env(spec, chosen, on_result)
    rows = [(one.name, one.status, f"{one.seconds:.2f}", one.detail) for one in judged.findings]
    return name, judged.ok, judged.table(), rows


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
    from dsbench.cli.summary import print_table

    name, ok, table, rows = told
    if as_json:
        say(*json_text({kind: name, "ok": ok, "checks": table}).split("\n"))
        return int(not ok)
    print_table(("check", "status", "seconds", "detail"), rows)
    counts = {
        status: sum(row[1] == status for row in rows) for status in ("failed", "stale_excuse", "skipped", "doubtful")
    }
    failed = counts["failed"] + counts["stale_excuse"]
    verdict = f"{failed} of {len(rows)} checks failed" if failed else f"all {len(rows)} checks passed"
    verdict += f", {counts['skipped']} could not be made" if counts["skipped"] else ""
    verdict += f", {counts['doubtful']} with a doubt" if counts["doubtful"] else ""
    say("", f"{name}: {verdict}")
    return int(not ok)
