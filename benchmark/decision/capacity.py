"""How many episodes a policy plays at once: as many as its memory of them all fits into a number of bytes.

The number is the same on every machine. In single precision a product may be summed in another order where it has another
number of rows, so that a score could hang on the memory of a machine if the rows did.
"""

from __future__ import annotations

import torch

from dsbench.backbones.state import nbytes
from dsbench.decision.acting import Acting
from dsbench.decision.wrapper import DecisionSequence

AT_ONCE = 512 * 2**20  # bytes; no shipped preset comes to more, at its own width
WIDTHS = 24  # vectors of d_model that a token takes while it is encoded: 14 to 27 are measured, 40 of Mamba-2


@torch.no_grad()
def rows_at_once(policy: DecisionSequence, acting: Acting, window: int | None = None) -> int:
    """Rows whose memory fits into `AT_ONCE`, at least one.

    Counted is what lasts from one decision to the next: the backbone's state, or the tokens of a window that is encoded anew.
    Steps make new states before they drop old ones, so that a process takes two to five times as much for a moment.

    Args:
        window: timesteps that windowed acting encodes.
    """
    of_a_row = nbytes(policy.initial_state(1))
    if acting == "windowed":
        of_a_row += encoding_bytes(policy, window or 1)
    return max(1, AT_ONCE // max(1, of_a_row))


def encoding_bytes(policy: DecisionSequence, timesteps: int) -> int:
    """Bytes, about, that so many timesteps take while they are encoded together."""
    tokens = timesteps * policy.tokens_per_decision
    return tokens * WIDTHS * policy.backbone.d_model * policy.head.weight.element_size()
