"""Which physics data was made in, and whether it is that of the environment in which a policy will be judged.

MuJoCo's tasks have versions with other rewards, contacts and friction, and D4RL's ant is another machine than gymnasium's,
so a policy learned from one is not at home in the other. Such data is refused unless ``data.allow_other_physics`` says
otherwise, and then the row of the run says so. What a file names is compared as text; nothing of it is imported or made.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dsbench.envs.data.faults import fault
from dsbench.envs.spec import EnvSpec
from dsbench.files import to_json

LIBRARIES = ("gymnasium", "gymnasium-robotics")  # keys of `EnvSpec.simulator` that name an environment
D4RL_ENVS = ("Ant", "HalfCheetah", "Hopper", "Walker2d")  # its files have the formulas of gymnasium's v4 of these
OFFERED = ("v4", "v5")  # values of the option ``env.physics``
ALLOW = "--set data.allow_other_physics=true (dsbench data import --allow-other-physics)"
UNNAMED = "an environment that the data does not name"


def physics_of(spec: EnvSpec) -> str | None:
    """The id of the simulator's environment behind a task, such as ``Hopper-v5``; None for tasks without a simulator."""
    return next((spec.simulator[name] for name in LIBRARIES if name in spec.simulator), None)


def d4rl_physics(spec: EnvSpec) -> str | None:
    """What D4RL's files for this task were made in; None where D4RL has none."""
    if spec.foreign.d4rl_physics is not None:
        return spec.foreign.d4rl_physics
    base = _stem(physics_of(spec) or "")
    return f"{base}-v4" if base in D4RL_ENVS else None


def minari_physics(spec: EnvSpec, described: Mapping[str, Any] | None) -> str | None:
    """What a Minari data set was made in by its ``env_spec``; None for tasks without a simulator.

    Args:
        described: the parsed ``env_spec``, or None where there is none.
    """
    if physics_of(spec) is None:
        return None
    if described is None:
        return UNNAMED
    given = described.get("kwargs")
    given = dict(spec.foreign.defaults) | (given if isinstance(given, dict) else {})
    wanted = spec.foreign.kwargs
    others = [f"another {key}" for key in sorted(wanted) if given.get(key) != json.loads(to_json(wanted[key]))]
    return " with ".join([str(described.get("id")), *([" and ".join(others)] if others else [])])


def same_simulation(spec: EnvSpec, name: object) -> bool:
    """Whether the id `name` is the environment behind a task, in this version or another."""
    own = physics_of(spec)
    return isinstance(name, str) and own is not None and _stem(name) == _stem(own)


def same_task(spec: EnvSpec, env: object, options: object) -> bool:
    """Whether data that dsbench made in `env` under `options` is of this task, in this physics or another."""
    own = json.loads(to_json(dict(spec.options)))
    if physics_of(spec) is None or not isinstance(env, str) or not isinstance(options, dict):
        return env == spec.id and options == own
    return _stem(env) == _stem(spec.id) and _without(options) == _without(own)


def own_physics(spec: EnvSpec, stored: object, options: Mapping[str, Any]) -> str | None:
    """What data of `same_task` was made in.

    Args:
        stored: what its header says, or None where it says nothing: then its option ``physics`` tells.
    """
    own = physics_of(spec)
    if own is None or isinstance(stored, str):
        return stored if isinstance(stored, str) else None
    return own if options.get("physics") == spec.options.get("physics") else f"{_stem(own)}-{options.get('physics')}"


def check_physics(spec: EnvSpec, file: Path, made_in: str | None, allow: bool) -> None:
    """`DatasetError` if data was made in other physics than the task has and that was not allowed."""
    own = physics_of(spec)
    if allow or physics_note(spec, made_in) is None:
        return
    assert own is not None and made_in is not None
    way_out = f"take it all the same with {ALLOW}"
    version = made_in.rpartition("-")[2]
    if version in OFFERED and "physics" in spec.options and _stem(made_in) == _stem(own):
        way_out = f"choose that one with --set env.physics={version}, or {way_out}"
    raise fault(file, "", f"the data was made in the physics of {made_in}, and {spec.name} has those of {own}", way_out)


def physics_note(spec: EnvSpec, made_in: str | None) -> str | None:
    """What a row says of data from other physics; None where there is nothing to say."""
    own = physics_of(spec)
    if own is None or made_in is None or made_in == own:
        return None
    return f"data made in {made_in}, evaluated in {own}"


def header_entry(made_in: str | None) -> dict[str, str]:
    """Of a data set's header; none for tasks without a simulator, whose sets stay as they were."""
    return {} if made_in is None else {"physics": made_in}


def _stem(name: str) -> str:
    """An id without its version."""
    base, dash, version = name.rpartition("-v")
    return base if dash and version.isdecimal() else name


def _without(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name != "physics"}
