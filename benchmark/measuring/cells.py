"""A cell of the grid as something that can be run: one decision at its context, or one update.

The model is the one that `dsbench run` would build. Attention sees exactly the decisions before and its own. A decision's
input holds the action of the one before, so that nothing can be computed ahead. What lies before the context is
remembered, not lived: the state is what the training view leaves behind.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dsbench.backbones import Backbone
from dsbench.backbones.contract import options_of
from dsbench.backbones.factory import class_of, make_backbone
from dsbench.backbones.state import State
from dsbench.batches import Batch, BatchSampler
from dsbench.config import RunConfig
from dsbench.decision import Actor, DecisionSequence
from dsbench.decision.actions import for_environment
from dsbench.decision.policy import policy_spec
from dsbench.decision.spaces import space_from_json
from dsbench.envs.catalogue import spec_of
from dsbench.envs.closing import close_quietly
from dsbench.envs.spec import EnvSpec, VectorEpisodes
from dsbench.episodes import Episodes, map_observations
from dsbench.measuring.plan import Cell, Contender
from dsbench.train import Trainer, seeded

RATE = 1e-6  # learning rate of timed updates: what they learn from is noise
WINDOW_OPTION = "context_len"  # tokens that attention looks back on


class Nothing(Backbone):
    """No backbone at all, for the row that shows what the wrapper alone costs: y = x."""

    def initial_state(self, batch_size: int) -> State:
        return ()

    def step(self, x_t: Tensor, state: State) -> tuple[Tensor, State]:
        return x_t, state

    def scan(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        return x, state


class Subject:
    """A cell that has been built.

    Attributes:
        model: the policy, on its device.
        run: what is timed; returns when the device is done.
        prepare: what must come before each sample and is not timed.
        implementation: what computes it.
        options: of the backbone, beyond the configuration's.
    """

    def __init__(self, model: DecisionSequence, run: Callable[[], None], options: dict[str, Any]) -> None:
        self.model, self.options = model, options
        device = next(model.parameters()).device
        self.run = _synchronised(run, device)
        self.prepare: Callable[[], None] = lambda: None
        self.implementation = model.backbone.kernel().name
        self.trainer: Trainer | None = None


def contender(config: RunConfig, device: torch.device) -> Contender:
    """What the grid needs to know of a backbone."""
    options = options_of(class_of(config.backbone.name))
    named = ("triton" if device.type == "cuda" else "c", "torch") if "implementation" in options else ()
    return Contender(config.backbone.name, WINDOW_OPTION in options, named)


def build_subject(cell: Cell, config: RunConfig, device: torch.device) -> Subject:
    """The cell, ready to run.

    Args:
        config: of its backbone.
    """
    if cell.mode == "copy":
        return _copying(cell, config, device)
    if cell.mode == "train":
        return _updating(cell, config, device)
    return _deciding(cell, config, device)


def build_model(cell: Cell, config: RunConfig, device: torch.device) -> tuple[DecisionSequence, dict[str, Any]]:
    """The policy of a cell, always the same weights, and the options that the cell adds to its backbone's."""
    spec, width = _spec(config), config.backbone.d_model
    added: dict[str, Any] = {}
    cls = Nothing if cell.mode == "empty" else class_of(config.backbone.name)
    wrapper = config.wrapper.model_dump()
    if wrapper["previous_action"] is None:
        wrapper["previous_action"] = not cls.memoryless
    description = policy_spec(
        observation_space=spec.spaces.observation, action_space=spec.spaces.action,
        backbone=config.backbone.name, d_model=width, backbone_options=config.backbone.options,
        **wrapper,
    )  # fmt: skip
    tokens = _tokens_of(description)
    if WINDOW_OPTION in options_of(cls):
        timesteps = cell.length or (cell.context or 0) + 1
        added[WINDOW_OPTION] = timesteps * tokens
    if cell.implementation is not None:
        added["implementation"] = cell.implementation
    with seeded(torch.device("cpu"), 0, "init"):
        options = {**config.backbone.options, **added}
        backbone = Nothing(width) if cls is Nothing else make_backbone(config.backbone.name, width, options)
        spaces = (space_from_json(description[f"{kind}_space"]) for kind in ("observation", "action"))
        model = DecisionSequence(backbone, *spaces, **wrapper)
    return model.to(device), added


def _tokens_of(description: dict[str, Any]) -> int:
    """Tokens of one timestep."""
    wrapper = description["wrapper"]
    if wrapper["tokens"] == "joint":
        return 1
    return 1 + int(wrapper["condition"] == "return") + int(wrapper["previous_action"])


def _deciding(cell: Cell, config: RunConfig, device: torch.device) -> Subject:
    model, options = build_model(cell, config, device)
    model.eval()
    spec, context = _spec(config), cell.context or 0
    windowed = cell.mode == "window"
    actor = Actor(
        model, cell.batch, acting="windowed" if windowed else "stateful", window=context + 1 if windowed else None,
        compiled=cell.mode == "compiled",
    )  # fmt: skip
    if context:
        actor.remember(_past(spec, cell.batch, context, device))
    decision = _Decision(actor, spec, cell.batch, context, device)
    subject = Subject(model, decision.with_environment if cell.loop == "env" else decision.alone, options)
    if cell.loop == "env":
        subject.prepare = decision.begin_episode
    subject.implementation = actor.implementation
    return subject


class _Decision:
    """Decisions of one actor that follow each other, at the timestep `context` of their episode."""

    def __init__(self, actor: Actor, spec: EnvSpec, rows: int, context: int, device: torch.device) -> None:
        self.actor, self.spec, self.rows, self.device = actor, spec, rows, device
        self.return_to_go = torch.ones(rows, dtype=torch.float64, device=device)
        self.first = torch.full((rows,), context == 0, device=device)
        self.timestep = torch.full((rows,), context, device=device)
        self.previous: Tensor | None = None
        self.seed = 0
        self.over = np.ones(rows, bool)
        self.begin_episode()
        self.observation = self._seen()

    def alone(self) -> None:
        """Decide; what is observed stays the same."""
        self.previous = self._decide(self.observation)

    def with_environment(self) -> None:
        """Look at the environment, decide, and step it."""
        mask = self.env.action_mask
        self.previous = self._decide(self._seen(), None if mask is None else torch.from_numpy(mask).to(self.device))
        action = for_environment(self.previous, self.actor.policy.action_space)
        _, rewards, terminated, truncated = self.env.step(action)
        self.return_to_go = self.return_to_go - torch.from_numpy(rewards).to(self.return_to_go)
        self.over |= terminated | truncated

    def begin_episode(self) -> None:
        """New episodes of the environment once all rows have ended; the memory of the policy goes on."""
        if self.over.all():
            close_quietly(getattr(self, "env", None))
            self.env: VectorEpisodes = self.spec.vector([self.seed + row for row in range(self.rows)])
            self.seed += self.rows
            self.over = np.zeros(self.rows, bool)

    def _decide(self, observation: Any, mask: Tensor | None = None) -> Tensor:
        return self.actor.act(
            observation, return_to_go=self.return_to_go, previous_action=self.previous, first=self.first,
            timestep=self.timestep, action_mask=mask, decode="argmax",
        )  # fmt: skip

    def _seen(self) -> Any:
        return map_observations(
            lambda array: torch.from_numpy(np.ascontiguousarray(array)).to(self.device), self.env.observations
        )


def _updating(cell: Cell, config: RunConfig, device: torch.device) -> Subject:
    model, options = build_model(cell, config, device)
    assert cell.length is not None
    noise = _noise(_spec(config), cell.batch, cell.length)
    sampler = BatchSampler(noise, batch_size=cell.batch, window=None, row_length=None, seed=0)
    precision = torch.bfloat16 if config.precision == "bf16" else None
    settings = config.train.model_copy(update={"lr": RATE})
    trainer = Trainer(model, sampler, settings, seed=0, autocast_dtype=precision)
    batch = sampler.draw(0).to(device)
    subject = Subject(model, lambda: _update(trainer, batch), options)
    subject.trainer = trainer
    return subject


def _update(trainer: Trainer, batch: Batch) -> None:
    trainer.learn(batch)


def _copying(cell: Cell, config: RunConfig, device: torch.device) -> Subject:
    """Copying half as many bytes as a decision must at least move: each is read and written."""
    from dsbench.measuring.limits import decision_traffic

    step = replace(cell, mode="recurrent")
    model, _ = build_model(step, config, device)
    moved = decision_traffic(model, cell.batch).moved
    source = torch.ones(max(1, moved // 8), device=device)
    target = torch.empty_like(source)
    subject = Subject(model, lambda: _copy(target, source), {"bytes": moved})
    subject.implementation = "torch"
    return subject


def _copy(target: Tensor, source: Tensor) -> None:
    target.copy_(source)


def _spec(config: RunConfig) -> EnvSpec:
    return spec_of(config.env.name, config.env.options)


def _noise(spec: EnvSpec, rows: int, timesteps: int) -> Episodes:
    """Episodes of the environment's shapes and of any length: observations of its first timesteps, again and again."""
    space = copy.deepcopy(spec.spaces.action)  # its own generator is seeded
    space.seed(0)
    count = rows * timesteps
    begun = spec.vector(list(range(32)))
    seen = map_observations(np.array, begun.observations)
    close_quietly(begun)
    generator = np.random.default_rng(0)
    chosen, last = generator.integers(32, size=count), generator.integers(32, size=rows)
    starts = np.arange(0, count + 1, timesteps, dtype=np.int64)
    ends = np.zeros(count, bool)
    ends[starts[1:] - 1] = True
    actions = np.stack([space.sample() for _ in range(64)])[generator.integers(64, size=count)]
    return Episodes(
        observations=map_observations(lambda array: array[chosen], seen),
        actions=actions,
        rewards=generator.random(count, np.float32) / timesteps,
        terminated=np.zeros(count, bool),
        truncated=ends,
        starts=starts,
        final_observations=map_observations(lambda array: array[last], seen),
    )


def _past(spec: EnvSpec, rows: int, timesteps: int, device: torch.device) -> Batch:
    """The timesteps before a decision, of noise."""
    from dsbench.batches import whole_batch

    return whole_batch(_noise(spec, rows, timesteps)).to(device)


def _synchronised(run: Callable[[], None], device: torch.device) -> Callable[[], None]:
    if device.type != "cuda":
        return run

    def and_wait() -> None:
        run()
        torch.cuda.synchronize(device)

    return and_wait
