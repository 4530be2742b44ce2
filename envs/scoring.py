"""What an environment's own `score` makes of played episodes, held to be finite numbers under the names that it promises."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dsbench.envs.spec import EnvSpec
from dsbench.episodes import Episodes
from dsbench.errors import DsbenchError, EnvironmentFault
from dsbench.outside.blame import told


def scores(spec: EnvSpec, recorded: Episodes) -> dict[str, np.ndarray]:
    """`EnvSpec.score` of recorded episodes: each measure a finite number an episode, ``return`` and the success measure there.

    Raises:
        EnvironmentFault: the function raised, or its measures are others.
    """
    try:
        found = spec.score(recorded)
        measures = {name: np.asarray(values) for name, values in found.items()}
    except (DsbenchError, MemoryError):
        raise
    except (Exception, SystemExit) as error:
        raise EnvironmentFault(f"score of env {spec.id} raised {told(error)}") from error
    if not all(isinstance(name, str) for name in measures):
        raise EnvironmentFault(f"score of env {spec.id} gave measures called {list(measures)}; expected names")
    for name in ("return", spec.success_metric):
        if name not in measures:
            raise EnvironmentFault(
                f"score of env {spec.id} gave the measures {sorted(measures)} without {name!r}; expected 'return' "
                f"and the success measure {spec.success_metric!r}, a number for each episode"
            )
    for name, values in measures.items():
        if values.shape != (len(recorded),) or values.dtype.kind not in "biuf":
            what = f"{values.dtype} of shape {values.shape}; expected {len(recorded)} numbers, one an episode"
            raise EnvironmentFault(f"score of env {spec.id} gave {name!r} as {what}")
        if not np.isfinite(values).all():
            episode = int(np.flatnonzero(~np.isfinite(values))[0])
            raise EnvironmentFault(f"score of env {spec.id} gave {name!r} of {values[episode]} for episode {episode}")
    return measures


def joined(spec: EnvSpec, parts: Sequence[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The `scores` of several recordings as those of one; `EnvironmentFault` if they hold different measures."""
    for part in parts:
        if part.keys() != parts[0].keys():
            raise EnvironmentFault(
                f"score of env {spec.id} gave the measures {sorted(part)} for some episodes and {sorted(parts[0])} for others"
            )
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
