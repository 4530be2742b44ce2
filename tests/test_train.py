"""Training: what updates each parameter, that padding and packing change nothing, that a stop leaves no trace."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from dsbench.backbones import BACKBONES
from dsbench.batches import BatchSampler, whole_batch
from dsbench.config import TrainConfig
from dsbench.decision import DecisionSequence
from dsbench.episodes import Episodes
from dsbench.train import Diverged, Trainer, learning_rate_factor, make_optimizer

MakeEpisodes = Callable[..., Episodes]
MakePolicy = Callable[..., DecisionSequence]
LENGTHS = [3, 5, 2, 4, 1]
NAMES = [name for name in BACKBONES.names() if ":" not in name]
# names of state-space parameters
DYNAMICS = {"log_dt", "log_a_real", "a_imag", "a_log", "dt_bias", "lambda_real", "lambda_imag", "p"}


def config(**settings: Any) -> TrainConfig:
    return TrainConfig(**{"updates": 8, "warmup": 2, "batch_size": 4, "lr": 1e-2, **settings})


def trainer_of(model: DecisionSequence, episodes: Episodes, **settings: Any) -> Trainer:
    options = config(**settings)
    sampler = BatchSampler(
        episodes, batch_size=options.batch_size, window=options.window, row_length=options.row_length, seed=1
    )
    return Trainer(model, sampler, options, seed=1)


def weights_hash(model: DecisionSequence) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode() + tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()


def test_warm_up_is_linear_and_the_cosine_ends_at_nothing() -> None:
    cosine = config(updates=12, warmup=4)
    factors = [learning_rate_factor(update, cosine) for update in range(12)]
    assert factors[:4] == [0.25, 0.5, 0.75, 1.0]
    expected = [(1 + math.cos(math.pi * i / 8)) / 2 for i in range(8)]
    assert factors[4:] == pytest.approx(expected)
    assert learning_rate_factor(12, cosine) == pytest.approx(0)
    constant = config(updates=12, warmup=4, schedule="constant")
    assert [learning_rate_factor(update, constant) for update in (0, 3, 4, 11)] == [0.25, 1, 1, 1]
    assert learning_rate_factor(0, config(warmup=0)) == 1


@pytest.mark.parametrize("backbone", NAMES)
def test_groups_keep_relative_rates_and_dynamics_never_decay(
    make_policy: MakePolicy, make_episodes: MakeEpisodes, backbone: str
) -> None:
    model = make_policy(backbone, make_episodes(LENGTHS))
    trainer = trainer_of(model, make_episodes(LENGTHS), weight_decay=0.1, schedule="constant")
    for _ in range(3):
        trainer.update()
    seen: dict[int, dict[str, Any]] = {
        id(parameter): group for group in trainer.optimizer.param_groups for parameter in group["params"]
    }
    assert set(seen) == {id(parameter) for parameter in model.parameters() if parameter.requires_grad}
    for group in trainer.optimizer.param_groups:
        assert group["lr"] == pytest.approx(1e-2 * group["lr_scale"])
    for asked in model.param_groups():
        for parameter in asked["params"]:
            assert seen[id(parameter)]["lr_scale"] == asked["lr_scale"]
            assert seen[id(parameter)]["weight_decay"] == (0.1 if asked["decay"] else 0.0)
    dynamics = [p for name, p in model.named_parameters() if name.rpartition(".")[2].lower() in DYNAMICS]
    assert bool(dynamics) == (backbone in {"s4", "s4d", "s5", "mamba", "mamba2"})
    assert all(seen[id(parameter)]["weight_decay"] == 0 for parameter in dynamics)


def test_decay_shrinks_matrices_alone(make_policy: MakePolicy) -> None:
    model = make_policy()
    optimizer = make_optimizer(model, config(weight_decay=0.5))
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    assert not torch.equal(model.head.weight, before["head.weight"])
    assert torch.equal(model.head.bias, before["head.bias"])


def test_decay_and_one_rate_may_hold_for_all_parameters(make_policy: MakePolicy) -> None:
    model = make_policy("s4d")
    groups = make_optimizer(model, config(weight_decay=0.5, weight_decay_on="all", one_rate=True)).param_groups
    assert {(group["lr_scale"], group["weight_decay"]) for group in groups} == {(1.0, 0.5)}
    assert any(group["lr_scale"] != 1 for group in make_optimizer(model, config()).param_groups)


def test_the_loss_ignores_padding(make_policy: MakePolicy, make_episodes: MakeEpisodes) -> None:
    episodes = make_episodes(LENGTHS)
    model = make_policy("lstm", episodes).double()
    together = model.loss(whole_batch(episodes)).item()
    alone = [model.loss(whole_batch(episodes.select([i]))).item() for i in range(len(episodes))]
    assert together == pytest.approx(np.average(alone, weights=episodes.lengths), abs=1e-12)


@pytest.mark.parametrize("backbone", NAMES)
def test_packed_rows_give_the_loss_and_gradient_of_one_episode_a_row(
    make_policy: MakePolicy, make_episodes: MakeEpisodes, backbone: str
) -> None:
    episodes = make_episodes(LENGTHS)
    model = make_policy(backbone, episodes).double()
    results = []
    for batch_size, row_length in ((6, 5), (6, 16)):
        batch = BatchSampler(episodes, batch_size=batch_size, window=None, row_length=row_length, seed=2).draw(0)
        model.zero_grad()
        loss = model.loss(batch)
        loss.backward()  # type: ignore[no-untyped-call]
        gradients = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
        results.append((len(batch.mask), loss, gradients))
    (rows, loss, gradient), (fewer, packed_loss, packed_gradient) = results
    assert fewer < rows
    torch.testing.assert_close(packed_loss, loss, rtol=0, atol=1e-10)
    torch.testing.assert_close(packed_gradient, gradient, rtol=0, atol=1e-10)


@pytest.mark.parametrize("backbone", ["gpt", "mamba"])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_a_stopped_and_loaded_training_continues_bit_for_bit(
    make_policy: MakePolicy, make_episodes: MakeEpisodes, backbone: str, dropout: float
) -> None:
    episodes = make_episodes(LENGTHS)

    def fresh(seed: int) -> Trainer:
        return trainer_of(make_policy(backbone, episodes, seed=seed, embedding_dropout=dropout), episodes)

    whole, first, second = fresh(0), fresh(0), fresh(99)
    losses = [whole.update() for _ in range(6)]
    for _ in range(3):
        first.update()
    stored = {name: tensor.clone() for name, tensor in first.tensors().items()}
    torch.rand(7)  # the global generator may be anywhere
    second.load(stored, first.updates_done, first.tokens_seen)
    assert [second.update() for _ in range(3)] == losses[3:]
    assert weights_hash(second.model) == weights_hash(whole.model)
    assert (second.updates_done, second.tokens_seen) == (whole.updates_done, whole.tokens_seen)


def test_training_leaves_the_global_generator_alone(make_policy: MakePolicy, make_episodes: MakeEpisodes) -> None:
    trainer = trainer_of(make_policy("lstm", embedding_dropout=0.5), make_episodes(LENGTHS))
    before = torch.random.get_rng_state()
    trainer.update()
    assert torch.equal(torch.random.get_rng_state(), before)


def test_the_loss_of_a_learnable_task_falls(make_policy: MakePolicy, make_episodes: MakeEpisodes) -> None:
    arrays = make_episodes([4] * 16).arrays()
    arrays["actions"] = (arrays["observations"][:, 0] > 1).astype(np.int64)
    episodes = Episodes.from_arrays(arrays)
    trainer = trainer_of(make_policy("mlp", episodes), episodes, updates=60, batch_size=16, warmup=5)
    losses = [trainer.update() for _ in range(60)]
    assert np.mean(losses[-5:]) < 0.3 < 0.5 < losses[0]


@pytest.mark.parametrize("backbone", NAMES)
def test_bf16_autocast_trains(make_policy: MakePolicy, make_episodes: MakeEpisodes, backbone: str) -> None:
    trainer = trainer_of(make_policy(backbone, make_episodes(LENGTHS)), make_episodes(LENGTHS))
    trainer.autocast_dtype = torch.bfloat16
    assert all(math.isfinite(trainer.update()) for _ in range(2))
    assert all(parameter.dtype == torch.float32 for parameter in trainer.model.parameters())
    assert all(parameter.isfinite().all() for parameter in trainer.model.parameters())


def test_divergence_names_the_bad_parameter_and_keeps_the_weights(
    make_policy: MakePolicy, make_episodes: MakeEpisodes
) -> None:
    model = make_policy("lstm", make_episodes(LENGTHS))
    trainer = trainer_of(model, make_episodes(LENGTHS))
    trainer.update()
    with torch.no_grad():
        model.head.weight[0, 0] = math.inf
    before = weights_hash(model)
    with pytest.raises(Diverged, match=r"update 1: .*head\.weight \(parameter\).*train\.lr \(now 0\.01\)"):
        trainer.update()
    assert weights_hash(model) == before
    assert trainer.updates_done == 1


def test_divergence_names_the_innermost_layer_that_overflows(
    make_policy: MakePolicy, make_episodes: MakeEpisodes
) -> None:
    model = make_policy("mlp", make_episodes(LENGTHS))
    model.backbone.layers[1].mlp[2].register_forward_hook(lambda *_: torch.tensor(math.inf))  # type: ignore[index,union-attr]
    with pytest.raises(Diverged, match=r"first bad layer: backbone\.layers\.1\.mlp\.2;"):
        trainer_of(model, make_episodes(LENGTHS)).update()


def test_an_exploding_rate_ends_in_diverged_not_in_nonsense(
    make_policy: MakePolicy, make_episodes: MakeEpisodes
) -> None:
    model = make_policy("lstm", make_episodes(LENGTHS), time="none")
    trainer = trainer_of(model, make_episodes(LENGTHS), updates=500, warmup=0, clip=None, schedule="constant")
    object.__setattr__(trainer.config, "lr", 1e36)
    trainer.update()
    with pytest.raises(Diverged, match=r"update 1: .*first bad layer: \S+"):
        trainer.update()
