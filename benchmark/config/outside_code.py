"""The code from outside, and the data from a path, that configurations ask for: found once, before any work."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dsbench.backbones.catalogue import BACKBONES
from dsbench.config.settings import RunConfig
from dsbench.envs import ENVS
from dsbench.outside import trust
from dsbench.outside.source import Source
from dsbench.registry import Catalogue

BACKBONE, ENV, DATA = "backbone", "env", "data"  # roles


def name_all(configs: Iterable[RunConfig]) -> None:
    """The user vouches for everything that these configurations name (``--trust-code``)."""
    for config in configs:
        for _, catalogue, name in names_of(config):
            catalogue.named(name)


def sources_of(configs: Iterable[RunConfig]) -> dict[str, Source]:
    """Reference -> code, of all code from outside that these configurations name, for `dsbench.outside.trust.using`.

    Raises:
        Untrusted: the user named some of it nowhere.
        UsageError: a file or module is not there.
    """
    found: dict[str, Source] = {}
    for config in configs:
        for _, catalogue, name in names_of(config):
            if name not in found and catalogue.is_outside(name):
                found[name] = trust.find(name)
                trust.check(found[name])
    return found


def code_of(config: RunConfig) -> dict[str, Source]:
    """Role -> code from outside, of entry points too; empty for what dsbench offers itself. Raises as `sources_of`."""
    found = {role: catalogue.source(name) for role, catalogue, name in names_of(config)}
    return {role: source for role, source in found.items() if source is not None}


def identities_of(config: RunConfig) -> dict[str, list[str]]:
    """Role -> what stands in the run's name for code from outside, wherever it lies."""
    names = {role: (catalogue, name) for role, catalogue, name in names_of(config)}
    found = {}
    for role, source in code_of(config).items():
        catalogue, name = names[role]
        found[role] = source.identity if catalogue.is_outside(name) else [name, source.label]
    return found


def content_of(config: RunConfig) -> dict[str, str]:
    """Role -> what its records call it: the digest of code from outside, and that of data from a path."""
    content = {role: source.label for role, source in code_of(config).items()}
    if ":" in config.data.recipe:
        from dsbench.envs.data.source import source_hash

        content[DATA] = source_hash(config.data.recipe)
    return content


def names_of(config: RunConfig) -> Iterator[tuple[str, Catalogue, str]]:
    """(role, catalogue, name) of the backbone and of the environment."""
    yield BACKBONE, BACKBONES, config.backbone.name
    yield ENV, ENVS, config.env.name
