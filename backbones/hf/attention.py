"""GPT-2 (Radford et al. 2019) and Llama (Touvron et al. 2023, arXiv:2302.13971) of transformers, over a sliding window.

    y_i depends on the keys j in (i - context_len, i] of each layer; the position of a token is its index in its episode

Rows start episodes at different times, so each has a count of its own: caches are right-aligned, slots before the
episode are masked and zero. GPT-2 looks positions up in a table of `n_positions`, here 3,072 (1,024 in
transformers), as tasks have episodes of up to 3,000 tokens, and a longer episode is refused (on a
GPU that look at the counts waits for the device). Llama rotates queries and keys, without such a limit.
Glossary: W = context_len, H key-value heads, E width of a head, N = n_layers.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import DynamicCache, GPT2Config, LlamaConfig

from dsbench.backbones.hf.bridge import Bridge, in_double
from dsbench.backbones.segments import Stretches
from dsbench.backbones.state import State
from dsbench.errors import UsageError


class Attention(Bridge, abstract=True):
    """A decoder with a key-value cache.

    State: ``{"layers": N of {"k", "v": (B, H, W - 1, E) newest last}, "count": (B,) tokens of the episode so far}``.

    Args:
        d_model: ``hidden_size`` of the model.
        n_layers: ``num_hidden_layers``.
        context_len: keys that an output sees in a layer, its own included.
        config: fields of the model's configuration.
    """

    model_options: ClassVar[dict[str, Any]] = {"attn_implementation": "sdpa"}

    def __init__(self, d_model: int, *, n_layers: int = 2, context_len: int = 64, **config: Any) -> None:
        if not isinstance(context_len, int) or isinstance(context_len, bool) or context_len < 1:
            raise UsageError(f"context_len is {context_len!r}; expected a positive number of tokens")
        super().__init__(d_model, n_layers=n_layers, **config)
        self.context_len = context_len
        heads = self.config.num_attention_heads
        self._heads = getattr(self.config, "num_key_value_heads", heads)
        self._head_dim = getattr(self.config, "head_dim", d_model // heads)

    def initial_state(self, batch_size: int) -> State:
        shape = (batch_size, self._heads, self.context_len - 1, self._head_dim)
        layers: tuple[State, ...] = tuple(
            {"k": self._like_parameters(*shape), "v": self._like_parameters(*shape)} for _ in range(self.n_layers)
        )
        return {"layers": layers, "count": torch.zeros(batch_size, dtype=torch.long, device=self.model.device)}

    def longest_episode(self) -> int | None:
        """Tokens that the model has positions for; None is any number."""
        return None

    def carry(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        caches, count = _parts(state)
        length, kept = x.shape[1], self.context_len - 1
        if self.longest_episode() is not None and not _recording(x):
            self._check_length(int(count.max()) + length)
        dtype = torch.get_autocast_dtype(x.device.type) if torch.is_autocast_enabled(x.device.type) else x.dtype
        cache = DynamicCache([(k.to(dtype), v.to(dtype)) for k, v in caches])
        key = torch.arange(kept + length, device=x.device)
        query = key[kept:].unsqueeze(1)
        near = (key <= query) & (key > query - self.context_len)  # (L, W - 1 + L)
        valid = key >= (kept - count).unsqueeze(1)  # (B, W - 1 + L)
        y = self._run(
            x,
            cache,
            attention_mask=(near & valid.unsqueeze(1)).unsqueeze(1),
            position_ids=count.unsqueeze(1) + torch.arange(length, device=x.device),
        )
        layers = tuple(
            {"k": layer.keys[:, :, length:].to(k.dtype), "v": layer.values[:, :, length:].to(v.dtype)}
            for layer, (k, v) in zip(_layers(cache), caches, strict=True)
        )
        return y, {"layers": layers, "count": count + length}

    def from_start(self, x: Tensor, resets: Tensor | None) -> tuple[Tensor, State]:
        both = self._alone(x) if resets is None else Stretches(resets).map(self._alone, x)
        y, keys_and_values = both.split([self.d_model, both.shape[-1] - self.d_model], -1)
        return y, self._remember(keys_and_values, resets)

    def _alone(self, x: Tensor) -> Tensor:
        """Stretches that begin an episode, (R, L, D) -> (R, L, D + 2 N H E): outputs, then keys and values by layer."""
        length = x.shape[1]
        self._check_length(length)
        cache, mask = DynamicCache(config=self.config), None
        if length > self.context_len:
            place = torch.arange(length, device=x.device)
            mask = (place <= place.unsqueeze(1)) & (place > place.unsqueeze(1) - self.context_len)
            mask = mask.expand(x.shape[0], 1, -1, -1)
        y = self._run(x, cache, attention_mask=mask)
        kept = [part.transpose(1, 2).flatten(2) for layer in _layers(cache) for part in (layer.keys, layer.values)]
        return torch.cat([y, *kept], -1)

    def _run(self, x: Tensor, cache: DynamicCache, **inputs: Any) -> Tensor:
        with in_double(self.model.dtype):
            output = self.model(inputs_embeds=x, past_key_values=cache, use_cache=True, **inputs)
        y: Tensor = output.last_hidden_state
        return y

    def _remember(self, keys_and_values: Tensor, resets: Tensor | None) -> State:
        """Caches after a row from the initial state: the last W - 1 tokens of its last episode."""
        (rows, length), kept = keys_and_values.shape[:2], self.context_len - 1
        count = torch.full((rows,), length, device=keys_and_values.device)
        if resets is not None:
            count = length - torch.where(resets, torch.arange(length, device=resets.device), 0).amax(1)
        tail = F.pad(keys_and_values[:, max(0, length - kept) :], (0, 0, max(0, kept - length), 0))
        # Tokens of earlier episodes are wiped, not only masked: a NaN among them would survive a weight of zero.
        own = torch.arange(kept, device=count.device) >= (kept - count).unsqueeze(1)
        tail = torch.where(own.unsqueeze(-1), tail, 0.0).to(self._like_parameters().dtype)
        parts = tail.unflatten(-1, (2 * self.n_layers, self._heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)
        layers: tuple[State, ...] = tuple({"k": k, "v": v} for k, v in zip(parts[::2], parts[1::2], strict=True))
        return {"layers": layers, "count": count}

    def _check_length(self, tokens: int) -> None:
        limit = self.longest_episode()
        if limit is not None and tokens > limit:
            raise UsageError(
                f"an episode of {tokens} tokens is longer than the n_positions={limit} of hf:gpt2; "
                f"raise it with --set backbone.n_positions={max(2 * limit, tokens)}"
            )


class GPT2(Attention):
    """``transformers.GPT2Model``; as `Attention`, with one head and no dropout unless asked for."""

    config_class = GPT2Config

    @classmethod
    def defaults(cls, d_model: int, fields: dict[str, Any]) -> dict[str, Any]:
        values = {"n_positions": 3_072, "n_head": 1, "resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
        return {name: value for name, value in values.items() if name not in fields}

    def longest_episode(self) -> int | None:
        return int(self.config.max_position_embeddings)


class Llama(Attention):
    """``transformers.LlamaModel``; as `Attention`, with one head and an MLP of as many weights as one of ratio 4."""

    config_class = LlamaConfig

    @classmethod
    def defaults(cls, d_model: int, fields: dict[str, Any]) -> dict[str, Any]:
        ratio_4 = -(-8 * d_model // 3 // 8) * 8  # three matrices instead of two, rounded up to a multiple of 8
        values = {"num_attention_heads": 1, "intermediate_size": ratio_4, "attention_dropout": 0.0}
        return {name: value for name, value in values.items() if name not in fields}


def _recording(x: Tensor) -> bool:
    """Whether operations are exported or captured: then there are no counts to look at, and what runs the recording
    refuses a position outside the table (ONNX Runtime by an error, CUDA by a failed assertion)."""
    return torch.compiler.is_exporting() or (x.is_cuda and torch.cuda.is_current_stream_capturing())


def _layers(cache: DynamicCache) -> list[Any]:
    """With `keys` and `values` each."""
    return cache.layers


def _parts(state: State) -> tuple[list[tuple[Tensor, Tensor]], Tensor]:
    assert isinstance(state, dict)
    layers, count = state["layers"], state["count"]
    assert isinstance(layers, tuple) and isinstance(count, Tensor)
    caches = []
    for layer in layers:
        assert isinstance(layer, dict)
        k, v = layer["k"], layer["v"]
        assert isinstance(k, Tensor) and isinstance(v, Tensor)
        caches.append((k, v))
    return caches, count
