"""From what a user typed to a configuration: preset, file, arguments and ``--set``, the later over the earlier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from dsbench.backbones.catalogue import BACKBONES
from dsbench.config.errors import problems, usage_error
from dsbench.config.outside_code import name_all
from dsbench.config.preset import Preset
from dsbench.config.presets import DEFAULT, TASKS, get_preset, of_env
from dsbench.config.settings import LEARNED, SCRIPTED, RunConfig
from dsbench.config.sources import Lines, parse_override, read_config_file
from dsbench.envs import ENVS
from dsbench.errors import UnknownName, UsageError
from dsbench.outside import trust
from dsbench.text import shown


def resolve(
    *,
    preset: str | None = None,
    config_file: Path | str | None = None,
    overrides: Sequence[str] = (),
    backbone: str | None = None,
    env: str | None = None,
    trust_code: bool = False,
    unsaid: Mapping[str, Any] | None = None,
    **arguments: Any,
) -> RunConfig:
    """The configuration of one run: settings of the task, then of the preset, file, arguments, `overrides`; the later wins.

    Code from outside that the arguments or `overrides` name may run from now on; what the file alone names may not.

    Args:
        preset: one of `dsbench.config.presets` (``quick`` by default); None takes the file's, else the default.
        config_file: .yaml, .yml, .toml or .json; the ``config.yaml`` of a run reproduces it.
        overrides: ``a.b=value`` texts, as given to ``--set``.
        backbone: catalogue name, ``package.module:Class`` or ``path/file.py:Class`` (``path/file.py`` with one class in it);
            None takes the preset's, if it has one.
        env: catalogue name of the environment, ``package.module:function`` or ``path/file.py:function``.
        trust_code: what the file names may run too.
        unsaid: settings that hold where all of these leave them open or null, as nested dictionaries.
        **arguments: other top-level settings (``seed``, ``threads``, ``device``, ...); None means not given.

    Raises:
        UsageError: naming every key and value that cannot be used, all at once.
    """
    backbone = None if backbone is None else BACKBONES.spelled_out(backbone)
    config = settle(
        preset=preset, config_file=config_file, overrides=overrides, backbone=backbone, env=env, unsaid=unsaid,
        **arguments,
    )  # fmt: skip
    if trust_code:
        name_all([config])
    given = {"backbone": backbone, "env": env} | named_by(overrides)
    for catalogue, part, chosen in ((BACKBONES, "backbone", config.backbone.name), (ENVS, "env", config.env.name)):
        if chosen == given[part]:
            catalogue.named(chosen)
    return config


def named_by(overrides: Sequence[str]) -> dict[str, str]:
    """``backbone`` and ``env`` -> the name that ``a.b=value`` texts give it, the last one."""
    pairs = [(path.removesuffix(".name"), value) for path, value in map(parse_override, overrides)]
    return {part: value for part, value in pairs if part in ("backbone", "env") and isinstance(value, str)}


def settle(
    *,
    preset: str | None = None,
    config_file: Path | str | None = None,
    overrides: Sequence[str] = (),
    backbone: str | None = None,
    env: str | None = None,
    unsaid: Mapping[str, Any] | None = None,
    **arguments: Any,
) -> RunConfig:
    """As `resolve`, for names that may all have come from a file: nothing of theirs may run for being named here."""
    from_file, lines = read_config_file(Path(config_file)) if config_file is not None else ({}, Lines())
    given: dict[str, Any] = {key: value for key, value in arguments.items() if value is not None}
    given |= {key: {"name": name} for key, name in (("backbone", backbone), ("env", env)) if name is not None}
    for text in overrides:
        path, value = parse_override(text)
        given = _merge(given, _nested(path, value))
        lines = lines.without(path)
    asked = _with_policy(_merge(from_file, _with_size(given)), lines)
    _check_width_is_free(asked, given)
    chosen = _preset(preset, asked, lines)
    if chosen.backbone is not None and not _name_of(asked.get("backbone")):
        asked = _merge(asked, {"backbone": {"name": chosen.backbone}})
    env_name = _name_of(asked.get("env"))
    settings: Mapping[str, Any] = of_env(TASKS, env_name)
    per_backbone = chosen.per_backbone.get(_name_of(asked.get("backbone")), {})
    for layer in (chosen.settings, of_env(chosen.per_env, env_name), per_backbone):
        settings = _merge(settings, layer)
    settled = _merge(unsaid or {}, _without_nulls(_merge(settings, _with_size(asked)), unsaid or {}))
    return from_dict({**settled, "preset": chosen.name}, lines)


def _preset(given: str | None, asked: Mapping[str, Any], lines: Lines) -> Preset:
    named = asked.get("preset") if given is None else given
    if named is None:
        return get_preset(DEFAULT)
    if not isinstance(named, str):
        raise UsageError(f"{lines.place('preset')}preset is {shown(named)}; expected a name (dsbench list presets)")
    try:
        return get_preset(named)
    except UnknownName as error:
        raise UsageError(f"{lines.place('preset')}{error}") from None


def _with_size(asked: dict[str, Any]) -> dict[str, Any]:
    """Who asks for a number of episodes, and for nothing else, does not want the timesteps that stand further below; nor
    the seconds who asks for updates."""
    for part, size, other in (("data", "episodes", "timesteps"), ("train", "updates", "seconds")):
        given = asked.get(part)
        if isinstance(given, Mapping) and size in given and other not in given:
            asked = asked | {part: {**given, other: None}}
    return asked


def _check_width_is_free(asked: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """A file may hold both, as that of a run does; who gives a width where a size chooses it means one of the two."""
    backbone = given.get("backbone")
    if asked.get("match") is not None and isinstance(backbone, Mapping) and "d_model" in backbone:
        raise UsageError(
            f"match is {shown(asked['match'])}, which chooses backbone.d_model, and backbone.d_model is "
            f"{shown(backbone['d_model'])}; leave out one of them (--set match=null)"
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
        raise UsageError(
            f"{lines.place('policy')}policy is {policy!r}, which is scripted and has no backbone; leave out backbone {named!r}"
        )
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
    """What is wrong with the names of the backbone and the environment; code is looked for and not run."""
    wrong = []
    for part, catalogue in (("backbone", BACKBONES), ("env", ENVS)):
        name = _name_of(settings.get(part))
        if part == "backbone" and name == settings.get("policy") and name in SCRIPTED:
            continue
        try:
            if catalogue.is_outside(name):
                trust.find(name)
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


def _without_nulls(settings: Mapping[str, Any], unsaid: Mapping[str, Any]) -> dict[str, Any]:
    """`settings` without the nulls in whose place `unsaid` has a value."""
    kept = dict(settings)
    for key, value in unsaid.items():
        own = kept.get(key)
        if isinstance(value, Mapping) and isinstance(own, Mapping):
            kept[key] = _without_nulls(own, value)
        elif own is None:
            kept.pop(key, None)
    return kept


def _nested(path: str, value: Any) -> dict[str, Any]:
    head, _, rest = path.partition(".")
    return {head: _nested(rest, value) if rest else value}


def _name_of(part: Any) -> str:
    name = part.get("name") if isinstance(part, Mapping) else part
    return name if isinstance(name, str) else ""
