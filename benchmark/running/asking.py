"""Which returns a run asks for: one by the rule of its task or its settings, and those of a sweep beside it."""

from __future__ import annotations

from typing import TypeAlias

from dsbench.config import RunConfig
from dsbench.envs.data import DataInfo
from dsbench.envs.spec import EnvSpec
from dsbench.envs.targets import Target
from dsbench.episodes import Episodes

Targets: TypeAlias = dict[str, Target | None]  # by role: ``target``, and where there is one ``opposite``


def targets_of(config: RunConfig, spec: EnvSpec, episodes: Episodes, info: DataInfo) -> Targets:
    """Returns to ask for, by role; behaviour cloning asks for none."""
    settings = config.eval
    if config.wrapper.condition == "none":
        return {"target": None}
    if settings.target_return is not None:
        return {"target": Target(settings.target_return)}
    targets: Targets = dict(spec.target(episodes, settings.target_quantile, settings.opposite_quantile))
    if _is_d4rl(spec, info):
        targets["target"] = Target(spec.foreign.d4rl_targets[0])
    return targets


def sweep_of(config: RunConfig, targets: Targets) -> list[Target]:
    """The returns of ``eval.target_sweep``; none where no return is asked for."""
    return [] if targets["target"] is None else [Target(value) for value in config.eval.target_sweep]


def target_columns(config: RunConfig, spec: EnvSpec, targets: Targets, info: DataInfo) -> dict[str, str | float | None]:
    """What was asked for, and in words how it came about."""
    values = {role: None if target is None else target.value for role, target in targets.items()}
    rule = "eval.target_return" if config.eval.target_return is not None else spec.target.text
    if config.eval.target_return is None and _is_d4rl(spec, info):
        rule = "the Decision Transformer's for D4RL's data"
    return {
        "target_rule": None if targets["target"] is None else rule,
        "target_return": values["target"],
        "opposite_return": values.get("opposite"),
    }


def _is_d4rl(spec: EnvSpec, info: DataInfo) -> bool:
    return bool(spec.foreign.d4rl_targets) and info.recipe.startswith("d4rl:")
