"""Which environment data was made in, its physics above all, and whether a policy will be judged in the same.

MuJoCo's tasks have versions with other rewards, contacts and friction, and D4RL's ant is another machine than gymnasium's,
so a policy learned from one is not at home in the other; the same goes for an environment made with other arguments or in
other wrappers. Such data is refused unless ``data.allow_other_physics`` says otherwise, and then the row of the run says so.
What a file names is compared as text; nothing of it is imported or made.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
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


def minari_physics(spec: EnvSpec, described: Mapping[str, Any] | None, others: Sequence[str] = ()) -> str | None:
    """What a Minari data set was made in; None where that is the task's and no simulator stands behind it.

    Args:
        described: the parsed ``env_spec``, or None where there is none.
        others: in what it differs from the task's environment of that id, see `dsbench.envs.data.otherwise`.
    """
    own = physics_of(spec)
    if described is None:
        return None if own is None else UNNAMED
    name = str(described.get("id"))
    if own is not None and not same_simulation(spec, name):
        name = own  # an id of ours
    return f"{name} with {' and '.join(others)}" if others else (None if own is None else name)


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
    if allow or physics_note(spec, made_in) is None:
        return
    assert made_in is not None
    own, way_out = physics_of(spec), f"take it all the same with {ALLOW}"
    if own is None:
        raise fault(file, "", f"the data was made in {made_in}, which is not {spec.name} as it is played here", way_out)
    version = made_in.rpartition("-")[2]
    if version in OFFERED and "physics" in spec.options and _stem(made_in) == _stem(own):
        way_out = f"choose that one with --set env.physics={version}, or {way_out}"
    raise fault(file, "", f"the data was made in the physics of {made_in}, and {spec.name} has those of {own}", way_out)


def physics_note(spec: EnvSpec, made_in: str | None) -> str | None:
    """What a row says of data that was not made in the task's own environment; None where there is nothing to say."""
    own = physics_of(spec)
    if made_in is None or made_in == own:
        return None
    return f"data made in {made_in}, evaluated in {spec.id if own is None else own}"


def header_entry(made_in: str | None) -> dict[str, str]:
    """Of a data set's header; none for tasks without a simulator, whose sets stay as they were."""
    return {} if made_in is None else {"physics": made_in}


def _stem(name: str) -> str:
    """An id without its version."""
    base, dash, version = name.rpartition("-v")
    return base if dash and version.isdecimal() else name


def _without(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name != "physics"}
