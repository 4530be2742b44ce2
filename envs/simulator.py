"""Which simulator stands behind a task, by name and version: what decides its physics (`EnvSpec.simulator`)."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def simulated_by(library: str, env_id: str) -> dict[str, str]:
    """The library's environment, and the version of MuJoCo where it is installed.

    Args:
        library: whose environment it is, such as ``gymnasium``.
        env_id: its id there, with its version.
    """
    try:
        return {library: env_id, "mujoco": version("mujoco")}
    except PackageNotFoundError:
        return {library: env_id}
