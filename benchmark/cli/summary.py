"""The final tables of ``dsbench run`` and ``dsbench sweep``: numbers as people read them, '-' where there is none."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dsbench.cli.tables import print_table
from dsbench.config import RunConfig, to_dict
from dsbench.config.presets import DEFAULT, get_preset
from dsbench.config.resolution import settle
from dsbench.config.settings import LEARNED
from dsbench.config.sources import as_overrides
from dsbench.records.run_row import UNPROVEN
from dsbench.reports.contention import LATENCY, LEGEND, TRAINING, core
from dsbench.reports.scale import ends
from dsbench.reports.smoke import NOTHING, PRESET
from dsbench.running.outcomes import held_sentence, lines_of
from dsbench.running.worker_process import Outcome
from dsbench.text import complain, say

_MISSING = "-"
_DECODED = {"argmax": " by the likeliest actions", "sample": " by sampled ones"}
_UNITS = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))


def run_table(row: Mapping[str, Any], folder: Path, config: RunConfig) -> list[tuple[str, str]]:
    """(what, value) of one finished run, the next command last."""
    lines = [
        ("backbone" if config.policy == "learned" else "policy", str(row.get("backbone", _MISSING))),
        ("environment", _environment(config.env.name)),
        ("seed", f"{row.get('seed', _MISSING)}" + (f", moves {row['varied']}" if row.get("varied") else "")),
        ("status", _status(row)),
        *([("caution", NOTHING)] if config.preset == PRESET else ()),
        *(_answers(row) if "probe_auc" in row else _scores(row)),
        *([("physics", str(row["physics_note"]))] if row.get("physics_note") else ()),
        *([("scaling", str(row["scaling_note"]))] if row.get("scaling_note") else ()),
        *([("tried", str(row["env_note"]))] if row.get("env_note") else ()),
        *([(UNPROVEN, str(row[UNPROVEN]))] if row.get(UNPROVEN) else ()),
        *([("budget", f"{row.get('updates'):,} updates, {row['budget_note']}")] if row.get("budget_note") else ()),
        *(_costs(row) if "parameters_total" in row else ()),
        ("folder", str(folder)),
    ]
    return lines + [("next", command) for command in next_commands(config, folder.parent.parent)]


def _environment(name: str) -> str:
    """Its name, and what is to be done there, where that is known without running code of somebody's."""
    from dsbench.envs.catalogue import ENVS

    return f"{name}: {ENVS.entry(name).summary}" if ENVS.is_own(name) else name


def _costs(row: Mapping[str, Any]) -> list[tuple[str, str]]:
    latency = " / ".join(number(row.get(f"latency_{point}_us"), "{:,.0f}") for point in ("p50", "p90", "p99"))
    parameters = [number(row.get(f"parameters_{which}"), "{:,}") for which in ("total", "backbone")]
    speed = number(row.get("train_tokens_per_second"), "{:,.0f}")
    implementation = str(row.get("implementation") or _MISSING)
    reason = row.get("implementation_reason")
    return [
        ("parameters", f"{parameters[0]} total, {parameters[1]} backbone"),
        *([("matched", _matched(row))] if "match_target" in row else ()),
        ("training", f"{number(row.get('train_seconds'), '{:.1f}')} s, {speed} tokens/s{_shared(row, TRAINING)}"),
        ("decision latency", f"{latency} us (p50 / p90 / p99)" + _shared(row, LATENCY)),
        ("process peak", f"{_size(row.get('peak_rss_bytes'))} (data and training included)"),
        ("state", "none: windowed" if row.get("acting") == "windowed" else _size(row.get("state_bytes"), exact=True)),
        ("implementation", f"{implementation} ({reason})" if reason else implementation),
    ]


def _shared(row: Mapping[str, Any], mark: str) -> str:
    """What makes a time longer than that of the model alone, where it was seen or may have been."""
    share = row.get(mark)
    if share is None:
        return ", not known whether others had the core"
    return f", others had the core for {100 * share:.0f} % of it" if share else ""


def _matched(row: Mapping[str, Any]) -> str:
    """What was asked for, parameters or bytes, and how near the nearest width came."""
    return f"{row['match_found']:,} where {row['match_target']:,} were asked for ({100 * row['match_off']:+.1f} %)"


def _answers(row: Mapping[str, Any]) -> list[tuple[str, str]]:
    """A probe's answers beside those of the Bayes predictor and of the base rate alone."""
    measures = (("probe AUC", "auc"), ("probe log-loss", "log_loss"))
    return [("question", str(row.get("question", _MISSING)))] + [
        (
            name,
            f"{number(row.get(f'probe_{key}'), '{:.4f}')} (Bayes {number(row.get(f'bayes_{key}'), '{:.4f}')}, "
            f"base rate {number(row.get(f'base_rate_{key}'), '{:.4f}')})",
        )
        for name, key in measures
    ]


def _scores(row: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The task's own measure, by decoding and target, and the return on the scale of its references."""
    metric = str(row.get("success_metric", "return_mean"))
    chance = row.get("measure_chance")
    shown = [number(row.get(metric), "{:.3f}") + _DECODED.get(str(row.get("decode", "")), "")]
    shown += [
        f"{value:.3f}{how}" for name, how in _DECODED.items() if (value := row.get(f"{metric}_{name}")) is not None
    ]
    lines = [(words(metric), "; ".join(shown) + (f" (chance {chance:.3f})" if chance is not None else ""))]
    if (opposite := row.get(f"{metric}_opposite")) is not None:
        asked = number(row.get("opposite_return"), "{:.2f}")
        lines.append(
            ("the opposite", f"{opposite:.3f} when asked for {asked}, where a model that understands does it wrong")
        )
    yardsticks = {
        name.removeprefix("yardstick_"): value for name, value in row.items() if name.startswith("yardstick_")
    }
    if yardsticks:
        lines.append(("yardsticks", ", ".join(f"{value:.3f} ({words(name)})" for name, value in yardsticks.items())))
    if row.get("return_mean") is not None:
        lines.append(("return", f"{row['return_mean']:.2f} {_targets(row)}; {_scaled(row)}"))
    return lines


def _scaled(row: Mapping[str, Any]) -> str:
    """The return on the scale of its references; what random play earns where no best return is known."""
    zero, hundred = ends(row)
    if row.get("score_normalised") is None:
        return f"{zero} earns {number(row.get('reference_random'), '{:.2f}')}, no best return is known"
    return f"{number(row['score_normalised'], '{:.1f}')} where 0 is {zero} and 100 {hundred}"


def words(metric: str) -> str:
    return "mean return" if metric == "return_mean" else metric.replace("_", " ")


def elsewhere(config: RunConfig) -> str | None:
    """A sentence where a preset is used on another environment than those that it was published with."""
    preset = get_preset(config.preset)
    if not preset.envs or config.env.name in preset.envs:
        return None
    return f"preset {preset.name} was published with {', '.join(preset.envs)}; on {config.env.name} it is a protocol of yours"


def next_commands(config: RunConfig, results: Path) -> list[str]:
    """What to type next: compare, and the same run with another backbone."""
    where = [] if str(results) == "results" else ["--results", str(results)]
    other = "gpt" if config.backbone.name != "gpt" else "s4"
    chosen = [part for text in _chosen(config, other) for part in ("--set", text)]
    preset = [] if config.preset == DEFAULT else ["--preset", config.preset]
    again = ["--backbone", other, "--env", config.env.name, "--seed", str(config.seed), *preset, *chosen, *where]
    return [shlex.join(["dsbench", "report", str(results)]), shlex.join(["dsbench", "run", *again])]


def _chosen(config: RunConfig, other: str) -> list[str]:
    """What a run's settings say beyond its preset, as ``--set`` takes it; what is its backbone's own is left out."""
    acts = config.backbone.name if config.policy == LEARNED else other
    plain = _flat(to_dict(settle(preset=config.preset, backbone=acts, env=config.env.name)))
    own = _flat(to_dict(config))
    return as_overrides(
        {
            path: value
            for path, value in own.items()
            if path.partition(".")[0] not in ("backbone", "seed", "policy") and value != plain.get(path)
        }
    )


def _flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    """``{"train.lr": 0.1}`` of ``{"train": {"lr": 0.1}}``."""
    flat: dict[str, Any] = {}
    for part, value in settings.items():
        own = {f"{part}.{name}": one for name, one in value.items()} if isinstance(value, Mapping) else {part: value}
        flat |= own
    return flat


MOST_ROWS = 50  # runs that are shown one by one; more are counted, as nobody reads ten thousand lines
SWEEP_HEADER = ("run", "status", "measure", "score", "return", "normalised", "parameters", "train s", "p50 us")


def sweep_rows(outcomes: Sequence[Outcome]) -> list[tuple[str, ...]]:
    """A row a run, under `SWEEP_HEADER`."""
    formats = {
        "return_mean": "{:.2f}",
        "score_normalised": "{:.1f}",
        "parameters_total": "{:,}",
        "train_seconds": "{:.1f}",
        "latency_p50_us": "{:,.0f}",
    }
    rows = []
    for outcome in outcomes:
        row = outcome.row or {}
        metric = row.get("success_metric")
        score = (_MISSING, _MISSING) if metric is None else (words(metric), number(row.get(metric), "{:.3f}"))
        numbers = {key: number(row.get(key), form) for key, form in formats.items()}
        for key, mark in (("train_seconds", TRAINING), ("latency_p50_us", LATENCY)):
            numbers[key] += core(row, mark).value if numbers[key] != _MISSING else ""
        status = f"{outcome.status} ({UNPROVEN})" if row.get(UNPROVEN) else outcome.status
        rows.append((outcome.run_id, status, *score, *numbers.values()))
    return rows


def begun(runs: int, before: int, at_once: int) -> str:
    """``36 runs, 24 of 36 done before, 2 at once``."""
    done = f", {before:,} of {runs:,} done before" if before else ""
    return f"{runs:,} runs{done}, {at_once} at once"


def print_sweep(outcomes: Sequence[Outcome], results: Path) -> None:
    """A row a run where they are few, else how many ended how."""
    if len(outcomes) <= MOST_ROWS:
        rows = sweep_rows(outcomes)
        print_table(SWEEP_HEADER, rows)
        if any(cell.endswith(("*", "?")) for row in rows for cell in row[-2:]):
            say("", LEGEND)
        return
    counts = Counter(outcome.status for outcome in outcomes)
    print_table(("status", "runs"), [(status, f"{count:,}") for status, count in counts.most_common()])
    say("", f"Runs    {shlex.join(['dsbench', 'export', str(results)])}")


def tell_unfinished(outcomes: Sequence[Outcome], results: Path) -> None:
    """Every run that did not end well, and one line for all that are held by others, to stderr."""
    not_begun = [outcome for outcome in outcomes if outcome.status == "interrupted" and outcome.row is None]
    for outcome in outcomes:
        if outcome.exit_code and outcome.status != "held" and outcome not in not_begun[1:]:
            first, *more = lines_of(outcome)
            complain(f"{outcome.run_id}: {outcome.status}: {first}", *more)
    if len(not_begun) > 1:
        complain(f"and {len(not_begun) - 1:,} more: {not_begun[0].message}")
    if sentence := held_sentence(outcomes, results):
        complain(sentence)


def number(value: Any, form: str) -> str:
    return _MISSING if value is None or isinstance(value, str) else form.format(value)


def _status(row: Mapping[str, Any]) -> str:
    reason = row.get("reason")
    return f"{row.get('status', _MISSING)}{f': {reason}' if reason else ''}"


def _targets(row: Mapping[str, Any]) -> str:
    target = number(row.get("target_return"), "{:.2f}")
    return f"when asked for {target}" if target != _MISSING else "with no return asked for"


def _size(value: Any, exact: bool = False) -> str:
    """Bytes in the largest fitting unit; with `exact` the bytes beside it."""
    if value is None:
        return _MISSING
    for unit, name in _UNITS:
        if value >= unit:
            shown = f"{value / unit:,.1f} {name}"
            return f"{shown} ({value:,} bytes)" if exact else shown
    return f"{value:,} bytes"
