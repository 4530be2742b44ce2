"""Directed random graphs with a goal that can be reached from everywhere, and exact sums over walks in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from dsbench import seeds
from dsbench.envs.options import check_choice, check_integer
from dsbench.errors import UsageError

GOAL = 0
MAX_DRAWS = 10_000
MAX_NODES = 500
MAX_WALK_LENGTH = 10_000
SPLITS = ("uniform", "stitch")
TEST_SHARE = 0.25  # of the nodes besides the goal, at most; "stitch" alone


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


@dataclass(frozen=True)
class Walks:
    """What the options come to.

    Attributes:
        starts: nodes on which evaluated episodes begin.
        cut: (n,) bool, test starts, after which data walks may not arrive; all False without a split.
    """

    graph: Graph
    walk_length: int
    starts: NDArray[np.int64]
    cut: NDArray[np.bool_]


def walks_of(nodes: int, edge_probability: float, walk_length: int, graph_seed: int, split: str) -> Walks:
    """The graph and the starts behind these options; `UsageError` for options that cannot be."""
    _check_options(nodes, edge_probability, walk_length, graph_seed, split)
    graph = draw_graph(nodes, float(edge_probability), walk_length, graph_seed)
    if split == "uniform":
        return Walks(graph, walk_length, np.arange(1, nodes), np.zeros(nodes, bool))
    starts = separable_starts(graph, TEST_SHARE, graph_seed)
    if not len(starts):
        raise UsageError(
            f"env.split is 'stitch' and the graph of env.graph_seed={graph_seed} has no node that could be a test start; "
            "take another seed, more nodes or env.split=uniform"
        )
    return Walks(graph, walk_length, starts, np.isin(np.arange(nodes), starts))


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


def separable_starts(graph: Graph, share: float, seed: int) -> NDArray[np.int64]:
    """Nodes, up to `share` of those besides the goal, that no shortest path of any node needs to pass through.

    So if the walks through them are kept from arriving, the others still show the best way from every neighbour of theirs.
    Each of them has a wrong turn and lies at least two steps from the goal, as one step cannot be put together.
    """
    wanted = int(share * (graph.nodes - 1))
    chosen = np.zeros(graph.nodes, bool)
    far = (graph.distances >= 2) & (graph.edges != graph.shortest).any(1)
    for node in seeds.stream(seed, "test starts").permutation(np.flatnonzero(far)):
        if chosen.sum() >= wanted:
            break
        chosen[node] = True
        if (distances(graph.edges & ~chosen[None, :]) != graph.distances).any():
            chosen[node] = False
    return np.flatnonzero(chosen)


def _check_options(nodes: int, edge_probability: float, walk_length: int, graph_seed: int, split: str) -> None:
    check_integer("nodes", nodes, 3, MAX_NODES)
    if type(edge_probability) not in (int, float) or not 0 < edge_probability <= 1:
        raise UsageError(f"env.edge_probability is {edge_probability!r}; expected a number above 0, at most 1")
    check_integer("walk_length", walk_length, 1, MAX_WALK_LENGTH)
    check_integer("graph_seed", graph_seed, 0)
    check_choice("split", split, SPLITS)


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
