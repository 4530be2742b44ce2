"""Environments played without trusting them: what they raise, and what they show or pay that is no number, gets a name."""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Self

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from dsbench.envs import forms
from dsbench.envs.casting import rows_where
from dsbench.envs.closing import close_quietly
from dsbench.envs.spaces import may_leave, outside, trailing_shape
from dsbench.envs.spec import EnvSpec, VectorEpisodes
from dsbench.episodes import Observations, observation_leaves
from dsbench.errors import DsbenchError, EnvironmentFault
from dsbench.outside.blame import told

ACTION_TOLERANCE = 1e-4  # by which an action may lie outside the bounds of a Box: rounding
MEND = "mend the environment or who acts in it"
Vector = Callable[[Sequence[int]], VectorEpisodes]


class Checked:
    """The episodes of these seeds from their first observation on, as `VectorEpisodes`; a context that closes them.

    Only rows that are alive are looked at. Observations, masks and rewards are copies, and the environments get copies of
    the actions, so that whatever either side does to its arrays changes nothing on the other.

    Args:
        who: the environment and who acts in it, for messages.
        first: number of the first episode.

    Attributes:
        behind: the episodes themselves, for scripted policies, which may look at what is hidden.
        observations, action_mask: what each row sees now, in the types of the spaces.
        alive: (rows,) bool, whose episode goes on.

    Raises:
        EnvironmentFault: the environment raised; showed what is not finite, no number or outside an integer space; paid what
            is no finite number; or forbids every action to an episode that goes on.
    """

    observations: Observations
    action_mask: NDArray[np.bool_] | None

    def __init__(self, spec: EnvSpec, vector: Vector, seeds: Sequence[int], who: str = "", first: int = 0) -> None:
        self.spec, self.spaces, self.timestep = spec, spec.spaces, -1
        self.who, self.first = who or f"env {spec.id}", first
        self.alive = np.ones(len(seeds), bool)
        self.behind = self._asked(partial(vector, seeds))
        try:
            self._asked(lambda: self._look(self.behind.observations))
        except BaseException:
            self.close()
            raise

    def step(self, actions: np.ndarray) -> tuple[Observations, np.ndarray, np.ndarray, np.ndarray]:
        """As of `VectorEpisodes`."""
        self.timestep += 1
        self._check_actions(actions)
        return self._asked(lambda: self._stepped(actions))

    def close(self) -> None:
        """Close what is still open."""
        close_quietly(self.behind)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def _when(self) -> str:
        return "when reset" if self.timestep < 0 else f"at timestep {self.timestep}"

    def _asked(self, call: Callable[[], Any]) -> Any:
        """What the environment gives; its faults with its name and the time."""
        try:
            return call()
        except _Named:
            raise
        except EnvironmentFault as error:
            raise _Named(f"env {self.spec.id} {self._when}: {error}") from error
        except (DsbenchError, MemoryError):
            raise
        except (Exception, SystemExit) as error:
            text = told(error, self._when)
            if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
                text += f"; {len(self.alive)} of them were to be open, set most_rows of its EnvSpec to fewer"
            raise EnvironmentFault(f"env {self.spec.id} raised {text}") from error

    def _stepped(self, actions: np.ndarray) -> tuple[Observations, np.ndarray, np.ndarray, np.ndarray]:
        given = self.behind.step(self._own(actions))
        if not isinstance(given, (tuple, list)) or len(given) != 4:
            raise EnvironmentFault(
                "step of these episodes gave something else than the four values observations, rewards, terminated, truncated"
            )
        with np.errstate(over="ignore"):
            rewards = self._column("rewards", given[1], "numbers").astype(np.float32)
        if not np.isfinite(rewards[self.alive]).all():
            raise self._fault("a reward that is not finite")
        terminated, truncated = self._flags("terminated", given[2]), self._flags("truncated", given[3])
        before, self.alive = self.alive, self.alive & ~(terminated | truncated)
        self._look(given[0], before)
        return self.observations, rewards, terminated, truncated

    def _look(self, shown: Observations, rows: NDArray[np.bool_] | None = None) -> None:
        """Take over what `rows` (by default those alive) see and, of those that are alive, may do."""
        rows = self.alive if rows is None else rows
        leaves, spaces = dict(observation_leaves(shown)), self.spaces.leaves()
        if leaves.keys() != spaces.keys():
            raise EnvironmentFault(f"it shows {sorted(leaves)}, and the environment that it makes {sorted(spaces)}")
        seen = {name: self._leaf(name, np.array(leaves[name]), space, rows) for name, space in spaces.items()}
        self.observations = (
            seen["observations"] if "observations" in seen else {name.partition(".")[2]: a for name, a in seen.items()}
        )
        self.action_mask = self._mask(self.behind.action_mask)

    def _leaf(self, name: str, array: np.ndarray, space: Any, rows: NDArray[np.bool_]) -> np.ndarray:
        expected = (len(rows), *trailing_shape(space))
        if array.shape != expected:
            raise EnvironmentFault(f"{name} have shape {array.shape}; expected {expected}")
        if array.dtype.kind == "f" and not np.isfinite(array).all() and not np.isfinite(array[rows]).all():
            raise self._fault(f"{name} that are not finite")
        if array.dtype != space.dtype:
            whole = np.zeros(expected, space.dtype)
            whole[rows] = forms.as_numbers(array[rows], space, name)
            array = whole
        if not may_leave(space) and (wrong := outside(space, array) & rows).any():
            raise self._fault(f"{name} outside {space}, such as {array[wrong][0].ravel()[:4].tolist()},")
        return array

    def _mask(self, given: np.ndarray | None) -> NDArray[np.bool_] | None:
        if given is None:
            return None
        array = np.asarray(given)
        if array.ndim != 2 or len(array) != len(self.alive):
            raise EnvironmentFault(
                f"action masks have shape {array.shape}; expected one row for each of {len(self.alive)}"
            )
        mask = np.ones(array.shape, bool)
        mask[self.alive] = forms.as_masks(array[self.alive], self.spaces.action)
        if not mask.any(-1).all():
            raise _Named(f"env {self.spec.id} forbids every action {self._when} of an episode that goes on")
        return mask

    def _column(self, name: str, values: Any, what: str) -> np.ndarray:
        array = np.array(values)
        if array.shape != self.alive.shape or array.dtype.kind not in "biuf":
            raise EnvironmentFault(
                f"{name} are {array.dtype} of shape {array.shape}; expected {what} of shape {self.alive.shape}"
            )
        return array

    def _flags(self, name: str, values: Any) -> NDArray[np.bool_]:
        array = self._column(name, values, "truth values")
        if not np.isin(array[self.alive], (0, 1)).all():
            raise EnvironmentFault(f"{name} are {array[self.alive][:4].tolist()}; expected truth values")
        return array != 0

    def _check_actions(self, actions: np.ndarray) -> None:
        """Before the environment sees them: what it would make of others is a riddle."""
        space = self.spaces.action
        expected = (len(self.alive), *trailing_shape(space))
        if actions.shape != expected or actions.dtype.kind not in "biuf":
            raise EnvironmentFault(
                f"{self.who}: the actions {self._when} are {actions.dtype} of shape {actions.shape}; expected numbers of "
                f"shape {expected}"
            )
        inside = np.isfinite(actions) if actions.dtype.kind == "f" else np.ones(expected, bool)
        self._refuse(actions, rows_where(~inside), "is not a finite number")
        tolerance = ACTION_TOLERANCE if may_leave(space) else 0.0
        self._refuse(actions, outside(space, actions, tolerance), f"is outside {space}")
        if isinstance(space, gym.spaces.Discrete):
            self._refuse(actions, actions != np.floor(actions), f"is no whole number, as {space} has")
            if self.action_mask is not None:
                chosen = np.where(self.alive, actions, space.start).astype(np.int64) - int(space.start)
                self._refuse(actions, ~self.action_mask[np.arange(len(chosen)), chosen], "is forbidden")

    def _own(self, actions: np.ndarray) -> np.ndarray:
        """Actions for the environments to keep; whole numbers as integers."""
        space = self.spaces.action
        if isinstance(space, gym.spaces.Discrete) and actions.dtype.kind not in "iu":
            return np.where(self.alive, actions, space.start).astype(np.int64)
        return np.array(actions)

    def _refuse(self, actions: np.ndarray, wrong: NDArray[np.bool_], what: str) -> None:
        rows = np.flatnonzero(wrong & self.alive)
        if len(rows):
            place = f"actions, episode {self.first + int(rows[0])}, index {self.timestep}"
            raise EnvironmentFault(f"{self.who}: {place}: {actions[rows[0]].tolist()} {what}; {MEND}")

    def _fault(self, what: str) -> EnvironmentFault:
        return _Named(f"env {self.spec.id} returned {what} {self._when}")


class _Named(EnvironmentFault):
    """A fault whose message names the environment and the time already."""
