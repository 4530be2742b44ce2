"""What the arguments of ``dsbench data`` ask for: an environment under its options, and the episodes of a source."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dsbench.config.settings import DataConfig
    from dsbench.envs import EnvSpec
    from dsbench.envs.data import DataInfo
    from dsbench.episodes import Episodes


def spec_asked(env: str, overrides: list[str] | None) -> tuple[EnvSpec, DataConfig]:
    """The environment under its options, and the data that a run of it takes."""
    from dsbench.config import resolve
    from dsbench.envs import get_spec
    from dsbench.errors import UsageError

    for text in overrides or ():
        if not text.startswith("env."):
            raise UsageError(f"--set {text!r} is no option of the environment; expected env.OPTION=VALUE")
    config = resolve(backbone="gpt", env=env, overrides=overrides or ())
    return get_spec(config.env.name, **config.env.options), config.data


def data_asked(default: DataConfig, recipe: str, seed: int, episodes: int | None, timesteps: int | None) -> DataConfig:
    """The data of a run, but of this recipe and seed, and of this size where one is given."""
    from dsbench.errors import UsageError

    if episodes is not None and timesteps is not None:
        raise UsageError(f"--episodes is {episodes} and --timesteps is {timesteps}; a data set has one size, give one")
    asked = default.model_copy(update={"recipe": recipe, "seed": seed})
    if episodes is None and timesteps is None:
        return asked
    return asked.model_copy(update={"episodes": episodes or default.episodes, "timesteps": timesteps})


def load_asked(spec: EnvSpec, data: DataConfig) -> tuple[Episodes, DataInfo]:
    """Episodes of any source, with progress where they are made."""
    from dsbench.envs.data.source import load_source
    from dsbench.running.progress import display

    size = data.timesteps or data.episodes
    with display() as shown:
        return load_source(
            spec,
            data.recipe,
            data.episodes,
            data.seed or 0,
            timesteps=data.timesteps,
            on_block=lambda done: shown.event("data", {"phase": "data", "done": done, "total": size}),
        )
