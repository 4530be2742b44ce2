"""Dictionary observations whose keys are any text: trained, stored, acted with and exported like others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from hypothesis import example, given, settings
from hypothesis import strategies as st
from safetensors.torch import load, save
from torch import nn

from dsbench.backbones import build
from dsbench.batches import whole_batch
from dsbench.decision import Actor, DecisionSequence
from dsbench.decision.encoders import part_name
from dsbench.decision.policy import build_policy, policy_spec
from dsbench.decision.spaces import LONGEST_KEY, space_from_json, space_to_json
from dsbench.episodes import Episodes
from dsbench.errors import UsageError

ODD = [
    "items", "type", "a.b", "", "keys", "training", "forward", "a", "b", "a.parts.b", "key:", "key:61", "_modules", "0",
    "observation", "observation/x", "first", "timestep", "return_to_go", "state/0", "token/0", "名前 \n\t/\\\"'", "x" * 999,
    '"); raise SystemExit(3) #', "');raise SystemExit(3)#",
]  # fmt: skip
NUMBERS = spaces.Box(-np.inf, np.inf, (2,), np.float32)


def space_of(keys: list[str]) -> spaces.Dict:
    return spaces.Dict({key: spaces.Discrete(3) if place % 3 == 2 else NUMBERS for place, key in enumerate(keys)})


def episodes_of(space: spaces.Dict, lengths: tuple[int, ...] = (4, 3)) -> Episodes:
    rng, total = np.random.default_rng(0), sum(lengths)
    starts = np.concatenate([[0], np.cumsum(lengths)])

    def seen(rows: int) -> dict[str, np.ndarray]:
        return {
            key: rng.integers(3, size=rows) if isinstance(space[key], spaces.Discrete)
            else rng.normal(3, 2, size=(rows, 2)).astype(np.float32)
            for key in space
        }  # fmt: skip

    ends = np.zeros(total, bool)
    ends[starts[1:] - 1] = True
    return Episodes(
        seen(total), rng.integers(2, size=total), rng.normal(size=total).astype(np.float32), ends, ~ends & False, starts,
        seen(len(lengths)),
    )  # fmt: skip


def spec_of(space: spaces.Dict) -> dict[str, Any]:
    spec = policy_spec(
        observation_space=space, action_space=spaces.Discrete(2), backbone="lstm", d_model=8, backbone_options={}
    )
    return json.loads(json.dumps(spec))


def made(spec: dict[str, Any]) -> DecisionSequence:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return build_policy(spec).eval()


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@given(st.lists(texts | st.sampled_from(ODD), min_size=1, max_size=8, unique=True))
@example(ODD)
@settings(max_examples=40, deadline=None)
def test_a_policy_of_any_keys_is_stored_and_acts_as_one_of_plain_keys(keys: list[str]) -> None:
    """The same space under the names k00, k01, ... (in the same order) is the oracle."""
    keys = sorted(keys)
    plain = [f"k{place:02}" for place in range(len(keys))]
    space, twin_space = space_of(keys), space_of(plain)
    policy, twin = made(spec_of(space)), made(spec_of(twin_space))
    episodes, twin_episodes = episodes_of(space), episodes_of(twin_space)
    policy.fit_normalisers(episodes)
    twin.fit_normalisers(twin_episodes)
    stored = load(save(dict(policy.state_dict())))
    again = build_policy(spec_of(space)).eval()
    again.load_state_dict(stored)
    with torch.no_grad():
        expected = twin(whole_batch(twin_episodes))[0].logits
        arrays = Episodes.from_arrays(episodes.arrays())
        assert torch.equal(again(whole_batch(arrays))[0].logits, expected)
    batch = whole_batch(episodes)
    for actor in (Actor(again, 2), Actor(again, 2, acting="windowed", window=4)):
        for t in range(3):
            got = actor.distribution(
                {key: value[:, t] for key, value in batch.observation.items()},  # type: ignore[union-attr]
                return_to_go=batch.return_to_go[:, t], previous_action=batch.previous_action[:, t],
                first=batch.reset[:, t], timestep=batch.timestep[:, t],
            )  # fmt: skip
            torch.testing.assert_close(got.logits, expected[:, t], rtol=0, atol=1e-5)  # type: ignore[attr-defined]


@given(st.lists(texts | st.sampled_from(ODD), min_size=2, max_size=8, unique=True))
@settings(deadline=None)
def test_no_two_keys_share_a_name_and_no_name_is_an_attribute(keys: list[str]) -> None:
    names = [part_name(key) for key in keys]
    assert len(set(names)) == len(names)
    nn.ModuleDict({name: nn.Identity() for name in names})  # torch takes them
    assert space_from_json(json.loads(json.dumps(space_to_json(space_of(keys))))) == space_of(keys)


def test_ordinary_keys_keep_the_names_that_checkpoints_have() -> None:
    policy = made(spec_of(space_of(["goal", "agent_pos", "Bild 2"])))
    names = {name.split(".")[2] for name in policy.state_dict() if name.startswith("observation_encoder.parts.")}
    assert names == {"goal", "agent_pos", "Bild 2"}


def test_the_onnx_file_and_the_compiled_tokens_take_any_keys(tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    from dsbench.decision.export import export_model

    space = space_of(ODD)
    policy, episodes = made(spec_of(space)), episodes_of(space)
    policy.fit_normalisers(episodes)
    export_model(policy, tmp_path / "policy.onnx")
    names = [one.name for one in onnxruntime.InferenceSession(tmp_path / "policy.onnx").get_inputs()]
    assert {f"observation/{key}" for key in ODD} <= set(names) and len(set(names)) == len(names)
    batch = whole_batch(episodes)
    seen: dict[str, Any] = {
        "observation": {key: value[:, 0] for key, value in batch.observation.items()},  # type: ignore[union-attr]
        "return_to_go": batch.return_to_go[:, 0], "previous_action": None, "first": batch.reset[:, 0],
        "timestep": batch.timestep[:, 0],
    }  # fmt: skip
    eager, compiled = (Actor(policy, 2, compiled=way).distribution(**seen) for way in (False, True))
    torch.testing.assert_close(compiled.logits, eager.logits, rtol=0, atol=1e-5)  # type: ignore[attr-defined]


def test_one_part_called_observation_is_a_part() -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    space = space_of(["observation"])
    policy, batch = made(spec_of(space)), whole_batch(episodes_of(space))
    logits = [
        Actor(policy, 2, compiled=way).distribution(
            {"observation": batch.observation["observation"][:, 0]}, return_to_go=batch.return_to_go[:, 0],  # type: ignore[index]
            previous_action=None, first=batch.reset[:, 0], timestep=batch.timestep[:, 0],
        ).logits  # type: ignore[attr-defined]
        for way in (False, True)
    ]  # fmt: skip
    torch.testing.assert_close(*logits, rtol=0, atol=1e-5)


@pytest.mark.parametrize("key", ["\ud800", "x" * (LONGEST_KEY + 1), 3, None])
def test_what_no_file_holds_is_refused_before_training(key: Any) -> None:
    space = spaces.Dict({"a": NUMBERS})
    space.spaces = {key: NUMBERS}
    with pytest.raises(UsageError, match="a dictionary space has the key .*; expected a text of at most"):
        spec_of(space)
    with pytest.raises(UsageError, match="a dictionary space has the key .*; expected a text of at most"):
        DecisionSequence(build("lstm", 8), space, spaces.Discrete(2))


def test_a_dictionary_within_a_dictionary_is_refused_with_its_key() -> None:
    space = spaces.Dict({"a": spaces.Dict({"b": NUMBERS}), "a.b": NUMBERS})
    with pytest.raises(UsageError, match="part 'a' .*a dictionary itself; expected Box or Discrete"):
        DecisionSequence(build("lstm", 8), space, spaces.Discrete(2))
