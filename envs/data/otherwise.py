"""How the environment that a Minari data set describes differs from the task's under the same id.

An id says little: the rewards of CartPole-v1 are others with ``sutton_barto_reward``, a wrapper may show or pay anything,
and a map of another size is another task. What the metadata says is compared as JSON values and text; nothing of it is
imported, and nothing that it names is made.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym

from dsbench.envs.catalogue import ENVS, spec_of
from dsbench.envs.closing import close_quietly
from dsbench.envs.data.faults import fault, parse_json_object
from dsbench.envs.spaces import made
from dsbench.envs.spec import EnvSpec

GET_AGAIN = "get the file again"
# Of gymnasium's wrappers those that change neither what is seen nor what is paid, and Minari's own.
NEUTRAL = frozenset(
    {"DataCollector", "HumanRendering", "OrderEnforcing", "PassiveEnvChecker", "RecordEpisodeStatistics", "RecordVideo",
     "RenderCollection", "StepDataCallback"}
)  # fmt: skip
THEIRS = ("gymnasium.wrappers", "minari.")
RENDERING = frozenset({"render_mode", "width", "height", "camera_id", "camera_name", "default_camera_config", "task"})
OUR_ID = "dsbench/"
_NO_NUMBER = re.compile("-?Infinity|NaN")
SHOWN = 4  # differences that are named


def differences(
    spec: EnvSpec, described: Mapping[str, Any], metadata: Mapping[str, Any], same: Mapping[str, Any], file: Path
) -> list[str]:
    """What is not the task's, as words that follow "with"; empty where all that is said fits.

    Args:
        described: the parsed ``env_spec``.
        metadata: all of the data set's.
        same: what the library's environment of that name is made with where it is the task.

    Raises:
        DatasetError: something there is not of the form that gymnasium writes.
    """
    env = made(spec)
    try:
        found = [f"another {_name(key)}" for key in _other_kwargs(spec, env, described, same, file)]
        found += _other_wrappers(env, described, file)
        found += _other_limit(spec, env, described, file)
    finally:
        close_quietly(env)
    found += _other_spaces(spec, metadata, file)
    return found if len(found) <= SHOWN else [*found[:SHOWN], f"{len(found) - SHOWN} more"]


def _other_kwargs(
    spec: EnvSpec, env: gym.Env[Any, Any], described: Mapping[str, Any], same: Mapping[str, Any], file: Path
) -> Iterator[str]:
    given = described.get("kwargs", {})
    if not isinstance(given, dict):
        raise fault(file, "env_spec", f"its kwargs are {type(given).__name__}, not an object", GET_AGAIN)
    defaults, ours = _defaults(spec, env, described), _made_with(spec, env, described, same)
    for key in sorted((given.keys() | ours.keys()) - RENDERING):
        expected = ours.get(key, defaults.get(key, _NOTHING))
        if given.get(key, defaults.get(key, _NOTHING)) != expected:
            yield key


def _defaults(spec: EnvSpec, env: gym.Env[Any, Any], described: Mapping[str, Any]) -> dict[str, Any]:
    """What an environment has where nothing is said."""
    if _is_ours(described):
        return _plain((spec_of(spec.name, {}) if ENVS.is_own(spec.name) else spec).options)
    parameters = inspect.signature(type(env.unwrapped).__init__).parameters.values() if env.spec is not None else ()
    known = {one.name: one.default for one in parameters if one.default is not one.empty}
    return _plain(known | dict(spec.foreign.defaults))


def _made_with(
    spec: EnvSpec, env: gym.Env[Any, Any], described: Mapping[str, Any], same: Mapping[str, Any]
) -> dict[str, Any]:
    """What the task's environment is made with."""
    if _is_ours(described):
        return _plain(spec.options)
    own = {} if env.spec is None else dict(env.spec.kwargs)
    return _plain(own | dict(same) | dict(spec.foreign.kwargs))


def _is_ours(described: Mapping[str, Any]) -> bool:
    return str(described.get("id")).startswith(OUR_ID)


def _other_wrappers(env: gym.Env[Any, Any], described: Mapping[str, Any], file: Path) -> list[str]:
    given = described.get("additional_wrappers") or []
    if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
        raise fault(file, "env_spec", "its additional_wrappers are no list of objects", GET_AGAIN)
    theirs = [wrapper for wrapper in map(_wrapper, given) if wrapper is not None]
    own = () if env.spec is None else env.spec.additional_wrappers
    ours = [
        wrapper
        for one in own
        if (wrapper := _wrapper({"name": one.name, "entry_point": one.entry_point, "kwargs": one.kwargs})) is not None
    ]
    if theirs == ours or (not theirs and all(place.startswith("dsbench.") for _, place, _ in ours)):
        return []  # a wrapper of ours shows the library's environment as the task has it; the spaces say whether it fits
    if not theirs:
        return ["none of the task's wrappers"]
    names = ", ".join(dict.fromkeys(_name(name) for name, _, _ in theirs[:SHOWN]))
    return [f"other wrappers ({names})"]


def _wrapper(one: Mapping[str, Any]) -> tuple[str, str, str] | None:
    """(name, place, arguments) as text; None for one that changes nothing."""
    name, place = str(one.get("name")), str(one.get("entry_point"))
    if name in NEUTRAL and place.startswith(THEIRS):
        return None
    return name, place, json.dumps(_plain({"kwargs": one.get("kwargs")}), sort_keys=True)


def _other_limit(spec: EnvSpec, env: gym.Env[Any, Any], described: Mapping[str, Any], file: Path) -> list[str]:
    limit = described.get("max_episode_steps")
    if limit is None:
        return []
    if type(limit) is not int or limit < 1:
        raise fault(file, "env_spec", f"its max_episode_steps is {limit!r:.60}; expected a positive integer", GET_AGAIN)
    own = {spec.horizon, None if env.spec is None else env.spec.max_episode_steps}
    fits = limit in own or (spec.foreign.longest is not None and limit <= spec.foreign.longest)
    return [] if fits else [f"another max_episode_steps ({limit})"]


def _other_spaces(spec: EnvSpec, metadata: Mapping[str, Any], file: Path) -> list[str]:
    parts = {"action_space": spec.spaces.action}
    if spec.foreign.joined is None:
        parts["observation_space"] = spec.spaces.observation
    found = []
    for key, space in sorted(parts.items()):
        text = metadata.get(key)
        if text is None:
            continue
        if not isinstance(text, str):
            raise fault(file, key, f"is {type(text).__name__}, not text", GET_AGAIN)
        finite = _NO_NUMBER.sub("null", text)  # bounds, which are not looked at
        if _size(parse_json_object(finite, f"{file}: {key}")) != _size_of(space):
            found.append(f"another {key.replace('_', ' ')}")
    return found


def _size(described: object) -> Any:
    """Kind and size of a space as Minari writes it; its bounds and types are judged by the numbers that there are."""
    if not isinstance(described, dict):
        return None
    kind = described.get("type")
    if kind == "Dict" and isinstance(parts := described.get("subspaces"), dict):
        return {key: _size(part) for key, part in parts.items()}
    if kind == "Discrete":
        return "Discrete", described.get("n"), described.get("start", 0)
    return kind, described.get("shape")


def _size_of(space: gym.Space[Any]) -> Any:
    if isinstance(space, gym.spaces.Dict):
        return {key: _size_of(part) for key, part in space.spaces.items()}
    if isinstance(space, gym.spaces.Discrete):
        return "Discrete", int(space.n), int(space.start)
    return "Box", [int(size) for size in space.shape or ()]


_NOTHING = object()


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values as JSON gives them back; what JSON does not know as text."""
    plain = {}
    for key, value in values.items():
        try:
            plain[key] = json.loads(json.dumps(value, allow_nan=False, default=_parts))
        except (TypeError, ValueError):
            plain[key] = repr(value)
    return plain


def _parts(value: Any) -> Any:
    """A dataclass as gymnasium writes it."""
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    raise TypeError


def _name(text: str) -> str:
    """A name out of a file, if it is one."""
    return text[:40] if text.isidentifier() else repr(text[:40])
