"""HiPPO-LegS: the matrix that remembers by Legendre polynomials, and its normal plus low-rank form.

Sources: Gu et al. 2020, arXiv:2008.07669 (the matrix); Gu et al. 2022, arXiv:2111.00396, appendix C (the form). All in
float64 numpy: the eigendecomposition loses digits in float32, and it runs once per model.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from dsbench.errors import UsageError

Array = NDArray[np.float64]
ComplexArray = NDArray[np.complex128]

LARGEST = 1024  # N of a matrix that is decomposed
INPUT_CLIP = 2.0  # the reference clips the imaginary part of V* B

_shapes_alone: ContextVar[bool] = ContextVar("shapes_alone", default=False)


def legs(size: int) -> tuple[Array, Array]:
    """A (N, N) and B (N,) of HiPPO-LegS.

    ``A[n, k] = -sqrt((2n + 1)(2k + 1))`` below the diagonal, ``-(n + 1)`` on it, 0 above; ``B[n] = sqrt(2n + 1)``.
    """
    roots = np.sqrt(2.0 * np.arange(size) + 1.0)
    a = -np.tril(np.outer(roots, roots), -1) - np.diag(np.arange(size) + 1.0)
    return a, roots


def low_rank(size: int) -> Array:
    """P (N,) with ``A + P P^T`` normal: ``P[n] = sqrt(n + 1/2)``."""
    p: Array = np.sqrt(np.arange(size) + 0.5)
    return p


@contextmanager
def shapes_alone() -> Iterator[None]:
    """While the block lasts, `legs_normal` gives zeros at once: for who only wants to know how large a model is."""
    before = _shapes_alone.set(True)
    try:
        yield
    finally:
        _shapes_alone.reset(before)


def legs_normal(size: int) -> tuple[ComplexArray, ComplexArray]:
    """Lambda (N/2,) and V (N, N/2) of the normal part ``S = A + P P^T = V diag(Lambda) V*``, one of each conjugate pair.

    S + S^T = -I, so its eigenvalues are -1/2 + i w and its eigenvectors are those of the Hermitian matrix -i S (without
    the real part). Kept: the half with negative w, ascending, as in the reference.

    Raises:
        UsageError: N is larger than `LARGEST`; the matrix takes 16 N^2 bytes, its decomposition some N^3 operations.
    """
    if size > LARGEST:
        raise UsageError(
            f"d_state is {size}; expected at most {LARGEST}, since HiPPO-LegS is decomposed as a dense matrix"
        )
    if _shapes_alone.get():
        return np.zeros(size // 2, np.complex128), np.zeros((size, size // 2), np.complex128)
    modes, vectors = _decomposed(size)
    return modes.copy(), vectors.copy()


@lru_cache(maxsize=4)
def _decomposed(size: int) -> tuple[ComplexArray, ComplexArray]:
    """Every layer begins alike."""
    a, _ = legs(size)
    p = low_rank(size)
    skew = a + np.outer(p, p) + 0.5 * np.eye(size)
    frequencies, vectors = np.linalg.eigh(-1j * skew)
    modes: ComplexArray = -0.5 + 1j * frequencies[: size // 2]
    return modes, vectors[:, : size // 2].astype(np.complex128)


def legs_nplr(size: int) -> tuple[ComplexArray, ComplexArray, ComplexArray]:
    """Lambda, P, B (each N/2) with A = V (diag(Lambda) - P P*) V*, the modes and vectors of `legs_normal`."""
    modes, vectors = legs_normal(size)
    half = vectors.conj().T
    projected, low = half @ legs(size)[1], half @ low_rank(size)
    clipped = projected.real + 1j * np.clip(projected.imag, -INPUT_CLIP, INPUT_CLIP)
    return modes, low.astype(np.complex128), clipped.astype(np.complex128)
