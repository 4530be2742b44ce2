"""From what a user typed to a configuration: preset, file, arguments and ``--set``, the later over the earlier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from dsbench.config.errors import problems, usage_error
from dsbench.config.presets import DEFAULT, TASKS, Preset, get_preset
from dsbench.config.settings import LEARNED, SCRIPTED, RunConfig
from dsbench.config.sources import Lines, parse_override, read_config_file
from dsbench.errors import UnknownName, UsageError
from dsbench.registry import source_hash


def resolve(
    *,
    preset: str | None = None,
    config_file: Path | str | None = None,
    overrides: Sequence[str] = (),
    backbone: str | None = None,
    env: str | None = None,
    **arguments: Any,
) -> RunConfig:
    """The configuration of one run: settings of the task, then of the preset, file, arguments, `overrides`; the later wins.

    Args:
        preset: one of `dsbench.config.presets` (``quick`` by default); None takes the file's, else the default.
        config_file: .yaml, .yml, .toml or .json; the ``config.yaml`` of a run reproduces it.
        overrides: ``a.b=value`` texts, as given to ``--set``.
        backbone: catalogue name, ``package.module:Class`` or ``path/file.py:Class``; None takes the preset's, if it has one.
        env: catalogue name of the environment.
        **arguments: other top-level settings (``seed``, ``threads``, ``device``, ...); None means not given.

    Raises:
        UsageError: naming every key and value that cannot be used, all at once.
    """
    from_file, lines = read_config_file(Path(config_file)) if config_file is not None else ({}, Lines())
    given: dict[str, Any] = {key: value for key, value in arguments.items() if value is not None}
    given |= {key: {"name": name} for key, name in (("backbone", backbone), ("env", env)) if name is not None}
    for text in overrides:
        path, value = parse_override(text)
        given = _merge(given, _nested(path, value))
        lines = lines.without(path)
    asked = _with_policy(_merge(from_file, _with_size(given)), lines)
    _check_width_is_free(asked, given)
    chosen = _preset(preset or asked.get("preset") or DEFAULT, lines)
    if chosen.backbone is not None and not _name_of(asked.get("backbone")):
        asked = _merge(asked, {"backbone": {"name": chosen.backbone}})
    env_name = _name_of(asked.get("env"))
    settings: Mapping[str, Any] = TASKS.get(env_name, {})
    per_backbone = chosen.per_backbone.get(_name_of(asked.get("backbone")), {})
    for layer in (chosen.settings, chosen.per_env.get(env_name, {}), per_backbone):
        settings = _merge(settings, layer)
    return from_dict({**_merge(settings, _with_size(asked)), "preset": chosen.name}, lines)


def _preset(name: str, lines: Lines) -> Preset:
    try:
        return get_preset(name)
    except UsageError as error:
        raise UsageError(f"{lines.place('preset')}{error}") from None


def _with_size(asked: dict[str, Any]) -> dict[str, Any]:
    """Who asks for a number of episodes, and for nothing else, does not want the timesteps that stand further below."""
    data = asked.get("data")
    if isinstance(data, Mapping) and "episodes" in data and "timesteps" not in data:
        return asked | {"data": {**data, "timesteps": None}}
    return asked


def _check_width_is_free(asked: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """A file may hold both, as that of a run does; who gives a width where a size chooses it means one of the two."""
    backbone = given.get("backbone")
    if asked.get("match") is not None and isinstance(backbone, Mapping) and "d_model" in backbone:
        raise UsageError(
            f"match is {asked['match']!r}, which chooses backbone.d_model, and backbone.d_model is "
            f"{backbone['d_model']!r}; leave out one of them (--set match=null)"
        )


def _with_policy(asked: dict[str, Any], lines: Lines) -> dict[str, Any]:
    """A scripted policy stands where the backbone would, so that runs and tables name it."""
    policy = asked.get("policy", LEARNED)
    if isinstance(policy, str) and policy not in (LEARNED, *SCRIPTED):
        raise UnknownName("policy", policy, (LEARNED, *SCRIPTED), where=lines.place("policy").removesuffix(": "))
    if policy not in SCRIPTED:
        return asked
    named = _name_of(asked.get("backbone"))
    if named not in ("", policy):
        raise UsageError(f"{lines.place('policy')}policy is {policy!r}, which is scripted and has no backbone; leave out backbone {named!r}")
    return asked | {"backbone": {"name": policy}}


def from_dict(settings: Mapping[str, Any], lines: Lines | None = None) -> RunConfig:
    """The configuration in nested dictionaries (what `to_dict` gives).

    Raises:
        UsageError: naming all that is wrong, names that are in no catalogue included.
    """
    config, wrong = None, _unknown_names(settings, lines or Lines())
    try:
        config = RunConfig.model_validate(dict(settings))
    except ValidationError as error:
        wrong += problems(error, RunConfig, lines)
    if wrong or config is None:
        raise usage_error(wrong)
    return config


def _unknown_names(settings: Mapping[str, Any], lines: Lines) -> list[str]:
    """What is wrong with the names of the backbone and the environment; files are looked for, modules not imported."""
    from dsbench.backbones.catalogue import BACKBONES
    from dsbench.envs import ENVS

    wrong = []
    for part, catalogue in (("backbone", BACKBONES), ("env", ENVS)):
        name = _name_of(settings.get(part))
        if part == "backbone" and name == settings.get("policy") and name in SCRIPTED:
            continue
        try:
            if catalogue.is_reference(name):
                source_hash(name)
            elif name:
                catalogue.entry(name)
        except UsageError as error:
            wrong.append(f"{lines.place(f'{part}.name')}{error}")
    return wrong


def _merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        if key in ("backbone", "env") and isinstance(merged.get(key), str):
            merged[key] = {"name": merged[key]}
        old = merged.get(key)
        if key in ("backbone", "env") and isinstance(value, str) and isinstance(old, Mapping):
            value = {"name": value}
        merged[key] = _merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def _nested(path: str, value: Any) -> dict[str, Any]:
    head, _, rest = path.partition(".")
    return {head: _nested(rest, value) if rest else value}


def _name_of(part: Any) -> str:
    name = part.get("name") if isinstance(part, Mapping) else part
    return name if isinstance(name, str) else ""
