"""Named random streams: every use of randomness draws from a stream of its own, derived from one root seed.

``stream(seed, "batches", 17)`` depends on the seed and on the names alone, so the order of calls, the number of parallel
environments and a resumed run change nothing. The global generators are never used.
"""

from __future__ import annotations

import hashlib

import numpy as np

ENV_SEEDS = 2**31  # signed 32-bit integers are what the most old-fashioned environments hold their seed in


def seed_for(root: int, *names: str | int) -> int:
    """A 63-bit seed for the stream called `names` under `root`."""
    return int(_sequence(root, names).generate_state(1, np.uint64)[0] >> np.uint64(1))


def env_seed(root: int, *names: str | int) -> int:
    """A seed below 2**31 for the stream called `names` under `root`: every environment takes one."""
    return seed_for(root, *names) % ENV_SEEDS


def stream(root: int, *names: str | int) -> np.random.Generator:
    """A numpy generator for the stream called `names` under `root`."""
    return np.random.Generator(np.random.PCG64(_sequence(root, names)))


def _sequence(root: int, names: tuple[str | int, ...]) -> np.random.SeedSequence:
    # Type and text of each name are hashed, so that ("a", 1) and ("a1",) or ("a", "1") never share a stream.
    digest = hashlib.sha256("\x00".join(f"{type(name).__name__}:{name}" for name in names).encode()).digest()
    return np.random.SeedSequence([root, *np.frombuffer(digest, dtype=np.uint32).tolist()])
