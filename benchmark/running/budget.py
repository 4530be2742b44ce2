"""How long a training goes on: so many updates, or so many seconds.

Seconds are those of the processor, of all threads together, where the processor does the work: on the clock a minute is as
much work as others on the machine leave over. What a CUDA device does no processor counts, so there they are seconds on the
clock. Only updates count, not the evaluations between them. No update is broken off: the one in which the seconds run out is
the last.

How many updates will fit is not known before, so that a training of seconds goes through the schedule of ``train.updates`` by
the share of its seconds that is spent:

    place = updates * spent / seconds

Warm-up, cosine and evaluations, which are given in updates, keep their shares of the whole, and ``train.updates`` ends nothing.
Where every update takes seconds / updates, both kinds of training are one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from dsbench.config import TrainConfig
from dsbench.running.training import Progress


@dataclass(frozen=True)
class Budget:
    """What a training may use, and where it is in that.

    Args:
        settings: the run's ``train.*``.
        device: which does the work.
    """

    settings: TrainConfig
    device: torch.device

    def spent(self, progress: Progress) -> float:
        """Seconds that count."""
        if self.device.type != "cpu":
            return progress.seconds
        assert progress.cpu_seconds is not None, "resume refuses a checkpoint that does not tell"
        return progress.cpu_seconds

    def place(self, updates_done: int, progress: Progress) -> float:
        """How far the training is, in updates of its schedule; its updates where those are its budget."""
        if self.settings.seconds is None:
            return updates_done
        return self.settings.updates * (self.spent(progress) / self.settings.seconds)

    def is_spent(self, updates_done: int, progress: Progress) -> bool:
        """Whether the training is over."""
        return self.place(updates_done, progress) >= self.settings.updates

    def asks_for_evaluation(self, before: float, after: float) -> bool:
        """Whether an evaluation is due after an update that led from one place to another; always after the last."""
        every = self.settings.evaluated_every
        return after // every > before // every or after >= self.settings.updates

    def shown(self, updates_done: int, progress: Progress) -> tuple[int, int]:
        """(done, all) for a display, in updates or whole seconds."""
        if self.settings.seconds is None:
            return updates_done, self.settings.updates
        whole = math.ceil(self.settings.seconds)
        return min(int(self.spent(progress)), whole), whole

    def columns(self, progress: Progress) -> dict[str, str | float]:
        """Of the final row; none where updates are the budget, which ``updates`` tells."""
        if self.settings.seconds is None:
            return {}
        clock = "CPU seconds of all threads together" if self.device.type == "cpu" else "seconds on the clock"
        return {
            "budget_spent_s": self.spent(progress),
            "budget_note": f"trained for {self.settings.seconds:g} {clock}; how many updates fit into them is the machine's "
            "doing, so that a repetition gives other numbers",
        }
