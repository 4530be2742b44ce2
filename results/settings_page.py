"""The page of settings, docs/settings.md, out of their definitions: prints it, or writes it.

python results/settings_page.py [--write]
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from dsbench.backbones import BACKBONES
from dsbench.config.described import Setting, options_of_backbone, options_of_env, settings_of_run
from dsbench.config.presets import PRESETS
from dsbench.envs import ENVS
from dsbench.text import markdown_code, markdown_text

PAGE = Path(__file__).parents[1] / "docs" / "settings.md"
HEAD = """# Settings

Every setting of a run with its type, its default, its range and its meaning; made from their definitions by `python
results/settings_page.py --write`. Each can be given as `--set train.lr=1e-3`, or in a file of YAML, TOML or JSON as
`--config FILE`. Defaults are those of most tasks under the preset `quick`. What a run of yours begins with, its task's and its
preset's own values included, is shown by `dsbench list settings --env NAME --backbone NAME --preset NAME`, and printed as a
file by `dsbench run ... --dry-run`.
"""


def page() -> str:
    """The whole page."""
    parts = [HEAD, "## Of every run", table(settings_of_run()), "## Options of tasks"]
    for name in ENVS.names():
        parts += [f"### {name}", table(options_of_env(name))]
    parts.append("## Options of backbones")
    for name in BACKBONES.names():
        parts += [f"### {name}", table(options_of_backbone(name))]
    parts += ["## Presets", _presets()]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def table(settings: Sequence[Setting]) -> str:
    """Markdown of some of them."""
    lines = ["| setting | type | default | range | meaning |", "|---|---|---|---|---|"]
    for one in settings:
        cells = [markdown_code(one.name), *map(markdown_text, (one.type, one.default, one.range, one.meaning))]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _presets() -> str:
    lines = ["| preset | backbone | environments | what it is |", "|---|---|---|---|"]
    for one in PRESETS.values():
        cells = [one.name, one.backbone or "any", ", ".join(one.envs) or "any", one.summary]
        lines.append(f"| {' | '.join(map(markdown_text, cells))} |")
    return "\n".join(lines)


if __name__ == "__main__":
    if "--write" in sys.argv:
        PAGE.write_text(page())
    else:
        print(page(), end="")
