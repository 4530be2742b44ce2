"""Two published trainers of the Decision Transformer, run from checkouts of their repositories beside ours.

    git clone https://github.com/tinkoff-ai/CORL
    git clone https://github.com/kzl/decision-transformer
    CORL=CORL DECISION_TRANSFORMER=decision-transformer pytest -m benchmark_suite tests/benchmarks/test_protocol.py

Both files import packages that this needs none of (simulators, loggers) and names that today's transformers no longer has;
empty modules stand in for these. What is timed, drawing a batch and one update, runs as it was written.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import torch

from dsbench.episodes import Episodes

Run = Callable[[], None]
WINDOW, BATCH, WIDTH, LAYERS, HEADS, HORIZON = 20, 64, 128, 3, 1, 1000
DROPOUT, LEARNING_RATE, WEIGHT_DECAY, WARMUP, CLIP, SCALE = 0.1, 1e-4, 1e-4, 10_000, 0.25, 1000.0


def corl(checkout: Path, episodes: Episodes) -> Run:
    """One step of CORL's training loop, its windows drawn one by one through a DataLoader in this process."""
    module = _module(checkout / "algorithms/offline/dt.py", ("d4rl", "gym", "pyrallis", "wandb"))
    dataset = object.__new__(module.SequenceDataset)  # its constructor would ask D4RL for the data
    torch.utils.data.IterableDataset.__init__(dataset)
    dataset.dataset = _trajectories(episodes)
    dataset.reward_scale, dataset.seq_len = 1 / SCALE, WINDOW
    dataset.state_mean, dataset.state_std = _statistics(episodes)
    dataset.sample_prob = episodes.lengths / episodes.lengths.sum()
    model = module.DecisionTransformer(
        state_dim=episodes.observations.shape[1], action_dim=episodes.actions.shape[1], embedding_dim=WIDTH,
        seq_len=WINDOW, episode_len=HORIZON, num_layers=LAYERS, num_heads=HEADS, attention_dropout=DROPOUT,
        residual_dropout=DROPOUT, embedding_dropout=DROPOUT,
    )  # fmt: skip
    batches = iter(torch.utils.data.DataLoader(dataset, batch_size=BATCH))
    optimizer, scheduler = _optimizer(model)

    def step() -> None:
        states, actions, returns, timesteps, mask = next(batches)
        predicted = model(states, actions, returns, timesteps, padding_mask=~mask.to(torch.bool))
        squared = torch.nn.functional.mse_loss(predicted, actions, reduction="none")
        _update(model, (squared * mask.unsqueeze(-1)).mean(), optimizer, scheduler)

    return step


def original(checkout: Path, episodes: Episodes) -> Run:
    """`SequenceTrainer.train_step` of the paper's own code, fed by its ``get_batch``."""
    gym = checkout / "gym"
    sys.path.insert(0, str(gym))
    with _old_transformers():
        models = importlib.import_module("decision_transformer.models.decision_transformer")
        trainers = importlib.import_module("decision_transformer.training.seq_trainer")
    sys.path.remove(str(gym))
    model = models.DecisionTransformer(
        state_dim=episodes.observations.shape[1], act_dim=episodes.actions.shape[1], max_length=WINDOW,
        max_ep_len=HORIZON, hidden_size=WIDTH, n_layer=LAYERS, n_head=HEADS, n_inner=4 * WIDTH,
        activation_function="relu", n_positions=1024, n_ctx=1024, resid_pdrop=DROPOUT, attn_pdrop=DROPOUT,
    )  # fmt: skip
    optimizer, scheduler = _optimizer(model)
    trainer = trainers.SequenceTrainer(
        model=model, optimizer=optimizer, batch_size=BATCH, get_batch=_get_batch(gym / "experiment.py", episodes),
        scheduler=scheduler, loss_fn=lambda s_hat, a_hat, r_hat, s, a, r: torch.mean((a_hat - a) ** 2),
    )  # fmt: skip
    model.train()

    def step() -> None:
        trainer.train_step()
        scheduler.step()

    return step


def _get_batch(experiment: Path, episodes: Episodes) -> Callable[..., Any]:
    """The function ``get_batch``, which is defined inside another one, with the variables it closes over."""
    tree = ast.parse(experiment.read_text())
    wanted = {"get_batch", "discount_cumsum"}
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name in wanted]
    mean, std = _statistics(episodes)
    lengths = episodes.lengths
    scope: dict[str, Any] = {
        "np": np, "torch": torch, "random": random, "device": "cpu", "K": WINDOW, "scale": SCALE, "max_ep_len": HORIZON,
        "trajectories": _trajectories(episodes), "num_trajectories": len(episodes), "sorted_inds": np.arange(len(episodes)),
        "p_sample": lengths / lengths.sum(), "state_mean": mean, "state_std": std,
        "state_dim": episodes.observations.shape[1], "act_dim": episodes.actions.shape[1],
    }  # fmt: skip
    exec(compile(ast.Module(functions, []), str(experiment), "exec"), scope)
    return scope["get_batch"]


def _trajectories(episodes: Episodes) -> list[dict[str, np.ndarray]]:
    returns = episodes.returns_to_go().astype(np.float32)
    ends = episodes.terminated | episodes.truncated
    columns = {
        "observations": episodes.observations, "actions": episodes.actions, "rewards": episodes.rewards,
        "returns": returns, "terminals": ends,
    }  # fmt: skip
    return [
        {name: array[begin:end] for name, array in columns.items()}
        for begin, end in zip(episodes.starts[:-1], episodes.starts[1:], strict=True)
    ]


def _statistics(episodes: Episodes) -> tuple[np.ndarray, np.ndarray]:
    observations = np.asarray(episodes.observations)
    return observations.mean(0, keepdims=True), observations.std(0, keepdims=True) + 1e-6


def _optimizer(model: torch.nn.Module) -> tuple[Any, Any]:
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min((step + 1) / WARMUP, 1))


def _update(model: torch.nn.Module, loss: torch.Tensor, optimizer: Any, scheduler: Any) -> None:
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
    optimizer.step()
    scheduler.step()
    loss.item()


def _module(path: Path, absent: tuple[str, ...]) -> ModuleType:
    """The module in a file, with stand-ins for packages that are not installed."""
    for name in absent:
        sys.modules.setdefault(name, MagicMock())
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


@contextmanager
def _old_transformers() -> Iterator[None]:
    """Stands in for modules of transformers as they were when the original was written, as far as it uses them."""
    from transformers.pytorch_utils import Conv1D
    from transformers.utils import ModelOutput

    decorators = {"add_start_docstrings", "add_start_docstrings_to_model_forward", "add_code_sample_docstrings"}
    unchanged = {name: lambda *args, **options: lambda wrapped: wrapped for name in decorators}
    olds = {
        "file_utils": unchanged | {"ModelOutput": ModelOutput, "replace_return_docstrings": MagicMock()},
        "modeling_utils": {"PreTrainedModel": _PlainModel, "Conv1D": Conv1D},
        "utils.model_parallel_utils": {},
    }
    before = {name: sys.modules.get(f"transformers.{name}") for name in olds}
    for name, members in olds.items():
        sys.modules[f"transformers.{name}"] = MagicMock(
            unsafe=True, **members
        )  # a name that begins with "assert" is asked for
    try:
        yield
    finally:
        for name, module in before.items():
            sys.modules.pop(f"transformers.{name}")
            if module is not None:
                sys.modules[f"transformers.{name}"] = module


class _PlainModel(torch.nn.Module):
    """What the original uses of transformers' base class."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.config = config
        self.dtype = torch.float32

    def init_weights(self) -> None:
        self.apply(self._init_weights)

    def get_head_mask(self, head_mask: None, layers: int) -> list[None]:
        return [None] * layers
