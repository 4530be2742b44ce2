"""What all bridged models share: configuration from d_model and options, and running a model without side effects.

Does not include: pretrained weights, token tables (backbones are fed embeddings), attention outputs.
"""

from __future__ import annotations

import inspect
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar

import torch
import transformers
from huggingface_hub.errors import StrictDataclassError
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from transformers import AutoModel, PreTrainedConfig

from dsbench.backbones.contract import Backbone, Kernel
from dsbench.backbones.state import State
from dsbench.errors import UsageError

# Fields of a configuration that are no options: given by d_model and n_layers, or about tokens and heads that are not
# there. transformers' one-token step of Mamba-2 ignores `time_step_limit`, so it would not be the model that trained.
# fmt: off
NO_OPTIONS = frozenset({
    "hidden_size", "n_embd", "num_hidden_layers", "n_layer",
    "vocab_size", "bos_token_id", "eos_token_id", "pad_token_id", "tie_word_embeddings", "pretraining_tp",
    "use_cache", "add_cross_attention", "time_step_limit",
    "summary_type", "summary_use_proj", "summary_activation", "summary_proj_to_labels", "summary_first_dropout",
})
# fmt: on


class Bridge(Backbone, abstract=True):
    """A model of transformers as a backbone; a subclass moves its cache into a `State` and back.

    Args:
        d_model: ``hidden_size`` of the model.
        n_layers: ``num_hidden_layers``.
        config: any field of the model's configuration that says something about its architecture.
    """

    config_class: ClassVar[type[PreTrainedConfig]]
    model_options: ClassVar[dict[str, Any]] = {}

    def __init__(self, d_model: int, *, n_layers: int = 2, **config: Any) -> None:
        super().__init__(d_model)
        if not isinstance(n_layers, int) or isinstance(n_layers, bool) or n_layers < 1:
            raise UsageError(f"n_layers is {n_layers!r}; expected a positive integer")
        self.n_layers = n_layers
        names = self.config_class.attribute_map
        fields = {names.get(name, name): value for name, value in config.items()}
        sizes = {"hidden_size": d_model, "num_hidden_layers": n_layers}
        tokens = {"vocab_size": 1, "bos_token_id": None, "eos_token_id": None, "pad_token_id": None}
        fields = {**{names.get(name, name): size for name, size in sizes.items()}, **tokens, **fields}
        try:
            self.config = self.config_class(**self.defaults(d_model, fields), **fields)
            model = AutoModel.from_config(self.config, **self.model_options)
            _run_once(model, d_model)
        except (StrictDataclassError, ValueError, TypeError, ArithmeticError, LookupError, RuntimeError) as error:
            reason = " ".join(str(error).split())
            raise UsageError(
                f"transformers refuses this {self.config_class.model_type} of width {d_model} with {config}: {reason}"
            ) from error
        model.set_input_embeddings(nn.Identity())  # a table that nothing looks into would get no gradient
        self.model = model

    @classmethod
    def defaults(cls, d_model: int, fields: dict[str, Any]) -> dict[str, Any]:
        """Values of fields that are not in `fields` (named as in the configuration), sized for small models."""
        raise NotImplementedError

    @classmethod
    def further_options(cls) -> dict[str, inspect.Parameter]:
        own = inspect.get_annotations(cls.config_class)
        aliases = [alias for alias, field in cls.config_class.attribute_map.items() if field in own]
        names = sorted({*own, *aliases} - NO_OPTIONS)
        return {name: inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in names}

    def kernel(self) -> Kernel:
        """Whatever transformers runs."""
        return Kernel("transformers", f"the model of transformers {transformers.__version__} itself")

    def scan(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        return (torch.zeros_like(x), state) if x.numel() == 0 else self.carry(x, state)

    def forward(self, x: Tensor, state: State | None = None, resets: Tensor | None = None) -> tuple[Tensor, State]:
        """As `Backbone.forward`; without a state, each stretch between resets is a row of its own."""
        self.check_input(x, resets)
        if state is not None or x.numel() == 0:
            return super().forward(x, state, resets)
        return self.from_start(x, resets)

    def carry(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """`scan` of at least one token."""
        raise NotImplementedError

    def from_start(self, x: Tensor, resets: Tensor | None) -> tuple[Tensor, State]:
        """`forward` of at least one token from the initial state."""
        raise NotImplementedError


@torch.no_grad()
def _run_once(model: nn.Module, d_model: int) -> None:
    """Sizes that do not go together, such as heads and groups, are accepted by a configuration and fail at a token."""
    model.eval()(inputs_embeds=torch.zeros(1, 1, d_model), use_cache=False)
    model.train()


class Pure(TorchFunctionMode):
    """Runs a model of transformers without writing to its cache's tensors, and without float32 in a float64 model.

    A one-token step writes the new state over the old one (``state.copy_``), which autograd needs; here the new one is
    put aside instead. And the models cast to float32 inside (norms, decays), so that in float64 no two views of
    one function would agree to more than seven digits; here such a cast is to float64.

    Args:
        slots: tensors that the model may overwrite.
        double: whether the model's parameters are float64.
    """

    def __init__(self, slots: list[Tensor], double: bool) -> None:
        super().__init__()
        self._double = double
        self._written = {id(slot): slot for slot in slots}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is Tensor.copy_ and id(args[0]) in self._written:
            self._written[id(args[0])] = args[1].to(args[0].dtype)
            return args[0]
        if self._double:
            func = Tensor.double if func is Tensor.float else func
            args = tuple(_widened(value) for value in args)
            kwargs = {name: _widened(value) for name, value in kwargs.items()}
        return func(*args, **kwargs)

    def written(self, slot: Tensor) -> Tensor:
        """What the model last wrote to `slot`; the slot itself if nothing, or if a kernel wrote to it directly."""
        return self._written[id(slot)]


def in_double(dtype: torch.dtype) -> AbstractContextManager[Any]:
    """`Pure` without slots for a model of float64, nothing otherwise: it costs microseconds for each operation."""
    return Pure([], double=True) if dtype == torch.float64 else nullcontext()


def _widened(value: Any) -> Any:
    return torch.float64 if value is torch.float32 else value
