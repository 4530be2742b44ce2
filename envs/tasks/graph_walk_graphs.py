"""Directed random graphs with a goal that can be reached from everywhere, and exact sums over walks in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from dsbench import seeds
from dsbench.envs.options import check_integer
from dsbench.errors import UsageError

GOAL = 0
MAX_DRAWS = 10_000
MAX_NODES = 500
MAX_WALK_LENGTH = 10_000


@dataclass(frozen=True, eq=False)
class Graph:
    """A directed graph whose node 0 is the goal, which a walk does not leave.

    Attributes:
        edges: (n, n) bool, whether one can go from row to column; the goal's row holds its own loop alone.
    """

    edges: NDArray[np.bool_]

    @property
    def nodes(self) -> int:
        return len(self.edges)

    @cached_property
    def distances(self) -> NDArray[np.int64]:
        """(n,) steps to the goal on a shortest path; n where there is none."""
        return distances(self.edges)

    @cached_property
    def shortest(self) -> NDArray[np.bool_]:
        """(n, n) the edges that begin a shortest path, and the goal's loop."""
        nearer = self.distances[None, :] == self.distances[:, None] - 1
        return self.edges & (nearer | np.eye(self.nodes, dtype=bool))

    def mean_return(self, epsilon: float, walk_length: int, starts: NDArray[np.int64]) -> float:
        """Exact mean return over these starts of shortest paths with uniform steps at rate `epsilon`.

        A step costs 1; the last step of a walk that does not arrive costs walk_length + 1 instead.
        """
        uniform = self.edges / self.edges.sum(1, keepdims=True)
        best = self.shortest / self.shortest.sum(1, keepdims=True)
        steps = epsilon * uniform + (1 - epsilon) * best
        value = np.where(np.arange(self.nodes) == GOAL, 0.0, -float(walk_length))  # what missing costs beyond the steps
        for _ in range(walk_length):
            value = steps @ value - 1
            value[GOAL] = 0.0
        return float(value[starts].mean())

    def chance_of_shortest(self, starts: NDArray[np.int64]) -> float:
        """Exact share of uniform walks from these starts that take a shortest path."""
        uniform = self.edges / self.edges.sum(1, keepdims=True)
        share = (np.arange(self.nodes) == GOAL).astype(np.float64)
        for node in np.argsort(self.distances)[1:]:
            share[node] = (uniform[node] * self.shortest[node]) @ share
        return float(share[starts].mean())


def distances(edges: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(n,) least number of edges from each node to the goal; n where there is no way."""
    nodes = len(edges)
    found = np.full(nodes, nodes, np.int64)
    frontier = np.arange(nodes) == GOAL
    steps = 0
    while frontier.any():
        found[frontier] = steps
        frontier = edges[:, frontier].any(1) & (found == nodes)
        steps += 1
    return found


@lru_cache(maxsize=64)
def draw_graph(nodes: int, edge_probability: float, walk_length: int, seed: int) -> Graph:
    """The first graph of this seed's stream in which every node reaches the goal within `walk_length` steps.

    Each ordered pair of different nodes is an edge with the given probability. Graphs without a wrong turn are redrawn too.

    Raises:
        UsageError: none came up in 10,000 draws.
    """
    generator = seeds.stream(seed, "graph-walk")
    for _ in range(MAX_DRAWS):
        edges = generator.random((nodes, nodes)) < edge_probability
        edges[np.eye(nodes, dtype=bool)] = False
        edges[GOAL] = np.arange(nodes) == GOAL
        if not edges.any(1).all():
            continue
        graph = Graph(edges)
        if graph.distances.max() <= min(walk_length, nodes - 1) and (graph.edges != graph.shortest).any():
            return graph
    raise UsageError(
        f"no graph of env.nodes={nodes} and env.edge_probability={edge_probability} drawn {MAX_DRAWS} times lets every "
        f"node reach the goal within env.walk_length={walk_length} steps; raise the probability or the length"
    )


def check_graph_options(nodes: int, edge_probability: float, walk_length: int, graph_seed: int) -> None:
    """`UsageError` for what makes no graph."""
    check_integer("nodes", nodes, 3, MAX_NODES)
    if type(edge_probability) not in (int, float) or not 0 < edge_probability <= 1:
        raise UsageError(f"env.edge_probability is {edge_probability!r}; expected a number above 0, at most 1")
    check_integer("walk_length", walk_length, 1, MAX_WALK_LENGTH)
    check_integer("graph_seed", graph_seed, 0)


def picture(graph: Graph, path: Sequence[int]) -> NDArray[np.uint8]:
    """(320, 320, 3) the nodes on a circle, the goal green, the edges grey; the path in orange, where it is now in red."""
    from dsbench.envs import drawing

    canvas = drawing.Canvas(drawing.WIDTH, drawing.WIDTH)
    middle, radius = drawing.WIDTH / 2, max(4.0, min(12.0, 300 / graph.nodes))
    angles = 2 * np.pi * np.arange(graph.nodes) / graph.nodes
    circle = middle - radius - 4
    places = np.stack([middle + circle * np.sin(angles), middle - circle * np.cos(angles)], 1).tolist()
    for start, end in zip(*np.nonzero(graph.edges), strict=True):
        canvas.arrow(tuple(places[start]), tuple(places[end]), drawing.PALE, gap=radius)
    for start, end in pairwise(path):
        canvas.arrow(tuple(places[start]), tuple(places[end]), drawing.ORANGE, width=3, gap=radius)
    for node, place in enumerate(places):
        fill = drawing.GREEN if node == GOAL else drawing.ORANGE if node in path else drawing.WHITE
        canvas.disc(tuple(place), radius, drawing.RED if node == path[-1] != GOAL else fill, str(node))
    return canvas.array()
