"""Whether a run of ours and a published number may be compared, and if not, every reason why.

They may if nothing tells them apart but who ran them: the same data files, the same physics as far as they can be had, the
same protocol and the same measure. What remains then (one seed against a mean, another build of the simulator) is said too.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from dsbench.reports.published import NORMALISED, PublishedScore

Aspect = Literal["run", "task", "measure", "data", "physics", "protocol", "source"]

COLUMNS = {  # measure in print -> column of the runs table, and what makes its unit that of print
    NORMALISED: ("result.score_normalised", 1.0),
    "success, %": ("result.success", 100.0),
    "ms a decision": ("result.latency_p50_us", 1e-3),
    "trainable parameters": ("result.parameters_trainable", 1.0),
}
D4RL_CONSTANTS = "D4RL's constants"  # what `result.references` says where scores are normalised by them
WALKERS = ("hopper", "halfcheetah", "walker2d")
D4RL_VERSION = "v4"  # of gymnasium's walkers, the one that is paid and rubs as D4RL's

Reasons = Iterator["Reason"]


@dataclass(frozen=True)
class Reason:
    """Why a run and a published number may not be compared: what differs, and one sentence."""

    aspect: Aspect
    text: str


BY_CAVEAT = {  # caveat of a published number -> why it can be compared with no run
    "best-of-targets": Reason(
        "protocol", "The printed number is the best of several target returns, a run's is that of the one it asked for."
    ),
    "best-over-training": Reason(
        "protocol", "The printed number is the best evaluation during training, a run's is that of its last weights."
    ),
    "maximum-over-evaluations": Reason(
        "protocol", "The printed number is the best evaluation during training, a run's is that of its last weights."
    ),
    "online": Reason("protocol", "The printed number comes after further training in the environment."),
    "quoted": Reason("protocol", "The printed number is quoted from elsewhere, and how it came about is not said."),
    "delayed-reward": Reason(
        "data", "The printed number was learned with the whole reward moved to the last timestep."
    ),
    "data-not-stated": Reason("data", "The source does not say which data it learned from."),
    "antmaze-physics": Reason("physics", "The printed number comes from D4RL's ant, which is another than ours."),
    "rooms-not-stated": Reason("physics", "The sizes and times of the source's rooms are not known."),
    "hardware-not-stated": Reason("measure", "The source does not say on which machine and how it measured."),
    "cost-not-stated": Reason("measure", "The source does not say of what and on which machine it measured."),
    "reward-unit": Reason("measure", "The source does not say in which unit its rewards are."),
    "recalled": Reason("source", "The printed number was written down from memory and not read again."),
}


@dataclass(frozen=True)
class Comparison:
    """The verdict on one run and one published number.

    Attributes:
        value: of the run, in the unit of print; None where it has none.
        reasons: why the two may not be compared; none where they may.
        caveats: a sentence each, what to keep in mind all the same.
    """

    value: float | None
    reasons: tuple[Reason, ...]
    caveats: tuple[str, ...]

    @property
    def comparable(self) -> bool:
        return not self.reasons

    @property
    def text(self) -> str:
        """``yes`` or ``no``, and every sentence."""
        sentences = [reason.text for reason in self.reasons] or list(self.caveats)
        return " ".join(["yes:" if self.comparable else "no:", *sentences])


def comparison(row: Mapping[str, Any], score: PublishedScore) -> Comparison:
    """May they be compared?

    Args:
        row: of `dsbench.records.tables.runs_table`; a column that is absent counts as unknown, which never helps.
    """
    known = {name: found for name, cell in row.items() if (found := _plain(cell)) is not None}
    checks = (_run, _task, _measure, _data, _physics, _protocol)
    reasons = [reason for check in checks for reason in check(known, score)]
    reasons += [BY_CAVEAT[key] for key in dict.fromkeys(score.caveats) if key in BY_CAVEAT]
    return Comparison(_measured(known, score), tuple(dict.fromkeys(reasons)), tuple(_caveats(known, score)))


def _plain(value: Any) -> Any:
    """A cell of a data frame as text, number or truth value; None where it is missing."""
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, float) and math.isnan(value):
        return None
    return value if isinstance(value, str | bool | int | float) else None  # pandas' NA among what is not


def _measured(row: Mapping[str, Any], score: PublishedScore) -> float | None:
    column, factor = COLUMNS.get(score.measure, ("", 1.0))
    return factor * row[column] if column in row else None


def _run(row: Mapping[str, Any], score: PublishedScore) -> Reasons:
    if row.get("status") != "ok":
        yield Reason("run", f"The run's status is {row.get('status', 'unknown')}, not ok.")
    if row.get("policy") != "learned":
        yield Reason("run", f"The run's policy is {row.get('policy', 'unknown')}, not learned.")


def _task(row: Mapping[str, Any], score: PublishedScore) -> Reasons:
    if score.env is None:
        yield Reason("task", "The source does not say on which task it measured.")
    elif row.get("env") != score.env:
        yield Reason("task", f"The run is of {row.get('env', 'an unknown task')}, the printed number of {score.env}.")


def _measure(row: Mapping[str, Any], score: PublishedScore) -> Reasons:
    column, _ = COLUMNS.get(score.measure, ("", 1.0))
    if not column:
        yield Reason("measure", f"A run has no measure that is {score.measure!r}.")
    elif column not in row:
        yield Reason("measure", f"The run has no {column.removeprefix('result.')}.")
    if score.measure == NORMALISED and row.get("result.references") != D4RL_CONSTANTS:
        yield Reason("measure", "The run's score is not known to be normalised by D4RL's constants.")


def _data(row: Mapping[str, Any], score: PublishedScore) -> Reasons:
    source, recipe = score.protocol.get("data"), str(row.get("data.recipe", "unknown"))
    if source is None:  # a time or a size, which depends on no data
        return
    if not source.startswith("D4RL"):
        yield Reason("data", f"The run learned from {recipe!r}, the printed number from other data ({source}).")
    elif not recipe.startswith("d4rl:"):
        yield Reason(
            "data", f"The run learned from {recipe!r}, which is not known to be D4RL's; expected a d4rl: file."
        )
    elif score.env in WALKERS and not _named_after(recipe, score):
        yield Reason("data", f"The run's file {recipe!r} is not called as that of {source}, {score.env} {score.data}.")
    if "expert-column" in score.caveats and "quoted" in score.caveats:
        yield Reason("data", "What is printed under expert was learned from medium-expert data.")
    if row.get("data.permute_returns", True) is not False:
        yield Reason("data", "The returns of the run's data are not known to be left with their episodes.")
    if "data.top_percent" in row:
        yield Reason("data", f"The run learned from the best {row['data.top_percent']:g} % of the episodes alone.")


def _named_after(recipe: str, score: PublishedScore) -> bool:
    """Whether a file is called as D4RL calls it: ``hopper_medium_replay-v2.hdf5``."""
    version = re.search(r"\bv\d\b", score.protocol["data"])
    stem = f"{score.env}_{(score.data or '').replace('-', '_')}-"
    name = re.split(r"[/\\]", recipe.removeprefix("d4rl:"))[-1]
    return re.fullmatch(re.escape(stem) + (version[0] if version else r"v\d") + r"\.hdf5", name) is not None


def _physics(row: Mapping[str, Any], score: PublishedScore) -> Reasons:
    theirs = score.protocol.get("physics")
    if theirs is None:
        return
    if note := row.get("result.physics_note"):
        yield Reason("physics", f"The run's physics differ from those of its data ({note}).")
    if score.env not in WALKERS or not score.protocol.get("data", "D4RL").startswith("D4RL"):
        yield Reason("physics", f"The printed number comes from another simulator ({theirs}).")
    elif row.get("env.physics") != D4RL_VERSION:
        ours = row.get("result.simulator") or f"physics {row.get('env.physics', 'of the default')}"
        yield Reason(
            "physics", f"The run was evaluated in {ours}, the printed number in {theirs}, for which v4 stands."
        )


def _protocol(row: Mapping[str, Any], score: PublishedScore) -> Reasons:
    if "quoted" in score.caveats:  # what the table says of its own method says nothing of it
        return
    if score.protocol and not score.settings:
        yield Reason("protocol", "No preset follows the protocol of the printed number.")
        return
    wanted, found = score.settings.get("preset"), row.get("preset")
    if wanted != found and wanted is not None:
        yield Reason("protocol", f"The run's preset is {found!r}, the protocol of the printed number is {wanted!r}.")
        return
    if "train.seconds" in row:
        yield Reason("protocol", f"The run was trained for {row['train.seconds']:g} seconds, whatever updates fit.")
    others = [
        f"{name} is {row.get(name)!r} where {value!r} is published"
        for name, value in score.settings.items()
        if row.get(name) != value
    ]
    if others:
        yield Reason("protocol", f"The run changed its preset: {', '.join(others)}.")


def _caveats(row: Mapping[str, Any], score: PublishedScore) -> Iterator[str]:
    seeds = "a number of seeds that is not stated" if score.seeds is None else f"{score.seeds} seeds"
    yield f"The run is one seed, the printed number a mean over {seeds}."
    yield f"The run's backbone is {row.get('backbone', 'unknown')}, the printed method {score.method}."
    yield "Settings that the published protocol does not name were not compared."
    if score.protocol.get("data", "").startswith("D4RL"):
        yield "That the data is D4RL's is taken from the name of its file."
    if score.env in WALKERS and "physics" in score.protocol:
        ours = row.get("result.simulator", "one that is not recorded")
        yield f"Its simulator is another build: {score.protocol['physics']} there, {ours} here."
