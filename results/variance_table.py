"""Where the spread between seeds comes from, and how many seeds tell two contestants apart.

python results/variance_table.py [--write]      prints the table, or writes docs/variance.md

Seeds are nested: every task and backbone learns from several data sets, from each with other seeds of everything else. The
spread between data sets beyond that within them is the data's; what the evaluation's episodes add is known from each run alone.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
from markdown_table import ROOT, head, line
from scipy import stats

from dsbench.envs import ENVS
from dsbench.records.tables import runs_table

RECORDS = ROOT / "results" / "reference" / "variance"
PAGE = ROOT / "docs" / "variance.md"
GAP = 0.05  # of the way from random play to the best, or of a share
POWER = 0.8
CLAIMS = 75  # pairs of six contestants on five tasks
MOST = 999


class Components(NamedTuple):
    """Standard deviations of a score, in its own unit.

    Attributes:
        data: between data sets.
        within: between runs on one data set, `episodes` included.
        episodes: because these episodes were played and no others.
    """

    data: float
    within: float
    episodes: float

    @property
    def weights(self) -> float:
        """Between runs on one data set, the episodes' share taken out: first weights, batches, dropout."""
        return math.sqrt(max(self.within**2 - self.episodes**2, 0.0))

    @property
    def all(self) -> float:
        """Between runs that differ in everything; at least what the episodes are worth, for few equal scores say little."""
        return max(math.sqrt(self.data**2 + self.within**2), self.episodes)


def components(scores: np.ndarray, errors: np.ndarray) -> Components:
    """Of a balanced nested design, by the analysis of variance with one random factor (Searle et al. 1992, 3.4).

    Args:
        scores: (data sets, runs on each), at least two of either.
        errors: (n,) standard errors of runs over their episodes.
    """
    runs = scores.shape[1]
    between = runs * float(np.var(scores.mean(1), ddof=1))
    within = float(np.mean(np.var(scores, axis=1, ddof=1)))
    data = math.sqrt(max(between - within, 0.0) / runs)
    return Components(data, math.sqrt(within), math.sqrt(float(np.mean(np.square(errors)))))


def measured() -> Iterator[tuple[str, str, float, Components]]:
    """Task, backbone, mean score and components of everything that was run."""
    runs = runs_table(RECORDS)
    for task in ENVS.names():
        for backbone, own in runs[runs["env"].eq(task)].groupby("backbone", sort=True):
            if not own["status"].eq("ok").all():
                raise SystemExit(
                    f"{task}, {backbone}: {own['status'].ne('ok').sum()} runs have no score; make variance again"
                )
            scores = own.assign(score=_scores(own)).sort_values(["data.seed", "seed"])
            table = np.stack([part["score"].to_numpy(float) for _, part in scores.groupby("data.seed")])
            yield task, str(backbone), float(table.mean()), components(table, _errors(own))


def _is_return(runs: pd.DataFrame) -> bool:
    return bool(runs["result.success_metric"].iloc[0] == "return_mean")


def _scores(runs: pd.DataFrame) -> np.ndarray:
    """(n,) shares of the scale."""
    if _is_return(runs):
        return runs["result.score_normalised"].to_numpy(float) / 100
    return runs[f"result.{runs['result.success_metric'].iloc[0]}"].to_numpy(float)


def _errors(runs: pd.DataFrame) -> np.ndarray:
    column, scale = ("result.score_normalised_error", 0.01) if _is_return(runs) else ("result.score_error", 1.0)
    return scale * runs[column].dropna().to_numpy(float)


def seeds_needed(sd: float, gap: float, level: float, power: float = POWER) -> int:
    """The least n for which a two-sided t test of two contestants with n seeds each, both of this spread, finds `gap` so often.

    By the noncentral t distribution with 2n - 2 degrees of freedom and noncentrality gap / (sd √(2/n)).
    """
    for n in range(2, MOST + 1):
        freedom, shift = 2 * n - 2, gap / (max(sd, 1e-12) * math.sqrt(2 / n))
        bound = stats.t.ppf(1 - level / 2, freedom)
        if shift > 100 or stats.nct.sf(bound, freedom, shift) >= power:
            return n
    return MOST


def table() -> str:
    """Markdown: a row a task and backbone."""
    lines = head(
        "task", "backbone", "mean", "weights, batches", "data", "episodes played", "all", "seeds for .05, one pair",
        f"of {CLAIMS}",
    )  # fmt: skip
    for task, backbone, mean, found in measured():
        needed = [seeds_needed(found.all, GAP, level) for level in (0.05, 0.05 / CLAIMS)]
        parts = [f"{part:.3f}" for part in (mean, found.weights, found.data, found.episodes, found.all)]
        told = [f"> {MOST - 1}" if n == MOST else f"{n}" for n in needed]
        lines.append(line([task, backbone, *parts, *told]))
    return "\n".join(lines)


def page() -> str:
    """The whole page."""
    return f"""# Where the spread comes from

Two runs with different seeds differ in their first weights, the order of their batches, the data they learned from and the
episodes they were scored on. How much is each of these worth, and how many seeds tell two contestants apart that differ by .05?
Made by `make variance`; this page is `python results/variance_table.py --write`.

Quick preset, five data sets, two runs on each with seeds of their own (`--set data.seed=D --seeds A,B`). Standard deviations,
in shares of the scale: 0 to 1 for shares of right answers and of successes; from random play, 0, to the best policy, 1, for
returns. *Data* is the spread between data sets beyond that of runs on one; *episodes played* the standard error of a run's mean
over its evaluation episodes; *weights, batches* what is left of the spread on one data set; *all* what runs differ by whose
seed moves everything, as it does by default. Ten runs know a standard deviation to within a third or so, five data sets
theirs to within a factor of two.

*Seeds for .05*: how many seeds each of two contestants with that spread needs so that a difference of .05 is found four times
out of five (a t test with that many seeds each): alone at an error rate of 5 %, and as one of the {CLAIMS} pairs of a page with
six contestants on five tasks, where the first of them has to pass 5 % / {CLAIMS}. Two is the least number that has a spread at
all: a contestant without any is at the ceiling of its task, and says nothing of a harder one.

{table()}
"""


def main() -> None:
    if "--write" in sys.argv:
        PAGE.write_text(page())
    else:
        print(table())


if __name__ == "__main__":
    main()
