"""Names of the built-in environments; importable without gymnasium or any environment library.

The object behind a name is a function ``(**options) -> EnvSpec``; its keyword arguments are the keys ``env.<option>``.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from dsbench.envs.marking import check_callable
from dsbench.envs.origin import Origin, requirements
from dsbench.envs.spec import EnvSpec
from dsbench.errors import DsbenchError, UsageError, suggestion
from dsbench.outside.blame import told
from dsbench.outside.source import Source
from dsbench.registry import Catalogue, Entry, OpenFamily

_ALWAYS = ("numpy", "gymnasium")  # what every environment's data is made with

ENVS = Catalogue(
    "env",
    [
        Entry(
            "umbrella",
            "credit assignment under return noise: only the first action counts, the rewards between are coin flips",
            "bsuite umbrella_length and umbrella_distract (Osband et al. 2020, arXiv:1908.03568)",
            "dsbench.envs.tasks.umbrella:umbrella",
            libraries=("bsuite",),
        ),
        Entry(
            "memory-len",
            "memory: a bit shown at the start is asked for at the end",
            "bsuite memory_len (Osband et al. 2020, arXiv:1908.03568)",
            "dsbench.envs.tasks.memory:memory_len",
            libraries=("bsuite",),
        ),
        Entry(
            "memory-size",
            "memory: of several bits shown at the start one is asked for",
            "bsuite memory_size (Osband et al. 2020, arXiv:1908.03568)",
            "dsbench.envs.tasks.memory:memory_size",
            libraries=("bsuite",),
        ),
        Entry(
            "repeat-first",
            "memory: the suit of the first card is named while others go by",
            "popgym RepeatFirst (Morad et al. 2023, arXiv:2303.01859)",
            "dsbench.envs.tasks.repeat:repeat_first",
            extra="popgym",
            libraries=("popgym",),
        ),
        Entry(
            "repeat-previous",
            "memory: the suit of the card some timesteps ago is named",
            "popgym RepeatPrevious (Morad et al. 2023, arXiv:2303.01859)",
            "dsbench.envs.tasks.repeat:repeat_previous",
            extra="popgym",
            libraries=("popgym",),
        ),
        Entry(
            "recall",
            "memory: pairs of a key and a value go by, then the value of one key is asked for",
            "associative recall (Ba et al. 2016, arXiv:1610.06258; Arora et al. 2023, arXiv:2312.04927), made a task here",
            "dsbench.envs.tasks.recall:recall",
        ),
        Entry(
            "state-tracking",
            "memory: items change places by one permutation after another, and the place of one is named",
            "the word problem of S2, S3 and S5 (Merrill et al. 2024, arXiv:2404.08819), made a task here",
            "dsbench.envs.tasks.state_tracking:state_tracking",
        ),
        Entry(
            "t-maze",
            "memory: a hint at the start of a corridor says which way to turn at its end",
            "Bakker 2001; Ni et al. 2023 (arXiv:2307.03864), seen as in RATE (Cherepanov et al. 2023, arXiv:2306.09459)",
            "dsbench.envs.tasks.t_maze:t_maze",
        ),
        Entry(
            "door-key",
            "credit assignment: fetch the key, open the door, walk to the goal; only the goal pays",
            "minigrid DoorKey (Chevalier-Boisvert et al. 2023, arXiv:2306.13831)",
            "dsbench.envs.tasks.door_key:door_key",
            libraries=("minigrid",),
        ),
        Entry(
            "graph-walk",
            "stitching: shortest paths in a random graph, put together from walks of which none takes them whole",
            "the Decision Transformer's illustration (Chen et al. 2021, arXiv:2106.01345)",
            "dsbench.envs.tasks.graph_walk:graph_walk",
        ),
        Entry(
            "cartpole",
            "control: a pole on a cart is balanced, the whole state seen",
            "gymnasium CartPole-v1 (Barto, Sutton and Anderson 1983)",
            "dsbench.envs.tasks.cartpole:cartpole",
        ),
        Entry(
            "cartpole-position",
            "memory and control: a pole on a cart is balanced, the velocities hidden",
            "gymnasium CartPole-v1 seen as in popgym PositionOnlyCartPole (Morad et al. 2023, arXiv:2303.01859)",
            "dsbench.envs.tasks.cartpole:cartpole_position",
        ),
        Entry(
            "cartpole-velocity",
            "control: a pole on a cart is balanced, the positions hidden",
            "gymnasium CartPole-v1 seen as in popgym VelocityOnlyCartPole (Morad et al. 2023, arXiv:2303.01859)",
            "dsbench.envs.tasks.cartpole:cartpole_velocity",
        ),
        Entry(
            "cartpole-noisy",
            "memory and control: a pole on a cart is balanced, its positions seen through noise",
            "gymnasium CartPole-v1 seen as in popgym NoisyPositionOnlyCartPole (Morad et al. 2023, arXiv:2303.01859)",
            "dsbench.envs.tasks.cartpole:cartpole_noisy",
        ),
        Entry(
            "hopper",
            "control: one leg of rigid links hops forwards in MuJoCo",
            "gymnasium Hopper-v5 and -v4, data as D4RL makes it (Fu et al. 2020, arXiv:2004.07219)",
            "dsbench.envs.tasks.mujoco:hopper",
            extra="mujoco",
            libraries=("mujoco",),
        ),
        Entry(
            "halfcheetah",
            "control: two legs on a long body run forwards in MuJoCo",
            "gymnasium HalfCheetah-v5 and -v4, data as D4RL makes it (Fu et al. 2020, arXiv:2004.07219)",
            "dsbench.envs.tasks.mujoco:halfcheetah",
            extra="mujoco",
            libraries=("mujoco",),
        ),
        Entry(
            "walker2d",
            "control: two legs walk forwards in MuJoCo",
            "gymnasium Walker2d-v5 and -v4, data as D4RL makes it (Fu et al. 2020, arXiv:2004.07219)",
            "dsbench.envs.tasks.mujoco:walker2d",
            extra="mujoco",
            libraries=("mujoco",),
        ),
        Entry(
            "key-to-door",
            "credit assignment over a gap: a key taken early opens a door much later",
            "Hung et al. 2019 (arXiv:1810.06721), Chen et al. 2021 (arXiv:2106.01345)",
            "dsbench.envs.tasks.key_to_door:key_to_door",
        ),
        Entry(
            "key-to-apples",
            "credit assignment: keys to a room of apples and to a third one, with the inventory hidden",
            'the course report "Offline RL with S4", made definite here',
            "dsbench.envs.tasks.key_to_apples:key_to_apples",
        ),
        Entry(
            "antmaze-umaze",
            "an ant walks through a U-shaped maze, for data from D4RL and Minari",
            "D4RL antmaze-umaze (Fu et al. 2020, arXiv:2004.07219) in gymnasium-robotics",
            "dsbench.envs.tasks.antmaze:antmaze_umaze",
            extra="robotics",
            libraries=("gymnasium-robotics", "mujoco"),
        ),
        Entry(
            "antmaze-umaze-diverse",
            "the same maze, for data that began and went anywhere in it",
            "D4RL antmaze-umaze-diverse (Fu et al. 2020, arXiv:2004.07219) in gymnasium-robotics",
            "dsbench.envs.tasks.antmaze:antmaze_umaze_diverse",
            extra="robotics",
            libraries=("gymnasium-robotics", "mujoco"),
        ),
    ],
    group="dsbench.envs",
    open_families=[
        OpenFamily(
            "gym",
            "id",
            "an environment of gymnasium by its id, such as gym:Acrobot-v1; --set env.OPTION goes to it",
            "gymnasium and what is installed for it",
            "dsbench.envs.gym_ids",
        )
    ],
)


def get_spec(name: str, **options: Any) -> EnvSpec:
    """The environment called `name` under these options, for a name that the user gives: code from outside may run.

    Args:
        name: of the catalogue, ``gym:<id>``, ``package.module:attribute`` or ``path/file.py:attribute``.

    Raises:
        UsageError: an unknown option, with the closest one, or something that makes no environment.
    """
    ENVS.named(name)
    return spec_of(name, options)


def spec_of(name: str, options: Mapping[str, Any]) -> EnvSpec:
    """The same for a name that may have come from a file.

    Raises:
        Untrusted: it stands for code from outside that the user did not name.
        UsageError: as of `get_spec`.
    """
    make, source = ENVS.load(name), ENVS.source(name)
    if isinstance(make, EnvSpec):
        if options:
            raise UsageError(f"env {name!r} is an EnvSpec and has no options; leave out {', '.join(options)}")
        return replace(make, origin=_origin_of(name, options, source))
    if ENVS.is_outside(name) and source is not None and not _is_ours(make):
        check_callable(name, make, source)
    known = inspect.signature(make).parameters
    takes_all = any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values())
    for option in options:
        if option not in known and not takes_all:
            hint = suggestion(option, known) or f"Known: {', '.join(sorted(known)) or 'none'}."
            raise UsageError(f"env {name!r} has no option {option!r}. {hint}")
    spec = make(**options) if ENVS.is_own(name) else _described(name, make, options)
    if not isinstance(spec, EnvSpec):
        hint = f"; write def task(): return EnvSpec.from_gym({make.__name__}, ...)" if inspect.isclass(make) else ""
        raise UsageError(f"{name!r} returned {spec!r}; expected a function that returns an EnvSpec{hint}")
    return replace(spec, origin=_origin_of(name, options, source))


def families() -> dict[str, str]:
    """Environment -> its family: those of one module belong together."""
    return {
        entry.name: entry.target.partition(":")[0].rpartition(".")[2].replace("_", "-")
        for entry in ENVS
        if entry.target.startswith("dsbench.")
    }


def _described(name: str, make: Any, options: Mapping[str, Any]) -> Any:
    """What code from elsewhere makes of these options; `UsageError` in the place of what it raises."""
    try:
        return make(**options)
    except (DsbenchError, MemoryError):
        raise
    except (Exception, SystemExit) as error:
        raise UsageError(f"env {name!r} raised {told(error, 'when asked for its EnvSpec')}") from error


def _is_ours(make: Any) -> bool:
    """Whether a user's module passes on one of the catalogue's own functions."""
    target = f"{getattr(make, '__module__', '')}:{getattr(make, '__qualname__', '')}"
    return any(entry.target == target for entry in ENVS if entry.target.startswith("dsbench."))


def _origin_of(name: str, options: Mapping[str, Any], source: Source | None) -> Origin:
    libraries = _ALWAYS if ENVS.is_reference(name) else (*_ALWAYS, *ENVS.entry(name).libraries)
    if source is None:
        return Origin(name, dict(options), libraries=requirements(libraries))
    reference = source.digest if ENVS.is_outside(name) else name
    return Origin(reference, dict(options), source.label, requirements(libraries, source.libraries))
