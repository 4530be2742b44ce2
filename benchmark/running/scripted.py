"""A run whose actions are scripted: the random or the best policy, evaluated as trained ones are."""

from __future__ import annotations

from typing import Any

from dsbench import rollout
from dsbench.config import RunConfig
from dsbench.config.varying import seed_of
from dsbench.envs.catalogue import spec_of
from dsbench.envs.spec import EnvSpec
from dsbench.envs.trial import try_out
from dsbench.errors import UsageError
from dsbench.records.run_folder import RunFolder
from dsbench.records.tables import metric_record
from dsbench.running.progress import Report
from dsbench.running.rows import note_columns, reference_columns, score_columns

DECODE = "scripted"  # stands in the column that tells how actions were chosen


class ScriptedExperiment:
    """One evaluation of ``config.policy``; there is nothing to train, to checkpoint or to resume."""

    def __init__(self, config: RunConfig, report: Report) -> None:
        self.config, self.report = config, report
        self.spec: EnvSpec = spec_of(config.env.name, config.env.options)
        behaviour = self.spec.random if config.policy == "random" else self.spec.optimal
        if behaviour is None:
            raise UsageError(f"no optimal policy of env {self.spec.name!r} is known; --policy random can be played")
        self.behaviour = behaviour
        self.env_notes = try_out(self.spec)

    @property
    def notes(self) -> dict[str, str | None]:
        """As of `dsbench.running.experiment.Experiment`; nothing is scaled."""
        return note_columns(env=self.env_notes)

    def run(self, folder: RunFolder) -> dict[str, Any]:
        """Play the evaluation episodes; returns the final row (without status)."""
        settings = self.config.eval
        self.report("evaluate", 0, 1)
        found = rollout.evaluate_scripted(
            self.behaviour, self.spec, split="eval", episodes=settings.episodes,
            seed=seed_of(self.config, "eval", self.spec.task), on_step=lambda: self.report("evaluate", 0, 1),
        )  # fmt: skip
        errors = found.errors()
        folder.journal.append_many(
            metric_record(
                phase="evaluate", split="eval", metric=metric, value=value, error=errors[metric], decode=DECODE
            )
            for metric, value in found.means().items()
        )
        self.report("done", 1, 1)
        scores = score_columns(self.spec, [DECODE], {DECODE: {"target": found}})
        return {"decode": DECODE, **self.notes, **reference_columns(self.spec), **scores}
