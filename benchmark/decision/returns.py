"""Returns-to-go as vectors. Shapes: `*` is (B, T) in training and (B,) when acting; W is the width of the embedding."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from dsbench.decision.scaling import KeepsFloat64, Spread, note_on_returns, rounding_of_returns
from dsbench.episodes import Episodes

FAR = 4.0  # spreads of the data's returns up to which they are told apart finely


class ReturnEncoder(KeepsFloat64):
    """Return-to-go as numbers of size 1, then linear. (*,) -> (*, W).

    Two numbers, centred and divided by spreads of the data. The *fine* one by mean and spread of whole returns, no further
    out than `FAR`: it tells 8,000 from 8,001.6 where returns differ by so much, and does not drown all else late in an
    episode, when thousands of spreads of the return are spent. The *coarse* one by mean and spread of what is left at every
    timestep: it tells those apart. Not centred, the return-to-go is divided by one scale and that is all, as papers do.
    """

    return_scale: Tensor
    return_centre: Tensor | None
    least: Tensor
    most: Tensor

    def __init__(self, width: int, centred: bool) -> None:
        super().__init__()
        self.linear = nn.Linear(2 if centred else 1, width)
        self.register_buffer("return_scale", torch.ones(2, dtype=torch.float64) if centred else torch.ones(()))
        self.register_buffer("return_centre", torch.zeros(2, dtype=torch.float64) if centred else None)
        most = torch.tensor([FAR, math.inf], dtype=torch.float64)
        self.register_buffer("most", most, persistent=False)
        self.register_buffer("least", -most, persistent=False)

    def fit(self, episodes: Episodes, return_scale: float | None) -> list[str]:
        """Scale by `return_scale` alone, or by the data; what does not vary in it keeps its scale.

        Returns:
            a sentence where returns vary by hardly more than rounding.
        """
        if self.return_centre is None:
            spread = float(Spread.of(episodes.returns()).spread) if return_scale is None else return_scale
            self.return_scale.fill_(spread if spread > 0 else 1.0)
            return []
        rounding = rounding_of_returns(episodes)
        fine, coarse = Spread.of(episodes.returns()), Spread.of(episodes.returns_to_go())
        coarse_scale = coarse.spread if coarse.spread > rounding else 1.0
        scales = [fine.spread if fine.spread > rounding else coarse_scale, coarse_scale]
        self.return_scale.copy_(torch.tensor([float(scale) for scale in scales], dtype=torch.float64))
        self.return_centre.copy_(torch.tensor([float(fine.centre), float(coarse.centre)], dtype=torch.float64))
        return note_on_returns(fine, rounding)

    def forward(self, return_to_go: Tensor) -> Tensor:
        return self.linear(self.scaled(return_to_go).to(self.linear.weight.dtype))

    def scaled(self, return_to_go: Tensor) -> Tensor:
        """(*, 2), or (*, 1) where it is not centred: what the linear map sees."""
        raw = return_to_go.to(self.return_scale.dtype).unsqueeze(-1)
        if self.return_centre is None:
            return raw / self.return_scale
        return ((raw - self.return_centre) / self.return_scale).clamp(self.least, self.most)
