"""Exporting episodes as a Minari data set, from which `dsbench.envs.data.minari` reads back exactly the same ones."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from dsbench.envs.data.folder import DataInfo
from dsbench.envs.data.minari import DATASET_ID, OWN_KEY, minari_root
from dsbench.envs.data.minari_episodes import unflattened
from dsbench.envs.data.physics import header_entry
from dsbench.envs.spec import EnvSpec
from dsbench.episodes import Episodes, Observations, observation_leaves
from dsbench.errors import MissingExtra, UsageError

BLOCK = 200  # episodes between two reports of progress


def export_minari(
    spec: EnvSpec,
    episodes: Episodes,
    info: DataInfo,
    dataset_id: str,
    on_block: Callable[[int], None] = lambda episodes: None,
) -> Path:
    """Write a data set under Minari's root; returns its folder.

    Action masks go into ``infos/action_mask``. Images are stored as they are, never as JPEG. Minari's file format has no
    checksums, so the hash of all arrays goes into its metadata, where the import compares it.

    Raises:
        UsageError: the id is malformed or taken.
        MissingExtra: Minari is not installed.
    """
    malformed = UsageError(f"{dataset_id!r} is no Minari id; expected something like dsbench/umbrella/mixed-v0")
    if not DATASET_ID.match(dataset_id):
        raise malformed
    folder = minari_root() / dataset_id
    if folder.exists():
        raise UsageError(f"{folder} exists already; delete it, or choose another id or version")
    try:
        from minari import create_dataset_from_buffers
        from minari.data_collector import EpisodeBuffer
        from minari.dataset.minari_dataset import parse_dataset_id
    except ImportError as error:
        raise MissingExtra("exporting to Minari", "minari") from error
    try:
        parse_dataset_id(dataset_id)
    except ValueError:  # Minari's rule is narrower: no namespace of a single letter
        raise malformed from None
    spaces = spec.spaces
    buffers = [EpisodeBuffer(**parts) for parts in _buffers(episodes)]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # authors, addresses and links that it would like to have
            dataset = create_dataset_from_buffers(
                dataset_id,
                buffers[:BLOCK],
                observation_space=spaces.observation,
                action_space=spaces.action,
                algorithm_name=info.recipe,
                description=f"{spec.summary}; environment dsbench/{spec.id}",
                jpeg_encoding=False,
            )
            for first in range(BLOCK, len(buffers), BLOCK):
                on_block(first)
                dataset.storage.update_episodes(buffers[first : first + BLOCK])
            note = {"env": spec.id, "options": dict(spec.options), "recipe": info.recipe, "sha256": info.sha256}
            note |= header_entry(info.physics)
            ends = {"ref_min_score": spec.reference_random, "ref_max_score": spec.reference_optimal}
            references = {name: float(value) for name, value in ends.items() if value is not None}
            dataset.storage.update_metadata({OWN_KEY: note, **references})
    except BaseException:  # also when interrupted: half a data set is none
        shutil.rmtree(folder, ignore_errors=True)
        raise
    on_block(len(buffers))
    return folder


def _buffers(episodes: Episodes) -> Iterator[dict[str, Any]]:
    """Arguments of each episode's buffer."""
    for index, (begin, end) in enumerate(zip(episodes.starts[:-1], episodes.starts[1:], strict=True)):
        mask = episodes.action_mask
        yield {
            "observations": _with_final(episodes.observations, episodes.final_observations, index, begin, end),
            "actions": episodes.actions[begin:end],
            "rewards": episodes.rewards[begin:end].astype(np.float64),  # Minari's habit; exact
            "terminations": episodes.terminated[begin:end],
            "truncations": episodes.truncated[begin:end],
            "infos": {} if mask is None else {"action_mask": mask[begin:end]},
        }


def _with_final(observations: Observations, final: Observations, index: int, begin: int, end: int) -> Any:
    """(T + 1, ...) what was seen in one episode."""
    before, after = dict(observation_leaves(observations)), dict(observation_leaves(final))
    joined = {name: np.concatenate([before[name][begin:end], after[name][index : index + 1]]) for name in before}
    return unflattened(joined)
