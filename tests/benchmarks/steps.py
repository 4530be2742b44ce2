"""Who makes one decision step, and how: eager and compiled steppers, and three ways of a transformer.

Every contestant is built by a function without arguments and is itself one: it takes `CALLS` steps of one stepper, on
inputs made beforehand. 3 layers, d_model 64, each backbone's own block where it has one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from dsbench.backbones import Backbone, build
from dsbench.errors import UsageError
from tests.benchmarks.cells import Cell
from tests.benchmarks.rivals import D_MODEL, N_LAYERS, Run

Make = Callable[[], Run]
CALLS = 50
CONTEXTS = (20, 100, 300)
RECURRENT = ("s4d", "lstm", "mamba", "s4", "s5", "mamba2", "gru", "rnn", "mingru", "linear-attention")


def model(name: str, **options: Any) -> Backbone:
    """In the paper's block, or in the shared one where it has none of its own."""
    torch.manual_seed(0)
    try:
        backbone = build(name, D_MODEL, n_layers=N_LAYERS, block="paper", **options)
    except UsageError:
        backbone = build(name, D_MODEL, n_layers=N_LAYERS, **options)
    return backbone.eval()


def stepping(name: str, rows: int, *, compiled: bool) -> Run:
    """A recurrent backbone's stepper."""
    return _repeated(model(name).make_stepper(rows, compiled=compiled).step, torch.randn(rows, D_MODEL))


def cached(context: int, tokens: int, *, compiled: bool) -> Run:
    """One decision of GPT with a full cache of `context` timesteps of `tokens` tokens: as many steps as tokens."""
    stepper = model("gpt", context_len=context * tokens).make_stepper(1, compiled=compiled)
    x = torch.randn(1, D_MODEL)
    for _ in range(context * tokens):
        stepper.step(x)

    def decide(x: Tensor) -> None:
        for _ in range(tokens):
            stepper.step(x)

    return _repeated(decide, x)


def window(context: int, tokens: int) -> Run:
    """One decision of GPT that encodes its whole window anew."""
    backbone = model("gpt", context_len=context * tokens)
    return _repeated(lambda x: backbone(x)[0][:, -1], torch.randn(1, context * tokens, D_MODEL))


def decision_transformer(context: int, *, whole: bool) -> Run:
    """The same of transformers, three tokens a timestep: `whole` with its encoders and heads, else the stack alone."""
    import transformers

    config = transformers.DecisionTransformerConfig(
        state_dim=3, act_dim=2, hidden_size=D_MODEL, n_layer=N_LAYERS, n_head=1, max_ep_len=context, use_cache=False,
        n_positions=3 * context, activation_function="gelu_new", bos_token_id=None, eos_token_id=None,
    )  # fmt: skip
    other = transformers.DecisionTransformerModel(config).eval()
    if not whole:
        return _repeated(lambda x: other.encoder(inputs_embeds=x), torch.randn(1, 3 * context, D_MODEL))
    history = {
        "states": torch.randn(1, context, 3),
        "actions": torch.randn(1, context, 2),
        "returns_to_go": torch.randn(1, context, 1),
        "timesteps": torch.arange(context).unsqueeze(0),
        "attention_mask": torch.ones(1, context),
    }
    return _repeated(lambda _: other(**history), torch.zeros(1))


def recurrent(name: str, rows: int) -> dict[str, Make]:
    """Contestants of a recurrent backbone, the eager one first."""
    return {
        "eager": lambda: stepping(name, rows, compiled=False),
        "compiled": lambda: stepping(name, rows, compiled=True),
    }


def transformer(context: int) -> dict[str, Make]:
    """Contestants of a decision over `context` timesteps, transformers' first."""
    both = {1: "one token", 3: "three tokens"}
    made: dict[str, Make] = {
        "DecisionTransformerModel": lambda: decision_transformer(context, whole=True),
        "DecisionTransformerModel, stack alone": lambda: decision_transformer(context, whole=False),
    }
    for tokens, words in both.items():
        made |= {
            f"gpt, window, {words}": lambda tokens=tokens: window(context, tokens),
            f"gpt, cache, {words}": lambda tokens=tokens: cached(context, tokens, compiled=False),
            f"gpt, cache, compiled, {words}": lambda tokens=tokens: cached(context, tokens, compiled=True),
        }
    return made


def cells() -> Iterator[Cell]:
    """For `ratios.py`: compiled against eager (4 times as fast is the goal for three of them), and the transformers."""
    for rows in (1, 64):
        for name in RECURRENT:
            goal = 4.0 if rows == 1 and name in ("s4d", "lstm", "mamba") else 0.0
            makes = recurrent(name, rows)
            yield Cell(
                f"step of {name}, batch {rows}",
                "eager",
                makes["eager"],
                {"compiled": (makes["compiled"], goal)},
                calls=CALLS,
            )
    for context in CONTEXTS:
        (rival, make_rival), *ours = transformer(context).items()
        named = {name: (make, 0.0) for name, make in ours}
        yield Cell(f"step of a transformer, context {context}", rival, make_rival, named, calls=CALLS)


def _repeated(step: Callable[[Tensor], object], x: Tensor) -> Run:
    @torch.no_grad()
    def run() -> None:
        for _ in range(CALLS):
            step(x)

    return run
