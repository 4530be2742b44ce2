"""Every faulty environment and what must be said of it."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from dsbench.envs.behaviour import uniform, uniform_torques
from dsbench.envs.spaces import Spaces
from dsbench.envs.vector import LoopedEpisodes
from tests.envs import faulty as bad
from tests.envs.faulty import (
    LENGTH,
    PLACES,
    Fault,
    Torque,
    like,
    replaced,
    resetting,
    returns,
    score_with,
    seeing,
    stepping,
    with_info,
)

BOX = gym.spaces.Box(0, LENGTH, (2,), np.float32)
TORQUES: dict[str, Any] = {"random": uniform_torques(1), "draws_per_timestep": 2}

FAULTS: dict[str, Fault] = {
    # rows and seeds
    "one object behind all rows": Fault("made the same environment twice", lambda: bad.ONE),
    "one object in new wrappers": Fault("made the same environment twice", lambda: gym.wrappers.TimeLimit(bad.ONE, LENGTH)),
    "one object in vector alone": Fault(
        "same environment for rows 0 and 1", changes={"vector": lambda seeds: LoopedEpisodes(lambda: bad.ONE, seeds)}
    ),
    "objects that share a state": Fault("when another is played beside it", bad.SharedPlace),
    "the global generator": Fault("when another is played beside it", bad.GlobalDraws),
    "not reset by its seed": Fault("two episodes of seed [0-9]+ differ", bad.Unseeded),
    "a coin that no seed decides": Fault("two episodes of seed [0-9]+ differ", bad.Coin),
    "seed 0 taken for none": Fault("two episodes of seed 0 differ", bad.ZeroIsNone),
    "another one whenever made": Fault("two episodes of seed 2147483647 differ", bad.Numbered),
    "small seeds only": Fault("takes the seed 1 and not 2147483647", bad.SmallSeeds),
    "reset without a seed": Fault("raised TypeError when reset.*seed", bad.OldReset),
    "a behaviour that draws": Fault("two episodes of seed .* differ .*actions", changes={"random": bad.drawing}),
    # making and spaces
    "make that raises": Fault("raised ZeroDivisionError when made", lambda: 1 / 0),  # type: ignore[arg-type, return-value]
    "make that makes none": Fault("whose observation_space is None", lambda: None),  # type: ignore[arg-type, return-value]
    "no spaces": Fault("action_space is None; expected a space", like(action_space=None)),
    "a tuple of observations": Fault(
        "Tuple.* which is not supported", like(observation_space=gym.spaces.Tuple([PLACES, PLACES]))
    ),
    "many discrete actions": Fault("MultiDiscrete.* not supported", like(action_space=gym.spaces.MultiDiscrete([2, 2]))),
    "text": Fault("Text.* not supported", like(observation_space=gym.spaces.Text(5))),
    "a dictionary in a dictionary": Fault(
        "without a Dict in it", like(observation_space=gym.spaces.Dict({"a": gym.spaces.Dict({"b": PLACES})}))
    ),
    "an empty box": Fault("holds no number", like(observation_space=gym.spaces.Box(0, 1, (0,), np.float32))),
    "other spaces by seed": Fault("spaces must be the same", bad.Growing),
    "other spaces half-way": Fault("spaces must be the same", bad.Draining),
    "other spaces than stated": Fault("states Spaces", changes={"stated_spaces": Spaces(PLACES, PLACES)}),
    "other spaces each time": Fault("different spaces", bad.Alternating),
    # observations
    "outside its Discrete space": Fault(
        r"observations outside Discrete\(5\), such as \[5\]", seeing(PLACES, lambda env: min(env.place + env.t, 5))
    ),
    "below its Discrete space": Fault("outside Discrete", seeing(PLACES, lambda env: -1)),
    "a fraction in a Discrete space": Fault("hold 0.5, which no int64", seeing(PLACES, lambda env: 0.5)),
    "outside an integer box": Fault(
        "observations outside Box", seeing(gym.spaces.Box(0, 3, (2,), np.uint8), lambda env: np.array([env.place, 9]))
    ),
    "negative in unsigned": Fault(
        "which no uint8", seeing(gym.spaces.Box(0, 3, (2,), np.uint8), lambda env: np.array([-1, 0]))
    ),
    "not a number": Fault("not finite when reset", seeing(BOX, lambda env: np.array([np.nan, 0], np.float32))),
    "infinite": Fault(
        "not finite at timestep 2", seeing(BOX, lambda env: np.array([np.inf if env.t == 3 else 0, 0], np.float32))
    ),
    "beyond float32": Fault("hold 1e.300, which no float32", seeing(BOX, lambda env: np.array([1e300, 0]))),
    "no numbers": Fault("no numbers but", seeing(BOX, lambda env: np.array(["a", "b"]))),
    "complex numbers": Fault("no numbers but complex", seeing(BOX, lambda env: np.array([1j, 0]))),
    "objects": Fault("no numbers but object", seeing(BOX, lambda env: np.array([None, 0]))),
    "None": Fault("observations are None", seeing(BOX, lambda env: None)),
    "ragged": Fault("makes no array", seeing(BOX, lambda env: [[1, 2], [3]])),
    "another shape": Fault(r"of shape \(3,\)", seeing(BOX, lambda env: np.zeros(3, np.float32))),
    "a row more": Fault(r"of shape \(1, 2\)", seeing(BOX, lambda env: np.zeros((1, 2), np.float32))),
    "no dictionary": Fault("no dictionary of", seeing(gym.spaces.Dict({"a": PLACES}), lambda env: env.place)),
    "a key too many": Fault(
        "no dictionary of", seeing(gym.spaces.Dict({"a": PLACES}), lambda env: {"a": env.place, "b": 0})
    ),
    # masks
    "a mask of text": Fault("mask holds <U", with_info(lambda env: {"action_mask": ["yes", "no", "no"]})),
    "a mask of halves": Fault("mask holds 0.5", with_info(lambda env: {"action_mask": np.array([1, 0.5, 1])})),
    "a mask of indices": Fault("mask holds 2", with_info(lambda env: {"action_mask": np.array([0, 1, 2])})),
    "a mask of -inf": Fault("mask holds -inf", with_info(lambda env: {"action_mask": np.array([0, 0, -np.inf])})),
    "a mask too long": Fault(r"of shape \(4,\), and it has 3", with_info(lambda env: {"action_mask": np.ones(4, bool)})),
    "a mask too deep": Fault(r"of shape \(1, 3\)", with_info(lambda env: {"action_mask": np.ones((1, 3), bool)})),
    "all forbidden": Fault("forbids every action when reset", with_info(lambda env: {"action_mask": np.zeros(3, bool)})),
    "all forbidden later": Fault(
        "forbids every action at timestep 2", with_info(lambda env: {"action_mask": np.full(3, env.t != 3)})
    ),
    "a mask of torques": Fault(
        "not Discrete", like(Torque, info=lambda env: {"action_mask": np.ones(1, bool)}), TORQUES
    ),
    "what is forbidden is done": Fault(
        "actions, episode 0, index [0-5]: 2 is forbidden",
        with_info(lambda env: {"action_mask": np.array([True, True, False])}),
        {"random": lambda env, timestep, draws, episode_draw: (draws[:, 1] * 3).astype(int)},
    ),
    # actions of behaviours
    "actions outside the space": Fault(
        r"actions, episode 0, index 0: -1 is outside Discrete\(3\)", changes={"random": bad.fixed(-1)}
    ),
    "torques outside the space": Fault(
        r"actions, episode 0, index 0: \[1.5\] is outside Box", Torque,
        TORQUES | {"random": lambda env, timestep, draws, episode_draw: np.full((len(draws), 1), 1.5, np.float32)},
    ),
    "actions of another shape": Fault("are float64 of shape", changes={"random": lambda *a: np.zeros((1, 9))}),
    "torques that are NaN": Fault(
        r"actions, episode 0, index 0: \[nan\] is not a finite number", Torque,
        TORQUES | {"random": lambda env, timestep, draws, episode_draw: np.full((len(draws), 1), np.nan, np.float32)},
    ),
    "a behaviour that raises": Fault(
        "tried at random: who acts raised ZeroDivisionError", changes={"random": lambda *a: 1 / 0}
    ),
    "half an action": Fault("0.5 is no whole number", changes={"random": bad.fixed(0.5)}),
    "a behaviour of None": Fault("are object of shape", changes={"random": lambda *a: None}),
    "other episodes for data alone": Fault(
        "tried at random for data: two episodes of seed", changes={"data_vector": lambda s: LoopedEpisodes(bad.Unseeded, s)}
    ),
    # twins
    "a twin of too few rows": Fault(
        r"observations have shape \(1, 2\); expected \(16, 2\)", changes={"vector": lambda s: LoopedEpisodes(bad.Ring, s[:1])}
    ),
    "a twin that gives three": Fault("four values", changes={"vector": bad.twin(lambda given: given[:3])}),
    "a twin of other flags": Fault(
        r"truncated are \[2, 2, 2, 2\]; expected truth", changes={"vector": bad.twin(lambda g: (*g[:3], np.full(len(g[3]), 2)))}
    ),
    "a twin of no flags": Fault(
        "terminated are object of shape", changes={"vector": bad.twin(lambda g: (*g[:2], None, g[3]))}
    ),
    "a twin of columns": Fault(
        r"rewards are float32 of shape \(16, 1\)", changes={"vector": bad.twin(lambda g: (g[0], g[1][:, None], *g[2:]))}
    ),
    "a twin that pays too much": Fault(
        "a reward that is not finite at timestep 0", changes={"vector": bad.twin(lambda g: (g[0], g[1] + 1e39, *g[2:]))}
    ),
    "a twin that draws once for all": Fault("when another is played beside it", changes={"vector": bad.OneStream}),
    "no twin at all": Fault("raised AttributeError when reset", changes={"vector": lambda seeds: None}),
    # what reset and step give
    "reset gives the observation": Fault("reset gave an array of shape", resetting(lambda result: result[0])),
    "reset gives three": Fault("reset gave a tuple of 3", resetting(lambda result: (*result, {}))),
    "reset gives None": Fault("reset gave None", resetting(lambda result: None)),
    "reset gives no info": Fault("the info is None; expected a dictionary", resetting(replaced(1, None))),
    "step gives four": Fault("step gave a tuple of 4; expected the five", stepping(lambda r: (r[0], r[1], r[3], r[4]))),
    "step gives None": Fault("step gave None", stepping(lambda result: None)),
    "terminated is None": Fault("terminated is None", stepping(replaced(2, None))),
    "terminated is an array": Fault(r"terminated is an array of shape \(1,\)", stepping(replaced(2, np.array([True])))),
    "truncated is text": Fault("truncated is 'no'", stepping(replaced(3, "no"))),
    "the info is a list": Fault("the info is a list of 0", stepping(replaced(4, []))),
    "step raises": Fault("raised ZeroDivisionError at timestep 2", stepping(lambda result: 1 / 0)),
    "step leaves": Fault("raised SystemExit at timestep 2", stepping(lambda result: exit(3))),
    # rewards
    "a reward of None": Fault("the reward is None", stepping(replaced(1, None))),
    "a reward in an array": Fault(r"the reward is an array of shape \(1,\)", stepping(replaced(1, np.ones(1)))),
    "a reward of text": Fault("the reward is '1'", stepping(replaced(1, "1"))),
    "a complex reward": Fault("the reward is 1j", stepping(replaced(1, 1j))),
    "a reward of NaN": Fault("a reward that is not finite at timestep 2", stepping(replaced(1, float("nan")))),
    "an infinite reward": Fault("a reward that is not finite at timestep 2", stepping(replaced(1, -np.inf))),
    "a reward beyond float32": Fault(r"reward 1e.39 is too large for float32", stepping(replaced(1, 1e39))),
    "a reward beyond floats": Fault("reward is too large", stepping(replaced(1, 10**400))),
    # what the spec says
    "no horizon": Fault("horizon=0", changes={"horizon": 0}),
    "half a horizon": Fault("horizon=6.5", changes={"horizon": 6.5}),
    "a horizon before the time limit": Fault(
        "goes on until max_episode_steps=500; set horizon=500", lambda: gym.make("CartPole-v1"),
        {"horizon": 100, "random": uniform(2)},
    ),
    "random as good as optimal": Fault("must differ", changes={"random_return": 6.0}),
    "no optimal return": Fault("optimal_return=nan", changes={"optimal_return": float("nan")}),
    # scores
    "a score without return": Fault("without 'return'", changes=score_with(success=returns) | {"success_metric": "success"}),
    "a score without its measure": Fault("without 'success'", changes={"success_metric": "success"}),
    "a score that is NaN": Fault(
        "gave 'return' of nan for episode 0", changes=score_with(**{"return": lambda e: e.returns() * np.nan})
    ),
    "a score that is infinite": Fault(
        "gave 'x' of inf", changes=score_with(**{"return": returns, "x": lambda e: 1 / (0 * returns(e))})
    ),
    "a score too short": Fault(
        r"of shape \(0,\); expected 1 numbers", changes=score_with(**{"return": lambda e: e.returns()[1:]})
    ),
    "a score of all": Fault(r"of shape \(\)", changes=score_with(**{"return": lambda e: e.returns().mean()})),
    "a score a timestep": Fault(r"of shape \(6,\)", changes=score_with(**{"return": lambda e: e.rewards})),
    "a score of text": Fault("gave 'x' as <U", changes=score_with(**{"return": returns, "x": lambda e: ["a"] * len(e)})),
    "a score that raises": Fault("score of env mine-v0 raised KeyError", changes=score_with(**{"return": lambda e: {}["x"]})),
    "a score of numbers": Fault("measures called", changes=score_with(**{"return": returns}) | {
        "score": lambda e: {"return": e.returns(), 3: e.returns()}}),
    "a score that is none": Fault("score of env mine-v0 raised", changes={"score": lambda episodes: None}),
    "other measures for more episodes": Fault(
        "for some episodes and", changes={
            "score": lambda e: {"return": e.returns()} | ({"spread": e.returns()} if len(e) > 1 else {})
        },
    ),
}  # fmt: skip
