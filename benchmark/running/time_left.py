"""The column of bars that tells the time left; imported where bars are drawn, since rich is not light."""

from __future__ import annotations

from rich.progress import Task, TimeRemainingColumn
from rich.text import Text

_TOLD = "left_s"  # field of a task whose own pace would tell nothing, since it advances a run at a time


class TimeLeft(TimeRemainingColumn):
    """What a task was told of the seconds left, and of one that was told nothing, by its pace."""

    def render(self, task: Task) -> Text:
        if _TOLD not in task.fields:
            return super().render(task)
        left = task.fields[_TOLD]
        if left is None:
            return Text("-:--:--", style="progress.remaining")
        minutes, seconds = divmod(round(left), 60)
        return Text(f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}", style="progress.remaining")
