"""A finished run, opened to be looked into: its policy, the weights it began with, and the data it learned from."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from dsbench.config import RunConfig
from dsbench.decision import DecisionSequence
from dsbench.decision.policy import build_policy
from dsbench.envs.catalogue import spec_of
from dsbench.envs.data import best_episodes, permuted_returns
from dsbench.envs.data.source import load_source
from dsbench.episodes import Episodes
from dsbench.outside.source import Source
from dsbench.outside.trust import using
from dsbench.train import seeded
from dsbench.trained import open_trained


@dataclass(frozen=True)
class OpenedRun:
    """What `open_run` found.

    Attributes:
        path: the run's folder.
        row: its final row.
        config: its settings.
        policy: trained, in evaluation mode, on the CPU, in float64 (a look inside should add no rounding of its own).
        spec: how the policy is built.
        sources: the run's own code from outside.
    """

    path: Path
    row: Mapping[str, Any]
    config: RunConfig
    policy: DecisionSequence
    spec: Mapping[str, Any]
    sources: Mapping[str, Source] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.path.resolve().name

    @cached_property
    def untrained(self) -> DecisionSequence:
        """The same policy before its first update, in float64; what is not trained (normalisers) it has from the data."""
        with using(self.sources):
            policy = initial_policy(self.config, self.spec).double()
        policy.load_state_dict(dict(self.policy.named_buffers()), strict=False)
        return policy.eval()

    @cached_property
    def episodes(self) -> Episodes:
        """The data that the run learned from, made again if it is not in the cache."""
        data = self.config.data
        with using(self.sources):
            env = spec_of(self.config.env.name, self.config.env.options)
        episodes, _ = load_source(
            env, data.recipe, data.episodes, data.seed, timesteps=data.timesteps,
            allow_other_physics=data.allow_other_physics,
        )  # fmt: skip
        if data.permute_returns:
            episodes = permuted_returns(episodes, data.seed)
        return episodes if data.top_percent is None else best_episodes(episodes, data.top_percent, data.seed)


def initial_policy(config: RunConfig, spec: Mapping[str, Any]) -> DecisionSequence:
    """The policy as a run of `config` begins with it: the same description, drawn from the same named stream.

    Its normalisers are not fitted yet: a run takes them from the data before the first update.
    """
    with seeded(torch.device("cpu"), config.seed, "init"):
        return build_policy(dict(spec))


def open_run(run: str | Path, *, trust_code: bool = False) -> OpenedRun:
    """The run in this folder, ready to be looked into. Raises as `dsbench.trained.open_trained`."""
    found = open_trained(run, trust_code=trust_code)
    policy = copy.deepcopy(found.policy).double().eval()
    return OpenedRun(found.path, found.row, found.config, policy, found.meta["policy"], found.sources)
