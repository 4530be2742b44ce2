"""Shortest paths in a fixed random graph, put together from walks: the Decision Transformer's own illustration, made stricter.

The Markov decision process (Chen et al. 2021, arXiv:2106.01345, section 1 and figure 2):

- The graph is directed: each ordered pair of different nodes is an edge with probability edge_probability; drawn once
  from graph_seed, and again while some node cannot reach the goal, node 0, within walk_length steps (`draw_graph`).
- Observation, Discrete(nodes): the node one stands on. An episode begins on a node drawn uniformly, never the goal.
- Action, Discrete(nodes): the node to go to; ``info["action_mask"]`` marks those that an edge leads to. Any other one
  costs a step and leads nowhere.
- Reward: -1 a step, the arriving one included, so that arriving in k steps has return -k. A walk that has not arrived by
  its last step receives -(walk_length + 1) there.
- End: terminated on the goal, truncated after walk_length steps.

Three edges to the goal, walk_length 10, ``6 -> 13 -> 4 -> 0``::

    t               0    1    2
    node            6   13    4       (then 0: arrived)
    action         13    4    0
    reward         -1   -1   -1
    return-to-go   -3   -2   -1

How this was settled: the paper counts 0 at the goal and -1 otherwise, which is the same -k. For walks that miss, a public
replication has -infinity, which no network can be fed. If the last step of a miss paid as the others do, its end would
bear the returns-to-go of arrivals; with -(walk_length + 1) there, every return-to-go of a miss lies below that of any
arrival. The whole return of a miss is -2 walk_length.

The default, ``split="stitch"``, asks for more than following the best walk seen. Up to a quarter of the nodes become test
starts: evaluation begins on these alone, and data walks that have stood on one are cut, with the reward of a miss, where the
next step could arrive. So no trajectory of the data reaches the goal from a test start, while others show a shortest path from
each of its neighbours. The data's best return there would ask for a miss; the target is the shortest path's return.

``test_share`` says which share of the nodes besides the goal become test starts, rounded down to whole nodes: the first so many
of one order, so that those of a smaller share are among those of a larger one. A graph gives as many as no shortest path needs
(3 to 8 of 19 nodes with the default's edges, 23 to 29 of 49 with nodes=50): more are refused. With 0 none is cut and every node
is evaluated, asked for its shortest path as the others are.

``split="uniform"`` is the illustration as it was: walks from every node, and evaluation from every node. A table from (node,
return-to-go) to action then has nearly all shortest paths from 1,000 random walks (``hindsight_bound``), so that nothing is
stitched: it counts as credit assignment.

Seeding: ``reset(seed=s)`` draws the start by one uniform number of numpy's ``RandomState(s mod 2**32)``; nothing else is
random.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from dsbench.envs.behaviour import noisy_recipes, uniform, uniform_actions
from dsbench.envs.draws import episode_seed, uniforms
from dsbench.envs.spec import EnvSpec
from dsbench.envs.targets import BestFromStart, TargetRule
from dsbench.envs.tasks.graph_walk_graphs import GOAL, picture
from dsbench.envs.tasks.graph_walk_scores import ShortestFromStart, hindsight_bounds, score, start_of
from dsbench.envs.tasks.graph_walk_split import Walks, walks_of
from dsbench.episodes import Observations

MEDIUM = 0.65  # share of random edges; about half-way between random and shortest in return (a test recomputes it)
MIXED = (0, 0.25, 0.5, 0.75, 1)


class GraphWalkEnv(gym.Env[np.integer[Any], np.integer[Any]]):
    """One walk; see the module for the rules."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 2}  # noqa: RUF012  gymnasium's own attribute

    def __init__(
        self,
        nodes: int = 20,
        edge_probability: float = 0.1,
        walk_length: int = 10,
        graph_seed: int = 0,
        split: str = "stitch",
        test_share: float | None = None,
        render_mode: str | None = None,
    ) -> None:
        self.render_mode = render_mode
        self.walks = walks_of(nodes, edge_probability, walk_length, graph_seed, split, test_share)
        self.observation_space = gym.spaces.Discrete(nodes)
        self.action_space = gym.spaces.Discrete(nodes)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.integer[Any], dict[str, Any]]:
        super().reset(seed=seed)
        self.path = [int(_starts([episode_seed(self, seed)], self.walks.starts)[0])]
        return self._seen()

    def step(self, action: np.integer[Any]) -> tuple[np.integer[Any], float, bool, bool, dict[str, Any]]:
        node = self.path[-1]
        self.path.append(int(action) if self.walks.graph.edges[node, int(action)] else node)
        arrived = self.path[-1] == GOAL
        missed = not arrived and len(self.path) > self.walks.walk_length
        observation, info = self._seen()
        return observation, -(self.walks.walk_length + 1.0) if missed else -1.0, arrived, missed, info

    def render(self) -> NDArray[np.uint8] | None:
        """(320, 320, 3) the nodes on a circle, the goal green, the walk so far in orange; None without a render mode."""
        return picture(self.walks.graph, self.path) if self.render_mode == "rgb_array" else None

    def _seen(self) -> tuple[np.integer[Any], dict[str, Any]]:
        node = self.path[-1]
        return np.int64(node), {"action_mask": self.walks.graph.edges[node].copy()}


class GraphWalkEpisodes:
    """Many walks at once in numpy, equal to `GraphWalkEnv` draw for draw (a test holds it).

    Args:
        starts: nodes to begin on.
        cut: (n,) bool; a walk that has stood on one of these is cut where the next step could arrive.
    """

    observations: Observations
    action_mask: np.ndarray | None

    def __init__(self, seeds: Sequence[int], walks: Walks, starts: NDArray[np.int64], cut: NDArray[np.bool_]) -> None:
        self.graph, self.length, self.cut, self.t = walks.graph, walks.walk_length, cut, 0
        self.before_goal = walks.graph.edges[:, GOAL]
        self.node = _starts(seeds, starts)
        self.over = np.zeros(len(seeds), bool)
        self.marked = cut[self.node]
        self.observations, self.action_mask = self.node, self.graph.edges[self.node]

    def step(self, actions: np.ndarray) -> tuple[Observations, np.ndarray, np.ndarray, np.ndarray]:
        before = self.over
        free = ~before
        self.node = np.where(free & self.graph.edges[self.node, actions], actions, self.node)
        self.t += 1
        self.marked = self.marked | self.cut[self.node]
        arrived = free & (self.node == GOAL)
        missed = free & ~arrived & ((self.t >= self.length) | (self.marked & self.before_goal[self.node]))
        rewards = np.where(missed, np.float32(-self.length - 1), -free.astype(np.float32))
        self.over = before | arrived | missed
        self.observations, self.action_mask = self.node, self.graph.edges[self.node]
        return self.observations, rewards, before | arrived, missed


def graph_walk(
    nodes: int = 20,
    edge_probability: float = 0.1,
    walk_length: int = 10,
    graph_seed: int = 0,
    split: str = "stitch",
    test_share: float | None = None,
) -> EnvSpec:
    """Shortest paths in a random graph.

    Args:
        nodes: of the graph, the goal included.
        edge_probability: of each ordered pair of nodes.
        walk_length: steps after which a walk that has not arrived is a miss.
        graph_seed: which graph.
        split: ``stitch``, evaluation from nodes whose walks never arrive in the data; ``uniform``, from every node.
        test_share: of the nodes besides the goal, those that evaluation begins on; where nothing is said a quarter, or as
            many as there are.
    """
    walks = walks_of(nodes, edge_probability, walk_length, graph_seed, split, test_share)
    stitches = bool(walks.cut.any())
    graph, everywhere, nowhere = walks.graph, np.arange(1, nodes), np.zeros(nodes, bool)
    best = -graph.distances.astype(np.float64)
    target: TargetRule = BestFromStart(nodes, start_of) if split == "uniform" else ShortestFromStart(best, walks.starts)
    options = {
        "nodes": nodes,
        "edge_probability": edge_probability,
        "walk_length": walk_length,
        "graph_seed": graph_seed,
        "split": split,
        **({} if test_share is None else {"test_share": float(test_share)}),
    }
    return EnvSpec(
        id="graph-walk-v1",
        name="graph-walk",
        summary="shortest paths in a random graph from nodes whose walks never arrive in the data"
        if stitches
        else "shortest paths in a random graph, from walks that mostly took others",
        options=options,
        make=lambda render_mode=None: GraphWalkEnv(**options, render_mode=render_mode),  # type: ignore[arg-type]
        vector=lambda seeds: GraphWalkEpisodes(seeds, walks, walks.starts, nowhere),
        data_vector=lambda seeds: GraphWalkEpisodes(seeds, walks, everywhere, walks.cut),
        score=lambda episodes: score(episodes, graph, walk_length),
        success_metric="optimal",
        minimum=0.0,
        maximum=1.0,
        chance=graph.chance_of_shortest(walks.starts),
        horizon=walk_length,
        random_return=graph.mean_return(1.0, walk_length, walks.starts),
        optimal_return=graph.mean_return(0.0, walk_length, walks.starts),
        references="exact, by dynamic programming over the remaining steps, for evaluation's starts",
        tests=("stitching",) if stitches else ("credit",),
        needs_memory=False,
        random=uniform(nodes),
        optimal=shortest_path,
        target=target,
        recipes=noisy_recipes(shortest_path, nodes, "a shortest path, any of them", medium=MEDIUM, mixed=MIXED),
        yardsticks=lambda episodes: hindsight_bounds(episodes, graph, walks.starts),
        stored={
            "goal": GOAL,
            "edges": [[int(a), int(b)] for a, b in zip(*np.nonzero(graph.edges), strict=True) if a != GOAL],
            "starts": walks.starts.tolist(),
        },
    )


def shortest_path(env: Any, timestep: int, draws: np.ndarray, episode_draw: np.ndarray) -> np.ndarray:
    """An edge that begins a shortest path, uniformly among them."""
    return uniform_actions(draws[:, 1], env.graph.nodes, env.graph.shortest[env.node])


def _starts(seeds: Sequence[int], nodes: NDArray[np.int64]) -> NDArray[np.int64]:
    """(rows,) the node on which the walk of each seed begins, uniform over `nodes`."""
    return nodes[(uniforms(seeds, 1)[:, 0] * len(nodes)).astype(np.int64)]
