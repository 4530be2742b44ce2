"""Backbones and a task as a user of version 0.1.0 wrote them."""

import os

import gymnasium as gym
import numpy as np
import torch
from torch import nn

from dsbench.backbones import Backbone, Mixer, ResidualBackbone
from dsbench.envs import EnvSpec
from dsbench.envs.behaviour import noisy_recipes, uniform
from dsbench.envs.targets import Fixed
from dsbench.envs.vector import LoopedEpisodes


class AverageMixer(Mixer):
    """A running mean of the tokens."""

    def __init__(self, d_model):
        super().__init__(d_model)
        self.out = nn.Linear(d_model, d_model)

    def initial_state(self, batch_size):
        zeros = self.out.weight.new_zeros
        return {"sum": zeros(batch_size, self.d_model), "count": zeros(batch_size, 1)}

    def step(self, x_t, state):
        state = {"sum": state["sum"] + x_t, "count": state["count"] + 1}
        return self.out(state["sum"] / state["count"]), state


class Average(ResidualBackbone):
    def make_mixer(self):
        return AverageMixer(self.d_model)


class Fragile(Backbone):
    """Breaks while the variable BREAKS is set."""

    receptive_field = 1

    def __init__(self, d_model):
        super().__init__(d_model)
        self.inner = nn.Linear(d_model, d_model)

    def parallel(self, x):
        if "BREAKS" in os.environ:
            raise RuntimeError("a wheel came off")
        return torch.tanh(self.inner(x))


class Explodes(Backbone):
    """Gives infinity from the sixth pass of its training on."""

    receptive_field = 1

    def __init__(self, d_model):
        super().__init__(d_model)
        self.inner = nn.Linear(d_model, d_model)
        self.calls = 0

    def parallel(self, x):
        self.calls += self.training
        return self.inner(x) * (float("inf") if self.calls > 5 else 1.0)


WAY = {0: 1, 4: 1, 8: 2, 9: 1, 13: 2, 14: 2}  # from the start to the goal: down, down, right, down, right, right


def make(render_mode=None):
    return gym.make("FrozenLake-v1", is_slippery=False, render_mode=render_mode)


def expert(env, timestep, draws, episode_draw):
    return np.array([WAY.get(int(cell), 0) for cell in env.observations])


def frozen_lake():
    return EnvSpec(
        id="frozen-lake-v0",
        name="frozen-lake",
        summary="walk around the holes",
        options={},
        make=make,
        vector=lambda seeds: LoopedEpisodes(make, seeds),
        score=lambda episodes: {"return": episodes.returns()},
        success_metric="return",
        horizon=100,
        random_return=0.014,
        optimal_return=1.0,
        references="simulated; exact",
        tests=("credit",),
        needs_memory=False,
        random=uniform(4),
        optimal=expert,
        target=Fixed(1.0),
        recipes=noisy_recipes(expert, 4, "the shortest way", medium=0.5, mixed=(0.0, 0.5, 1.0)),
    )
