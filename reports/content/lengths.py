"""Score against an option of the environment that is a number, such as the length of what has to be remembered."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from dsbench.reports.content.contest import Task, listed
from dsbench.reports.content.curves import Journals
from dsbench.reports.document import Figure, Section
from dsbench.reports.figures import UNCALIBRATED, Axis, Series, plot
from dsbench.reports.outcomes import UNBOUNDED
from dsbench.text import slug

_MOVES_ALONG = {"data.episodes"}  # longer tasks are given more data; that is said and does not part them


def lengths(tasks: Sequence[Task], journals: Journals) -> Section | None:
    """The section of all sweeps over such an option; None without one."""
    figures = []
    for env in dict.fromkeys(task.env for task in tasks):
        own = [task for task in tasks if task.env == env]
        for name in sorted({name for task in own for name in task.settings if _is_size(name, own)}):
            figures += _sweeps(own, name, journals)
    if not figures:
        return None
    told = "Score against a size of the task, where runs differ in it."
    return Section("lengths", "Length sweeps", (told,), figures=tuple(figures))


def _is_size(name: str, tasks: Sequence[Task]) -> bool:
    """An option of the environment that is a number and no seed."""
    values = [task.settings[name] for task in tasks if name in task.settings]
    return name.startswith("env.") and not name.endswith("seed") and all(_number(value) for value in values)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _sweeps(tasks: Sequence[Task], name: str, journals: Journals) -> list[Figure]:
    """A figure for each set of tasks that differ in this option alone."""
    sets: dict[Hashable, dict[float, Task]] = {}
    for task in tasks:
        size = task.settings.get(name, _default(task, name, journals))
        if _number(size):
            rest = {
                key: value
                for key, value in task.whole.items()
                if key.startswith(("env.", "data.")) or key == "train.objective"
            }
            kept = tuple(
                sorted((key, str(value)) for key, value in rest.items() if key != name and key not in _MOVES_ALONG)
            )
            sets.setdefault(kept, {}).setdefault(float(size), task)
    swept = [own for own in sets.values() if len(own) > 1]
    return [_figure(name, dict(sorted(own.items())), place) for place, own in enumerate(swept, 1)]


def _default(task: Task, name: str, journals: Journals) -> Any:
    """What the option was where no run sets it: its journal tells all options of the environment."""
    for one in task.learned:
        for run in one.ok:
            if (value := journals.options(run).get(name.removeprefix("env."))) is not None:
                return value
    return None


def _figure(name: str, sizes: Mapping[float, Task], place: int) -> Figure:
    short, first = name.removeprefix("env."), next(iter(sizes.values()))
    names = sorted({one.name for task in sizes.values() for one in task.learned})
    lines = [line for line in (_series(one, sizes) for one in names) if len(line.x) > 1]
    held = {key: value for key, value in first.settings.items() if key != name and key not in _MOVES_ALONG}
    title = f"{first.env}: {first.measure_text} against {short}" + (f" ({listed(held)})" if held else "")
    episodes = {task.whole.get("data.episodes") for task in sizes.values()}
    along = " The number of episodes of data differs along the way." if len(episodes) > 1 else ""
    bounds = first.bounds if len({task.bounds for task in sizes.values()}) == 1 else UNBOUNDED
    rough = UNCALIBRATED if any(line.uncertain for line in lines) else ""
    caption = f"Mean over seeds with 95 % intervals; small dots: seeds.{along}{rough}"
    axes = Axis(short.replace("_", " ")), Axis(first.measure_text, least=bounds.minimum, most=bounds.maximum)
    return plot(f"{slug(f'sweep-{first.env}-{short}')}-{place}", title, caption, lines, *axes)


def _series(name: str, sizes: Mapping[float, Task]) -> Series:
    found = [
        (size, score, list(task.samples[name].scores.values()))
        for size, task in sizes.items()
        for one in task.learned
        if one.name == name and (score := task.estimate(one)) is not None
    ]
    scores = [score for _, score, _ in found]
    bounded = all(score.low is not None for score in scores)
    low, high = ([[getattr(score, end) for score in scores] for end in ("low", "high")]) if bounded else (None, None)
    return Series(
        name, [size for size, _, _ in found], [score.mean for score in scores], low, high,
        uncertain=not all(score.calibrated for score in scores), dots=[seeds for _, _, seeds in found],
    )  # fmt: skip
