"""What the arguments of ``dsbench data`` ask for: an environment under its options, and the episodes of a source."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dsbench.envs import EnvSpec
    from dsbench.envs.data import DataInfo
    from dsbench.episodes import Episodes


def spec_asked(env: str, overrides: list[str] | None) -> tuple[EnvSpec, int]:
    """The environment under its options, and how many episodes a run of it takes."""
    from dsbench.config import resolve
    from dsbench.envs import get_spec
    from dsbench.errors import UsageError

    for text in overrides or ():
        if not text.startswith("env."):
            raise UsageError(f"--set {text!r} is no option of the environment; expected env.OPTION=VALUE")
    config = resolve(backbone="gpt", env=env, overrides=overrides or ())
    return get_spec(config.env.name, **config.env.options), config.data.episodes


def load_asked(spec: EnvSpec, recipe: str, episodes: int, seed: int) -> tuple[Episodes, DataInfo]:
    """Episodes of any source, with progress where they are made."""
    from dsbench.envs.data.source import load_source
    from dsbench.running.progress import display

    with display() as shown:
        return load_source(
            spec,
            recipe,
            episodes,
            seed,
            on_block=lambda done: shown.event("data", {"phase": "data", "done": done, "total": episodes}),
        )
