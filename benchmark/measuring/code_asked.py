"""Code from outside that a measuring names: who vouches for it, and what of it goes into the records."""

from __future__ import annotations

from collections.abc import Iterator

from dsbench.backbones.catalogue import BACKBONES
from dsbench.config.resolution import named_by
from dsbench.envs import ENVS
from dsbench.measuring.request import Request
from dsbench.outside import trust
from dsbench.outside.source import Source
from dsbench.registry import Catalogue


def name_asked(request: Request) -> None:
    """The user vouches for everything that the request names."""
    for catalogue, name in _names(request):
        catalogue.named(name)


def code_asked(request: Request) -> dict[str, Source]:
    """Reference -> code from outside, for `dsbench.outside.trust.using`.

    Raises:
        Untrusted: the user named some of it nowhere.
        UsageError: a file or module is not there.
    """
    found = {name: trust.find(name) for catalogue, name in _names(request) if catalogue.is_outside(name)}
    for source in found.values():
        trust.check(source)
    return found


def content_asked(request: Request) -> dict[str, str]:
    """Name -> hash of its code, of entry points too; empty where all is dsbench's own."""
    sources = {name: catalogue.source(name) for catalogue, name in _names(request)}
    return {name: source.label for name, source in sources.items() if source is not None}


def _names(request: Request) -> Iterator[tuple[Catalogue, str]]:
    for name in request.backbones:
        yield BACKBONES, name
    yield ENVS, request.env
    named = named_by(request.overrides)
    for catalogue, part in ((BACKBONES, "backbone"), (ENVS, "env")):
        if part in named:
            yield catalogue, named[part]
