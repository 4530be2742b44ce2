"""Offline training of a model on batches: AdamW with the backbone's own parameter groups, warm-up, clipping.

The whole state of a training is the update's number, the weights and the optimiser's moments, and of one by the clock the
seconds that it took (`dsbench.running.budget`): batches and dropout are functions of the seed and the update, so a resumed run
continues bit for bit.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from dsbench import seeds
from dsbench.batches import Batch, BatchSampler
from dsbench.config import TrainConfig
from dsbench.errors import DsbenchError

MOMENTS = ("step", "exp_avg", "exp_avg_sq")


class Diverged(DsbenchError):
    """The loss or a gradient is no longer finite; the message names the update and the first bad layer."""


class Trainable(Protocol):
    """What can be trained: a torch module with a loss on batches and groups of parameters."""

    @property
    def tokens_per_decision(self) -> int: ...
    def loss(self, batch: Batch) -> Tensor: ...
    def param_groups(self) -> list[dict[str, Any]]: ...
    def train(self, mode: bool = True) -> Any: ...
    def parameters(self, recurse: bool = True) -> Iterator[nn.Parameter]: ...
    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]: ...
    def named_modules(self) -> Iterator[tuple[str, nn.Module]]: ...
    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state_dict: dict[str, Any]) -> Any: ...


class Trainer:
    """Trains `model` on the batches of `sampler`, one `update` at a time.

    Args:
        model: what is trained, on its device.
        sampler: draws the batch of an update.
        config: the ``train.*`` settings.
        seed: root seed; dropout has a stream of its own per update.
        autocast_dtype: dtype of the forward pass under autocast; None for none.
    """

    def __init__(
        self,
        model: Trainable,
        sampler: BatchSampler,
        config: TrainConfig,
        *,
        seed: int,
        autocast_dtype: torch.dtype | None = None,
    ) -> None:
        self.model, self.sampler, self.config, self.seed = model, sampler, config, seed
        self.autocast_dtype = autocast_dtype
        self.device = next(model.parameters()).device
        self.optimizer = make_optimizer(model, config)
        self.updates_done = 0
        self.tokens_seen = 0

    def update(self, place: float | None = None) -> float:
        """One optimiser update on the batch of its number; returns its loss.

        Args:
            place: on the schedule of the learning rate, in updates; None is the update's number.

        Raises:
            Diverged: the loss or the gradient is not finite; the weights are those before the update.
        """
        return self.learn(self.sampler.draw(self.updates_done).to(self.device), place)

    def learn(self, batch: Batch, place: float | None = None) -> float:
        """`update` on a batch that lies on the model's device."""
        number = self.updates_done
        factor = learning_rate_factor(number if place is None else place, self.config)
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.lr * group["lr_scale"] * factor
        self.model.train()
        with seeded(self.device, self.seed, "dropout", number):
            loss = self._loss(batch)
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip or math.inf)
        value = loss.item()
        if not (math.isfinite(value) and math.isfinite(norm.item())):
            raise Diverged(self._diagnosis(number, value, batch))
        self.optimizer.step()
        self.updates_done += 1
        self.tokens_seen += int(batch.mask.sum()) * self.model.tokens_per_decision
        return value

    def tensors(self) -> dict[str, Tensor]:
        """Weights and optimiser moments under flat names, for a checkpoint."""
        named = {f"model/{name}": tensor for name, tensor in self.model.state_dict().items()}
        for name, parameter in self.model.named_parameters():
            for moment, value in self.optimizer.state.get(parameter, {}).items():
                named[f"optimizer/{moment}/{name}"] = value
        return named

    def load(self, tensors: dict[str, Tensor], updates_done: int, tokens_seen: int) -> None:
        """Continue from what `tensors` returned after `updates_done` updates."""
        prefix = "model/"
        self.model.load_state_dict({k[len(prefix) :]: v for k, v in tensors.items() if k.startswith(prefix)})
        for name, parameter in self.model.named_parameters():
            moments = {m: tensors[f"optimizer/{m}/{name}"] for m in MOMENTS if f"optimizer/{m}/{name}" in tensors}
            if moments:
                # AdamW keeps its step counter on the CPU whatever the parameter's device
                self.optimizer.state[parameter] = {
                    m: value.clone() if m == "step" else value.to(self.device).clone() for m, value in moments.items()
                }
        self.updates_done, self.tokens_seen = updates_done, tokens_seen

    def _loss(self, batch: Batch) -> Tensor:
        if self.autocast_dtype is None:
            return self.model.loss(batch)
        with torch.autocast(self.device.type, self.autocast_dtype):
            return self.model.loss(batch)

    def _diagnosis(self, number: int, loss: float, batch: Batch) -> str:
        what = f"loss {loss}" if not math.isfinite(loss) else "gradient not finite"
        place = first_bad_layer(self.model, batch) or "no layer's output is bad, the gradient is"
        return f"update {number}: {what}; first bad layer: {place}; try a lower train.lr (now {self.config.lr:g})"


def make_optimizer(model: Trainable, config: TrainConfig) -> torch.optim.AdamW:
    """AdamW over the model's groups: relative learning rates and where decay is allowed, unless `config` overrules them."""
    everywhere = config.weight_decay_on == "all"
    groups = [
        {
            "params": group["params"],
            "lr_scale": 1.0 if config.one_rate else group["lr_scale"],
            "weight_decay": config.weight_decay if group["decay"] or everywhere else 0.0,
        }
        for group in model.param_groups()
    ]
    return torch.optim.AdamW(groups, lr=config.lr)


def learning_rate_factor(place: float, config: TrainConfig) -> float:
    """Linear warm-up to 1, then (``schedule: cosine``) a half cosine to 0 at the last update.

    Args:
        place: updates that lie behind; a training of seconds stands between two (`dsbench.running.budget`).
    """
    warm = min(1.0, (place + 1) / max(1, config.warmup))
    if config.schedule == "constant" or place < config.warmup:
        return warm
    progress = (place - config.warmup) / max(1, config.updates - config.warmup)
    return 0.5 * (1 + math.cos(math.pi * progress))


@contextmanager
def seeded(device: torch.device, root: int, *names: str | int) -> Iterator[None]:
    """Run torch's own generators (initialisation, dropout) from a named stream, or without names from `root` itself, and put
    them back afterwards."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seeds.seed_for(root, *names) if names else root)
        yield


@torch.no_grad()
def first_bad_layer(model: Trainable, batch: Batch) -> str | None:
    """Name of the first module, innermost first, whose parameters or output hold a NaN or infinity on this batch."""
    for name, parameter in model.named_parameters():
        if not torch.isfinite(parameter).all():
            return f"{name} (parameter)"
    bad: list[str] = []

    def watch(name: str):  # type: ignore[no-untyped-def]
        def hook(_module: nn.Module, _inputs: object, output: object) -> None:
            tensor = output[0] if isinstance(output, tuple) and output else output
            if isinstance(tensor, Tensor) and tensor.is_floating_point() and not torch.isfinite(tensor).all():
                bad.append(name)

        return hook

    handles = [module.register_forward_hook(watch(name)) for name, module in model.named_modules() if name]
    try:
        model.loss(batch)
    finally:
        for handle in handles:
            handle.remove()
    return bad[0] if bad else None
