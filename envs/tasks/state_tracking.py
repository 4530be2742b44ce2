"""Tracking of state: items change places by one permutation after another; where is the first one now?

This is the word problem of a permutation group, the standard measure of what a recurrence can compute (Merrill et al. 2024,
"The illusion of state in state-space models", arXiv:2404.08819; Grazzi et al. 2025, "Unlocking state-tracking in linear RNNs
through negative eigenvalues", arXiv:2411.12537), asked as a shell game. The Markov decision process, with n items (``parity``
2, ``s3`` 3, ``s5`` 5) and words of `length` letters:

- Letters: the first two items change places or do not, then all move on by k places, the last to the front; k = 0 .. n - 1. Of
  two and three items these are all 2 and 6 permutations, of five they are 10 of 120, from which all others can be put together.
- Observation: the letter of this timestep, numbered k, or n + k with the change; ``parity`` has the first two alone. Each is
  drawn uniformly.
- Action: one of n places. Right is the place to which all letters up to and with this one have brought the item that began at
  place 0.
- Which answers count: ``asked="always"``, all but the first one, which can be read off its letter; ``asked="end"``, the last.
- Reward: +r if right, -r / (n - 1) if wrong, where it counts, r such that all right make 1; guessing makes 0 in the mean.
- End: after exactly `length` timesteps.

Parity of five bits, 1 being the letter that moves on (r = 1/4)::

    t        0     1     2     3     4
    letter   1     0     1     1     0
    action   any   1     0     0     1        (right: -, 1, 0, 1, 1)
    reward   0     +r    +r    -r    +r

How this was settled. *The answer* is the place of one item, not the whole product as in Merrill et al.: a permutation is known
by the places of its items, so that place has all of the difficulty (for five items it is what permutation branching programs of
width 5 do, which compute all of NC1: Barrington 1989), with n answers in place of n!. *The letters* of ``s5`` are a few that
generate the group, as Grazzi et al. also take: 50 steps (letter, place) are to be learned in place of 600 with all 120 of them
and 14,400 with the whole product, of which an LSTM learns nothing in a quick run. *These* few, since from each place as many
letters lead to each other one: from the second timestep on the place is uniform and independent of the present letter, and no
place is likelier for being near the start. With and without the change, since all letters of one sign would let the timestep
tell the sign of the product, and make of ``s3`` a sum.

Hence nothing that is seen at one timestep helps: without memory one answer in n is right. What is seen of one's own actions
would undo that: with ``asked="always"`` the last answer is the place before this letter, all that there is to remember, and
with ``asked="end"`` the actions that do not count are a sheet to take notes on. So this task hides the previous action from
everybody, as repeat-first does. The expert acts at random where no answer counts.

Seeding: ``reset(seed=s)`` draws the letters, one uniform number each, from ``RandomState(s mod 2**32)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from dsbench.envs.behaviour import noisy_recipes, uniform, uniform_actions
from dsbench.envs.drawing import BLUE, INK, PALE, WHITE, Canvas
from dsbench.envs.draws import episode_seed, uniforms
from dsbench.envs.options import check_choice, check_integer
from dsbench.envs.spaces import Spaces
from dsbench.envs.spec import EnvSpec
from dsbench.envs.targets import Fixed
from dsbench.envs.tasks.answers import score, stakes
from dsbench.episodes import Observations

ITEMS = {"parity": 2, "s3": 3, "s5": 5}
ASKED = ("end", "always")
MAX_LENGTH = 10_000


@dataclass(frozen=True)
class Word:
    """What an episode is about.

    Attributes:
        items: that are permuted.
        moves: (letters, n) int64, where each letter takes what stands at each place.
        length: letters of a word.
        silent: timesteps at the start whose action does not count.
    """

    items: int
    moves: NDArray[np.int64]
    length: int
    silent: int

    @property
    def counted(self) -> int:
        """Answers of an episode that count."""
        return self.length - self.silent

    @property
    def spaces(self) -> Spaces:
        """A letter is seen, a place is named."""
        return Spaces(gym.spaces.Discrete(len(self.moves)), gym.spaces.Discrete(self.items))

    def draw(self, seeds: Sequence[int]) -> NDArray[np.int64]:
        """(length, rows) the letters of each seed's episode."""
        return (uniforms(seeds, self.length).T * len(self.moves)).astype(np.int64)


def word_of(group: str, length: int, asked: str) -> Word:
    """The words of these options; `UsageError` if there are none."""
    check_choice("group", group, ITEMS)
    check_integer("length", length, 2, MAX_LENGTH)
    check_choice("asked", asked, ASKED)
    return Word(ITEMS[group], letters_of(ITEMS[group]), length, 1 if asked == "always" else length - 1)


def letters_of(items: int) -> NDArray[np.int64]:
    """(letters, n) where each letter takes what stands at each place; of two items the change is a move by one place."""
    places = np.arange(items)
    changed = places.copy()
    changed[:2] = 1, 0
    return np.array([(order + k) % items for order in (places, changed)[: items - 1] for k in range(items)])


class StateTrackingEnv(gym.Env[np.int64, np.int64]):
    """One episode at a time; see the module for the rules."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 2}  # noqa: RUF012  gymnasium's own attribute

    def __init__(self, word: Word, render_mode: str | None = None) -> None:
        self.word, self.render_mode = word, render_mode
        self.observation_space, self.action_space = word.spaces.observation, word.spaces.action

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.int64, dict[str, Any]]:
        super().reset(seed=seed)
        self._letters = self.word.draw([episode_seed(self, seed)])[:, 0]
        self.t, self._words = 0, ""
        self.place = int(self.word.moves[self._letters[0], 0])
        return self._letters[0], {}

    def step(self, action: np.int64) -> tuple[np.int64, float, bool, bool, dict[str, Any]]:
        reward, right = 0.0, int(action) == self.place
        if self.t >= self.word.silent:
            reward = float(stakes(self.word.items, self.word.counted)[0 if right else 1])
        verdict = "does not count" if reward == 0 else "right" if right else "wrong"
        self._words = f"letter {self.t + 1}: place {int(action)} named, {verdict}"
        self.t += 1
        ended = self.t >= self.word.length
        if not ended:
            self.place = int(self.word.moves[self._letters[self.t], self.place])
        return self._letters[min(self.t, self.word.length - 1)], reward, ended, False, {}

    def render(self) -> NDArray[np.uint8]:
        """(180, 320, 3) where the letter takes what stands at each place; the item that is asked for in blue."""
        canvas, items = Canvas(height=180), self.word.items
        shown = min(self.t, self.word.length - 1)
        moves = self.word.moves[self._letters[shown]]
        xs = np.linspace(40, canvas.image.width - 40, items)
        canvas.text((10, 6), f"letter {shown + 1} of {self.word.length}")
        for place in range(items):
            canvas.arrow((xs[place], 45), (xs[moves[place]], 135), gap=14)
        for place in range(items):
            for y, here in ((45, moves[place] == self.place), (135, place == self.place)):
                canvas.disc((xs[place], y), 12, BLUE if here else PALE, str(place), WHITE if here else INK)
        canvas.text((10, 160), self._words)
        return canvas.array()


class StateTrackingEpisodes:
    """Many episodes at once in numpy, equal to `StateTrackingEnv` draw for draw (a test holds it).

    Attributes:
        letters: (length, rows) int64.
        place: (rows,) int64, where the item is after the letter that is seen: the right action.
        t: timesteps so far, of all rows.
    """

    action_mask: np.ndarray | None = None

    def __init__(self, seeds: Sequence[int], word: Word) -> None:
        self.word, self.t = word, 0
        self.letters = word.draw(seeds)
        self.place = word.moves[self.letters[0], 0]
        self.stakes = stakes(word.items, word.counted)
        self.observations: Observations = self.letters[0]

    def step(self, actions: np.ndarray) -> tuple[Observations, np.ndarray, np.ndarray, np.ndarray]:
        rewards = np.zeros(len(actions), np.float32)
        if self.word.silent <= self.t < self.word.length:
            rewards = np.where(actions == self.place, *self.stakes)
        self.t = min(self.t + 1, self.word.length)
        if self.t < self.word.length:
            self.observations = self.letters[self.t]
            self.place = self.word.moves[self.letters[self.t], self.place]
        ended = np.full(len(actions), self.t == self.word.length)
        return self.observations, rewards, ended, np.zeros_like(ended)


def state_tracking(group: str = "parity", length: int = 16, asked: str = "always") -> EnvSpec:
    """Where an item is after a word of permutations.

    Args:
        group: ``parity``, ``s3`` or ``s5``: permutations of 2, 3 or 5 items.
        length: letters of a word, one a timestep.
        asked: ``always``, the place after every letter but the first; ``end``, after the last one.
    """
    word = word_of(group, length, asked)
    return EnvSpec(
        id="state-tracking-v0",
        name="state-tracking",
        summary="items change places by one permutation after another, and the place of one of them is to be named",
        options={"group": group, "length": length, "asked": asked},
        make=lambda render_mode=None: StateTrackingEnv(word, render_mode),
        vector=lambda seeds: StateTrackingEpisodes(seeds, word),
        stated_spaces=word.spaces,
        score=lambda episodes: score(episodes, word.counted),
        success_metric="correct",
        minimum=0.0,
        maximum=1.0,
        chance=1 / word.items,
        horizon=length,
        random_return=0.0,
        optimal_return=1.0,
        references="exact: at random one answer in n is right, and a wrong one costs 1 / (n - 1) of what a right one pays",
        tests=("memory",),
        needs_memory=True,
        ends_by_clock=True,
        random=uniform(word.items),
        optimal=_expert,
        target=Fixed(1.0),
        recipes=noisy_recipes(_expert, word.items, "every answer that counts is right", medium=0.5, mixed=(1, 0.5, 0)),
    )


def _expert(env: StateTrackingEpisodes, timestep: int, draws: np.ndarray, episode_draw: np.ndarray) -> np.ndarray:
    """The right place; uniformly random while no answer counts."""
    return env.place if timestep >= env.word.silent else uniform_actions(draws[:, 1], env.word.items, None)
