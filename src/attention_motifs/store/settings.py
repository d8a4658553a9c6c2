"""Settings of a build: one table for the dataclasses, TOML files, options, `atlas.json` and docs.

A setting is a field of one of the three dataclasses below. Its annotation holds the type, the
range, the help text and the unit; all readers and writers go through `SETTINGS`.
"""

from __future__ import annotations

import inspect
import os
import types
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from numbers import Integral
from typing import Annotated, Any, Literal, Self, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

from attention_motifs.errors import InputError
from attention_motifs.store.presets import (
    PRESET_VERSION,
    VERSIONS,
    Block,
    Preset,
    presets_of_user,
)

FEATURE_SETS = ("paper", "extended")
"""Default feature sets. The embedding uses the first; the presets need `extended`."""

LENGTH_BINS = (16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 2048)
"""Default edges of the bins of prompt lengths, in tokens. Bin b holds the lengths from edge b - 1
up to, but not including, edge b."""


MAX_SEED = 2**32 - 1
"""Largest seed that all random generators in use accept."""


@dataclass(frozen=True)
class About:
    """Description of a setting, in the annotation of its field."""

    help: str
    unit: str = ""
    key: str = ""
    """Name in files and on the command line, where it differs from the name of the field."""
    option: str = ""
    """Option of the command line, where it differs from `--key`."""
    names: Literal["", "model", "feature set", "metric", "head"] = ""
    """Registry that must know the value, or each entry of a list."""
    unset: str = ""
    """Meaning of None or of an empty list."""
    true_value: tuple[int, ...] = ()
    """List that the value `true` stands for."""


Texts = tuple[str, ...]
Text = Annotated[str, Meta(pattern=r"\S")]
Count = Annotated[int, Meta(ge=1)]


Format = Literal["svg", "pdf", "png"]
"""Format of a figure's file."""


class _Checked:
    """Dataclass whose fields are checked and converted when an instance is made."""

    def __post_init__(self) -> None:
        for setting in settings_of(type(self)):
            value = setting.checked(getattr(self, setting.field))
            object.__setattr__(self, setting.field, value)


@dataclass(frozen=True)
class Configuration(_Checked):
    """Settings of an atlas; they cannot change later.

    One model may be given as a text. Lists become tuples, and paths become texts.

    Raises:
        InputError: if a value has another type or is outside its range.

    Example:
        >>> Configuration(models="gpt2-small", n_prompts=64).models
        ('gpt2-small',)
    """

    models: Annotated[
        Texts,
        Meta(min_length=1),
        About(
            "Model to analyse: a name from `motifs models list`, hub id, folder, GGUF file, or "
            "NAME=PATH",
            option="--model",
            names="model",
        ),
    ]
    prompts: Annotated[Text, About("Prompts: builtin, pile-10k, or a JSON-lines file")] = "builtin"
    n_prompts: Annotated[
        Count | None, About("Number of prompts to sample", unset="all prompts")
    ] = None
    seed: Annotated[int, Meta(ge=0, le=MAX_SEED), About("Seed for sampling prompts")] = 0
    min_chars: Annotated[
        Count | None,
        About("Minimum length of a text; shorter ones are left out", "characters", unset="none"),
    ] = None
    max_chars: Annotated[
        Count | None,
        About(
            "Maximum length of a text; longer ones are cut into several prompts",
            "characters",
            unset="none",
        ),
    ] = None
    max_tokens: Annotated[
        int, Meta(ge=2), About("Maximum length of a prompt; the rest is cut", unit="tokens")
    ] = 128
    bos: Annotated[
        Literal["auto", "always", "never"],
        About("Whether each prompt starts with the BOS token; auto follows the tokenizer"),
    ] = "auto"
    dtype: Annotated[
        Literal["float32", "bfloat16", "float16", "auto"],
        About("Number format of the weights; auto keeps the stored format"),
    ] = "float32"
    feature_sets: Annotated[
        Texts,
        Meta(min_length=1),
        About(
            "Feature set to compute; the embedding uses the first one",
            key="features",
            names="feature set",
        ),
    ] = FEATURE_SETS
    n_components: Annotated[Count, About("Number of principal components to keep")] = 16
    length_bins: Annotated[
        tuple[Count, ...],
        About(
            "Standardise features separately per bin of prompt lengths; a list gives the edges of "
            "the bins",
            unit="tokens",
            true_value=LENGTH_BINS,
            unset="all lengths together",
        ),
    ] = ()
    n_view_prompts: Annotated[
        int, Meta(ge=0), About("Number of prompts, the first ones, whose patterns are stored")
    ] = 8
    n_probes: Annotated[
        int,
        Meta(ge=0),
        About("Number of probes: sequences of repeated random tokens; 0 for none"),
    ] = 16
    probe_tokens: Annotated[
        int,
        Meta(ge=8),
        About("Length of a probe, or the context of a model if it is shorter", unit="tokens"),
    ] = 128
    probe_file: Annotated[
        Text | None, About("JSON-lines file of your own probes", unset="none of your own")
    ] = None
    probe_seed: Annotated[int, Meta(ge=0, le=MAX_SEED), About("Seed for the tokens of probes")] = 0

    softmax_only: Annotated[
        bool,
        About(
            "Read the softmax layers alone of hybrid models, such as Qwen3-Next and LFM2, which "
            "are refused otherwise"
        ),
    ] = False

    presets: tuple[Preset, ...] = ()
    """Presets of the user; in a TOML file, a table `[presets.NAME]` for each."""
    preset_version: int = PRESET_VERSION
    """Version of the presets of the package that the atlas uses."""

    def __post_init__(self) -> None:
        """Check and convert all values."""
        super().__post_init__()
        object.__setattr__(self, "presets", presets_of_user(self.presets))
        version = self.preset_version
        if isinstance(version, bool) or not isinstance(version, int) or version not in VERSIONS:
            raise InputError(
                f"preset_version = {version!r:.80}: expected one of {', '.join(map(str, VERSIONS))}"
            )
        for preset in self.presets:
            for block in preset.blocks:
                _check_block(self, preset, block)

    @property
    def has_probes(self) -> bool:
        """Whether the atlas is to have probes."""
        return self.n_probes > 0 or self.probe_file is not None

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Read the object `configuration` of `atlas.json`; unknown keys are ignored.

        Atlases of earlier versions have no probes: without the key, `n_probes` is 0. Later ones
        have probes, and presets of version 1 without the key.

        Raises:
            InputError: if it is not an object, or a value is missing or cannot be used.
        """
        if not isinstance(value, Mapping):
            raise InputError(f"configuration = {value!r:.80}: expected an object")
        known = {field.name for field in fields(cls)}
        if "models" not in value:
            raise InputError("configuration has no 'models'")
        read = {key: item for key, item in value.items() if key in known}
        earlier = {"preset_version": 1} if value.get("n_probes") or value.get("probe_file") else {}
        return cls(**{"n_probes": 0, **earlier, **read})


def _check_block(configuration: Configuration, preset: Preset, block: Block) -> None:
    """Refuse a block of a user's preset that the atlas would have nothing for."""
    if block.features not in configuration.feature_sets:
        sets = ", ".join(f'"{name}"' for name in (*configuration.feature_sets, block.features))
        raise InputError(
            f"presets.{preset.name}: needs the feature set {block.features!r}, which is not "
            f"computed. Write features = [{sets}]"
        )
    if block.stimuli == "probes" and not configuration.has_probes:
        raise InputError(f"presets.{preset.name}: needs probes. Use n_probes above 0")


@dataclass(frozen=True)
class BuildSettings(_Checked):
    """Settings of one run of `motifs build`, which the atlas does not store."""

    device: Annotated[Text, About("Device to run models on: auto, cpu, cuda, cuda:1 or mps")] = (
        "auto"
    )
    metrics: Annotated[
        Texts | None,
        About(
            "Metric to compare heads by",
            option="--metric",
            names="metric",
            unset="all that fit the features",
        ),
    ] = None
    score: Annotated[
        bool, About("Score every head on repeated random tokens, as `motifs score` does")
    ] = True
    site: Annotated[
        bool, About("Project, cluster and evaluate the heads, and write the explorer")
    ] = True


@dataclass(frozen=True)
class FigureSettings(_Checked):
    """Settings of the paper's figures."""

    formats: Annotated[
        tuple[Format, ...],
        Meta(min_length=1),
        About("File formats of the figures"),
    ] = ("svg", "pdf", "png")
    heads: Annotated[
        Texts,
        About(
            "Heads to mark in figures 3 and 4",
            names="head",
            unset="the medoids of six groups of heads",
        ),
    ] = ()
    look_alikes: Annotated[
        Count, About("Number of similar heads to show in figures 5, 6, 8 and 9")
    ] = 5
    isomap_neighbors: Annotated[
        Count, About("Number of neighbours per head in figure 7 (paper, section 3.1)")
    ] = 16
    neighbors: Annotated[
        tuple[Count, ...],
        About(
            "Numbers of neighbours per head in figures 14 and 15, one row of maps each",
            unset="all that are stored",
        ),
    ] = ()


@dataclass(frozen=True)
class Setting:
    """One row of the table."""

    key: str
    """Name in a TOML file; settings of a table are written `table.key`."""
    field: str
    type: Any
    default: Any
    """`dataclasses.MISSING` if the setting is required."""
    about: About

    @property
    def option(self) -> str:
        """Option of the command line: `--n-prompts`."""
        return self.about.option or "--" + self.key.replace("_", "-")

    @property
    def kind(self) -> str:
        """Value that is expected, in words."""
        words = _words(self.type, self.about.names)
        return f"true, false or a {words}" if self.about.true_value else words

    @property
    def metavar(self) -> str | None:
        """Placeholder of the value in the help of the option; None for a choice of words."""
        (base,) = _alternatives(self.type)
        if self.about.names:
            return self.about.names.replace(" ", "_").upper()
        return None if get_origin(base) is Literal else "N" if base is int else "TEXT"

    @property
    def value_type(self) -> Any:
        """Type without constraints: `int | None`."""
        (base,) = _alternatives(self.type)
        return base | None if self.default is None else base

    @property
    def least(self) -> int | None:
        """Smallest whole number that is allowed, or None."""
        return _least(self.type)

    @property
    def help(self) -> str:
        """Help text with the unit."""
        return self.about.help + (f" (in {self.about.unit})" if self.about.unit else "")

    @property
    def is_required(self) -> bool:
        """Whether the setting has no default."""
        return self.default is MISSING

    @property
    def is_list(self) -> bool:
        """Whether the value is a list."""
        return any(get_origin(kind) is tuple for kind in _alternatives(self.type))

    @property
    def is_flag(self) -> bool:
        """Whether the option takes no value."""
        return self.type is bool or bool(self.about.true_value)

    def checked(self, value: Any) -> Any:
        """Return the value in the type of the field.

        Raises:
            InputError: if it has another type or is outside its range; the message names key,
                value and what is expected.
        """
        plain = _plain(value)
        if self.is_list and isinstance(plain, str):
            plain = [plain]
        if self.about.true_value and isinstance(plain, bool):
            plain = self.about.true_value if plain else ()
        try:
            converted = msgspec.convert(plain, self.type)
        except (msgspec.ValidationError, TypeError, UnicodeEncodeError) as error:
            raise InputError(f"{self.key} = {value!r:.80}: expected {self._article}") from error
        if isinstance(converted, tuple) and len(set(converted)) < len(converted):
            raise InputError(f"{self.key} = {value!r:.80}: an entry is repeated; remove one")
        return converted

    @property
    def _article(self) -> str:
        kind = self.kind
        return kind if kind.startswith(("one of", "true")) else f"a {kind}"


def _plain(value: Any) -> Any:
    """Return paths as texts and integers of numpy as integers, also inside a sequence."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Integral) and not isinstance(value, bool):
        return int(value)
    return value


def _alternatives(kind: Any) -> tuple[Any, ...]:
    """Return the members of a union other than None, without annotations."""
    if get_origin(kind) is Annotated:
        return _alternatives(get_args(kind)[0])
    if get_origin(kind) in (Union, types.UnionType):
        return tuple(inner for arg in get_args(kind) for inner in _alternatives(arg))
    return () if kind is type(None) else (kind,)


def _metas(kind: Any) -> list[Meta]:
    """Return the constraints of a type, those of the members of a union included."""
    if get_origin(kind) is Annotated:
        inner, *notes = get_args(kind)
        return [note for note in notes if isinstance(note, Meta)] + _metas(inner)
    if get_origin(kind) in (Union, types.UnionType):
        return [meta for arg in get_args(kind) for meta in _metas(arg)]
    return []


def _least(kind: Any) -> int | None:
    bounds = [meta.ge for meta in _metas(kind) if meta.ge is not None]
    return int(bounds[0]) if bounds else None


def _words(kind: Any, names: str) -> str:
    (base,) = _alternatives(kind)
    if get_origin(base) is tuple:
        entries = get_args(base)[0]
        empty = any(meta.min_length for meta in _metas(kind))
        (entry,) = _alternatives(entries)
        if get_origin(entry) is Literal:
            plural = " / ".join(get_args(entry))
        else:
            plural = f"{names}s" if names else _words(entries, "").replace("number", "numbers", 1)
        return f"list of {plural}" + (", not empty" if empty else "")
    if get_origin(base) is Literal:
        return f"one of {', '.join(get_args(base))}"
    if base is bool:
        return "true or false"
    if base is int:
        least = _least(kind)
        return "whole number" + (f" of at least {least}" if least is not None else "")
    return "text"


def _rows(owner: Any, prefix: str = "") -> tuple[Setting, ...]:
    hints = get_type_hints(owner, include_extras=True)
    rows = []
    for field in fields(owner):
        if get_origin(hints[field.name]) is not Annotated:
            continue  # no option sets it
        base, *notes = get_args(hints[field.name])
        (about,) = (note for note in notes if isinstance(note, About))
        constraints = tuple(note for note in notes if isinstance(note, Meta))
        kind = Annotated[base, *constraints] if constraints else base
        key = prefix + (about.key or field.name)
        rows.append(Setting(key, field.name, kind, field.default, about))
    return tuple(rows)


_BY_OWNER: Mapping[type, tuple[Setting, ...]] = {
    Configuration: _rows(Configuration),
    BuildSettings: _rows(BuildSettings),
    FigureSettings: _rows(FigureSettings, "figures."),
}

SETTINGS = tuple(setting for rows in _BY_OWNER.values() for setting in rows)
"""All settings, in the order of the documentation."""


def _describe_fields(owner: type) -> None:
    """Append a line for each setting to the docstring of a dataclass."""
    lines = [inspect.cleandoc(owner.__doc__ or ""), "", "Attributes:"]
    for setting in _BY_OWNER[owner]:
        unset = f"; {setting.about.unset}" if setting.about.unset and not setting.default else ""
        default = "" if setting.is_required else f" Default: {setting.default!r}{unset}."
        lines.append(f"    {setting.field}: {setting.help} ({setting.kind}).{default}")
    owner.__doc__ = "\n".join(lines)


for _owner in _BY_OWNER:
    _describe_fields(_owner)


def settings_of(owner: type) -> tuple[Setting, ...]:
    """Return the settings of one of the three dataclasses."""
    return _BY_OWNER[owner]
