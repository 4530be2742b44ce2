"""The contract of a backbone: a causal map (B, L, D) -> (B, L, D) with an explicit state.

A subclass writes at least one of three views and the rest is derived, slow but right:

``step(x_t, state)``     recurrent view, one token at a time
``scan(x, state)``       parallel view of one stretch of one episode, no resets
``parallel(x)``          stateless parallel view; sets ``receptive_field`` (tokens, of the whole stack)

``forward(x, state, resets)`` is the public parallel view. It cuts the sequence where an episode starts and calls
`scan`; a class with a faster way to honour resets overrides it. `dsbench.backbones.check` proves that the views are one
function.

Shapes: B batch, L tokens, D = d_model.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

import torch
from torch import Tensor, nn

from dsbench.backbones.rates import groups_of, is_dynamics, keep_marks, mark_dynamics, mark_rate
from dsbench.backbones.state import State, map_state, reset_state, select_rows
from dsbench.errors import UsageError

if TYPE_CHECKING:
    from dsbench.backbones.stepper import Stepper

VIEWS = ("step", "scan", "parallel")


class Kernel(NamedTuple):
    """Which implementation runs (``torch``, ``c``, ``triton``, ...) and why that one."""

    name: str
    reason: str


class Backbone(nn.Module):
    """Base of every backbone and mixer.

    Keyword arguments of ``__init__`` are the options that ``--set backbone.<name>=<value>`` reaches.

    Attributes:
        d_model: width D of tokens and outputs.
        receptive_field: tokens that an output depends on; only for classes that write `parallel`.
        separate_tokens: whether tokens of several kinds (return, observation, action) may be interleaved; a map that
            sees fewer tokens than a timestep then has cannot use them.
        memoryless: y_t depends on a fixed few last tokens only, as a control; the previous action is hidden from it unless
            a run says otherwise.
    """

    receptive_field: int | None = None
    separate_tokens: bool = True
    memoryless: ClassVar[bool] = False
    _written: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, d_model: int) -> None:
        super().__init__()
        if not isinstance(d_model, int) or isinstance(d_model, bool) or d_model < 1:
            raise UsageError(f"d_model is {d_model!r}; expected a positive integer")
        self.d_model = d_model

    def __init_subclass__(cls, abstract: bool = False, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._written = frozenset(view for view in VIEWS if getattr(cls, view) is not getattr(Backbone, view))
        if abstract:
            return
        if not cls._written:
            raise TypeError(f"{cls.__name__} writes none of step, scan, parallel; a backbone needs at least one")
        stateful = cls._written & {"step", "scan"}
        if stateful and cls.initial_state is Backbone.initial_state:
            raise TypeError(f"{cls.__name__} writes {' and '.join(sorted(stateful))} but no initial_state(batch_size)")

    # ------------------------------------------------------------------ what a subclass writes

    def initial_state(self, batch_size: int) -> State:
        """State before the first token of an episode, `batch_size` rows, on the parameters' device."""
        if "parallel" in self._written:
            window = self._window()
            buffer = self._like_parameters(batch_size, window, self.d_model)
            return {"tokens": buffer, "count": torch.zeros(batch_size, dtype=torch.long, device=buffer.device)}
        raise NotImplementedError(f"{type(self).__name__}.initial_state")

    def step(self, x_t: Tensor, state: State) -> tuple[Tensor, State]:
        """One token: (B, D), state -> (B, D), state."""
        if "scan" in self._written:
            y, state = self.scan(x_t.unsqueeze(1), state)
            return y.squeeze(1), state
        return self._step_from_window(x_t, state)

    def scan(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """One stretch of one episode: (B, L, D), state -> (B, L, D), state after the last token."""
        if "step" not in self._written:
            return self._scan_from_window(x, state)
        outputs = []
        for x_t in x.unbind(1):
            y_t, state = self.step(x_t, state)
            outputs.append(y_t)
        return (torch.stack(outputs, 1) if outputs else torch.zeros_like(x)), state

    def parallel(self, x: Tensor) -> Tensor:
        """All tokens of one stretch that starts an episode: (B, L, D) -> (B, L, D)."""
        return self.scan(x, self.initial_state(x.shape[0]))[0]

    # ------------------------------------------------------------------ the public parallel view

    def forward(self, x: Tensor, state: State | None = None, resets: Tensor | None = None) -> tuple[Tensor, State]:
        """Map a batch of token rows.

        Args:
            x: (B, L, D) tokens; padding, if any, on the right.
            state: state before column 0; None is the initial one.
            resets: (B, L) bool. Where ``resets[b, i]``, token i starts an episode: everything before it, the state
                passed in included, is replaced by row b of ``initial_state``. None means none, also at i = 0.

        Returns:
            (B, L, D) outputs and the state after the last column.

        Raises:
            UsageError: `x` is not (B, L, d_model) or `resets` is not (B, L) bool.
        """
        self.check_input(x, resets)
        if state is None:
            state = self.initial_state(x.shape[0])
        outputs = []
        for begin, end in stretches(resets, x.shape[1]):
            if resets is not None:
                state = self.reset(state, resets[:, begin])
            y, state = self.scan(x[:, begin:end], state)
            outputs.append(y)
        if len(outputs) == 1:
            return outputs[0], state
        return (torch.cat(outputs, 1) if outputs else torch.zeros_like(x)), state

    # ------------------------------------------------------------------ services

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        twin = type(self).__new__(type(self))
        memo[id(self)] = twin
        twin.__dict__.update(copy.deepcopy(self.__dict__, memo))
        keep_marks(self, twin)
        return twin

    @classmethod
    def further_options(cls) -> dict[str, inspect.Parameter]:
        """Options that ``__init__`` takes as ``**keywords``, beside those that its signature names."""
        return {}

    def kernel(self) -> Kernel:
        """The implementation that `forward` runs on the device where the parameters are now."""
        return Kernel("torch", "the only one")

    def reset(self, state: State, done: Tensor) -> State:
        """`state` with the rows where `done` (B,) bool replaced by those of the initial state."""
        return reset_state(state, done, self.initial_state(done.shape[0]))

    def make_stepper(self, batch_size: int, *, compiled: bool = False) -> Stepper:
        """An acting loop's stepper: owns its buffers, may work in place, built for the parameters as they are now.

        Args:
            batch_size: rows.
            compiled: run the step without Python, see `dsbench.backbones.compiled`; takes seconds to make.

        Raises:
            MissingExtra: `compiled` on a CPU without onnxruntime.
            UsageError: `compiled` and the step cannot be exported, with the reason.
        """
        if compiled:
            from dsbench.backbones.compiled import compile_stepper

            return compile_stepper(self, batch_size)
        return self.eager_stepper(batch_size)

    def eager_stepper(self, batch_size: int) -> Stepper:
        """What `make_stepper` gives when nothing is compiled; a backbone with a faster way than `step` overrides it."""
        from dsbench.backbones.stepper import Stepper

        return Stepper(self, batch_size)

    def acting_form(self) -> Backbone:
        """A backbone with the same `step` and state in which what depends on parameters only was computed once.

        A part overrides it (`self` means nothing to prepare); `dsbench.backbones.stepper.acting_copy` asks all parts.
        """
        return self

    def param_groups(self) -> list[dict[str, Any]]:
        """Parameters for the optimiser, each group with a relative factor ``lr_scale`` and a switch ``decay``.

        Parameters with a rate of their own (`mark_rate`, `mark_dynamics`) make a group for each rate, without decay;
        other tensors with two axes or more decay, the rest do not.
        """
        return groups_of(self)

    def freeze_dynamics(self) -> None:
        """Stop training A and dt (Decision S4, section 4.2): what `mark_dynamics` marks.

        Where the step size is a function of the token (Mamba), its bias freezes and the map of the token still trains;
        a backbone that marks nothing (its gates are all functions of the token, or A is fixed) freezes nothing.
        """
        for parameter in self.parameters():
            if is_dynamics(parameter):
                parameter.requires_grad_(False)

    def check_input(self, x: Tensor, resets: Tensor | None = None) -> None:
        """Refuse wrong shapes with both numbers."""
        if x.dim() != 3 or x.shape[-1] != self.d_model:
            raise UsageError(
                f"{type(self).__name__} expects tokens (batch, length, d_model={self.d_model}), got {tuple(x.shape)}"
            )
        if resets is not None and (resets.shape != x.shape[:2] or resets.dtype != torch.bool):
            raise UsageError(
                f"resets must be bool of shape {tuple(x.shape[:2])}, got {resets.dtype} of shape {tuple(resets.shape)}"
            )

    def _like_parameters(self, *shape: int) -> Tensor:
        """Zeros on the parameters' device; float64 if they are, float32 otherwise."""
        parameter = next(self.parameters(), None)
        if parameter is None:
            return torch.zeros(shape)
        dtype = torch.float64 if parameter.dtype == torch.float64 else torch.float32
        return torch.zeros(shape, dtype=dtype, device=parameter.device)

    # ------------------------------------------------------------------ views derived from `parallel`

    def _window(self) -> int:
        if not isinstance(self.receptive_field, int) or self.receptive_field < 1:
            raise UsageError(
                f"{type(self).__name__} writes parallel() and declares receptive_field={self.receptive_field!r}; "
                "expected how many tokens, at least 1, the whole stack looks back on (the current one included)"
            )
        return self.receptive_field

    def _step_from_window(self, x_t: Tensor, state: State) -> tuple[Tensor, State]:
        """y_t is by definition the last output of `parallel` on the last `receptive_field` tokens of the episode."""
        tokens, count = _window_of(state, x_t)
        window = tokens.shape[1]
        tokens = torch.where((count >= window).view(-1, 1, 1), tokens.roll(-1, dims=1), tokens)
        last = count.clamp(max=window - 1)
        here = (torch.arange(window, device=x_t.device) == last.unsqueeze(1)).unsqueeze(-1)  # (B, window, 1)
        tokens = torch.where(here, x_t.unsqueeze(1).to(tokens.dtype), tokens)
        y = self.parallel(tokens.to(x_t.dtype))
        y_t = y[torch.arange(len(y), device=y.device), last]
        return y_t, {"tokens": tokens, "count": (count + 1).clamp(max=window)}

    def _scan_from_window(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """One call of `parallel` on the remembered tokens followed by the new ones."""
        tokens, count = _window_of(state, x)
        (rows, window), length = tokens.shape[:2], x.shape[1]
        both = torch.cat([tokens, x.to(tokens.dtype)], 1)
        places = torch.arange(window + length, device=x.device).expand(rows, -1)
        begin = count.unsqueeze(1)  # (B, 1): remembered tokens lie at 0..count, new ones at window..
        order = torch.where(places < begin, places, (places + window - begin).clamp(max=window + length - 1))
        joined = torch.where((places < begin + length).unsqueeze(-1), _gather_tokens(both, order), 0.0)
        y = _gather_tokens(self.parallel(joined.to(x.dtype)), begin + torch.arange(length, device=x.device))
        kept = (begin + length).clamp(max=window)
        slots = torch.arange(window, device=x.device).expand(rows, -1)
        last = _gather_tokens(joined, (slots + begin + length - kept).clamp(max=window + length - 1))
        return y, {"tokens": torch.where((slots < kept).unsqueeze(-1), last, 0.0), "count": kept.squeeze(1)}


def _window_of(state: State, x: Tensor) -> tuple[Tensor, Tensor]:
    assert isinstance(state, dict)
    tokens, count = state["tokens"], state["count"]
    assert isinstance(tokens, Tensor)
    assert isinstance(count, Tensor)
    # A map without parameters makes its window in float32; the tokens say when more is needed.
    return tokens.to(torch.promote_types(tokens.dtype, x.dtype)), count


def _gather_tokens(x: Tensor, places: Tensor) -> Tensor:
    return x.gather(1, places.unsqueeze(-1).expand(-1, -1, x.shape[-1]))


def stretches(resets: Tensor | None, length: int) -> Iterator[tuple[int, int]]:
    """[begin, end) of the stretches between columns in which any row starts an episode."""
    if length == 0:
        return
    cuts = [] if resets is None else resets.any(0).nonzero().flatten().tolist()
    edges = sorted({0, *cuts, length})
    yield from pairwise(edges)


def options_of(cls: type[Backbone]) -> dict[str, inspect.Parameter]:
    """Options of a backbone's constructor (all it takes by name beside d_model), inherited ones included."""
    options: dict[str, inspect.Parameter] = {}
    for base in cls.__mro__:
        if base in (Backbone, nn.Module, object) or "__init__" not in vars(base):
            continue
        parameters = list(inspect.signature(vars(base)["__init__"]).parameters.values())[1:]
        for parameter in parameters:
            by_name = parameter.kind in (parameter.KEYWORD_ONLY, parameter.POSITIONAL_OR_KEYWORD)
            if by_name and parameter.name != "d_model":
                options.setdefault(parameter.name, parameter)
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
            break  # nothing more is passed on to its bases
    return cls.further_options() | options


__all__ = ["Backbone", "map_state", "mark_dynamics", "mark_rate", "options_of", "select_rows", "stretches"]
