"""Parameters that train at a rate of their own: marks on them, and the groups that an optimiser gets.

A mark is an attribute of the parameter, which `copy.deepcopy` drops; `keep_marks` puts it back.
"""

from __future__ import annotations

from typing import Any

from torch import nn

RATE, DYNAMICS = "_dsbench_lr_scale", "_dsbench_dynamics"


def mark_rate(parameter: nn.Parameter, lr_scale: float = 0.1) -> nn.Parameter:
    """Mark a parameter that trains at the learning rate times `lr_scale`, without weight decay."""
    setattr(parameter, RATE, lr_scale)
    return parameter


def mark_dynamics(parameter: nn.Parameter, lr_scale: float = 0.1) -> nn.Parameter:
    """Mark A, dt and their like: `mark_rate` (decay pulls dt to 1 and A to -1), and `freeze_dynamics` freezes them."""
    setattr(parameter, DYNAMICS, True)
    return mark_rate(parameter, lr_scale)


def is_dynamics(parameter: nn.Parameter) -> bool:
    return getattr(parameter, DYNAMICS, False)


def keep_marks(source: nn.Module, copied: nn.Module) -> None:
    """Give the parameters of a copy the marks of those that they were copied from."""
    for parameter, other in zip(source.parameters(), copied.parameters(), strict=True):
        for mark in (RATE, DYNAMICS):
            if hasattr(parameter, mark):
                setattr(other, mark, getattr(parameter, mark))


def groups_of(module: nn.Module) -> list[dict[str, Any]]:
    """The trainable parameters by rate; see `Backbone.param_groups`."""
    groups: dict[str, dict[str, Any]] = {
        "decay": {"name": "decay", "params": [], "lr_scale": 1.0, "decay": True},
        "no_decay": {"name": "no_decay", "params": [], "lr_scale": 1.0, "decay": False},
    }
    for parameter in module.parameters():
        if not parameter.requires_grad:
            continue
        scale = getattr(parameter, RATE, None)
        if scale is not None:
            name = f"rate_{scale:g}"
            group = groups.setdefault(name, {"name": name, "params": [], "lr_scale": scale, "decay": False})
        else:
            group = groups["decay" if parameter.dim() >= 2 else "no_decay"]
        group["params"].append(parameter)
    return [group for group in groups.values() if group["params"]]
