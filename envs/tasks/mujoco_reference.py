"""What D4RL's data sets of the three machines look like, to compare one's own with; facts, none of their data.

Sources: the constants of ``d4rl/infos.py`` (Fu et al. 2020, arXiv:2004.07219; REF_MIN_SCORE, REF_MAX_SCORE); the returns
of the files of version 2 as read from one user's published download log; the targets of the Decision Transformer's code
(Chen et al. 2021, arXiv:2106.01345, ``gym/experiment.py``).
"""

from __future__ import annotations

from dataclasses import dataclass

# The two returns between which D4RL normalises: what it has for the random policy (Hopper's is not what one gets here, see
# `RANDOM_PLAY`), and for the expert.
RETURNS = {
    "hopper": (-20.272305, 3234.3),
    "halfcheetah": (-280.178953, 12135.0),
    "walker2d": (1.629008, 4592.3),
}
# Mean returns of uniformly random torques as measured here, over 5,000 episodes (HalfCheetah: 500), by (task, physics):
# dsbench run --policy random --env hopper --set env.physics=v5 --set eval.episodes=5000
# with standard errors of 0.2 (Hopper), 0.1 (Walker2d) and 4 (HalfCheetah). D4RL's constants agree for the last two.
RANDOM_PLAY = {
    ("hopper", "v5"): 17.0,
    ("hopper", "v4"): 18.3,
    ("halfcheetah", "v5"): -284.0,
    ("halfcheetah", "v4"): -285.0,
    ("walker2d", "v5"): 1.7,
    ("walker2d", "v4"): 2.6,
}
# Returns that the Decision Transformer is asked for, the higher one first.
TARGETS = {"hopper": (3600.0, 1800.0), "halfcheetah": (12000.0, 6000.0), "walker2d": (5000.0, 2500.0)}


@dataclass(frozen=True)
class Published:
    """Returns of the episodes of one of D4RL's files."""

    timesteps: int
    mean: float
    deviation: float
    lowest: float
    highest: float


D4RL = {
    ("hopper", "medium"): Published(999_906, 1422, 379, 316, 3222),
    ("hopper", "medium-replay"): Published(402_000, 467, 511, -1, 3193),
    ("hopper", "expert"): Published(999_494, 3511, 329, 1645, 3759),
    ("halfcheetah", "medium"): Published(1_000_000, 4770, 356, -310, 5309),
    ("halfcheetah", "medium-replay"): Published(202_000, 3093, 1681, -638, 4985),
    ("halfcheetah", "expert"): Published(1_000_000, 10656, 442, 2046, 11252),
    ("walker2d", "medium"): Published(999_995, 2852, 1095, -7, 4227),
    ("walker2d", "medium-replay"): Published(302_000, 683, 896, -50, 4132),
    ("walker2d", "expert"): Published(999_214, 4921, 136, 763, 5012),
}


def published(env_id: str, recipe: str) -> str | None:
    """D4RL's set of the same name in a line; None where it has none.

    Args:
        env_id: `EnvSpec.id`, such as ``hopper-v5``.
    """
    name = env_id.rpartition("-")[0]
    found = D4RL.get((name, recipe))
    if found is None:
        return None
    return f"return {found.mean:g} ± {found.deviation:g} in D4RL's {name}-{recipe}-v2"
