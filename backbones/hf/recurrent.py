"""Mamba (Gu and Dao 2023, arXiv:2312.00752) and Mamba-2 (Dao and Gu 2024, arXiv:2405.21060) of transformers.

State: for each layer ``{"conv": (B, C, K) last inputs of the convolution, "ssm": (B, ..., N)}``. Mamba given a cache and
several tokens starts its scan from zero without a word, so a carried state goes on token by token; Mamba-2 takes both.
Glossary: C channels of the convolution, K = conv_kernel, N = state_size.
"""

from __future__ import annotations

import logging
import math
from abc import abstractmethod
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache, Mamba2Config, MambaConfig

from dsbench.backbones.contract import mark_dynamics
from dsbench.backbones.hf.bridge import Bridge, Pure
from dsbench.backbones.segments import Stretches
from dsbench.backbones.state import State


def _worth_saying(record: logging.LogRecord) -> bool:
    """Not the advice to install packages that need CUDA, on a machine without."""
    return torch.cuda.is_available() or "is falling back to its reference PyTorch" not in record.getMessage()


logging.getLogger("transformers.integrations.hub_kernels").addFilter(_worth_saying)


class Recurrent(Bridge, abstract=True):
    """A model with a convolution and a state space in each layer."""

    def __init__(self, d_model: int, *, n_layers: int = 2, **config: Any) -> None:
        super().__init__(d_model, n_layers=n_layers, **config)
        for layer in self.model.layers:
            mark_dynamics(layer.mixer.A_log)
            mark_dynamics(self.dt_bias(layer.mixer))

    @abstractmethod
    def dt_bias(self, mixer: Any) -> torch.nn.Parameter:
        """The bias of the step size in a layer's mixer."""

    @abstractmethod
    def shapes(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Of a row of the convolution's memory and of the state space's."""

    def initial_state(self, batch_size: int) -> State:
        conv, ssm = self.shapes()
        return tuple(
            {"conv": self._like_parameters(batch_size, *conv), "ssm": self._like_parameters(batch_size, *ssm)}
            for _ in range(self.n_layers)
        )

    def carry(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        return self._run(x, state, started=True)

    def from_start(self, x: Tensor, resets: Tensor | None) -> tuple[Tensor, State]:
        if resets is None or not bool(resets[:, 1:].any()):
            return self._run(x, self.initial_state(x.shape[0]), started=False)
        y = Stretches(resets).map(lambda rows: self._run(rows, self.initial_state(rows.shape[0]), started=False)[0], x)
        return y, self._state_after(x, resets)

    def _state_after(self, x: Tensor, resets: Tensor) -> State:
        """State after the last column, from each row's last stretch; the shorter ones wait."""
        columns = torch.arange(x.shape[1], device=x.device)
        begin = torch.where(resets, columns, 0).amax(1)  # (B,) first column of the last stretch
        first = int(begin.min())
        x, begin = x[:, first:], begin - first
        own = columns[: x.shape[1]] >= begin.unsqueeze(1)
        if self.config.use_bias:  # a layer's input of zero is then not one that leaves its state at zero
            begins = columns[: x.shape[1]] == begin.unsqueeze(1)
            return super().forward(x, self.initial_state(x.shape[0]), begins)[1]
        x = torch.where(own.unsqueeze(-1), x, 0.0)
        return self._run(x, self.initial_state(x.shape[0]), started=False, attention_mask=own)[1]

    def _run(self, x: Tensor, state: State, started: bool, **inputs: Any) -> tuple[Tensor, State]:
        """The model on a copy of `state`. Not started: the state is the initial one and the parallel scan is right."""
        slots = [(conv.clone(), ssm.clone()) for conv, ssm in _parts(state)]
        cache = DynamicCache(config=self.config)
        layers: list[Any] = cache.layers
        for layer, (conv, ssm) in zip(layers, slots, strict=True):
            layer.conv_states[0], layer.recurrent_states[0] = conv, ssm
            layer.conv_kernel_size[0] = conv.shape[-1]
            layer.is_conv_states_initialized[0] = layer.is_recurrent_states_initialized[0] = True
            layer.has_previous_state[0] = started
        double = self.model.dtype == torch.float64
        pure = Pure([slot for pair in slots for slot in pair], double)
        # Without either the slots may be overwritten, and Pure would take as long as the model's own step.
        with pure if double or torch.is_grad_enabled() else nullcontext():
            output = self.model(inputs_embeds=x, cache_params=cache, use_cache=True, **inputs)
        new: State = tuple({"conv": pure.written(conv), "ssm": pure.written(ssm)} for conv, ssm in slots)
        return output.last_hidden_state, new


class Mamba(Recurrent):
    """``transformers.MambaModel``."""

    config_class = MambaConfig

    @classmethod
    def defaults(cls, d_model: int, fields: dict[str, Any]) -> dict[str, Any]:
        return {}

    def dt_bias(self, mixer: Any) -> torch.nn.Parameter:
        bias: torch.nn.Parameter = mixer.dt_proj.bias
        return bias

    def shapes(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        config = self.config
        return (config.intermediate_size, config.conv_kernel), (config.intermediate_size, config.state_size)

    def carry(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        outputs = []
        for x_t in x.split(1, 1):
            y_t, state = super().carry(x_t, state)
            outputs.append(y_t)
        return torch.cat(outputs, 1), state


class Mamba2(Recurrent):
    """``transformers.Mamba2Model``; one group, heads of at most 16 and chunks of 64 unless asked for."""

    config_class = Mamba2Config

    @classmethod
    def defaults(cls, d_model: int, fields: dict[str, Any]) -> dict[str, Any]:
        inner = int(fields.get("expand", 2) * d_model)
        heads, width = fields.get("num_heads"), fields.get("head_dim")
        if width is None:
            width = inner // heads if heads else math.gcd(inner, 16)
        values = {"state_size": 16, "n_groups": 1, "chunk_size": 64, "head_dim": width, "num_heads": inner // width}
        return {name: value for name, value in values.items() if name not in fields}

    def dt_bias(self, mixer: Any) -> torch.nn.Parameter:
        bias: torch.nn.Parameter = mixer.dt_bias
        return bias

    def shapes(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        config = self.config
        inner = config.num_heads * config.head_dim
        channels = inner + 2 * config.n_groups * config.state_size
        return (channels, config.conv_kernel), (config.num_heads, config.head_dim, config.state_size)


def _parts(state: State) -> list[tuple[Tensor, Tensor]]:
    assert isinstance(state, tuple)
    pairs = []
    for layer in state:
        assert isinstance(layer, dict)
        conv, ssm = layer["conv"], layer["ssm"]
        assert isinstance(conv, Tensor) and isinstance(ssm, Tensor)
        pairs.append((conv, ssm))
    return pairs
