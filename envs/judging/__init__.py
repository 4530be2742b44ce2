"""``dsbench check --env``: what is asked of an environment, as checks that each find one kind of mistake."""

from dsbench.envs.judging.runner import CHECKS, Judgement, judge_env

__all__ = ["CHECKS", "Judgement", "judge_env"]
