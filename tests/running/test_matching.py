"""``--match``: no width is nearer to the size that is asked for, and the row says how near it came."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsbench.api import run
from dsbench.backbones.catalogue import BACKBONES
from dsbench.backbones.state import nbytes
from dsbench.config import from_dict, resolve, run_id, to_dict
from dsbench.config.matching import Match, NoWidth, nearest_width, parse_match
from dsbench.decision.policy import build_policy
from dsbench.envs import get_spec
from dsbench.errors import UsageError
from dsbench.running import matched as matching_process
from dsbench.running import sizing
from dsbench.running.describing import describe
from dsbench.running.matched import matched
from dsbench.running.sizing import find_width
from dsbench.running.sweep import expand

GROWING_STATES = [name for name in BACKBONES.names() if name not in ("mlp", "s5")]


def size_of(backbone: str, kind: str, width: int, *overrides: str) -> int | None:
    """By building the model with all its weights and adding up; None where the width is refused."""
    config = resolve(backbone=backbone, env="umbrella", overrides=[f"backbone.d_model={width}", *overrides])
    try:
        model = build_policy(describe(config, get_spec("umbrella")))
    except UsageError:
        return None
    if kind == "state":
        return nbytes(model.backbone.initial_state(1))
    return sum(parameter.numel() for parameter in model.parameters())


# ---------------------------------------------------------------------- the search


@settings(max_examples=25, deadline=None)
@given(
    heads=st.integers(1, 12),
    square=st.integers(0, 20),
    linear=st.integers(1, 50),
    jagged=st.booleans(),
    target=st.integers(200, 200_000),
)
def test_no_usable_width_is_nearer(heads: int, square: int, linear: int, jagged: bool, target: int) -> None:
    def size(width: int) -> int | None:
        more = square * width * width + linear * width
        return None if width % heads else more + (more // 60 if jagged and width % 3 else 0)

    sizes = {width: found for width in range(1, 8_000) if (found := size(width)) is not None}
    nearest = min(sizes.values(), key=lambda found: (abs(found - target), found))
    try:
        width = nearest_width(size, target)
    except NoWidth:
        assert not target / 2 <= nearest <= 2 * target
    else:
        assert size(width.d_model) == width.size
        if target < size(7_000 // heads * heads):  # type: ignore[operator]
            assert abs(width.size - target) == abs(nearest - target)


@pytest.mark.parametrize("backbone", BACKBONES.names())
def test_no_neighbouring_width_has_a_number_of_parameters_that_is_nearer(backbone: str) -> None:
    width = find_width(resolve(backbone=backbone, env="umbrella", match="params=20k"))
    sizes = {step: size_of(backbone, "params", width.d_model + step) for step in (-2, -1, 0, 1, 2)}
    assert sizes[0] == width.size
    assert all(size is None or abs(size - 20_000) >= abs(width.size - 20_000) for size in sizes.values())
    assert abs(width.size / 20_000 - 1) < 0.05


@pytest.mark.parametrize("backbone", GROWING_STATES)
def test_no_neighbouring_width_has_a_state_that_is_nearer(backbone: str) -> None:
    width = find_width(resolve(backbone=backbone, env="umbrella", match="state=4KiB"))
    sizes = {step: size_of(backbone, "state", width.d_model + step) for step in (-1, 0, 1)}
    assert sizes[0] == width.size
    assert all(size is None or abs(size - 4_096) >= abs(width.size - 4_096) for size in sizes.values())


def test_widths_that_the_heads_do_not_divide_are_left_out() -> None:
    heads = "backbone.n_heads=6"
    width = find_width(resolve(backbone="gpt", env="umbrella", match="params=20k", overrides=[heads]))
    around = [size_of("gpt", "params", width.d_model + step, heads) for step in (-6, -1, 0, 1, 6)]
    assert width.d_model % 6 == 0 and around[1] is None and around[3] is None
    assert all(size is None or abs(size - 20_000) >= abs(width.size - 20_000) for size in around)


def test_a_cache_counts_at_its_full_window() -> None:
    """One token of d_model 8, two layers of keys and values in single precision, is 128 bytes."""
    narrow, wide = (size_of("gpt", "state", 8, f"backbone.context_len={length}") for length in (64, 128))
    assert narrow is not None and wide is not None and wide - narrow == 64 * 128


# ---------------------------------------------------------------------- what is said


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("params=100k", Match("params", 100_000)),
        ("params=1.5M", Match("params", 1_500_000)),
        ("params=70", Match("params", 70)),
        ("state=16KiB", Match("state", 16_384)),
        ("state=2MiB", Match("state", 2**21)),
        ("state=16kB", Match("state", 16_000)),
        ("state=512", Match("state", 512)),
    ],
)
def test_sizes_are_read_with_their_units(text: str, expected: Match) -> None:
    assert parse_match(text) == expected


@pytest.mark.parametrize(
    "text", ["", "params", "params=", "params=-1", "params=100KiB", "state=1k", "flops=3", "params=0"]
)
def test_what_says_no_size_is_refused_in_one_sentence(text: str) -> None:
    with pytest.raises(UsageError, match=r"match(:| is)") as caught:
        resolve(backbone="gpt", env="umbrella", match=text)
    assert "\n" not in str(caught.value) and "params=100k" in str(caught.value)


@pytest.mark.parametrize(
    ("backbone", "match", "why"),
    [
        ("mlp", "state=16KiB", "it carries no state"),
        ("s5", "state=16KiB", "it has 512 at every width; change its options instead, such as backbone.d_state"),
        ("gpt", "params=5", "the nearest, d_model 1, has"),
    ],
)
def test_a_size_that_no_width_has_is_refused(backbone: str, match: str, why: str) -> None:
    with pytest.raises(UsageError, match=f"no width of backbone '{backbone}' comes near") as caught:
        find_width(resolve(backbone=backbone, env="umbrella", match=match))
    assert why in str(caught.value)


def test_a_width_and_a_size_are_not_asked_for_at_once() -> None:
    with pytest.raises(UsageError, match=r"chooses backbone.d_model, and backbone.d_model is 32; leave out one"):
        resolve(backbone="gpt", env="umbrella", match="params=100k", overrides=["backbone.d_model=32"])


# ---------------------------------------------------------------------- on the way to a run


@pytest.fixture
def sized_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Widths are found in this process, as the one that a sweep or a run starts would find them."""
    monkeypatch.setattr(matching_process, "_ask", lambda settings: [sizing._answer(one)["d_model"] for one in settings])


@pytest.mark.usefixtures("sized_here")
def test_the_width_is_in_the_configuration_and_found_again_from_it() -> None:
    (found,) = matched([resolve(backbone="lstm", env="umbrella", match="params=20k")])
    assert found.backbone.d_model == find_width(found).d_model != 64
    assert from_dict(to_dict(found)) == found


def test_where_nothing_is_asked_nothing_changes() -> None:
    plain = resolve(backbone="lstm", env="umbrella")
    assert matched([plain]) == [plain]
    assert run_id(plain) == run_id(from_dict({name: cell for name, cell in to_dict(plain).items() if name != "match"}))


@pytest.mark.usefixtures("sized_here")
def test_a_sweep_matches_all_but_scripts() -> None:
    configs = expand("gpt,rnn", "umbrella", "2", controls="random", match="params=20k")
    sizes = {(one.backbone.name, one.match): one.backbone.d_model for one in configs}
    assert sizes.keys() == {("gpt", "params=20k"), ("rnn", "params=20k"), ("random", None)}
    assert sizes["rnn", "params=20k"] > sizes["gpt", "params=20k"]
    assert len(configs) == 6


def test_the_row_says_how_near_it_came(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DSBENCH_DATA", str(tmp_path / "data"))
    small = ["env.chain_length=3", "train.updates=5", "measure.steps=5", "eval.episodes=5", "data.episodes=50"]
    row = run(resolve(backbone="rnn", env="umbrella", match="params=2k", preset="smoke", overrides=small),
                       tmp_path)  # fmt: skip
    assert row["match_target"] == 2_000 and row["match_found"] == row["parameters_total"]
    assert row["match_off"] == pytest.approx(row["parameters_total"] / 2_000 - 1)
    assert abs(row["match_off"]) < 0.1
