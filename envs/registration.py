"""Our tasks under stable gymnasium ids.

``gymnasium.make("dsbench.envs.registration:dsbench/key-to-door-v0", distractor_length=90)`` imports this module, which
registers them; after ``import dsbench.envs.registration`` the id alone will do.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym

from dsbench.envs.catalogue import ENVS, spec_of

VERSION = 0  # of the ids of all tasks but those whose version is that of their physics
PHYSICS = {
    name: {version: {"physics": f"v{version}"} for version in (4, 5)} for name in ("halfcheetah", "hopper", "walker2d")
}


def make(task: str, render_mode: str | None = None, **options: Any) -> gym.Env[Any, Any]:
    """One environment of the task under these options; faults as in `spec_of`."""
    return spec_of(task, options).make(render_mode)


def _register() -> None:
    for name in ENVS.names():
        for version, options in PHYSICS.get(name, {VERSION: {}}).items():
            if (env_id := f"dsbench/{name}-v{version}") not in gym.registry:
                gym.register(env_id, entry_point=f"{__name__}:make", kwargs={"task": name, **options})


_register()
