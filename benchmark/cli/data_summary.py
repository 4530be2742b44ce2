"""What ``dsbench data`` says about a data set: (what, value) pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dsbench.envs.data import DataInfo
    from dsbench.episodes import Episodes


def described(info: DataInfo) -> list[tuple[str, str]]:
    """What a set is and where it lies."""
    quantiles = ", ".join(f"{float(q):.0%} {value:g}" for q, value in info.return_quantiles.items())
    return [
        ("environment", info.env),
        ("recipe", info.recipe if info.seed is None else f"{info.recipe}, seed {info.seed}"),
        ("episodes", f"{info.episodes:,} ({info.timesteps:,} timesteps)"),
        ("mean return", f"{info.mean_return:g}"),
        ("returns", quantiles),
        *([("physics", info.physics)] if info.physics else []),
        ("sha256", info.sha256),
        ("folder", info.path),
    ]


def beside_published(info: DataInfo, episodes: Episodes) -> list[tuple[str, str]]:
    """The returns of a published set that a recipe is made after, and those here; nothing where there is none."""
    from dsbench.envs.tasks.mujoco_reference import published

    text = published(info.env, info.recipe)
    if text is None:
        return []
    returns = episodes.returns()
    return [("published", f"{text}; {returns.mean():.0f} ± {returns.std():.0f} here")]


def reported(source: dict[str, Any]) -> list[tuple[str, str]]:
    """What the loader said when the set was imported."""
    report = source["report"]
    left_out = f"{report['dropped_episodes']} episodes with faults, {report['dropped_timesteps']} unfinished timesteps"
    constant = report["constant_features"]
    return [
        ("from", f"{source['file']}, sha256 {source['file_sha256']}"),
        ("left out", left_out),
        ("clipped", f"{report['clipped']} action entries"),
        ("duplicates", f"{report['duplicates']} episodes"),
        *([("constant", ", ".join(constant))] if constant else []),
        *[("warning", text) for text in report["warnings"]],
    ]


def settings(values: dict[str, Any]) -> str:
    """``a=1, b=2``."""
    return ", ".join(f"{name}={value}" for name, value in values.items()) or "-"
