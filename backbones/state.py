"""Recurrent state as a value: nested tuples and dictionaries of tensors, batch axis first in every leaf.

``()`` is the state of a backbone that remembers nothing. All functions return new states and leave theirs unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

import torch
from torch import Tensor

from dsbench.errors import UsageError

State: TypeAlias = "Tensor | tuple[State, ...] | dict[str, State]"


def map_state(function: Callable[..., Tensor], state: State, *others: State) -> State:
    """Apply `function` to each leaf (with the leaves of `others` at the same place)."""
    if isinstance(state, Tensor):
        return function(state, *others)
    if isinstance(state, dict):
        return {key: map_state(function, state[key], *(other[key] for other in others)) for key in state}  # type: ignore[call-overload,index]
    return tuple(map_state(function, *parts) for parts in zip(state, *others, strict=True))


def leaves(state: State) -> Iterator[Tensor]:
    """Every tensor of the state, in a fixed order."""
    if isinstance(state, Tensor):
        yield state
    else:
        for part in state.values() if isinstance(state, dict) else state:
            yield from leaves(part)


def detach_state(state: State) -> State:
    """The same values, cut from the autograd graph."""
    return map_state(Tensor.detach, state)


def clone_state(state: State) -> State:
    """A copy that shares no memory."""
    return map_state(Tensor.clone, state)


def select_rows(mask: Tensor, state: State, otherwise: State) -> State:
    """Row b of `state` where ``mask[b]``, row b of `otherwise` elsewhere; by `torch.where`, so an inf or NaN in the row
    that is not taken does not survive."""

    def pick(leaf: Tensor, other: Tensor) -> Tensor:
        return torch.where(mask.view(-1, *[1] * (leaf.dim() - 1)), leaf, other)

    return map_state(pick, state, otherwise)


def reset_state(state: State, done: Tensor, initial: State) -> State:
    """`state` with the rows where ``done`` (B,) bool replaced by those of `initial`."""
    return select_rows(done, initial, state)


def take_rows(state: State, rows: Tensor) -> State:
    """The rows with these indices, in this order."""
    return map_state(lambda leaf: leaf.index_select(0, rows), state)


def cat_rows(*states: State) -> State:
    """Several states one under the other along the batch axis."""
    return map_state(lambda *parts: torch.cat(parts), *states)


def to(state: State, *args: Any, **kwargs: Any) -> State:
    """``Tensor.to`` on every leaf; a dtype is applied to floating-point leaves only (counts stay integer, complex stays
    complex)."""

    def move(leaf: Tensor) -> Tensor:
        if leaf.is_floating_point():
            return leaf.to(*args, **kwargs)
        return leaf.to(torch.empty(0, device=leaf.device).to(*args, **kwargs).device)

    return map_state(move, state)


def nbytes(state: State) -> int:
    """Bytes that the leaves hold."""
    return sum(leaf.numel() * leaf.element_size() for leaf in leaves(state))


def flatten(state: State) -> dict[str, Tensor]:
    """Leaves under path names (``0/h``); the structure of `state` itself is needed to `unflatten`.

    Raises:
        UsageError: a dictionary key is empty or has a ``/``, so that two leaves could get one name.
    """
    if isinstance(state, Tensor):
        return {"": state}
    if isinstance(state, dict):
        for key in state:
            if not key or "/" in key:
                raise UsageError(f"state key {key!r} cannot be part of a path; use a name without '/'")
    items = state.items() if isinstance(state, dict) else enumerate(state)
    return {f"{key}/{path}".rstrip("/"): leaf for key, part in items for path, leaf in flatten(part).items()}


def unflatten(flat: Mapping[str, Tensor], like: State) -> State:
    """Inverse of `flatten`; `like` is any state of the same structure (``initial_state(1)``)."""
    return _unflatten(flat, like, "")


def _unflatten(flat: Mapping[str, Tensor], like: State, path: str) -> State:
    if isinstance(like, Tensor):
        return flat[path]
    prefix = f"{path}/" if path else ""
    if isinstance(like, dict):
        return {key: _unflatten(flat, part, f"{prefix}{key}") for key, part in like.items()}
    return tuple(_unflatten(flat, part, f"{prefix}{index}") for index, part in enumerate(like))
