"""Acting is training's function: the same logits a step at a time, row by row, however episodes end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from dsbench.backbones import BACKBONES, load_class
from dsbench.batches import whole_batch
from dsbench.decision import Actor, DecisionSequence
from dsbench.episodes import Episodes

MakeEpisodes = Callable[..., Episodes]
MakePolicy = Callable[..., DecisionSequence]
NAMES = [name for name in BACKBONES.names() if ":" not in name]
ROWS = [[3, 1, 4], [5, 3], [2, 2, 2, 2]]  # lengths of the episodes that each row plays, one after another; 8 in all


def columns(episodes: Episodes) -> Iterator[tuple[dict[str, Any], np.ndarray]]:
    """What rows that play recorded episodes in turn see at each step, and the flat timesteps that it comes from."""
    batch_of = np.cumsum([0, *(sum(row) for row in ROWS)])
    timesteps, returns_to_go = episodes.timesteps(), episodes.returns_to_go()
    for step in range(sum(ROWS[0])):
        source = batch_of[:-1] + step
        timestep = torch.from_numpy(timesteps[source])
        yield (
            {
                "observation": torch.from_numpy(episodes.observations[source]),  # type: ignore[index]
                "return_to_go": torch.from_numpy(returns_to_go[source]).float(),
                # the last action of the episode before is passed on, as an acting loop may; `first` says to ignore it
                "previous_action": torch.from_numpy(episodes.actions[source - 1]) if step else None,
                "first": timestep == 0,
                "timestep": timestep,
            },
            source,
        )


def expected_logits(model: DecisionSequence, episodes: Episodes) -> Tensor:
    """(N, A) logits of the training view at every recorded timestep, one episode a row."""
    batch = whole_batch(episodes)
    with torch.no_grad():
        logits = model(batch)[0].logits
    return logits[batch.mask]


@pytest.fixture(scope="module")
def episodes(make_episodes: MakeEpisodes) -> Episodes:
    return make_episodes([length for row in ROWS for length in row])


LAYOUTS = [
    (backbone, {"tokens": tokens, "condition": condition, "previous_action": previous})
    for backbone in NAMES
    for tokens in ("joint", "separate")
    for condition in ("return", "none")
    for previous in (True, False)
    if not (load_class(backbone).memoryless and previous)
    if tokens == "joint" or load_class(backbone).separate_tokens
]


@pytest.mark.parametrize(("backbone", "layout"), LAYOUTS, ids=str)
def test_acting_gives_the_logits_of_training(
    make_policy: MakePolicy, episodes: Episodes, backbone: str, layout: dict[str, Any]
) -> None:
    model = make_policy(backbone, episodes, **layout).double().eval()
    expected = expected_logits(model, episodes)
    actor = Actor(model, len(ROWS))
    windowed = Actor(model, len(ROWS), acting="windowed", window=5)  # the longest episode has 5 timesteps
    state = model.initial_state(len(ROWS))
    for seen, source in columns(episodes):
        functional, state = model.distribution_at(state=state, **seen)
        for name, got in (
            ("stateful", actor.distribution(**seen)),
            ("windowed", windowed.distribution(**seen)),
            ("functional", functional),
        ):
            torch.testing.assert_close(
                got.logits, expected[source], rtol=0, atol=1e-10, msg=lambda m, n=name: f"{n}: {m}"
            )  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "layout", [{}, {"tokens": "separate"}, {"tokens": "separate", "previous_action": False}], ids=str
)
@pytest.mark.parametrize("backbone", ["gpt", "mamba"])
def test_a_past_that_was_remembered_is_a_past_that_was_lived(
    make_policy: MakePolicy, make_episodes: MakeEpisodes, backbone: str, layout: dict[str, Any]
) -> None:
    episodes = make_episodes([6, 6])
    model = make_policy(backbone, episodes, **layout).double().eval()
    batch, begin = whole_batch(episodes), 4
    past = type(batch)(**{name: value[:, :begin] for name, value in vars(batch).items() if name != "action_mask"})
    expected = expected_logits(model, episodes).view(2, 6, -1)
    for actor in (Actor(model, 2), Actor(model, 2, acting="windowed", window=6)):
        actor.remember(past)
        for t in range(begin, 6):
            got = actor.distribution(
                batch.observation[:, t], return_to_go=batch.return_to_go[:, t],  # type: ignore[index]
                previous_action=batch.previous_action[:, t], first=batch.reset[:, t], timestep=batch.timestep[:, t],
            )  # fmt: skip
            torch.testing.assert_close(got.logits, expected[:, t], rtol=0, atol=1e-10)  # type: ignore[attr-defined]


@pytest.mark.parametrize("backbone", ["gpt", "lstm"])
def test_a_short_window_gives_the_logits_of_the_last_timesteps_alone(
    make_policy: MakePolicy, make_episodes: MakeEpisodes, backbone: str
) -> None:
    episodes, window = make_episodes([6]), 3
    model = make_policy(backbone, episodes).double().eval()
    batch = whole_batch(episodes)
    actor = Actor(model, 1, acting="windowed", window=window)
    for t in range(6):
        got = actor.distribution(
            batch.observation[:, t], return_to_go=batch.return_to_go[:, t], previous_action=batch.previous_action[:, t],  # type: ignore[index]
            first=batch.reset[:, t], timestep=batch.timestep[:, t],
        )  # fmt: skip
        cut = {
            name: getattr(batch, name)[:, max(0, t + 1 - window) : t + 1]
            for name in vars(batch)
            if name != "action_mask"
        }
        cut["reset"] = torch.arange(cut["mask"].shape[1]).unsqueeze(0) == 0
        with torch.no_grad():
            expected = model(type(batch)(**cut))[0].logits[:, -1]
        torch.testing.assert_close(got.logits, expected, rtol=0, atol=1e-10)  # type: ignore[attr-defined]


@pytest.mark.parametrize("backbone", NAMES)
def test_a_step_trains_from_a_stored_state(make_policy: MakePolicy, episodes: Episodes, backbone: str) -> None:
    model = make_policy(backbone, episodes).double().train()
    with torch.no_grad():
        state, stored = model.initial_state(len(ROWS)), []
        for seen, source in columns(episodes):
            stored.append((state, seen, source))
            _, state = model.distribution_at(state=state, **seen)
    state, seen, source = stored[4]
    action = torch.from_numpy(episodes.actions[source])
    distribution, _ = model.distribution_at(state=state, **seen)
    distribution.loss(action, torch.ones_like(action, dtype=torch.bool)).backward()  # type: ignore[no-untyped-call]
    for part in ("backbone.", "observation_encoder.", "head."):
        gradients = [p.grad for name, p in model.named_parameters() if name.startswith(part) and p.grad is not None]
        assert gradients, part
        assert any(gradient.abs().max() > 0 for gradient in gradients), part
        assert all(gradient.isfinite().all() for gradient in gradients), part
    torch.testing.assert_close(
        distribution.logits.detach(), expected_logits(model, episodes)[source], rtol=0, atol=1e-10
    )  # type: ignore[attr-defined]
