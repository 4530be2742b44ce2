"""A page on every task: what happens, what its returns mean, which data it offers, and a picture."""

from __future__ import annotations

import importlib
import io
import os

import numpy as np
from PIL import Image

from dsbench.envs.catalogue import ENVS, get_spec
from dsbench.envs.closing import close_quietly
from dsbench.envs.drawing import picture_of
from dsbench.envs.spec import EnvSpec
from dsbench.errors import DsbenchError
from making.text import from_docstring, table


def pages() -> dict[str, str | bytes]:
    """``tasks/NAME.md`` with its picture, and ``tasks/index.md``."""
    found: dict[str, str | bytes] = {}
    rows = []
    for name in ENVS.names():
        spec = get_spec(name)
        picture = _picture(spec)
        if picture is not None:
            found[f"tasks/{name}.png"] = picture
        found[f"tasks/{name}.md"] = _page(name, spec, picture is not None)
        rows.append(
            (
                f"[{name}]({name}.md)",
                ", ".join(spec.tests),
                "yes" if spec.needs_memory else "no",
                spec.horizon,
                spec.summary,
            )
        )
    names = "\n".join(ENVS.names())
    found["tasks/index.md"] = (
        "# Tasks\n\n" + table(("task", "takes", "memory", "timesteps", "what happens"), rows)
        + f"\n\n```{{toctree}}\n:hidden:\n\n{names}\n```\n"
    )  # fmt: skip
    return found


def _page(name: str, spec: EnvSpec, has_picture: bool) -> str:
    entry = ENVS.entry(name)
    module = importlib.import_module(entry.target.partition(":")[0])
    facts = [
        ("id", f"`{spec.id}`, in gymnasium `dsbench/{spec.id}`"),
        ("source", entry.source + (f" (extra `{entry.extra}`)" if entry.extra else "")),
        ("takes", ", ".join(spec.tests)),
        ("counts as memory", "yes" if spec.needs_memory else "no"),
        ("longest episode", f"{spec.horizon:,} timesteps"),
        ("score", spec.success_metric.replace("_", " ")),
        ("return, random → best", f"{spec.uniform_return:.4g} → {spec.optimal_return:.4g} ({spec.references})"),
        ("chance", "–" if spec.chance is None else f"{spec.chance:.3g}"),
        ("foot of a control without memory", "–" if spec.foot is None else f"{spec.foot:.3g}"),
    ]
    options = [(f"`env.{key}`", f"`{value}`") for key, value in spec.options.items()]
    recipes = [(f"`{key}`", recipe.summary) for key, recipe in spec.recipes.items()]
    parts = [f"# {name}", spec.summary[0].upper() + spec.summary[1:] + "."]
    parts += [f"![What {name} shows]({name}.png)"] if has_picture else []
    parts += [f"```text\ndsbench run --backbone lstm --env {name}\n```", table(("", ""), facts)]
    parts += ["## Options", table(("setting", "default"), options)] if options else []
    parts += ["## Data", table(("recipe", "made by"), recipes)] if recipes else []
    parts += ["## The task in full", from_docstring(module.__doc__ or "")]
    return "\n\n".join(parts) + "\n"


def _picture(spec: EnvSpec) -> bytes | None:
    """PNG of the first timestep of an episode, as ``dsbench watch`` draws it; None where it cannot be made here."""
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
    if spec.simulator:  # its renderer ends the process where there is no screen
        return None
    try:
        env = spec.make(render_mode="rgb_array")
    except DsbenchError:  # an extra that is not installed
        return None
    try:
        observation, _ = env.reset(seed=0)
        try:
            drawn = env.render()
        except NotImplementedError:
            drawn = None
        picture = picture_of(observation) if drawn is None else np.asarray(drawn, np.uint8)
    finally:
        close_quietly(env)
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG", optimize=True)
    return file.getvalue()
