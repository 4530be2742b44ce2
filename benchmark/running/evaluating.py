"""What a run scores: its evaluation episodes, played as its settings say, while it trains and at its end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from dsbench import rollout
from dsbench.config import RunConfig
from dsbench.config.varying import seed_of
from dsbench.decision import DecisionSequence
from dsbench.envs.spec import EnvSpec
from dsbench.envs.targets import Target
from dsbench.records.tables import metric_record


@dataclass(frozen=True)
class Evaluation:
    """Plays the episodes of one run and turns their scores into records."""

    config: RunConfig
    spec: EnvSpec
    model: DecisionSequence

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

    def while_training(
        self, step: int, target: Target | None, on_step: Callable[[], None]
    ) -> tuple[dict[str, float], list[dict[str, Any]]]:
        """Scores of the weights of now, at the target and by the first decoding, on selection and reported episodes.

        Returns:
            ``split/metric`` -> mean, with ``step``; and the records.
        """
        settings, decode = self.config.eval, self.config.eval.decode[0]
        scores: dict[str, float] = {"step": step}
        records: list[dict[str, Any]] = []
        splits: list[tuple[rollout.Split, int]] = [
            ("selection", settings.selection_episodes),
            ("eval", settings.episodes),
        ]
        for split, episodes in splits:
            found = self._play(split, episodes, target, decode, on_step)
            scores |= {f"{split}/{metric}": value for metric, value in found.means().items()}
            records += self._records(found, target, phase="train", split=split, step=step, decode=decode)
        return scores, records

    def reported(self, target: Target | None, decode: rollout.Decode, on_step: Callable[[], None]) -> rollout.Scores:
        """Scores of the weights of now on the reported episodes."""
        return self._play("eval", self.config.eval.episodes, target, decode, on_step)

    def at_the_end(
        self, step: int, target: Target | None, decode: rollout.Decode, on_step: Callable[[], None]
    ) -> tuple[rollout.Scores, list[dict[str, Any]]]:
        """`reported` of the last weights, which took `step` updates, and the records."""
        found = self.reported(target, decode, on_step)
        return found, self._records(
            found, target, phase="evaluate", split="eval", step=step, decode=decode, selection="last"
        )

    def in_the_sweep(self, step: int, target: Target, on_step: Callable[[], None]) -> list[dict[str, Any]]:
        """Records of the last weights asked for another return; they stand beside the scores and are none of them."""
        decode = self.config.eval.decode[0]
        found = self.reported(target, decode, on_step)
        scaled = self.spec.normalised(found.metrics["return"])
        normalised = found if scaled is None else rollout.Scores({**found.metrics, "score_normalised": scaled})
        return self._records(
            normalised, target, phase="evaluate", split="eval", step=step, decode=decode, selection="sweep"
        )

    def _play(
        self,
        split: rollout.Split,
        episodes: int,
        target: Target | None,
        decode: rollout.Decode,
        on_step: Callable[[], None],
    ) -> rollout.Scores:
        return rollout.evaluate(
            self.model, self.spec, split=split, episodes=episodes, seed=seed_of(self.config, "eval", self.spec.task),
            target=target, decode=decode, acting=self.acting, window=self.window, on_step=on_step,
        )  # fmt: skip

    def _records(self, found: rollout.Scores, target: Target | None, **columns: Any) -> list[dict[str, Any]]:
        asked, errors = None if target is None else target.value, found.errors()
        return [
            metric_record(
                metric=metric, value=value, error=errors[metric], acting=self.acting, target_return=asked, **columns
            )
            for metric, value in found.means().items()
        ]
