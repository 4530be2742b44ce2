"""Ids of gymnasium: environments made by theirs, and the catalogue's family ``gym:<id>``.

A package registers its ids when it is imported, so what stands in the registry depends on what ran before. ``gym:<id>`` is an
id that gymnasium brings itself, or by a plug-in; ``gym:<package>:<id>`` names the package as well, which is code from outside:
it is imported only for who names it on the command line or in Python.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dsbench.errors import UsageError, suggestion
from dsbench.outside.locating import is_installed, on_path
from dsbench.outside.source import GYM, Source
from dsbench.registry import installed_points

if TYPE_CHECKING:
    import gymnasium as gym

    from dsbench.envs.spec import EnvSpec

_PLUG_INS = "gymnasium.envs"  # group of the entry points that gymnasium itself loads
_NOT_OPTIONS = {
    "render_mode": "pictures are made by dsbench watch",
    "max_episode_steps": "give horizon in its place",
    "id": "it is the name itself",
}


@dataclass(frozen=True)
class Registered:
    """The environment of an id, made under these options and with this time limit.

    Attributes:
        limit: timesteps after which gymnasium cuts an episode; None leaves the limit that the id has.
    """

    name: str
    limit: int | None
    options: Mapping[str, Any]

    @classmethod
    def of(cls, name: str, horizon: int | None, options: Mapping[str, Any]) -> Registered:
        """`UsageError` for an id that is not registered, with the closest one, and for options that are ours to set."""
        for option, instead in _NOT_OPTIONS.items():
            if option in options:
                raise UsageError(f"env {name!r} takes no option {option!r}: {instead}")
        known = registered(name)
        return cls(name, None if horizon == known.max_episode_steps else horizon, options)

    def __call__(self, render_mode: str | None = None) -> gym.Env[Any, Any]:
        import gymnasium as gym

        limit = {} if self.limit is None else {"max_episode_steps": self.limit}
        return gym.make(self.name, render_mode=render_mode, disable_env_checker=True, **limit, **self.options)


def registered(name: str) -> Any:
    """gymnasium's own spec of an id; one with a module part imports the module.

    Raises:
        UsageError: there is no such id, with the closest one; the module is not there, or raises.
    """
    import gymnasium as gym

    from dsbench.envs.spaces import called

    module, _, plain = name.rpartition(":")
    if module:
        called(lambda: importlib.import_module(module), f"module {module!r} of env {name!r}", "when imported")
    if plain not in gym.registry:
        raise _unknown("id of gymnasium", "", plain, list(gym.registry))
    return gym.registry[plain]


def names() -> list[str]:
    """Ids that ``import gymnasium`` brings, its own and those of its plug-ins: the same in every process.

    What else stands in the registry was put there by something that this process happened to import.
    """
    import gymnasium as gym

    tops = {"gymnasium", *(point.module.partition(".")[0] for point in installed_points(_PLUG_INS))}
    installed = {top for top in tops if (found := on_path(top)) is not None and is_installed(found)}
    return [one for one, spec in gym.registry.items() if _module(spec).partition(".")[0] in installed]


def target(name: str) -> str:
    """``package.module:attribute`` behind an id of `names`; `UsageError` with the closest one for others."""
    import gymnasium as gym

    if name not in names():
        raise _unknown("env", GYM, name, names(), f"   (an id of another package: {GYM}PACKAGE:ID)")
    spec = gym.registry[name]
    return str(spec.entry_point) if isinstance(spec.entry_point, str) else f"{_module(spec)}:{_attribute(spec)}"


def load(name: str) -> Callable[..., EnvSpec]:
    """The function behind ``gym:<id>``; raises as `target`."""
    target(name)
    return _task(f"{GYM}{name}", name)


def load_outside(source: Source) -> Callable[..., EnvSpec]:
    """That behind ``gym:<package>:<id>``: the package is imported, and registers its ids.

    Raises:
        UsageError: it is no installed package, or registers no such id.
    """
    name = f"{source.module}:{source.attribute}"
    if source.files:
        raise UsageError(
            f"{GYM}{name} names {source.place}, which is no installed package; write a file of your own with "
            f"task = EnvSpec.from_gym(...) for its environment, and give --env FILE.py:task"
        )
    registered(name)
    return _task(f"{GYM}{name}", name)


def _task(called_as: str, name: str) -> Callable[..., EnvSpec]:
    from dsbench.envs.from_gym import spec_from_gym
    from dsbench.envs.marking import makes_spec

    @makes_spec
    def task(
        horizon: int | None = None, success: float | None = None, best: float | None = None, **options: Any
    ) -> EnvSpec:
        for option, value in (("success", success), ("best", best)):
            if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float))):
                raise UsageError(f"env.{option} is {value!r}; expected a return, a number")
        return spec_from_gym(
            name, horizon=horizon, success=success, best=best, options=options, name=called_as,
            summary=f"{name} of gymnasium",
        )  # fmt: skip

    return task


def _unknown(kind: str, prefix: str, name: str, known: list[str], where: str = "") -> UsageError:
    """Names the id that one who wrote `name` may have meant: the last version of the same environment, or the closest one."""
    plain = name.partition("-v")[0].lower()
    same = [one for one in known if one.partition("-v")[0].lower() == plain]
    hint = suggestion(f"{prefix}{name}", [f"{prefix}{one}" for one in same[-1:] or known])
    return UsageError(
        f"unknown {kind} {prefix + name!r}. {hint or f'There are {len(known)}, such as {prefix}CartPole-v1.'}{where}"
    )


def _module(spec: Any) -> str:
    entry = spec.entry_point
    return entry.partition(":")[0] if isinstance(entry, str) else str(getattr(entry, "__module__", ""))


def _attribute(spec: Any) -> str:
    return str(getattr(spec.entry_point, "__qualname__", "make"))
