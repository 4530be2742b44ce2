"""Environments played without trusting them: what they raise, and what they show or pay that is no number, gets a name."""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from dsbench.envs import forms
from dsbench.envs.closing import close_quietly
from dsbench.envs.spaces import may_leave, outside, trailing_shape
from dsbench.envs.spec import EnvSpec, VectorEpisodes
from dsbench.episodes import Episodes, Observations, observation_leaves
from dsbench.errors import DsbenchError, EnvironmentFault

Vector = Callable[[Sequence[int]], VectorEpisodes]


class Checked:
    """The episodes of these seeds from their first observation on, as `VectorEpisodes`; a context that closes them.

    Only rows that are alive are looked at. Observations, masks and rewards are copies, and the environments get copies of
    the actions, so that whatever either side does to its arrays changes nothing on the other.

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

    def __init__(self, spec: EnvSpec, vector: Vector, seeds: Sequence[int]) -> None:
        self.spec, self.spaces, self.timestep = spec, spec.spaces, -1
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
            text = " ".join(str(error).split())
            if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
                text += f"; {len(self.alive)} of them were to be open, set most_rows of its EnvSpec to fewer"
            raise EnvironmentFault(f"env {self.spec.id} raised {type(error).__name__} {self._when}: {text}") from error

    def _stepped(self, actions: np.ndarray) -> tuple[Observations, np.ndarray, np.ndarray, np.ndarray]:
        given = self.behind.step(np.array(actions))
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
        expected = (len(self.alive), *trailing_shape(self.spaces.action))
        if actions.shape != expected or actions.dtype.kind not in "biuf":
            what = f"are {actions.dtype} of shape {actions.shape}; expected numbers of shape {expected}"
        elif actions.dtype.kind == "f" and not np.isfinite(actions[self.alive]).all():
            what = "are not finite"
        else:
            return
        raise EnvironmentFault(f"the actions for env {self.spec.id} {self._when} {what}")

    def _fault(self, what: str) -> EnvironmentFault:
        return _Named(f"env {self.spec.id} returned {what} {self._when}")


class _Named(EnvironmentFault):
    """A fault whose message names the environment and the time already."""


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
        text = " ".join(str(error).split())
        raise EnvironmentFault(f"score of env {spec.id} raised {type(error).__name__}: {text}") from error
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
