"""How far a recurrence in single precision drifts from the true one, and how little is needed to keep it from that.

    x_t = lambda x_{t-1} + u_t,    x_{-1} = 0                                    (Decision S4, arXiv:2306.05167, eq. 9)
    |fl(x_t) - x_t| <= t eps sum over i of |lambda^(t-i) u_i|                    (theorem 1 with N = 1; eq. 17)

The proof counts the rounding of sums only, in units eps of its equation 10. With eps = 2^-23, which is twice the rounding
unit, there is room for the rounding of the product too: term i is rounded 2 (t - i) + 1 times at most, and the first sum is
exact, so 2 t units of 2^-24 bound the whole to first order in eps. u and lambda are the numbers of single precision that
the recurrence really sees, so converting them is no error of it.

The compensated variants keep what each rounding lost in a second number e, which decays with the state:

    sum      x, r = TwoSum(lambda x, u);                            e = lambda e + r
    exact    p, q = TwoProduct(lambda, x);  x, r = TwoSum(p, u);    e = lambda e + (q + r);    result x + e

TwoSum: Knuth 1969 (Moller 1965, to whom the paper points); TwoProduct: Dekker 1971 with Veltkamp's splitting. The second is
compensated Horner (Graillat, Langlois and Louvet 2005), for the recurrence is Horner's scheme: as if in twice the precision.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import mpmath
import numpy as np
from numpy.typing import NDArray

from dsbench.seeds import stream

Single = NDArray[np.float32]
Double = NDArray[np.float64]

EPSILON = float(np.finfo(np.float32).eps)  # 2^-23
LAMBDAS = (0.8, 1.0, 1.005)  # figure 6
REPEATS, LENGTH = 100, 1000
DIGITS = 100  # of the reference; the paper has 2000, and from 60 on the errors are the same to the last bit
SPLITTER = np.float32(2**12 + 1)  # Veltkamp's, for 24 bits
VARIANTS = ("plain", "sum", "exact")


@dataclass(frozen=True)
class Drift:
    """Errors of one lambda.

    Attributes:
        lambda_: as it was asked for; single precision holds `float(np.float32(lambda_))`.
        errors: variant -> (repeats, length) absolute forward error.
        bound: (repeats, length) of theorem 1.
    """

    lambda_: float
    errors: dict[str, Double]
    bound: Double


def plain(decay: float, u: Single) -> Single:
    """(repeats, length) states of the recurrence, every operation rounded to single precision."""
    factor, x = np.float32(decay), np.zeros(len(u), np.float32)
    states = np.empty_like(u)
    for t in range(u.shape[1]):
        x = factor * x + u[:, t]
        states[:, t] = x
    return states


def compensated_sum(decay: float, u: Single) -> Single:
    """Like `plain`, with what the sums lost kept beside; the product still rounds."""
    factor, x, lost = np.float32(decay), np.zeros(len(u), np.float32), np.zeros(len(u), np.float32)
    states = np.empty_like(u)
    for t in range(u.shape[1]):
        x, r = two_sum(factor * x, u[:, t])
        lost = factor * lost + r
        states[:, t] = x + lost
    return states


def compensated(decay: float, u: Single) -> Single:
    """Like `plain`, with what sums and products lost kept beside."""
    factor, x, lost = np.float32(decay), np.zeros(len(u), np.float32), np.zeros(len(u), np.float32)
    states = np.empty_like(u)
    for t in range(u.shape[1]):
        p, q = two_product(factor, x)
        x, r = two_sum(p, u[:, t])
        lost = factor * lost + (q + r)
        states[:, t] = x + lost
    return states


def two_sum(a: Single, b: Single) -> tuple[Single, Single]:
    """The rounded sum, and what the rounding lost: both together are a + b exactly."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


def two_product(a: np.float32 | Single, b: Single) -> tuple[Single, Single]:
    """The rounded product, and what the rounding lost: both together are a b exactly, unless something underflows."""
    product = a * b
    (a_high, a_low), (b_high, b_low) = _split(a), _split(b)
    return product, a_low * b_low - (((product - a_high * b_high) - a_low * b_high) - a_high * b_low)


def _split(a: Any) -> tuple[Any, Any]:
    big = SPLITTER * a
    high = big - (big - a)
    return high, a - high


def bound(decay: float, u: Single) -> Double:
    """(repeats, length) of theorem 1: ``t eps sum over i of |lambda^(t-i) u_i|``, in double precision."""
    factor, size = abs(float(np.float32(decay))), np.zeros(len(u))
    sizes = np.empty(u.shape)
    for t in range(u.shape[1]):
        size = factor * size + np.abs(u[:, t].astype(np.float64))
        sizes[:, t] = size
    return np.arange(u.shape[1]) * EPSILON * sizes


def forward_errors(decay: float, u: Single, states: list[Single], digits: int = DIGITS) -> list[Double]:
    """(repeats, length) distance of each of `states` from the recurrence in arithmetic of `digits` decimal digits."""
    errors = [np.empty(u.shape) for _ in states]
    with mpmath.workdps(digits):
        factor = mpmath.mpf(float(np.float32(decay)))
        for row, inputs in enumerate(u.astype(np.float64).tolist()):
            x = mpmath.mpf(0)
            for t, value in enumerate(inputs):
                x = factor * x + value
                for error, state in zip(errors, states, strict=True):
                    error[row, t] = abs(x - float(state[row, t]))
    return errors


def rounding_study(
    lambdas: tuple[float, ...] = LAMBDAS, repeats: int = REPEATS, length: int = LENGTH, seed: int = 0
) -> list[Drift]:
    """Figure 6 of the paper: standard normal inputs, the same for every lambda.

    Args:
        lambdas: real eigenvalues.
        repeats: sequences.
        length: their tokens.
        seed: of the inputs.
    """
    u = stream(seed, "rounding").standard_normal((repeats, length)).astype(np.float32)
    return [_drift(decay, u) for decay in lambdas]


def _drift(decay: float, u: Single) -> Drift:
    states = [recurrence(decay, u) for recurrence in (plain, compensated_sum, compensated)]
    errors = forward_errors(decay, u, states)
    return Drift(decay, dict(zip(VARIANTS, errors, strict=True)), bound(decay, u))
