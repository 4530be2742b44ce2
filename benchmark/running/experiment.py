"""One run from data to final row: prepare, train (or resume), evaluate, measure.

`Experiment` knows the order of the phases and what is recorded; how each is done lives in `train`, `rollout`, `measure`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch

from dsbench import backbones, envs, measure, rollout
from dsbench.batches import BatchSampler, whole_batch
from dsbench.config import RunConfig, run_id
from dsbench.decision import DecisionSequence
from dsbench.decision.encoders import TableTime
from dsbench.decision.policy import build_policy, policy_spec
from dsbench.envs.data import DataInfo, best_episodes, permuted_returns
from dsbench.envs.data.source import load_source, split_source
from dsbench.envs.spec import EnvSpec
from dsbench.envs.targets import Target
from dsbench.episodes import Episodes
from dsbench.errors import DsbenchError, UsageError
from dsbench.records.run_folder import RunFolder
from dsbench.records.tables import event_record, metric_record
from dsbench.running.progress import Report
from dsbench.running.rows import score_columns
from dsbench.train import Trainable, Trainer, seeded

EVALUATIONS_PER_RUN = 10  # selection evaluations during training, when train.eval_every leaves it open


class Interrupted(DsbenchError):
    """A signal asked the run to stop; everything up to the last checkpoint is kept."""

    exit_code = 143


@dataclass
class Progress:
    """What a training has behind it beyond weights; travels in the checkpoint's metadata."""

    seconds: float = 0.0
    last_loss: float | None = None
    history: list[dict[str, float]] | None = None  # one entry an evaluation: step, selection and eval scores


class Experiment:
    """One run of `config` in `folder`.

    Construction resolves everything that the user may have got wrong (names, options, spaces) before any file is written.
    """

    def __init__(self, config: RunConfig, report: Report) -> None:
        self.config, self.report = config, report
        self.device = pick_device(config.device)
        self.spec: EnvSpec = envs.get_spec(config.env.name, **config.env.options)
        if split_source(config.data.recipe)[0] is None:
            self.spec.recipe(config.data.recipe)
        self.policy_spec = self._policy_spec()
        with seeded(self.device, config.seed, "init"):
            self.model: DecisionSequence = build_policy(self.policy_spec)
        if isinstance(self.model.time, TableTime):  # of acting too, where episodes may outlast those of the data
            self.model.time.check_horizon(self.spec.horizon)
        self.stop_signal: int | None = None
        self.yardsticks: dict[str, float] = {}

    # ------------------------------------------------------------------ phases

    def run(self, folder: RunFolder) -> dict[str, Any]:
        """All phases; returns the final row (without status)."""
        episodes, info = self._data(folder)
        self.model.fit_normalisers(episodes)
        self.model.to(self.device)
        targets = self._targets(episodes)
        trainer, progress = self._train(folder, episodes, targets["target"])
        scores = self._evaluate(folder, targets)
        costs = self._measure(folder, episodes, trainer, progress)
        asked = {role: None if target is None else target.to_json() for role, target in targets.items()}
        folder.checkpoints.save("final", self._weights(), {"policy": self.policy_spec, "targets": asked})
        row = self._row(trainer, progress, targets, scores, info) | costs
        self.report("done", 1, 1)
        return row

    def _data(self, folder: RunFolder) -> tuple[Episodes, DataInfo]:
        data = self.config.data
        self.report("data", 0, data.episodes)
        episodes, info = load_source(
            self.spec,
            data.recipe,
            data.episodes,
            data.seed,
            on_block=lambda done: self.report("data", done, data.episodes),
        )
        self.yardsticks = dict(self.spec.yardsticks(episodes))
        if data.permute_returns:
            episodes = permuted_returns(episodes, data.seed)
        if data.top_percent is not None:
            episodes = best_episodes(episodes, data.top_percent, data.seed)
        known = {name: value for name, value in asdict(info).items() if name != "path"}  # records travel, paths do not
        folder.journal.append(event_record("data", detail=known))
        folder.journal.append_many(
            metric_record(phase="data", metric=self.spec.success_metric, value=value, implementation=name)
            for name, value in self.yardsticks.items()
        )
        self.report("data", data.episodes, data.episodes)
        return episodes, info

    def _targets(self, episodes: Episodes) -> dict[str, Target | None]:
        """Returns to ask for, by role; behaviour cloning asks for none."""
        settings = self.config.eval
        if self.config.wrapper.condition == "none":
            return {"target": None}
        if settings.target_return is not None:
            return {"target": Target(settings.target_return)}
        targets = self.spec.target(episodes, settings.target_quantile, settings.opposite_quantile)
        return dict(targets)

    def _train(self, folder: RunFolder, episodes: Episodes, target: Target | None) -> tuple[Trainer, Progress]:
        settings = self.config.train
        sampler = BatchSampler(
            episodes,
            batch_size=settings.batch_size,
            window=settings.window,
            row_length=settings.row_length,
            seed=self.config.seed,
            balance_returns=settings.balance_returns and self.config.wrapper.condition == "return",
        )
        precision = torch.bfloat16 if self.config.precision == "bf16" else None
        trainer = Trainer(self.trained, sampler, settings, seed=self.config.seed, autocast_dtype=precision)
        progress = self._resume(folder, trainer)
        eval_every = settings.eval_every or max(1, settings.updates // EVALUATIONS_PER_RUN)
        losses: list[dict[str, Any]] = []
        while trainer.updates_done < settings.updates:
            begin = time.perf_counter()
            progress.last_loss = trainer.update()
            progress.seconds += time.perf_counter() - begin
            done = trainer.updates_done
            last = done == settings.updates
            self.report("train", done, settings.updates, f"loss {progress.last_loss:.4f}")
            if done % settings.log_every == 0 or last:
                losses.append(metric_record(phase="train", step=done, metric="loss", value=progress.last_loss))
            if done % eval_every == 0 or last:
                losses += self._selection(progress, done, target)
            if done % settings.checkpoint_every == 0 or last or self.stop_signal is not None:
                folder.journal.append_many([*losses, event_record("checkpoint", step=done)])
                losses = []
                self._save(folder, trainer, progress)
            if self.stop_signal is not None:
                raise Interrupted(f"interrupted after update {done} of {settings.updates}; the same command continues")
        return trainer, progress

    def _selection(self, progress: Progress, step: int, target: Target | None) -> list[dict[str, Any]]:
        """Score the weights of now on the selection episodes and on the reported ones (argmax, at the target)."""
        entry: dict[str, float] = {"step": step}
        records = []
        splits: list[tuple[rollout.Split, int]] = [
            ("selection", self.config.eval.selection_episodes),
            ("eval", self.config.eval.episodes),
        ]
        for split, count in splits:
            means = self._roll(
                split, count, target, self.config.eval.decode[0],
                on_step=lambda: self.report("train", step, self.config.train.updates, "evaluating"),
            ).means()  # fmt: skip
            for metric, value in means.items():
                entry[f"{split}/{metric}"] = value
                records.append(
                    metric_record(
                        phase="train", split=split, step=step, metric=metric, value=value,
                        decode=self.config.eval.decode[0], acting=self.acting, target_return=_value(target),
                    )
                )  # fmt: skip
        progress.history = [*(progress.history or []), entry]
        return records

    def _evaluate(self, folder: RunFolder, targets: dict[str, Target | None]) -> dict[str, dict[str, dict[str, float]]]:
        """Held-out scores of the last weights: decode -> role of the target -> means."""
        decodes = self.config.eval.decode
        scores: dict[str, dict[str, dict[str, float]]] = {decode: {} for decode in decodes}
        total, done = len(decodes) * len(targets), 0

        def on_step() -> None:
            self.report("evaluate", done, total)

        for decode in decodes:
            for role, target in targets.items():
                self.report("evaluate", done, total)
                result = self._roll("eval", self.config.eval.episodes, target, decode, on_step)
                scores[decode][role] = result.means()
                folder.journal.append_many(
                    metric_record(
                        phase="evaluate", split="eval", metric=metric, value=value, decode=decode, acting=self.acting,
                        target_return=_value(target), selection="last", step=self.config.train.updates,
                    )
                    for metric, value in result.means().items()
                )  # fmt: skip
                done += 1
                self._raise_if_stopped()
        self.report("evaluate", total, total)
        return scores

    def _measure(self, folder: RunFolder, episodes: Episodes, trainer: Trainer, progress: Progress) -> dict[str, Any]:
        settings = self.config.measure
        total = settings.warmup + settings.steps
        done = 0

        def on_step() -> None:
            nonlocal done
            done += 1
            if done % 100 == 0:
                self.report("measure", done, total)

        observation = whole_batch(episodes.select([0])).to(self.device).observation
        first = (
            {key: value[:, 0] for key, value in observation.items()}
            if isinstance(observation, dict)
            else observation[:, 0]
        )
        latency = measure.decision_latency(
            self.model, first, horizon=self.spec.horizon, warmup=settings.warmup, steps=settings.steps,
            acting=self.acting, window=self.window, on_step=on_step,
        )  # fmt: skip
        parameters = measure.count_parameters(self.model)
        numbers: list[tuple[str, float | None, str]] = [
            ("latency_p50", latency.p50_us, "us"),
            ("latency_p90", latency.p90_us, "us"),
            ("latency_p99", latency.p99_us, "us"),
            ("parameters_total", parameters.total, "count"),
            ("parameters_backbone", parameters.backbone, "count"),
            ("parameters_trainable", parameters.trainable, "count"),
            ("state", measure.state_bytes(self.model), "bytes"),
            ("peak_rss", measure.peak_rss_bytes(), "bytes"),
            ("peak_device", measure.peak_device_bytes(self.device), "bytes"),
            ("train_seconds", progress.seconds, "s"),
            ("train_tokens_per_second", trainer.tokens_seen / max(progress.seconds, 1e-9), "tokens/s"),
            ("tokens_per_decision", self.model.tokens_per_decision, "tokens"),
        ]
        folder.journal.append_many(
            metric_record(
                phase="measure", metric=metric, value=value, unit=unit, batch=1, acting=self.acting,
                implementation=self.model.backbone.kernel().name,
                reason=None if value is not None else "only counted on CUDA devices",
            )
            for metric, value, unit in numbers
        )  # fmt: skip
        suffixes = {"us": "_us", "bytes": "_bytes"}
        return {metric + suffixes.get(unit, ""): value for metric, value, unit in numbers}

    # ------------------------------------------------------------------ pieces

    @property
    def trained(self) -> Trainable:
        """What the trainer updates."""
        return self.model

    @property
    def acting(self) -> Literal["stateful", "windowed"]:
        """As asked for, else as trained: stateful on whole episodes, windowed on windows shorter than the horizon."""
        window = self.config.train.window
        return self.config.eval.acting or ("windowed" if window and window < self.spec.horizon else "stateful")

    @property
    def window(self) -> int | None:
        """Timesteps that windowed acting re-encodes."""
        if self.acting == "stateful":
            return None
        return self.config.eval.window or self.config.train.window or self.spec.horizon

    def _policy_spec(self) -> dict[str, Any]:
        config = self.config
        environment = self.spec.make()
        cls = backbones.load_class(config.backbone.name)
        options = config.wrapper.model_dump()
        if options["previous_action"] is None:
            options["previous_action"] = not cls.memoryless
        try:
            return policy_spec(
                observation_space=environment.observation_space,
                action_space=environment.action_space,
                backbone=config.backbone.name,
                d_model=config.backbone.d_model,
                backbone_options=config.backbone.options,
                **options,
            )
        finally:
            environment.close()

    def _roll(
        self,
        split: rollout.Split,
        episodes: int,
        target: Target | None,
        decode: rollout.Decode,
        on_step: Callable[[], None],
    ) -> rollout.Scores:
        return rollout.evaluate(
            self.model, self.spec, split=split, episodes=episodes, seed=self.config.eval.seed, target=target,
            decode=decode, acting=self.acting, window=self.window, on_step=on_step,
        )  # fmt: skip

    def _resume(self, folder: RunFolder, trainer: Trainer) -> Progress:
        latest = folder.checkpoints.latest()
        if latest is None:
            return Progress()
        for warning in latest.warnings:
            folder.journal.append(event_record("warning", detail=warning))
        meta = latest.meta
        trainer.load(dict(latest.tensors), meta["updates_done"], meta["tokens_seen"])
        folder.journal.append(event_record("resume", step=trainer.updates_done))
        return Progress(**meta["progress"])

    def _save(self, folder: RunFolder, trainer: Trainer, progress: Progress) -> None:
        meta = {
            "updates_done": trainer.updates_done,
            "tokens_seen": trainer.tokens_seen,
            "progress": asdict(progress),
            "policy": self.policy_spec,
        }
        folder.checkpoints.save(trainer.updates_done, trainer.tensors(), meta)

    def _weights(self) -> dict[str, torch.Tensor]:
        return dict(self.model.state_dict())

    def _raise_if_stopped(self) -> None:
        if self.stop_signal is not None:
            raise Interrupted("interrupted after training; the same command continues")

    def _row(
        self,
        trainer: Trainer,
        progress: Progress,
        targets: dict[str, Target | None],
        scores: Mapping[str, Mapping[str, Mapping[str, float]]],
        info: DataInfo,
    ) -> dict[str, Any]:
        config, kernel = self.config, self.model.backbone.kernel()
        target = targets["target"]
        row: dict[str, Any] = {
            "run_id": run_id(config),
            "backbone": config.backbone.name,
            "env": config.env.name,
            "seed": config.seed,
            "target_rule": self._target_rule(target),
            "target_return": _value(target),
            "opposite_return": _value(targets.get("opposite")),
            "decode": config.eval.decode[0],
            "acting": self.acting,
            "data_sha256": info.sha256,
            "implementation": kernel.name,
            "implementation_reason": kernel.reason,
            "updates": trainer.updates_done,
            "loss": progress.last_loss,
        }
        row |= {f"yardstick_{name}": value for name, value in self.yardsticks.items()}
        return row | score_columns(self.spec, config.eval.decode, scores) | self._selected(progress)

    def _target_rule(self, target: Target | None) -> str | None:
        """In words, how the return that is asked for came about."""
        if target is None:
            return None
        return self.spec.target.text if self.config.eval.target_return is None else "eval.target_return"

    def _selected(self, progress: Progress) -> dict[str, Any]:
        """The success measure by selection rule: of the last weights, of the best on selection episodes, mean of the last."""
        history, metric = progress.history or [], self.spec.success_metric
        if not history:
            return {}
        best = max(history, key=lambda entry: (entry[f"selection/{metric}"], entry["step"]))  # of equals the latest
        tail = history[-self.config.train.mean_last_k :]
        return {
            f"{metric}_best": best[f"eval/{metric}"],
            "best_step": int(best["step"]),
            f"{metric}_mean_k": sum(entry[f"eval/{metric}"] for entry in tail) / len(tail),
            "mean_k": len(tail),
        }


def _value(target: Target | None) -> float | None:
    return None if target is None else target.value


def pick_device(name: str) -> torch.device:
    """The device behind ``auto | cpu | cuda[:i]``; `UsageError` when CUDA is asked for and missing."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise UsageError(f"device is {name!r} and this torch ({torch.__version__}) sees no CUDA device; use device=cpu")
    return torch.device(name)
