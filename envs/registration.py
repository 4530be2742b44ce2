"""Our tasks under stable gymnasium ids.

``gymnasium.make("dsbench.envs.registration:dsbench/key-to-door-v0", distractor_length=90)`` imports this module, which
registers them; after ``import dsbench.envs.registration`` the id alone will do.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym

from dsbench.envs.catalogue import ENVS, spec_of

FIRST: dict[int, dict[str, Any]] = {0: {}}  # the version of most tasks, and the options that it stands for
VERSIONS: dict[str, dict[int, dict[str, Any]]] = {
    **{
        name: {version: {"physics": f"v{version}"} for version in (4, 5)}
        for name in ("halfcheetah", "hopper", "walker2d")
    },
    "graph-walk": {0: {"split": "uniform"}, 1: {"split": "stitch"}},
}


def make(task: str, render_mode: str | None = None, **options: Any) -> gym.Env[Any, Any]:
    """One environment of the task under these options; faults as in `spec_of`."""
    return spec_of(task, options).make(render_mode)


def _register() -> None:
    for name in ENVS.names():
        for version, options in VERSIONS.get(name, FIRST).items():
            if (env_id := f"dsbench/{name}-v{version}") not in gym.registry:
                gym.register(env_id, entry_point=f"{__name__}:make", kwargs={"task": name, **options})


_register()
