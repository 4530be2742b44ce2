"""The model that a configuration asks for, described for `dsbench.decision.policy.build_policy`."""

from __future__ import annotations

from typing import Any

from dsbench.backbones.factory import class_of
from dsbench.config import RunConfig
from dsbench.decision.policy import policy_spec
from dsbench.envs.spec import EnvSpec


def describe(config: RunConfig, spec: EnvSpec) -> dict[str, Any]:
    """Backbone, wrapper and the spaces of the task, as JSON values."""
    options = config.wrapper.model_dump()
    if options["previous_action"] is None:
        options["previous_action"] = not class_of(config.backbone.name).memoryless
    return policy_spec(
        observation_space=spec.spaces.observation,
        action_space=spec.spaces.action,
        backbone=config.backbone.name,
        d_model=config.backbone.d_model,
        backbone_options=config.backbone.options,
        **options,
    )
