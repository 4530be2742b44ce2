"""What is read from recorded graph walks: their scores, the return to ask for, and what the data could teach a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dsbench.envs.targets import Target
from dsbench.envs.tasks.graph_walk_graphs import Graph
from dsbench.episodes import Episodes, Observations


def start_of(observations: Observations) -> NDArray[np.int64]:
    """(rows,) the nodes behind (rows,) observations; a start is its node."""
    return np.asarray(observations, np.int64)


def score(episodes: Episodes, graph: Graph, walk_length: int) -> dict[str, np.ndarray]:
    """Per-episode measures.

    Returns:
        ``return``; ``success``, the goal was reached; ``optimal``, on a shortest path; ``path_excess``, steps beyond a
        shortest path, where a miss counts as a walk of walk_length + 1 steps.
    """
    shortest = graph.distances[start_of(episodes.observations)[episodes.starts[:-1]]]
    arrived = episodes.terminated[episodes.ends]
    steps = np.where(arrived, episodes.lengths, walk_length + 1)
    return {
        "return": episodes.returns(),
        "success": arrived.astype(np.float64),
        "optimal": (steps == shortest).astype(np.float64),
        "path_excess": (steps - shortest).astype(np.float64),
    }


@dataclass(frozen=True)
class ShortestFromStart:
    """For each start the return of a shortest path.

    Where the data shows no arrival from a start, its best return there would ask for a miss.

    Attributes:
        best: (nodes,) that return.
        starts: nodes on which evaluated episodes begin.
        start_of: (rows,) index of the start in (rows,) observations.
    """

    best: NDArray[np.float64]
    starts: NDArray[np.int64]
    start_of: Callable[[Observations], NDArray[np.int64]] = start_of
    text: str = "shortest path from the start"

    def __call__(self, episodes: Episodes, quantile: float, opposite_quantile: float) -> Mapping[str, Target]:
        return {"target": Target(float(self.best[self.starts].mean()), self.best, self.start_of)}


def hindsight_bounds(episodes: Episodes, graph: Graph, starts: NDArray[np.int64]) -> dict[str, float]:
    """Shares of the evaluated starts that a table from (node, return-to-go) to action solves by a shortest path.

    Asked for the shortest path's return, the table finds at a node the walks that took one from there, if there are any;
    the rest of such a walk then serves each later step. Parts of different walks are never put together.

    Returns:
        ``hindsight_bound``, with the end of every walk, from any of its nodes on, as hindsight relabelling uses them;
        ``whole_walk_bound``, with whole walks alone, from the nodes on which they began.
    """
    nodes = start_of(episodes.observations)
    shown = episodes.returns_to_go() == -graph.distances[nodes]
    begins = episodes.timesteps() == 0
    return {
        "hindsight_bound": float(np.isin(starts, nodes[shown]).mean()),
        "whole_walk_bound": float(np.isin(starts, nodes[shown & begins]).mean()),
    }
