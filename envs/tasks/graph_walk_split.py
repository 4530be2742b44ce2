"""From which nodes of a graph walks are evaluated, and which of these the data keeps from arriving."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dsbench import seeds
from dsbench.envs.options import check_choice
from dsbench.envs.tasks.graph_walk_graphs import Graph, check_graph_options, distances, draw_graph
from dsbench.errors import UsageError

SPLITS = ("uniform", "stitch")
TEST_SHARE = 0.25  # of the nodes besides the goal, at most, where no share is asked for; "stitch" alone


@dataclass(frozen=True)
class Walks:
    """What the options come to.

    Attributes:
        starts: nodes on which evaluated episodes begin.
        cut: (n,) bool, test starts, after which data walks may not arrive; all False where there are none.
    """

    graph: Graph
    walk_length: int
    starts: NDArray[np.int64]
    cut: NDArray[np.bool_]


def walks_of(
    nodes: int, edge_probability: float, walk_length: int, graph_seed: int, split: str, test_share: float | None = None
) -> Walks:
    """The graph and the starts behind these options; `UsageError` for options that cannot be."""
    check_graph_options(nodes, edge_probability, walk_length, graph_seed)
    _check_split(nodes, split, test_share)
    graph = draw_graph(nodes, float(edge_probability), walk_length, graph_seed)
    if split == "uniform" or test_share == 0:
        return Walks(graph, walk_length, np.arange(1, nodes), np.zeros(nodes, bool))
    starts = separable_starts(graph, TEST_SHARE if test_share is None else test_share, graph_seed)
    if not len(starts):
        raise UsageError(
            f"env.split is 'stitch' and the graph of env.graph_seed={graph_seed} has no node that could be a test start; "
            "take another seed, more nodes or env.split=uniform"
        )
    if test_share is not None and len(starts) < _count(test_share, nodes):
        raise UsageError(
            f"env.test_share is {test_share}, {_count(test_share, nodes)} of {nodes - 1} nodes, and the graph of "
            f"env.graph_seed={graph_seed} gives {len(starts)} test starts; expected at most "
            f"{_share(len(starts), nodes):g}, or another seed"
        )
    return Walks(graph, walk_length, starts, np.isin(np.arange(nodes), starts))


def _count(share: float, nodes: int) -> int:
    """Whole nodes in this share of those besides the goal; 0.29 of 100 is 29, although its double is a little less."""
    return int(share * (nodes - 1) + 1e-9)


def _share(count: int, nodes: int) -> float:
    """The share to ask for so many nodes by, in thousandths: there are fewer nodes than these."""
    return math.ceil(1000 * count / (nodes - 1)) / 1000


def separable_starts(graph: Graph, share: float, seed: int) -> NDArray[np.int64]:
    """Nodes, up to `share` of those besides the goal, that no shortest path of any node needs to pass through.

    So if the walks through them are kept from arriving, the others still show the best way from every neighbour of theirs.
    Each of them has a wrong turn and lies at least two steps from the goal, as one step cannot be put together. Those of a
    smaller share are among those of a larger one.
    """
    wanted = _count(share, graph.nodes)
    chosen = np.zeros(graph.nodes, bool)
    far = (graph.distances >= 2) & (graph.edges != graph.shortest).any(1)
    for node in seeds.stream(seed, "test starts").permutation(np.flatnonzero(far)):
        if chosen.sum() >= wanted:
            break
        chosen[node] = True
        if (distances(graph.edges & ~chosen[None, :]) != graph.distances).any():
            chosen[node] = False
    return np.flatnonzero(chosen)


def _check_split(nodes: int, split: str, test_share: float | None) -> None:
    check_choice("split", split, SPLITS)
    if test_share is None:
        return
    least = _share(1, nodes)
    sound = type(test_share) in (int, float) and 0 <= test_share <= 1
    if not sound or 0 < test_share < 1 / (nodes - 1) - 1e-9:
        raise UsageError(
            f"env.test_share is {test_share!r}; expected 0, or of the {nodes - 1} nodes besides the goal a share from "
            f"{least:g} to 1"
        )
    if split != "stitch":
        raise UsageError(
            f"env.test_share is {test_share} and env.split is {split!r}, without test starts; leave out one"
        )
