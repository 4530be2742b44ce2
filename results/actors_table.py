"""The table of the shipped MuJoCo actors from the headers of their files: prints it, or writes it into docs/bodies.md.

python results/actors_table.py [--write]
"""

from __future__ import annotations

import sys

from markdown_table import head, line, write_blocks

from dsbench.envs import get_spec
from dsbench.envs.tasks.mujoco_actors import SHA256, Shipped, load
from dsbench.envs.tasks.mujoco_reference import D4RL

BEGIN = "<!-- table: python results/actors_table.py -->"


def table() -> str:
    """Markdown: what each level returns, after how much training, beside the level of that name in D4RL's data."""
    lines = head(
        "task", "learned by", "level", "timesteps", "hours", "return", "of the reference expert", "D4RL's data"
    )
    for name in SHA256:
        shipped = load(name)
        lines += [_row(name, shipped, level) for level in ("medium", "expert")]
    return "\n".join(lines)


def _row(name: str, shipped: Shipped, level: str) -> str:
    one = shipped.header["actors"][shipped.of_level(level)[0]]
    theirs, training = D4RL[name, level], shipped.header["training"]
    share = one["mean_return"] / get_spec(name).optimal_return
    return line(
        [
            f"`{name}`",
            f"{training['algorithm'].upper()}, seed {training['seed']}",
            level,
            f"{one['timesteps']:,}",
            f"{one['training_seconds'] / 3600:.1f}",
            f"{one['mean_return']:,.0f} ± {one['std_return']:,.0f}",
            f"{share:.0%}",
            f"{theirs.mean:,.0f} ± {theirs.deviation:,.0f}",
        ]
    )


if __name__ == "__main__":
    if "--write" in sys.argv:
        write_blocks({BEGIN: table()})
    else:
        print(table())
