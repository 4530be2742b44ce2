"""What a seed moves: everything in its own stream of task and role, the same for every contestant, unless it is held still."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dsbench import rollout
from dsbench.config import RunConfig, from_dict, resolve, run_id, to_dict
from dsbench.config.settings import ROLES, Role
from dsbench.config.varying import root, seed_of, varied
from dsbench.envs import get_spec
from dsbench.errors import UsageError
from dsbench.records.run_folder import RunFolder
from dsbench.records.tables import runs_table
from dsbench.reports.groups import read_groups
from tests.running.inline import TINY, Inline, tiny

SEEDS = st.integers(0, 2**63 - 1)
CARTPOLES = ("cartpole", "cartpole-position", "cartpole-velocity", "cartpole-noisy")


def quick(*overrides: str, seed: int = 0, backbone: str = "mlp") -> RunConfig:
    return resolve(preset="smoke", backbone=backbone, env="umbrella", overrides=[*TINY, *overrides], seed=seed)


@given(SEEDS, st.sets(st.sampled_from(ROLES), min_size=1))
def test_the_seed_moves_the_roles_that_are_named_and_no_others(seed: int, roles: set[Role]) -> None:
    names = ",".join(roles)
    here, there = (quick(f"vary=[{names}]", seed=one) for one in (seed, seed ^ 1))
    for role in ROLES:
        moved = seed_of(here, role, "a") != seed_of(there, role, "a")
        assert moved == (role in roles)


@given(SEEDS)
def test_no_two_roles_and_no_two_tasks_share_a_stream(seed: int) -> None:
    config = quick(seed=seed)
    drawn = [seed_of(config, role, task) for role in ROLES for task in ("a", "b")]
    assert len(set(drawn)) == len(drawn)


def test_a_seed_that_the_user_sets_wins_and_holds_that_role_still() -> None:
    config = quick("data.seed=7", "eval.seed=8", seed=3)
    assert (root(config, "data"), root(config, "eval"), root(config, "init")) == (7, 8, 3)
    assert varied(config) == ("init", "batches")
    assert varied(quick("data.seed=3", seed=3)) == ("init", "batches", "eval")
    assert root(quick(seed=3), "data") == root(quick("data.seed=3", seed=9), "data")


def test_what_varies_is_said_of_scripts_and_of_files_too(tmp_path: Path) -> None:
    assert varied(resolve(env="umbrella", policy="random")) == ("eval",)
    (tmp_path / "a.hdf5").write_bytes(b"")
    file = resolve(backbone="mlp", env="umbrella", overrides=[f"data.recipe='d4rl:{tmp_path}/a.hdf5'"])
    assert varied(file) == ("init", "batches", "eval")


@pytest.mark.parametrize(
    ("given_", "kept"), [("[eval,init]", ("init", "eval")), ("data", ("data",)), ("[data,data]", ("data",))]
)
def test_roles_are_kept_in_one_order_so_that_equal_runs_have_one_name(given_: str, kept: tuple[str, ...]) -> None:
    config = quick(f"vary={given_}")
    assert config.vary == kept
    assert from_dict(to_dict(config)) == config
    assert run_id(config) != run_id(quick())


@pytest.mark.parametrize(
    ("text", "words"),
    [("[]", "at least one entry"), ("[weights]", "'init', 'batches', 'data' or 'eval'"), ("3", "a list")],
)
def test_other_roles_are_refused(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        quick(f"vary={text}")


def test_naming_all_roles_is_the_default() -> None:
    assert run_id(quick("vary=[eval,data,batches,init]")) == run_id(quick())


def test_tasks_share_no_evaluation_episode_and_neither_do_options_of_one() -> None:
    config = quick()
    tasks = [get_spec(name).task for name in CARTPOLES] + [get_spec("cartpole", max_steps=100).task]
    seeds = [set(rollout.episode_seeds(seed_of(config, "eval", task), "eval", 500)) for task in tasks]
    assert not any(one & other for one, other in combinations(seeds, 2))
    assert max(map(max, seeds)) < 2**31


@given(SEEDS)
def test_seeds_of_episodes_fit_into_31_bits_and_do_not_depend_on_their_number(seed: int) -> None:
    few, many = (rollout.episode_seeds(seed, "selection", count) for count in (3, 30))
    assert few == many[:3]
    assert all(0 <= one < 2**31 for one in many)


def rows_of(inline: Inline, *configs: RunConfig) -> list[dict[str, object]]:
    rows = []
    for config in configs:
        assert inline.run(config) == 0
        row = inline.folder(config).latest_result()
        assert row is not None
        rows.append(row)
    return rows


def test_contestants_learn_from_the_same_data_under_a_seed_and_from_others_under_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inline = Inline(tmp_path, monkeypatch)
    one, other, later = rows_of(inline, tiny(), tiny(backbone="lstm"), tiny("seed=1"))
    assert one["data_sha256"] == other["data_sha256"] != later["data_sha256"]
    assert one["varied"] == "init, batches, data, eval"
    assert (one["data_episodes"], one["data_timesteps"]) == (20, 60)
    held = rows_of(inline, tiny("seed=1", "vary=[init,batches]"))[0]
    assert held["data_sha256"] == one["data_sha256"]
    assert held["varied"] == "init, batches"


def test_weights_begin_alike_where_they_do_not_vary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inline = Inline(tmp_path, monkeypatch)

    def first_weights(*overrides: str) -> torch.Tensor:
        config = tiny("train.lr=1e-30", "train.weight_decay=0", *overrides)
        assert inline.run(config) == 0
        return inline.folder(config).checkpoints_of(1).load("final").tensors["head.weight"]

    varied_, held = first_weights("seed=1"), first_weights("seed=1", "vary=[batches,data,eval]")
    assert not torch.equal(varied_, first_weights())
    assert torch.equal(held, first_weights())


def test_runs_with_fixed_and_with_varied_data_are_never_one_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inline = Inline(tmp_path, monkeypatch)
    rows_of(
        inline, *(tiny(f"seed={seed}", *held) for seed in (0, 1) for held in ([], ["data.seed=0"], ["vary=[init]"]))
    )
    groups = read_groups(tmp_path / "results")
    assert sorted(len(group.runs) for group in groups) == [2, 2, 2]
    assert {group.runs[0].result["varied"] for group in groups} == {
        "init, batches, data, eval", "init, batches, eval", "init",
    }  # fmt: skip


def test_the_error_of_a_score_is_that_of_its_episodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inline = Inline(tmp_path, monkeypatch)
    config = resolve(policy="random", env="umbrella", overrides=["eval.episodes=400"])
    (row,) = rows_of(inline, config)
    share = float(row["first_action_accuracy"])  # type: ignore[arg-type]
    assert row["score_error"] == pytest.approx(np.sqrt(share * (1 - share) / 399))
    assert row["eval_episodes"] == 400
    assert row["varied"] == "eval"
    assert (row["measure_minimum"], row["measure_maximum"], row["measure_chance"]) == (0, 1, 0.5)
    table = runs_table(tmp_path / "results")
    assert table["result.score_error"].notna().all()


def test_a_failed_run_says_what_it_would_have_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inline = Inline(tmp_path, monkeypatch)
    config = tiny()

    def breaks(phase: str, *_: object) -> None:
        if phase == "evaluate":
            raise ArithmeticError("as a backbone of a user's may")

    assert inline.run(config, hook=breaks) == 1
    row = RunFolder.open(tmp_path / "results", run_id(config)).latest_result()
    assert row is not None
    assert row["status"] == "failed"
    assert (row["success_metric"], row["measure_minimum"]) == ("first_action_accuracy", 0)
