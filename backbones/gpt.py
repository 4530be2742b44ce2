"""GPT: causal self-attention over a sliding window (Radford et al. 2019), with a key-value cache of the same length.

    q, k, v = W x;   y_i = W_o sum_j softmax_j(q_i . k_j / sqrt(d_head)) v_j,   j in (i - context_len, i]

Training uses the same window as the cache, so forward and step are one function; positions are the wrapper's business.
Glossary: W = context_len (keys an output sees, its own included), H heads, E = D / H width of a head.
Does not include: positional embeddings.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dsbench.backbones.contract import Backbone
from dsbench.backbones.gpt2_block import INIT_STD, Activation, GPT2Block, check_own, initialise
from dsbench.backbones.residual import Block, Mixer, ResidualBackbone
from dsbench.backbones.segments import Stretches
from dsbench.backbones.state import State
from dsbench.backbones.stepper import Stepper
from dsbench.errors import UsageError


class AttentionMixer(Mixer):
    """Multi-head attention over the last `context_len` tokens, with dropout on the weights and on the output.

    State: ``{"k", "v": (B, W - 1, D) newest last, "count": (B,) valid ones}``.
    """

    def __init__(
        self, d_model: int, *, n_heads: int, context_len: int, residual_std: float, dropout: float = 0.0
    ) -> None:
        super().__init__(d_model)
        self.n_heads, self.context_len = n_heads, context_len
        self.qkv = nn.Linear(d_model, 3 * d_model)
        self.out = nn.Linear(d_model, d_model)
        self.dropout = nn.Dropout(dropout)
        initialise((self.qkv, INIT_STD), (self.out, residual_std))

    def initial_state(self, batch_size: int) -> State:
        weight = self.qkv.weight
        kept = self.context_len - 1
        return {
            "k": weight.new_zeros(batch_size, kept, self.d_model),
            "v": weight.new_zeros(batch_size, kept, self.d_model),
            "count": torch.zeros(batch_size, dtype=torch.long, device=weight.device),
        }

    def forward(self, x: Tensor, state: State | None = None, resets: Tensor | None = None) -> tuple[Tensor, State]:
        """As `Backbone.forward`; without a state, each stretch between resets attends within itself alone."""
        self.check_input(x, resets)
        if state is not None or x.shape[1] == 0:
            return super().forward(x, state, resets)
        qkv = self.qkv(x)
        heads = self._attend_alone(qkv) if resets is None else Stretches(resets).map(self._attend_alone, qkv)
        return self.dropout(self.out(heads)), self._remember(qkv, resets)

    def scan(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        old_k, old_v, count = _parts(state)
        q, k, v = self.qkv(x).chunk(3, -1)
        length, kept = x.shape[1], self.context_len - 1
        k, v = torch.cat([old_k.to(k.dtype), k], 1), torch.cat([old_v.to(v.dtype), v], 1)
        key = torch.arange(kept + length, device=x.device)
        query = key[kept:].unsqueeze(1)
        near = (key <= query) & (key > query - self.context_len)  # (L, W - 1 + L)
        valid = key >= (kept - count).unsqueeze(1)  # (B, W - 1 + L): slots that hold no token are never seen
        y = self._attention(q, k, v, mask=(near & valid.unsqueeze(1)).unsqueeze(1))
        new: State = {"k": k[:, length:], "v": v[:, length:], "count": (count + length).clamp(max=kept)}
        return self.dropout(self.out(y)), new

    def step(self, x_t: Tensor, state: State) -> tuple[Tensor, State]:
        y, state = self.scan(x_t.unsqueeze(1), state)
        return y.squeeze(1), state

    def eager_stepper(self, batch_size: int) -> Stepper:
        return RingStepper(self, batch_size)

    def _attend_alone(self, qkv: Tensor) -> Tensor:
        """(R, L, 3 D) of stretches that begin an episode -> (R, L, D)."""
        q, k, v = qkv.chunk(3, -1)
        length = q.shape[1]
        if length <= self.context_len:
            return self._attention(q, k, v, mask=None)
        place = torch.arange(length, device=q.device)
        near = (place <= place.unsqueeze(1)) & (place > place.unsqueeze(1) - self.context_len)
        return self._attention(q, k, v, mask=near)

    def _attention(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
        """(R, Lq, D), (R, Lk, D) twice -> (R, Lq, D); no mask means causal."""

        def split(x: Tensor) -> Tensor:  # (R, L, D) -> (R, H, L, E)
            return x.unflatten(-1, (self.n_heads, -1)).transpose(1, 2)

        dropped = self.dropout.p if self.training else 0.0
        y = F.scaled_dot_product_attention(
            split(q), split(k), split(v), attn_mask=mask, dropout_p=dropped, is_causal=mask is None
        )
        return y.transpose(1, 2).flatten(2)

    def _remember(self, qkv: Tensor, resets: Tensor | None) -> State:
        """Cache after a row without a state passed in: the last W - 1 tokens of its last episode."""
        (rows, length), kept = qkv.shape[:2], self.context_len - 1
        tail = qkv[:, max(0, length - kept) :, self.d_model :]
        k, v = F.pad(tail, (0, 0, kept - tail.shape[1], 0)).chunk(2, -1)
        if resets is None:
            return {"k": k, "v": v, "count": torch.full((rows,), min(length, kept), device=qkv.device)}
        columns = torch.arange(length, device=qkv.device)
        count = (length - torch.where(resets, columns, 0).amax(1)).clamp(max=kept)
        # Tokens of earlier episodes are wiped, not only masked: a NaN among them would survive a weight of zero.
        own = (torch.arange(kept, device=qkv.device) >= (kept - count).unsqueeze(1)).unsqueeze(-1)
        return {"k": torch.where(own, k, 0.0), "v": torch.where(own, v, 0.0), "count": count}


class RingStepper(Stepper):
    """Steps attention with a ring buffer: a new token overwrites the oldest slot, nothing is shifted or copied.

    Softmax does not care for the order of the keys, so the slots need no unrolling.
    """

    def __init__(self, mixer: AttentionMixer, batch_size: int) -> None:
        self.mixer = mixer
        self._fill(mixer.initial_state(batch_size))

    @torch.no_grad()
    def step(self, x_t: Tensor) -> Tensor:
        mixer, slot = self.mixer, self.written % self.mixer.context_len
        q, k, v = mixer.qkv(x_t).chunk(3, -1)
        self.k[:, slot], self.v[:, slot] = k, v
        self.valid[:, slot] = True
        self.written += 1
        mask = None if self._all_valid() else self.valid[:, None, None]
        heads = (mixer.n_heads, mixer.d_model // mixer.n_heads)
        y = F.scaled_dot_product_attention(
            q.unflatten(-1, heads).unsqueeze(2),
            self.k.unflatten(-1, heads).transpose(1, 2),
            self.v.unflatten(-1, heads).transpose(1, 2),
            attn_mask=mask,
        )
        return mixer.out(y.flatten(1))

    @torch.no_grad()
    def reset(self, done: Tensor) -> None:
        self.valid[done] = False
        self.k[done], self.v[done] = 0.0, 0.0  # wiped: a NaN would survive a weight of zero
        self.since_reset = 0

    def state(self) -> State:
        kept = self.mixer.context_len - 1
        newest = (self.written - 1 - torch.arange(kept, device=self.k.device)).flip(0) % self.mixer.context_len
        # The slot after the newest one leaves the window with the next token.
        own = self.valid[:, newest]
        k, v = (torch.where(own.unsqueeze(-1), buffer[:, newest], 0.0) for buffer in (self.k, self.v))
        return {"k": k, "v": v, "count": own.sum(1)}

    def load(self, state: State) -> None:
        self._fill(state)

    def _fill(self, state: State) -> None:
        """Slots 0 .. W - 2 hold the cache, the last one waits for the next token."""
        k, v, count = _parts(state)
        kept = self.mixer.context_len - 1
        self.k, self.v = F.pad(k, (0, 0, 0, 1)), F.pad(v, (0, 0, 0, 1))  # copies
        self.valid = F.pad(torch.arange(kept, device=k.device) >= (kept - count).unsqueeze(1), (0, 1))
        self.written = kept
        self.since_reset = 0

    def _all_valid(self) -> bool:
        """Whether every slot of every row holds a token: surely so after W steps without a reset."""
        self.since_reset += 1
        return self.since_reset >= self.mixer.context_len


class GPT(ResidualBackbone):
    """A stack of attention layers.

    Args:
        d_model: width of the stream.
        n_layers: number of blocks.
        n_heads: attention heads; divides `d_model`.
        context_len: tokens that an output sees in its layer, its own included; the length of the cache plus one.
        block: ``shared``, or ``paper`` for GPT-2's (LayerNorm, MLP of ratio 4), which the rest belongs to:
        activation: of its MLP, ``gelu`` or ``relu``.
        dropout: on attention weights and on what each half of the block adds.
        scaled_init: begin with the maps back to the stream smaller by sqrt(2 n_layers), as GPT-2 does.
    """

    def __init__(
        self, d_model: int, *, n_layers: int = 2, n_heads: int = 1, context_len: int = 64, block: Block = "shared",
        activation: Activation = "gelu", dropout: float = 0.0, scaled_init: bool = True,
    ) -> None:  # fmt: skip
        if not isinstance(n_heads, int) or n_heads < 1 or d_model % n_heads:
            raise UsageError(f"n_heads is {n_heads!r}; expected a divisor of d_model={d_model}")
        if not isinstance(context_len, int) or context_len < 1:
            raise UsageError(f"context_len is {context_len!r}; expected a positive number of tokens")
        own = {"activation": activation, "dropout": dropout, "scaled_init": scaled_init}
        check_own(block, own)
        std = INIT_STD / math.sqrt(2 * n_layers) if scaled_init and isinstance(n_layers, int) and n_layers else INIT_STD
        self._mixer: dict[str, Any] = {"n_heads": n_heads, "context_len": context_len, "dropout": dropout}
        self._mixer["residual_std"] = std
        self._block: dict[str, Any] = {"activation": activation, "dropout": dropout, "residual_std": std}
        super().__init__(d_model, n_layers=n_layers, block=block)

    def make_mixer(self) -> Backbone:
        return AttentionMixer(self.d_model, **self._mixer)

    def make_paper_block(self) -> Backbone:
        return GPT2Block(self.d_model, mixer=self.make_mixer(), **self._block)

    def make_final_norm(self) -> nn.Module:
        return nn.LayerNorm(self.d_model, eps=1e-5) if self.block == "paper" else super().make_final_norm()


def _parts(state: State) -> tuple[Tensor, Tensor, Tensor]:
    assert isinstance(state, dict)
    k, v, count = state["k"], state["v"], state["count"]
    assert isinstance(k, Tensor) and isinstance(v, Tensor) and isinstance(count, Tensor)
    return k, v, count
