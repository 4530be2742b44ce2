"""Checks of several episodes beside each other: the batched twin, and the ways in which vector environments begin anew."""

from __future__ import annotations

from typing import Any

from gymnasium.vector import AutoresetMode, SyncVectorEnv

from dsbench import seeds
from dsbench.envs.checked import Checked
from dsbench.envs.judging.alone import FEW
from dsbench.envs.judging.subject import Subject
from dsbench.envs.trial import check_equal
from dsbench.envs.vector import AutoresetEpisodes
from dsbench.errors import UsageError

MODES = (AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP, AutoresetMode.DISABLED)


def twin_equals_single(subject: Subject) -> str:
    """What steps several episodes at once gives those that single environments give, and pays none that is over."""
    spec, tried = subject.spec, subject.tried(FEW * FEW)
    together, single = subject.play(spec.vector, tried), subject.play_single(tried)
    for place, seed in enumerate(tried):
        check_equal(
            together.select([place]), single.select([place]),
            f"{subject.name}: vector and make give different episodes of seed {seed}", "the batched twin must equal the "
            "environment number for number",
        )  # fmt: skip
    _check_rest(subject, tried)
    return f"{len(tried)} episodes"


def autoreset(subject: Subject) -> str:
    """Rolled as gymnasium's vector environments do, in each of their modes, the episodes are the same."""
    make, tried = subject.spec.make, subject.tried(FEW)
    single = subject.play_single(tried)

    def vector(mode: AutoresetMode) -> Any:
        return lambda own: AutoresetEpisodes(SyncVectorEnv([make] * len(own), autoreset_mode=mode), own)

    for mode in MODES:
        check_equal(
            single, subject.play(vector(mode), tried),
            f"{subject.name} gives other episodes in a vector environment of gymnasium (autoreset {mode.value})",
            "an environment that begins anew must leave the others and its own last observation as they were",
        )  # fmt: skip
    return f"{len(MODES)} modes"


def _check_rest(subject: Subject, tried: tuple[int, ...]) -> None:
    """An episode that is over earns nothing while others go on."""
    generator = seeds.stream(0, "rest", subject.spec.id)
    with Checked(subject.spec, subject.spec.vector, list(tried)) as env:
        for timestep in range(subject.spec.horizon):
            alive = env.alive
            _, rewards, _, _ = env.step(subject.random_actions(env, timestep, generator, len(tried)))
            if rewards[~alive].any():
                raise UsageError(
                    f"{subject.name}: vector pays {rewards[~alive][rewards[~alive] != 0][0]:g} at timestep {timestep} to an "
                    "episode that is over; a row that has ended earns 0"
                )
            if not env.alive.any():
                break
