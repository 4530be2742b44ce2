"""The return-prediction probe: what a backbone remembers, where acting well takes no memory.

Some tasks (key-to-door) are solved by a policy that sees only the present, yet whether an episode will end well depends on
what happened long before. The probe asks just that: the same wrapper and backbone, given the history up to the question
and no return, predict the answer; log-loss and AUC on held-out episodes stand beside those of the Bayes predictor, which
knows the hidden state, and of one that knows the base rate only.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy import stats
from torch import Tensor, nn
from torch.nn import functional as F

from dsbench.batches import Batch, whole_batch
from dsbench.config import RunConfig
from dsbench.config.varying import seed_of
from dsbench.decision import DecisionSequence
from dsbench.decision.capacity import rows_at_once
from dsbench.envs.data import generate
from dsbench.envs.data.physics import physics_note
from dsbench.envs.spec import Probe
from dsbench.episodes import Episodes
from dsbench.errors import UsageError
from dsbench.measuring.decision import count_parameters
from dsbench.records.run_folder import RunFolder
from dsbench.records.tables import metric_record
from dsbench.running.experiment import Experiment
from dsbench.running.progress import Report
from dsbench.running.rows import data_columns
from dsbench.running.training import Progress
from dsbench.stopping import raise_if_asked
from dsbench.train import seeded

HELD_OUT = 10_000  # episodes that the answers are scored on; rare successes need many
ROWS = 1000  # held-out episodes in one pass, where their memory allows it


class Answerer(nn.Module):
    """A decision model whose head answers a yes-or-no question at one timestep instead of choosing actions.

    Args:
        model: without return conditioning; its head is replaced.
        timestep: when the question is asked.
        answers: (E,) bool by episode of the training data.
    """

    answers: Tensor

    def __init__(self, model: DecisionSequence, timestep: int, answers: np.ndarray) -> None:
        super().__init__()
        model.head = nn.Linear(model.backbone.d_model, 1)
        self.model, self.timestep = model, timestep
        self.register_buffer("answers", torch.from_numpy(answers.astype(np.float32)), persistent=False)

    @property
    def tokens_per_decision(self) -> int:
        return self.model.tokens_per_decision

    def param_groups(self) -> list[dict[str, Any]]:
        return self.model.param_groups()

    def logits(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """(Q,) log-odds of yes for the questions in this batch, and (Q,) the episodes that they are about."""
        hidden, _ = self.model.hidden(batch)
        asked = batch.mask & (batch.timestep == self.timestep)
        return self.model.head(hidden[asked]).squeeze(-1).float(), batch.episode_id[asked]

    def loss(self, batch: Batch) -> Tensor:
        logits, episode = self.logits(batch)
        return F.binary_cross_entropy_with_logits(logits, self.answers[episode])


class ProbeExperiment(Experiment):
    """One run that learns to answer ``spec.probe`` instead of to act."""

    def __init__(self, config: RunConfig, report: Report) -> None:
        super().__init__(config, report)
        if self.spec.probe is None:
            raise UsageError(
                f"env {self.spec.name!r} asks no question, so train.objective=probe cannot be used; "
                "key-to-door asks one, and train.objective=action is for every environment"
            )
        self.spec.recipe(config.data.recipe)  # the Bayes predictor must know the behaviour
        self.probe: Probe = self.spec.probe

    def run(self, folder: RunFolder) -> dict[str, Any]:
        """Data, training and scoring of the answers; returns the final row (without status)."""
        episodes, info = self._data(folder)
        episodes = self._asked(episodes)
        answers = self.probe.label(episodes)
        histories = episodes.heads(self.probe.timestep + 1)
        raise_if_asked()
        self.scaling_notes = self.model.fit_normalisers(histories)
        with seeded(self.device, seed_of(self.config, "init", self.spec.task), "probe"):
            self.answerer = Answerer(self.model, self.probe.timestep, answers).to(self.device)
        trainer, progress = self._train(folder, histories, None)
        scores = self._score(folder, trainer.updates_done)
        parameters = count_parameters(self.model)
        self.tell("done", 1, 1)
        return {
            "question": self.probe.question,
            **data_columns(info),
            "physics_note": physics_note(self.spec, info.physics),
            **self.notes,
            "updates": trainer.updates_done,
            "loss": progress.last_loss,
            "train_seconds": progress.seconds,
            **self.budget.columns(progress),
            "parameters_total": parameters.total,
            "parameters_backbone": parameters.backbone,
            "success_metric": "probe_auc",
            "measure_minimum": 0.0,
            "measure_maximum": 1.0,
            "measure_chance": 0.5,
        } | scores

    @property
    def trained(self) -> Answerer:
        return self.answerer

    def _selection(self, progress: Progress, step: int, target: object) -> list[dict[str, Any]]:
        """Nothing is selected: the last weights are scored."""
        return []

    def _score(self, folder: RunFolder, step: int) -> dict[str, float]:
        recipe = self.config.data.recipe
        held_out = self._asked(
            generate(
                self.spec, recipe, HELD_OUT, seed_of(self.config, "eval", self.spec.task),
                on_block=lambda done: self.report("evaluate", done, HELD_OUT),
            )
        )  # fmt: skip
        answers, bayes = self.probe.label(held_out), self.probe.bayes(held_out, recipe)
        guesses = {"probe": self._answers(held_out), "bayes": bayes, "base_rate": np.full(len(bayes), answers.mean())}
        scores = {f"{name}_log_loss": log_loss(guess, answers) for name, guess in guesses.items()}
        scores |= {f"{name}_auc": auc(guess, answers) for name, guess in guesses.items()}
        folder.journal.append_many(
            metric_record(phase="evaluate", split="eval", metric=name, value=value, step=step)
            for name, value in scores.items()
        )
        return scores

    @torch.no_grad()
    def _answers(self, episodes: Episodes) -> np.ndarray:
        """(E,) predicted probabilities of yes."""
        self.answerer.eval()
        histories = episodes.heads(self.probe.timestep + 1)
        rows = min(ROWS, rows_at_once(self.model, "windowed", self.probe.timestep + 1))
        parts = []
        for first in range(0, len(histories), rows):
            raise_if_asked()
            batch = whole_batch(histories.select(range(first, min(first + rows, len(histories)))))
            parts.append(self.answerer.logits(batch.to(self.device))[0].sigmoid().cpu().numpy())
        return np.concatenate(parts).astype(np.float64)

    def _asked(self, episodes: Episodes) -> Episodes:
        """Those that live to see the question."""
        return episodes.select(np.flatnonzero(episodes.lengths > self.probe.timestep))


def log_loss(probability: np.ndarray, answer: np.ndarray) -> float:
    """Mean negative log-likelihood in nats; probabilities are kept 1e-12 away from 0 and 1."""
    inside = np.clip(probability, 1e-12, 1 - 1e-12)
    return float(-np.mean(np.where(answer, np.log(inside), np.log1p(-inside))))


def auc(score: np.ndarray, answer: np.ndarray) -> float:
    """Probability that a yes is scored above a no, ties counting half (Mann and Whitney 1947); 0.5 if one is missing."""
    yes, no = int(answer.sum()), int((~answer).sum())
    if not yes or not no:
        return 0.5
    ranks = stats.rankdata(score)
    return float((ranks[answer].sum() - yes * (yes + 1) / 2) / (yes * no))
