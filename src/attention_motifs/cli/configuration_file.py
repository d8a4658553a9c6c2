"""TOML files that describe a build: read, checked setting by setting, completed with defaults."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

from attention_motifs.atlas import Atlas
from attention_motifs.errors import InputError, MotifsError, did_you_mean
from attention_motifs.store.paths import MANIFEST
from attention_motifs.store.presets import Preset, presets_of_user
from attention_motifs.store.settings import (
    SETTINGS,
    BuildSettings,
    Configuration,
    FigureSettings,
    Setting,
    settings_of,
)

_Settings = TypeVar("_Settings", Configuration, BuildSettings, FigureSettings)


@dataclass(frozen=True)
class BuildPlan:
    """Settings of one `motifs build`."""

    configuration: Configuration
    run: BuildSettings
    figures: FigureSettings


def shipped() -> list[str]:
    """Return the names of the configurations that come with the package."""
    folder = resources.files("attention_motifs") / "configurations"
    names = [file.name for file in folder.iterdir() if file.name.endswith(".toml")]
    return sorted(name.removesuffix(".toml") for name in names)


def read_configuration(name: str) -> dict[str, Any]:
    """Read a configuration: one of the package by its name, a TOML file, or that of an atlas.

    Args:
        name: name of a configuration of the package, or path of a file; an `atlas.json` gives the
            settings with which the atlas was made.

    Returns:
        Values by the keys of `SETTINGS`, and `presets`; only those in the file.

    Raises:
        InputError: if there is no such configuration, it is not TOML, lacks `models`, or holds a
            key or a value that cannot be used. The message is one line and names file, key, value
            and fix.
    """
    if Path(name).name == MANIFEST:
        return _settings_of_atlas(Path(name))
    source, data = _content(name)
    try:
        table = tomllib.loads(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise InputError(f"{source}: not UTF-8 (byte {error.start}); save it as UTF-8") from error
    except (ValueError, RecursionError) as error:  # also for a number of over 4,300 digits
        fix = "correct that place"
        if name.endswith(".json"):
            fix = f"of JSON files, only the {MANIFEST} of an atlas is a configuration"
        raise InputError(f"{source}: not TOML ({error!s:.200}); {fix}") from error
    settings = {setting.key: setting for setting in SETTINGS}
    values = {}
    if "presets" in table:
        values["presets"] = _presets(source, table.pop("presets"))
    for key, value in _flat(table).items():
        if key not in settings:
            advice = did_you_mean(key, settings)
            raise InputError(f"{source}: key {key!r:.80} is not known; {advice}")
        try:
            values[key] = settings[key].checked(value)
            _check_names(settings[key], values[key])
        except InputError as error:
            raise InputError(f"{source}: {' '.join(str(error).splitlines())}") from error
    if "models" not in values:
        raise InputError(f'{source}: has no models; write models = ["gpt2-small"]')
    return values


def _settings_of_atlas(path: Path) -> dict[str, Any]:
    """Return the settings of an atlas that differ from the defaults."""
    configuration = Atlas.open(path.parent).manifest.configuration
    values = {
        setting.key: value
        for setting in settings_of(Configuration)
        if (value := getattr(configuration, setting.field)) != setting.default
    }
    return {**values, "presets": _presets(str(path), configuration.presets)}


def _presets(source: str, value: object) -> tuple[Preset, ...]:
    """Check the presets of a file, and make them metrics, so that `metrics` can name them."""
    from attention_motifs.distances import register_preset

    try:
        presets = presets_of_user(value)
        for preset in presets:
            register_preset(preset.name, preset.description)
            for block in preset.blocks:
                _feature_set(block.features)
    except InputError as error:
        raise InputError(f"{source}: {error}") from error
    return presets


def build_plan(values: Mapping[str, Any]) -> BuildPlan:
    """Complete values with the defaults of `SETTINGS`.

    Args:
        values: by key, such as those of a file overridden by options.

    Raises:
        InputError: if no model is named, or a value cannot be used.
    """
    if not values.get("models"):
        raise InputError(
            "no model is named: add --model NAME (see `motifs models list`), or --config FILE"
        )

    def with_values(owner: type[_Settings]) -> _Settings:
        given = {s.field: values[s.key] for s in settings_of(owner) if s.key in values}
        if owner is Configuration and "presets" in values:
            given["presets"] = values["presets"]
        return owner(**given)

    return BuildPlan(
        with_values(Configuration), with_values(BuildSettings), with_values(FigureSettings)
    )


def _check_names(setting: Setting, value: Any) -> None:
    """Look up names in the registry that must know them.

    Raises:
        InputError: if a name is not known.
    """
    look_up = _REGISTRIES.get(setting.about.names)
    for name in value or () if look_up else ():
        try:
            look_up(name)  # type: ignore[misc]
        except MotifsError as error:
            raise InputError(f"{setting.key} = {list(value)!r:.80}: {error}") from error


def _model(name: str) -> object:
    from attention_motifs.models.sources import resolve

    return resolve(name)


def _feature_set(name: str) -> object:
    from attention_motifs.features import feature_names

    return feature_names(name)


def _metric(name: str) -> object:
    from attention_motifs.distances import get_metric

    return get_metric(name)


def _head(name: str) -> object:
    from attention_motifs.head import HeadId

    return HeadId.parse(name)


_REGISTRIES: Mapping[str, Callable[[str], object]] = {
    "model": _model,
    "feature set": _feature_set,
    "metric": _metric,
    "head": _head,
}


def _content(name: str) -> tuple[str, bytes]:
    """Return the name that errors use for a configuration, and its bytes."""
    if name in shipped():
        file = resources.files("attention_motifs") / "configurations" / f"{name}.toml"
        return f"configuration {name}", file.read_bytes()
    path = Path(name)
    try:
        return str(path), path.read_bytes()
    except (OSError, ValueError) as error:  # missing, a folder, a NUL in its name
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(
            f"--config {name[:200]}: cannot be read ({reason}); give a TOML file, or one of "
            f"{', '.join(shipped())}"
        ) from error


def _flat(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return keys with their values, those of tables as `table.key`."""
    tables = {setting.key.partition(".")[0] for setting in SETTINGS if "." in setting.key}
    flat: dict[str, Any] = {}
    for key, value in table.items():
        if key in tables and isinstance(value, Mapping):
            flat |= {f"{key}.{inner}": item for inner, item in value.items()}
        else:
            flat[key] = value
    return flat
