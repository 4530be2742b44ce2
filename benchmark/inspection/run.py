"""A finished run, opened to be looked into: its policy, the weights it began with, and the data it learned from."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import gymnasium as gym
import torch

from dsbench.config import RunConfig
from dsbench.config.naming import RESULT_VERSION
from dsbench.config.settings import DataConfig
from dsbench.config.varying import init_seed, root, seed_of
from dsbench.decision import DecisionSequence
from dsbench.decision.policy import build_policy
from dsbench.envs.catalogue import spec_of
from dsbench.envs.data import DataInfo, best_episodes, permuted_returns
from dsbench.envs.data.source import load_source
from dsbench.envs.spec import EnvSpec
from dsbench.episodes import Episodes
from dsbench.errors import UsageError
from dsbench.outside.source import Source
from dsbench.outside.trust import using
from dsbench.train import seeded
from dsbench.trained import check_task, open_trained, played_otherwise

EPISODES = 10_000  # at most, that are looked at; an episode is the same however many are made
NUMBERS = 10**8  # at most, in all their observations
LONGEST = 20_000  # timesteps of an episode, which is read whole
OTHER_DATA = (
    "The data were made again and are not those that the run learned from (their hashes differ): what makes them has changed "
    "since."
)


@dataclass(frozen=True)
class Extent:
    """How much of a run's data is looked at, as `load_source` takes it; the note says so where it is not all."""

    episodes: int
    timesteps: int | None = None
    note: str | None = None


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
        targets: the returns that it was asked for by role, as JSON values.
        result_version: under which it was made.
    """

    path: Path
    row: Mapping[str, Any]
    config: RunConfig
    policy: DecisionSequence
    spec: Mapping[str, Any]
    sources: Mapping[str, Source] = field(default_factory=dict)
    result_version: int = RESULT_VERSION
    targets: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.path.resolve().name

    @cached_property
    def untrained(self) -> DecisionSequence:
        """The same policy before its first update, in float64; what is not trained (normalisers) it has from the data."""
        with using(self.sources):
            policy = initial_policy(self.spec, init_seed(self.config, self.env.task, self.result_version)).double()
        policy.load_state_dict(dict(self.policy.named_buffers()), strict=False)
        return policy.eval()

    @cached_property
    def env(self) -> EnvSpec:
        """The task of the run's settings, which the policy must fit; `UsageError` where it does not."""
        with using(self.sources):
            env = spec_of(self.config.env.name, self.config.env.options)
        check_task(self.policy, env, self.path)
        return env

    @cached_property
    def extent(self) -> Extent:
        """How much of the data is looked at."""
        return extent_of(self.config.data, self.env, _entries(self.policy.observation_space))

    @cached_property
    def _loaded(self) -> tuple[Episodes, DataInfo]:
        data, extent = self.config.data, self.extent
        return load_source(
            self.env, data.recipe, extent.episodes, root(self.config, "data"), timesteps=extent.timesteps,
            allow_other_physics=data.allow_other_physics,
        )  # fmt: skip

    @property
    def data_note(self) -> str | None:
        """Sentences where what is looked at is not all that the run learned from, not that, or played otherwise."""
        learned_from = self.row.get("data_sha256")
        whole = self.extent.note is None and learned_from is not None
        notes = [
            self.extent.note,
            OTHER_DATA if whole and self._loaded[1].sha256 != learned_from else None,
            played_otherwise(self.result_version),
        ]
        return " ".join(note for note in notes if note is not None) or None

    @cached_property
    def episodes(self) -> Episodes:
        """The data that the run learned from, or the first of them; made again if they are not in the cache."""
        data, seed = self.config.data, seed_of(self.config, "data", self.env.task)
        episodes, _ = self._loaded
        if data.permute_returns:
            episodes = permuted_returns(episodes, seed)
        return episodes if data.top_percent is None else best_episodes(episodes, data.top_percent, seed)


def extent_of(data: DataConfig, env: EnvSpec, entries: int) -> Extent:
    """As much of a run's data as `EPISODES` and `NUMBERS` allow; data from elsewhere are there already and taken whole.

    Args:
        data: what the run asked for.
        env: its task.
        entries: numbers in one observation.

    Raises:
        UsageError: episodes are longer than `LONGEST`, or two of them would be too much.
    """
    if ":" in data.recipe:
        return Extent(data.episodes, data.timesteps)
    most = NUMBERS // max(1, entries)  # timesteps
    longest = min(LONGEST, most // 2)
    if env.horizon > longest:
        raise UsageError(
            f"episodes of env {env.name!r} last up to {env.horizon:,} timesteps of {entries:,} numbers; inspect makes none "
            f"that are longer than {longest:,}"
        )
    if data.timesteps is not None:
        return _noted(Extent(data.episodes, min(data.timesteps, most)), data.timesteps, "timesteps")
    return _noted(Extent(min(data.episodes, EPISODES, most // env.horizon)), data.episodes, "episodes")


def _noted(extent: Extent, asked: int, unit: str) -> Extent:
    looked_at = extent.episodes if extent.timesteps is None else extent.timesteps
    if looked_at == asked:
        return extent
    note = f"Looked at are the first {looked_at:,} of the {asked:,} {unit} of data that the run asked for."
    return replace(extent, note=note)


def _entries(space: gym.Space[Any]) -> int:
    if isinstance(space, gym.spaces.Dict):
        return sum(_entries(part) for part in space.values())
    return math.prod(space.shape or ())


def initial_policy(spec: Mapping[str, Any], seed: int) -> DecisionSequence:
    """The policy as a run begins with it: the same description, drawn from the same stream.

    Its normalisers are not fitted yet: a run takes them from the data before the first update.
    """
    with seeded(torch.device("cpu"), seed):
        return build_policy(dict(spec))


def open_run(run: str | Path, *, trust_code: bool = False) -> OpenedRun:
    """The run in this folder, ready to be looked into.

    Raises:
        UsageError: weights are no numbers, so that nothing could be told; or as `dsbench.trained.open_trained` raises it.
    """
    found = open_trained(run, trust_code=trust_code)
    if found.weights_note is not None:
        raise UsageError(f"{run}: {found.weights_note}; expected a policy whose decisions can be told")
    policy = copy.deepcopy(found.policy).double().eval()
    targets = found.meta.get("targets") or {}
    return OpenedRun(
        found.path, found.row, found.config, policy, found.meta["policy"], found.sources, found.result_version, targets
    )
