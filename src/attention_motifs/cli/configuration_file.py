"""What to build, as a TOML file: read, checked key by key, with flags put over it.

`KEYS` is the one list of keys; docs/configurations.md is tested against it.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from attention_motifs.embedding import LENGTH_BINS
from attention_motifs.errors import InputError, MotifsError
from attention_motifs.figures.paper import FORMATS, FigureSettings
from attention_motifs.store.manifest import FEATURE_SETS, Configuration

Check = Callable[[Any], str | None]
"""Says what is wrong with a value, or nothing."""


@dataclass(frozen=True)
class Key:
    """A key of a configuration file; those of a table are written `table.key`."""

    name: str
    kind: str
    """What its value is, in words."""
    check: Check
    default: Any
    meaning: str


@dataclass(frozen=True)
class BuildPlan:
    """What to build and to draw."""

    configuration: Configuration
    metrics: tuple[str, ...] | None
    """None for those that fit the features."""
    device: str
    behaviour: bool
    """Whether heads are scored on repeated random tokens."""
    site: bool
    figures: FigureSettings


def _whole(least: int) -> Check:
    def check(value: Any) -> str | None:
        right = isinstance(value, int) and not isinstance(value, bool) and value >= least
        return None if right else f"a whole number of at least {least} is needed"

    return check


def _one_of(*words: str) -> Check:
    def check(value: Any) -> str | None:
        return None if value in words else f"one of {', '.join(words)} is needed"

    return check


def _list_of(of_item: Check, *, empty: bool = False) -> Check:
    def check(value: Any) -> str | None:
        if not isinstance(value, list) or (not value and not empty):
            return "a list is needed" + ("" if empty else ", which is not empty")
        wrong = [f"{item!r:.80}: {said}" for item in value if (said := of_item(item))]
        if not wrong and len(set(value)) < len(value):
            return "an entry is there twice"
        return wrong[0] if wrong else None

    return check


def _flag(value: Any) -> str | None:
    return None if isinstance(value, bool) else "true or false is needed"


def _text(value: Any) -> str | None:
    return None if isinstance(value, str) and value.strip() else "a text is needed"


def _known(look_up: Callable[[str], object]) -> Check:
    """A name that one of the package's registries must know, whose own words say if it does not."""

    def check(value: Any) -> str | None:
        if said := _text(value):
            return said
        try:
            look_up(value)
        except MotifsError as error:
            return str(error)
        return None

    return check


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


_NEW = Configuration(models=())
_FIGURES = FigureSettings()

KEYS: tuple[Key, ...] = (
    Key("models", "list of models", _list_of(_known(_model)), None,
        "what `--model` takes, in the order of the atlas; the one key that must be there"),
    Key("prompts", "text", _text, _NEW.prompts, "`builtin`, `pile-10k` or a JSON-lines file"),
    Key("n_prompts", "whole number", _whole(1), _NEW.n_prompts,
        "prompts drawn; all if it is left out"),
    Key("seed", "whole number", _whole(0), _NEW.seed, "of the draw of prompts"),
    Key("max_tokens", "whole number", _whole(2), _NEW.max_tokens,
        "tokens that prompts are cut to"),
    Key("bos", "text", _one_of("auto", "always", "never"), _NEW.bos,
        "`auto` (as the model was trained), `always` or `never`"),
    Key("dtype", "text", _one_of("float32", "bfloat16", "float16", "auto"), _NEW.dtype,
        "of the weights: `float32`, `bfloat16`, `float16`, or `auto`, as they are stored"),
    Key("device", "text", _text, "auto", "`auto`, `cpu`, `cuda`, `cuda:1` or `mps`"),
    Key("features", "list of feature sets", _list_of(_known(_feature_set)), list(FEATURE_SETS),
        "the embedding is of the first"),
    Key("n_components", "whole number", _whole(1), _NEW.n_components,
        "principal components kept"),
    Key("length_bins", "true or false", _flag, False, "standardise per bin of prompt lengths"),
    Key("metrics", "list of metrics", _list_of(_known(_metric)), None,
        "distances computed; those that fit the features if it is left out"),
    Key("n_view_prompts", "whole number", _whole(0), _NEW.n_view_prompts,
        "prompts whose patterns are kept for viewing and for the figures"),
    Key("behaviour", "true or false", _flag, False,
        "score every head on repeated random tokens, as `motifs score`"),
    Key("site", "true or false", _flag, True,
        "project, cluster, evaluate and write the site, as `--site`"),
    Key("figures.formats", "list of texts", _list_of(_one_of(*FORMATS)), list(_FIGURES.formats),
        "of the figures: `svg`, `pdf`, `png`"),
    Key("figures.heads", "list of heads", _list_of(_known(_head), empty=True),
        list(_FIGURES.heads),
        "picked out in figures 3 and 4; none for the medoids of six groups of heads"),
    Key("figures.look_alikes", "whole number", _whole(1), _FIGURES.look_alikes,
        "heads beside the one of figures 5, 6, 8 and 9"),
    Key("figures.isomap_neighbors", "whole number", _whole(1), _FIGURES.isomap_neighbors,
        "neighbourhood of figure 7"),
    Key("figures.neighbors", "list of whole numbers", _list_of(_whole(1), empty=True),
        list(_FIGURES.neighbors),
        "neighbourhoods of figures 14 and 15, a row each; none for all that are stored"),
)  # fmt: skip


def shipped() -> list[str]:
    """Names of the configurations that come with the package."""
    folder = resources.files("attention_motifs") / "configurations"
    names = [file.name for file in folder.iterdir() if file.name.endswith(".toml")]
    return sorted(name.removesuffix(".toml") for name in names)


def read_configuration(wanted: str) -> dict[str, Any]:
    """Read a configuration: one that comes with the package by its name, or a TOML file.

    Returns:
        Values by the names of `KEYS`, those of the file only.

    Raises:
        InputError: if there is no such configuration, it is not TOML, lacks `models`, or holds a
            key or a value that cannot be used; file, key, value and mend are named in one line.
    """
    name, data = _bytes_of(wanted)
    try:
        table = tomllib.loads(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise InputError(f"{name}: not UTF-8 (byte {error.start}); save it as UTF-8") from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InputError(f"{name}: not TOML ({error!s:.200})") from error
    values = dict(_flattened(table))
    keys = {key.name: key for key in KEYS}
    for key, value in values.items():
        if key not in keys:
            near = difflib.get_close_matches(key, keys, n=1)
            mend = f"did you mean {near[0]}?" if near else f"it can have {', '.join(keys)}"
            raise InputError(f"{name}: key {key!r:.80} is not known; {mend}")
        if wrong := keys[key].check(value):
            raise InputError(f"{name}: {key} = {value!r:.80}: {' '.join(wrong.splitlines())}")
    if "models" not in values:
        raise InputError(f'{name}: has no models; write models = ["gpt2-small"]')
    return values


def build_plan(values: Mapping[str, Any]) -> BuildPlan:
    """Complete the values of a file, or of a file and flags, with the defaults of `KEYS`.

    Raises:
        InputError: if no model is named.
    """
    full = {key.name: key.default for key in KEYS} | dict(values)
    if not full["models"]:
        raise InputError(
            "no model was named: add --model NAME (see `motifs models list`), or --config"
        )
    metrics: Sequence[str] | None = full["metrics"]
    return BuildPlan(
        Configuration(
            models=tuple(full["models"]),
            prompts=full["prompts"],
            n_prompts=full["n_prompts"],
            seed=full["seed"],
            max_tokens=full["max_tokens"],
            bos=full["bos"],
            dtype=full["dtype"],
            feature_sets=tuple(full["features"]),
            n_components=full["n_components"],
            length_bins=LENGTH_BINS if full["length_bins"] else (),
            n_view_prompts=full["n_view_prompts"],
        ),
        None if metrics is None else tuple(metrics),
        full["device"],
        full["behaviour"],
        full["site"],
        FigureSettings(
            formats=tuple(full["figures.formats"]),
            heads=tuple(full["figures.heads"]),
            look_alikes=full["figures.look_alikes"],
            isomap_neighbors=full["figures.isomap_neighbors"],
            neighbors=tuple(full["figures.neighbors"]),
        ),
    )


def _bytes_of(wanted: str) -> tuple[str, bytes]:
    """A configuration's name for errors, and its content."""
    if wanted in shipped():
        file = resources.files("attention_motifs") / "configurations" / f"{wanted}.toml"
        return f"configuration {wanted}", file.read_bytes()
    path = Path(wanted)
    try:
        return str(path), path.read_bytes()
    except (OSError, ValueError) as error:  # not there, a folder, a NUL in its name
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(
            f"--config {wanted[:200]}: cannot be read ({reason}); give a TOML file, or one of "
            f"{', '.join(shipped())}"
        ) from error


def _flattened(table: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Keys with their values, those of tables as `table.key`."""
    tables = {key.name.partition(".")[0] for key in KEYS if "." in key.name}
    found: list[tuple[str, Any]] = []
    for key, value in table.items():
        if key in tables and isinstance(value, Mapping):
            found += [(f"{key}.{inner}", item) for inner, item in value.items()]
        else:
            found.append((key, value))
    return found
