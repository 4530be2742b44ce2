"""One run from data to final row: prepare, train (or resume), evaluate, measure.

`Experiment` knows the order of the phases; how each is done lives in `training`, `evaluating` and `measuring`.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from dsbench import stopping
from dsbench.config import RunConfig
from dsbench.config.varying import root, seed_of
from dsbench.decision import DecisionSequence
from dsbench.decision.policy import build_policy
from dsbench.decision.scaling import note_on_target
from dsbench.decision.times import TableTime
from dsbench.envs.catalogue import spec_of
from dsbench.envs.data import DataInfo, best_episodes, permuted_returns
from dsbench.envs.data.physics import physics_note
from dsbench.envs.data.source import check_source, load_source
from dsbench.envs.measured import measure
from dsbench.envs.spec import EnvSpec
from dsbench.envs.targets import Target
from dsbench.envs.trial import try_out
from dsbench.episodes import Episodes
from dsbench.records.run_folder import RunFolder
from dsbench.records.tables import event_record, metric_record
from dsbench.rollout import Scores
from dsbench.running.asking import Targets, sweep_of, target_columns, targets_of
from dsbench.running.budget import Budget
from dsbench.running.describing import describe
from dsbench.running.evaluating import Evaluation
from dsbench.running.matched import match_columns
from dsbench.running.measuring import condition_columns, cost_columns, cost_records, decision_costs, training_costs
from dsbench.running.progress import Report
from dsbench.running.rows import (
    PlayedScores,
    data_columns,
    note_columns,
    reference_columns,
    score_columns,
    selection_columns,
)
from dsbench.running.training import Progress, make_trainer, pick_device, resume, save
from dsbench.stopping import Interrupted
from dsbench.train import Trainable, Trainer, seeded


class Experiment:
    """One run of `config` in `folder`, which ends by `Interrupted` soon after a signal asks for it, whatever the phase.

    Construction resolves everything that the user may have got wrong (names, options, spaces) before any file is written.
    """

    def __init__(self, config: RunConfig, report: Report) -> None:
        self.config, self.tell = config, report
        self.device = pick_device(config.device)
        self.budget = Budget(config.train, self.device)
        self.spec: EnvSpec = spec_of(config.env.name, config.env.options)
        check_source(self.spec, config.data.recipe, config.data.allow_other_physics)
        self.env_notes = try_out(self.spec, config.data.recipe)
        self.scaling_notes: list[str] = []
        self.policy_spec = describe(config, self.spec)
        with seeded(self.device, seed_of(config, "init", self.spec.task)):
            self.model: DecisionSequence = build_policy(self.policy_spec)
        self._check_horizon(self.spec.horizon)  # of acting, where episodes may outlast those of the data
        self.evaluation = Evaluation(config, self.spec, self.model)
        self.yardsticks: dict[str, float] = {}

    # ------------------------------------------------------------------ phases

    def run(self, folder: RunFolder) -> dict[str, Any]:
        """All phases; returns the final row (without status)."""
        episodes, info = self._data(folder)
        stopping.raise_if_asked()
        self.scaling_notes = self.model.fit_normalisers(episodes)
        self.model.to(self.device)
        targets = targets_of(self.config, self.spec, episodes, info)
        if (target := targets["target"]) is not None:
            self.scaling_notes += note_on_target(target.value, episodes)
        trainer, progress = self._train(folder, episodes, targets["target"])
        scores = self._evaluate(folder, trainer.updates_done, targets)
        costs = self._measure(folder, episodes, trainer, progress)
        stopping.raise_if_asked()
        asked = {role: None if target is None else target.to_json() for role, target in targets.items()}
        folder.checkpoints.save("final", dict(self.model.state_dict()), {"policy": self.policy_spec, "targets": asked})
        row = self._row(trainer, progress, targets, scores, info) | costs
        self.tell("done", 1, 1)
        return row

    def _data(self, folder: RunFolder) -> tuple[Episodes, DataInfo]:
        data, seed = self.config.data, root(self.config, "data")
        of_task = seed_of(self.config, "data", self.spec.task)
        size = data.timesteps or data.episodes
        self.report("data", 0, size)
        measure(self.spec, lambda: self.report("data", 0, size))
        episodes, info = load_source(
            self.spec,
            data.recipe,
            data.episodes,
            seed,
            timesteps=data.timesteps,
            on_block=lambda done: self.report("data", done, size),
            allow_other_physics=data.allow_other_physics,
        )
        self._check_horizon(int(episodes.lengths.max()))  # data from elsewhere may outlast the task
        self.yardsticks = dict(self.spec.yardsticks(episodes))
        if data.permute_returns:
            episodes = permuted_returns(episodes, of_task)
        if data.top_percent is not None:
            episodes = best_episodes(episodes, data.top_percent, of_task)
        known = {name: value for name, value in asdict(info).items() if name != "path"}  # records travel, paths do not
        folder.journal.append(event_record("data", detail=known))
        folder.journal.append_many(
            metric_record(phase="data", metric=self.spec.success_metric, value=value, implementation=name)
            for name, value in self.yardsticks.items()
        )
        self.report("data", size, size)
        return episodes, info

    def _train(self, folder: RunFolder, episodes: Episodes, target: Target | None) -> tuple[Trainer, Progress]:
        trainer = make_trainer(self.config, self.trained, episodes, self.spec.task)
        progress = resume(folder, trainer)
        records: list[dict[str, Any]] = []
        while progress.evaluation_due or not self.budget.is_spent(trainer.updates_done, progress):
            if not progress.evaluation_due:
                records += self._update(trainer, progress)
            done = trainer.updates_done
            if progress.evaluation_due:
                records += self._selection_unless_stopped(progress, done, target)
            stopped = stopping.asked() is not None
            over = self.budget.is_spent(done, progress)
            if done % self.config.train.checkpoint_every == 0 or over or stopped:
                folder.journal.append_many([*records, event_record("checkpoint", step=done)])
                records = []
                save(folder, trainer, progress, self.policy_spec)
            if stopped:
                raise Interrupted
        return trainer, progress

    def _update(self, trainer: Trainer, progress: Progress) -> list[dict[str, Any]]:
        """One update; its record where one is due."""
        before = self.budget.place(trainer.updates_done, progress)
        with progress.timed():
            progress.last_loss = trainer.update(before)
        done = trainer.updates_done
        progress.evaluation_due = self.budget.asks_for_evaluation(before, self.budget.place(done, progress))
        self.tell("train", *self.budget.shown(done, progress), f"loss {progress.last_loss:.4f}")
        if done % self.config.train.log_every and not self.budget.is_spent(done, progress):
            return []
        return [metric_record(phase="train", step=done, metric="loss", value=progress.last_loss)]

    def _selection_unless_stopped(self, progress: Progress, step: int, target: Target | None) -> list[dict[str, Any]]:
        """`_selection`; where a signal ends it, it stays due and the updates before it are kept."""
        try:
            stopping.raise_if_asked()
            records = self._selection(progress, step, target)
        except Interrupted:
            return []
        progress.evaluation_due = False
        return records

    def _selection(self, progress: Progress, step: int, target: Target | None) -> list[dict[str, Any]]:
        """Score the weights of now; the records are for the journal, the scores for the choice of the best weights."""
        scores, records = self.evaluation.while_training(
            step, target, lambda: self.report("train", *self.budget.shown(step, progress), "evaluating")
        )
        progress.history = [*(progress.history or []), scores]
        return records

    def _evaluate(self, folder: RunFolder, step: int, targets: Targets) -> PlayedScores:
        """Held-out scores of the last weights, which took `step` updates."""
        decodes = self.config.eval.decode
        scores: dict[str, dict[str, Scores]] = {decode: {} for decode in decodes}
        sweep = sweep_of(self.config, targets)
        total, done = len(decodes) * len(targets) + len(sweep), 0

        def on_step() -> None:
            self.report("evaluate", done, total)

        for decode in decodes:
            for role, target in targets.items():
                on_step()
                scores[decode][role], records = self.evaluation.at_the_end(step, target, decode, on_step)
                folder.journal.append_many(records)
                done += 1
        for target in sweep:
            on_step()
            folder.journal.append_many(self.evaluation.in_the_sweep(step, target, on_step))
            done += 1
        self.report("evaluate", total, total)
        return scores

    def _measure(self, folder: RunFolder, episodes: Episodes, trainer: Trainer, progress: Progress) -> dict[str, Any]:
        settings = self.config.measure
        total, done = settings.warmup + settings.steps, 0

        def on_step() -> None:
            nonlocal done
            done += 1
            stopping.raise_if_asked()
            if done % 100 == 0:
                self.report("measure", done, total)

        costs = decision_costs(self.evaluation, episodes, self.device, on_step)
        costs += training_costs(progress.seconds, progress.cpu_seconds, trainer.tokens_seen, self.device)
        folder.journal.append_many(cost_records(costs, self.evaluation))
        columns = cost_columns(costs)
        return columns | condition_columns(costs, self.device) | match_columns(self.config, columns)

    # ------------------------------------------------------------------ pieces

    def report(self, phase: str, done: int, total: int, message: str = "") -> None:
        """Tell how far the run is, and end it where a signal asked for that."""
        self.tell(phase, done, total, message)
        stopping.raise_if_asked()

    @property
    def notes(self) -> dict[str, str | None]:
        """Columns of what was found odd so far, also of a run that comes to no score."""
        return note_columns(scaling=self.scaling_notes, env=self.env_notes)

    @property
    def trained(self) -> Trainable:
        """What the trainer updates."""
        return self.model

    def _check_horizon(self, longest: int) -> None:
        if isinstance(self.model.time, TableTime):
            self.model.time.check_horizon(longest)

    def _row(
        self,
        trainer: Trainer,
        progress: Progress,
        targets: Targets,
        scores: PlayedScores,
        info: DataInfo,
    ) -> dict[str, Any]:
        config, kernel = self.config, self.model.backbone.kernel()
        row: dict[str, Any] = {
            **target_columns(config, self.spec, targets, info),
            "decode": config.eval.decode[0],
            "acting": self.evaluation.acting,
            **data_columns(info),
            "physics_note": physics_note(self.spec, info.physics),
            **self.notes,
            "implementation": kernel.name,
            "implementation_reason": kernel.reason,
            "updates": trainer.updates_done,
            "loss": progress.last_loss,
            **self.budget.columns(progress),
        }
        row |= reference_columns(self.spec)
        row |= {f"yardstick_{name}": value for name, value in self.yardsticks.items()}
        row |= score_columns(self.spec, config.eval.decode, scores)
        return row | selection_columns(self.spec, progress.history or [], config.train.mean_last_k)
