"""What a preset asks of the contestants of one task: the same episodes, whole, the same tokens an update, states carried."""

from __future__ import annotations

import pytest

from dsbench.config import resolve, to_dict
from dsbench.config.presets import PRESETS
from dsbench.config.protocols import PROTOCOLS
from dsbench.envs import ENVS, get_spec
from dsbench.envs.data import generate
from dsbench.running.evaluating import Evaluation
from dsbench.running.experiment import Experiment
from dsbench.running.training import make_trainer

OWN = [name for name in PRESETS if name not in {protocol.name for protocol in PROTOCOLS}]
CONTESTANTS = ("gpt", "s4d", "mamba", "lstm", "mlp", "framestack")


@pytest.mark.parametrize("preset", OWN)
@pytest.mark.parametrize("env", ENVS.names())
def test_contestants_differ_in_their_backbone_alone(preset: str, env: str) -> None:
    first, *others = (to_dict(resolve(preset=preset, backbone=name, env=env)) for name in CONTESTANTS)
    for other in others:
        assert {**other, "backbone": None} == {**first, "backbone": None}
    assert first["train"]["window"] is None and first["eval"]["acting"] is None and first["eval"]["window"] is None


@pytest.mark.parametrize("env", ["memory-len", "cartpole-position"])
def test_an_update_holds_the_same_whole_episodes_for_all(env: str) -> None:
    spec = get_spec(env)
    episodes = generate(spec, "mixed", 40, seed=0)
    drawn = []
    for name in CONTESTANTS:
        config = resolve(preset="quick", backbone=name, env=env)
        experiment = Experiment(config, lambda *_: None)
        assert Evaluation(config, spec, experiment.model).acting == "stateful"
        batch = make_trainer(config, experiment.model, episodes, spec.task).sampler.draw(7)
        lengths = episodes.lengths[batch.episode_id[batch.reset].numpy()]
        assert int(batch.mask.sum()) == lengths.sum()  # each episode that begins in a row is there to its end
        drawn.append((batch.episode_id.tolist(), int(batch.mask.sum())))
    assert all(one == drawn[0] for one in drawn)
