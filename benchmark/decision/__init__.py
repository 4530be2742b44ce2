"""The Decision-Sequence wrapper: one interface between environments' data and any backbone."""

from dsbench.decision.acting import Actor
from dsbench.decision.heads import ActionDistribution
from dsbench.decision.wrapper import DecisionSequence

__all__ = ["ActionDistribution", "Actor", "DecisionSequence"]
