"""`EnvSpec.from_gym`: what is read off an environment, what is measured, what is refused; the family ``gym:<id>``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsbench.config import resolve, run_id
from dsbench.config.naming import is_named_by_settings_alone
from dsbench.envs import ENVS, EnvSpec, get_spec, measured
from dsbench.envs.behaviour import noisy, uniform_over
from dsbench.envs.data import generate
from dsbench.envs.spaces import Spaces
from dsbench.envs.targets import Fixed, Quantile
from dsbench.errors import EnvironmentFault, UsageError
from dsbench.outside import trust
from tests.envs.faulty import LENGTH, Ring, Torque

FREE: Any = SimpleNamespace(action_mask=None)


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DSBENCH_DATA", str(tmp_path / "data"))


def ahead(observations: np.ndarray) -> np.ndarray:
    """Towards place 0."""
    return np.where(observations[:, 0] == 0, 0, 1)


# ---------------------------------------------------------------------- what is read off and what is measured


def test_spaces_actions_and_horizon_are_read_off() -> None:
    pole = EnvSpec.from_gym("CartPole-v1")
    made = gym.make("CartPole-v1")
    assert (pole.horizon, pole.spaces) == (500, Spaces(made.observation_space, made.action_space))
    assert (pole.success_metric, list(pole.recipes), pole.optimal) == ("return", ["random"], None)
    swing = EnvSpec.from_gym("Pendulum-v1", horizon=50)
    assert (swing.horizon, swing.draws_per_timestep) == (50, 2)
    episodes = generate(swing, "random", 3, seed=0)
    assert list(episodes.lengths) == [50, 50, 50]
    assert episodes.truncated[episodes.starts[1:] - 1].all()
    assert np.ptp(episodes.actions) > 3  # of [-2, 2]


def test_episodes_are_those_of_the_spec_that_is_written_out() -> None:
    """from_gym fills the fields that a user would; nothing is played otherwise."""
    from tests.envs.faulty import spec_of

    short, long = EnvSpec.from_gym(Ring, horizon=LENGTH, name="mine"), spec_of(id="mine")
    one, other = (generate(spec, "random", 5, seed=2).arrays() for spec in (short, long))
    assert all((one[name] == other[name]).all() for name in one)


def test_what_random_play_and_the_expert_earn_is_measured() -> None:
    spec = EnvSpec.from_gym(Ring, horizon=LENGTH, expert=ahead)
    played = np.mean([part.returns().mean() for part in [generate(spec, "random", 4_000, seed=9)]])
    assert spec.reference_random == pytest.approx(played, abs=0.2)
    assert spec.reference_optimal == pytest.approx(generate(spec, "expert", 4_000, seed=9).returns().mean(), abs=0.2)
    assert spec.normalised(spec.reference_random) == 0 and spec.normalised(spec.reference_optimal) == 100


def test_without_a_best_return_nothing_is_normalised() -> None:
    spec = EnvSpec.from_gym(Ring, horizon=LENGTH)
    assert spec.normalised(3.0) is None and spec.foot is None and spec.best is None
    assert EnvSpec.from_gym(Ring, horizon=LENGTH, best=6.0).normalised(6.0) == 100


def test_success_is_a_share_of_episodes() -> None:
    episodes = generate(EnvSpec.from_gym(Ring, horizon=LENGTH), "random", 50, seed=0)
    by_return = EnvSpec.from_gym(Ring, horizon=LENGTH, success=2)
    np.testing.assert_array_equal(by_return.score(episodes)["success"], episodes.returns() >= 2)
    longest = EnvSpec.from_gym(Ring, horizon=LENGTH, success=lambda episodes: episodes.lengths == LENGTH)
    assert longest.score(episodes)["success"].all()
    assert (by_return.minimum, by_return.maximum, by_return.success_metric) == (0.0, 1.0, "success")
    odd = EnvSpec.from_gym(Ring, horizon=LENGTH, success=lambda episodes: episodes.returns())
    with pytest.raises(
        EnvironmentFault, match="success gave float64 of shape .50,. for 50 episodes; expected true or false"
    ):
        odd.score(episodes)


def test_an_expert_brings_recipes_and_without_one_they_are_refused_with_the_way() -> None:
    spec = EnvSpec.from_gym(Ring, horizon=LENGTH, expert=ahead)
    assert {"random", "medium", "expert", "mixed"} <= set(spec.recipes) and spec.optimal is not None
    means = [generate(spec, name, 400, seed=0).returns().mean() for name in ("random", "medium", "expert")]
    assert means == sorted(means) and means[2] > means[0] + 0.5
    for name in ("medium", "expert", "mixed"):
        with pytest.raises(
            UsageError, match=r"no data recipe .*, only random: .*EnvSpec.from_gym\(..., expert=policy\)"
        ):
            EnvSpec.from_gym(Ring, horizon=LENGTH).recipe(name)


def test_the_target_is_a_rule_or_a_number() -> None:
    assert EnvSpec.from_gym(Ring, horizon=LENGTH).target == Quantile()
    assert EnvSpec.from_gym(Ring, horizon=LENGTH, target=4).target == Fixed(4.0)


def test_options_go_to_what_makes_it() -> None:
    def make(size: int, render_mode: str | None = None) -> gym.Env[Any, Any]:
        return gym.wrappers.TimeLimit(Ring(), size)

    spec = EnvSpec.from_gym(make, horizon=3, options={"size": 3}, name="Small Ring")
    assert (spec.options, spec.id, spec.name) == ({"size": 3}, "small-ring", "Small Ring")
    assert (generate(spec, "random", 2, seed=0).lengths == 3).all()
    assert (
        EnvSpec.from_gym("FrozenLake-v1", options={"is_slippery": False}).make().unwrapped.spec.kwargs["is_slippery"]
        is False
    )


@pytest.mark.parametrize(
    ("make", "more", "says"),
    [
        (Ring, {}, "env ring sets no time limit of its own .max_episode_steps.*horizon=200"),
        (Ring, {"horizon": 0}, "horizon is 0 for .*; expected a whole number of at least 1"),
        (3, {}, "make is 3; expected an id of gymnasium, or a class or function"),
        ("CartPole-v9", {}, "unknown id of gymnasium 'CartPole-v9'. Did you mean 'CartPole-v1'"),
        ("Cartpol-v1", {}, "Did you mean 'CartPole-v1'"),
        ("no_such_module:Maze-v0", {}, "module 'no_such_module' .* raised ModuleNotFoundError"),
        ("CartPole-v1", {"options": {"max_episode_steps": 5}}, "takes no option 'max_episode_steps': give horizon"),
        (lambda: 1 / 0, {"horizon": 3}, "raised ZeroDivisionError when made: division by zero .*test_from_gym.py, line"),
        ("Blackjack-v1", {"horizon": 9}, "Tuple.*FlattenObservation"),
    ],
)  # fmt: skip
def test_what_cannot_be_made_is_refused_in_one_sentence(make: Any, more: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says) as refused:
        EnvSpec.from_gym(make, **more)
    assert "\n" not in str(refused.value)


# ---------------------------------------------------------------------- measuring once


OWN = """
from dsbench.envs import EnvSpec
from pathlib import Path
import gymnasium as gym

def make():
    with Path(COUNT).open("a") as file:
        file.write("x")
    return gym.make("FrozenLake-v1", max_episode_steps=20)

def task():
    return EnvSpec.from_gym(make)
"""


def test_a_return_is_measured_once_for_the_same_code(tmp_path: Path) -> None:
    count, file = tmp_path / "count", tmp_path / "own.py"
    file.write_text(OWN.replace("COUNT", repr(str(count))))

    def made() -> tuple[float, int]:
        before = len(count.read_text()) if count.exists() else 0
        return get_spec(f"{file}:task").reference_random, len(count.read_text()) - before

    first, again = made(), made()
    assert first[0] == again[0] and again[1] < 5 < first[1]
    place = measured.place_of(get_spec(f"{file}:task"), "random")
    place.write_text("{}")
    assert made()[1] > 5  # what was not written here is no number
    file.write_text(file.read_text() + "# changed\n")
    assert made()[1] > 5


def test_another_horizon_is_another_number() -> None:
    specs = [get_spec("gym:CartPole-v1", horizon=horizon) for horizon in (5, 9)]
    assert [spec.reference_random for spec in specs] == [pytest.approx(5.0), pytest.approx(8.9, abs=0.2)]


# ---------------------------------------------------------------------- actions alike


@settings(max_examples=30, deadline=None)
@given(low=st.floats(-1e6, 1e6), width=st.floats(1e-3, 1e6), seed=st.integers(0, 99))
def test_actions_of_a_box_lie_in_it_evenly(low: float, width: float, seed: int) -> None:
    space = gym.spaces.Box(np.float32(low), np.float32(low + width), (2, 1), np.float32)
    behave, draws = uniform_over(space)
    actions = behave(FREE, 0, np.random.default_rng(seed).random((2_000, draws)), np.zeros(2_000))
    assert actions.shape == (2_000, 2, 1) and actions.dtype == np.float32 and all(map(space.contains, actions[:50]))
    middle = (float(space.low[0, 0]) + float(space.high[0, 0])) / 2
    spread = float(space.high[0, 0]) - float(space.low[0, 0])
    assert abs(actions.mean() - middle) < 0.05 * spread + 1e-3 * abs(middle)


@pytest.mark.parametrize(
    "space",
    [
        gym.spaces.Discrete(3, start=5), gym.spaces.Box(-3, 3, (2,), np.int16), gym.spaces.Box(0, 255, (2, 2), np.uint8),
        gym.spaces.Box(-np.inf, np.inf, (3,), np.float64), gym.spaces.Box(0, np.inf, (1,), np.float32),
        gym.spaces.Box(-np.inf, 2, (1,), np.float32), gym.spaces.Box(-3e38, 3e38, (1,), np.float32),
    ],
)  # fmt: skip
def test_actions_of_any_space_are_its_own_and_reach_its_ends(space: gym.Space[Any]) -> None:
    behave, draws = uniform_over(space)
    generator = np.random.default_rng(0)
    with np.errstate(all="raise"):
        actions = behave(FREE, 0, generator.random((5_000, draws)), np.zeros(5_000))
        edges = behave(FREE, 0, np.array([[0.0] * draws, [np.nextafter(1, 0)] * draws]), np.zeros(2))
    assert all(space.contains(np.asarray(action, space.dtype)) for action in (*actions[:200], *edges))
    if not isinstance(space, gym.spaces.Box) or space.dtype.kind in "iu":  # type: ignore[union-attr]
        whole = (
            space.n if isinstance(space, gym.spaces.Discrete) else np.ptp(np.array([space.low, space.high], int)) + 1
        )  # type: ignore[attr-defined]
        assert len(np.unique(actions)) == whole


def test_an_expert_of_torques_errs_as_often_as_it_is_told() -> None:
    random, draws = uniform_over(Torque.action_space)
    behave = noisy(lambda env, t, d, e: np.full((len(d), 1), 2.0, np.float32), random, 0.3)
    actions = behave(FREE, 0, np.random.default_rng(0).random((9_000, draws)), np.zeros(9_000))
    assert (actions == 2.0).mean() == pytest.approx(0.7, abs=0.02)


# ---------------------------------------------------------------------- wrappers that are named do help


@pytest.mark.parametrize("name", ["Tuple", "MultiDiscrete", "Dict", "MultiBinary"])
def test_the_wrapper_that_is_named_makes_an_observation_that_is_taken(name: str) -> None:
    spaces = {
        "Tuple": gym.spaces.Tuple([gym.spaces.Discrete(3), gym.spaces.Box(0, 1, (2,))]),
        "MultiDiscrete": gym.spaces.MultiDiscrete([2, 3]),
        "Dict": gym.spaces.Dict({"a": gym.spaces.Dict({"b": gym.spaces.Discrete(2)})}),
        "MultiBinary": gym.spaces.MultiBinary(4),
    }

    class Odd(Ring):
        observation_space = spaces[name]

        def seen(self) -> Any:
            return self.observation_space.sample()

    with pytest.raises(UsageError, match=r"gymnasium.wrappers.FlattenObservation\(env\) makes one Box of it"):
        EnvSpec.from_gym(Odd, horizon=LENGTH)
    spec = EnvSpec.from_gym(lambda: gym.wrappers.FlattenObservation(Odd()), horizon=LENGTH)
    generate(spec, "random", 3, seed=0)


def test_a_part_that_no_wrapper_flattens_is_left_out() -> None:
    graph = gym.spaces.Graph(gym.spaces.Box(0, 1, (1,)), None)

    class Drawn(Ring):
        observation_space = gym.spaces.Dict({"graph": graph, "place": gym.spaces.Discrete(9)})

        def seen(self) -> Any:
            return {"graph": None, "place": self.place}

    with pytest.raises(UsageError, match=r"FilterObservation\(env, \['place'\]\) leaves it out"):
        EnvSpec.from_gym(Drawn, horizon=LENGTH)
    spec = EnvSpec.from_gym(lambda: gym.wrappers.FilterObservation(Drawn(), ["place"]), horizon=LENGTH)
    generate(spec, "random", 3, seed=0)


def test_many_discrete_actions_become_one_by_the_wrapper_that_is_named() -> None:
    class Two(Ring):
        action_space = gym.spaces.MultiDiscrete([2, 3])

        def step(self, action: Any) -> Any:
            assert self.action_space.contains(action)
            return super().step(action[1])

    with pytest.raises(
        UsageError, match=r"TransformAction.*unravel_index\(a, \(2, 3\)\)\) and gymnasium.spaces.Discrete\(6\)"
    ):
        EnvSpec.from_gym(Two, horizon=LENGTH)

    def make() -> gym.Env[Any, Any]:
        return gym.wrappers.TransformAction(
            Two(), lambda a: np.array(np.unravel_index(a, (2, 3))), gym.spaces.Discrete(6)
        )

    assert len(np.unique(generate(EnvSpec.from_gym(make, horizon=LENGTH), "random", 20, seed=0).actions)) == 6


# ---------------------------------------------------------------------- the family


def test_an_id_is_a_name_of_the_catalogue_with_its_version_in_the_run_s_name() -> None:
    spec = get_spec("gym:Acrobot-v1")
    assert (spec.name, spec.horizon) == ("gym:Acrobot-v1", 500)
    assert spec.origin.code == f"gymnasium=={gym.__version__}"
    config = resolve(backbone="mlp", env="gym:Acrobot-v1")
    assert run_id(config).startswith("mlp-gym_acrobot_v1-s0-")
    assert not is_named_by_settings_alone(config)
    assert config.data.timesteps == 100_000  # whose episodes may be of any length
    assert not ENVS.is_outside("gym:Acrobot-v1") and not ENVS.is_own("gym:Acrobot-v1")


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("gym:Acrobt-v1", {}, "unknown env 'gym:Acrobt-v1'. Did you mean 'gym:Acrobot-v1'"),
        ("gym:CartPole", {}, "Did you mean 'gym:CartPole-v1'"),
        ("gym:", {}, "such as gym:CartPole-v1"),
        ("gym:CliffWalking-v1", {}, "sets no time limit of its own.*--set env.horizon=200"),
        ("gym:CartPole-v1", {"horizon": 2.5}, "horizon is 2.5 for 'CartPole-v1'; expected a whole number"),
        ("gym:CartPole-v1", {"success": "high"}, "env.success is 'high'; expected a return, a number"),
        ("gym:CartPole-v1", {"sutton": 1}, "raised TypeError when made.*'sutton'"),
    ],
)  # fmt: skip
def test_what_the_family_does_not_have_is_said_in_one_sentence(name: str, options: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says) as refused:
        get_spec(name, **options)
    assert "\n" not in str(refused.value)


def test_only_what_gymnasium_brings_needs_no_package_named_whatever_this_process_imported() -> None:
    import minigrid  # noqa: F401  registers its ids

    with pytest.raises(UsageError, match=r"unknown env 'gym:MiniGrid-Empty-5x5-v0'.*gym:PACKAGE:ID"):
        get_spec("gym:MiniGrid-Empty-5x5-v0")
    with pytest.raises(UsageError, match="mission of the space MissionSpace"):  # it was found
        get_spec("gym:minigrid:MiniGrid-Empty-5x5-v0", horizon=9)


def test_a_package_is_imported_for_its_user_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(trust, "_named", set())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    config = tmp_path / "run.yaml"
    config.write_text("backbone: mlp\nenv: gym:minigrid:MiniGrid-Empty-5x5-v0\n")
    settled = resolve(config_file=config)
    with pytest.raises(trust.Untrusted, match="code that was not named by you would run"):
        ENVS.load(settled.env.name)
    resolve(config_file=config, trust_code=True)
    ENVS.load(settled.env.name)


def test_a_module_that_is_not_installed_is_for_a_file_of_one_s_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mazes.py").write_text("raise SystemExit('ran')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UsageError, match="no installed package; write a file of your own with task = EnvSpec.from_gym"):
        get_spec("gym:mazes:Maze-v0")


def test_listing_names_imports_no_gymnasium() -> None:
    code = "import sys; from dsbench.envs import ENVS; ENVS.lines(); assert 'gymnasium' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
