"""Decision S4's Table 3: the sizes of the study's models against print, without a simulator."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from gymnasium import spaces

from dsbench.config import RunConfig
from dsbench.decision.policy import build_policy, policy_spec
from dsbench.reports.published import published
from dsbench.studies.grid import cells_of
from dsbench.studies.study_file import load_study

DEAD = 730_008 - 727_558  # parameters of the original Decision Transformer that no gradient reaches


def live(config: RunConfig) -> int:
    """Parameters of the model on halfcheetah: 17 numbers are seen, 6 are chosen."""
    spec = policy_spec(
        observation_space=spaces.Box(-np.inf, np.inf, (17,)),
        action_space=spaces.Box(-1, 1, (6,), np.float32),
        backbone=config.backbone.name,
        d_model=config.backbone.d_model,
        backbone_options=config.backbone.options,
        **config.wrapper.model_dump() | {"previous_action": True},
    )
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in build_policy(spec).parameters())


def test_the_sizes_of_the_study_have_the_shares_that_are_printed() -> None:
    """Print cuts off after two digits: 0.477 stands there as 0.47."""
    cells = cells_of(load_study("low-budget")[1], "full")
    counts = {cell.labels["model"]: live(cell.configs[0]) for cell in cells}
    printed = {row.method: row.scores for row in published().table("decision-s4/3/sizes").rows}
    assert {re.sub(r"DS4 \((.*)\)", r"\1", method).replace(" = ", "=") for method in printed} == set(counts)
    base, transformer = counts["N=64, H=64"], counts["DT"]
    for method, (of_base, of_transformer) in printed.items():
        ours = counts[re.sub(r"DS4 \((.*)\)", r"\1", method).replace(" = ", "=")]
        if of_base is not None:
            assert ours / base == pytest.approx(of_base, abs=0.01)
        if method != "DT" and of_transformer is not None:
            assert ours / transformer == pytest.approx(of_transformer, abs=0.01)
            assert ours / (transformer + DEAD) == pytest.approx(of_transformer, abs=0.01)
