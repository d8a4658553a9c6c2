"""Names of models: which source a name, hub id or path stands for.

`resolve` looks at the name and the disk alone; nothing is fetched.
"""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from attention_motifs.errors import InputError, did_you_mean
from attention_motifs.head import check_model_name
from attention_motifs.models.diagnosis import GGUF_SUFFIX, not_a_model
from attention_motifs.models.in_memory import (
    ModelInMemory,
    in_memory,
    is_model_object,
    model_given,
)
from attention_motifs.models.packaged import PACKAGED, is_cached

Kind = Literal["packaged", "hub", "folder", "gguf", "memory"]

ALIASES = {
    "gpt2-small": "openai-community/gpt2",
    "gpt2-medium": "openai-community/gpt2-medium",
    "gpt2-large": "openai-community/gpt2-large",
    "gpt2-xl": "openai-community/gpt2-xl",
    "distilgpt2": "distilbert/distilgpt2",
    "pythia-14m": "EleutherAI/pythia-14m",
    "pythia-31m": "EleutherAI/pythia-31m",
    "pythia-70m": "EleutherAI/pythia-70m",
    "pythia-160m": "EleutherAI/pythia-160m",
    "pythia-160m-deduped": "EleutherAI/pythia-160m-deduped",
    "pythia-160m-v0": "EleutherAI/pythia-160m-v0",
    "pythia-160m-deduped-v0": "EleutherAI/pythia-160m-deduped-v0",
    "pythia-160m-seed1": "EleutherAI/pythia-160m-seed1",
    "pythia-160m-seed2": "EleutherAI/pythia-160m-seed2",
    "pythia-160m-seed3": "EleutherAI/pythia-160m-seed3",
    "pythia-410m": "EleutherAI/pythia-410m",
    "pythia-1b": "EleutherAI/pythia-1b",
    "pythia-1.4b": "EleutherAI/pythia-1.4b",
    "gpt-neo-125m": "EleutherAI/gpt-neo-125m",
    "gpt-j-6b": "EleutherAI/gpt-j-6b",
    "tiny-stories-1M": "roneneldan/TinyStories-1M",
    "tiny-stories-3M": "roneneldan/TinyStories-3M",
    "tiny-stories-8M": "roneneldan/TinyStories-8M",
    "tiny-stories-28M": "roneneldan/TinyStories-28M",
    "tiny-stories-33M": "roneneldan/TinyStories-33M",
    "Llama-3.2-1B": "meta-llama/Llama-3.2-1B",
    "Llama-3.2-3B": "meta-llama/Llama-3.2-3B",
    "gemma-2b": "google/gemma-2b",
    "gemma-2-2b": "google/gemma-2-2b",
    "gemma-3-1b": "google/gemma-3-1b-pt",
    "gemma-3-1b-pt": "google/gemma-3-1b-pt",
    "Qwen2.5-0.5B": "Qwen/Qwen2.5-0.5B",
    "Qwen3-0.6B": "Qwen/Qwen3-0.6B",
    "SmolLM2-135M": "HuggingFaceTB/SmolLM2-135M",
    "opt-125m": "facebook/opt-125m",
}
"""Names used in the literature, and the hub ids they stand for."""

# Layers, query heads per layer and licence, from the models' configurations on the hub and Table 1
# of the paper, to be shown before anything is fetched.
_HUB_FACTS: dict[str, tuple[int, int, str]] = {
    "gpt2-small": (12, 12, "MIT"),
    "gpt2-medium": (24, 16, "MIT"),
    "gpt2-large": (36, 20, "MIT"),
    "gpt2-xl": (48, 25, "MIT"),
    "pythia-1b": (16, 8, "Apache-2.0"),
    "Llama-3.2-1B": (16, 32, "Llama 3.2 Community License"),
    "gemma-2b": (18, 8, "Gemma Terms of Use"),
    "gemma-2-2b": (26, 8, "Gemma Terms of Use"),
}

_REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/+-]{0,199}", re.ASCII)


ModelLike = str | os.PathLike[str] | Any
"""A name, hub id, path or object that stands for a model."""


@dataclass(frozen=True)
class ModelReference:
    """A model as named by the user, before anything is fetched or loaded."""

    name: str
    """As used in heads."""
    kind: Kind
    location: str
    """Hub id, absolute path, or name of the packaged model."""
    revision: str | None = None
    """Branch, tag or commit on the hub, if the user named one."""
    held: ModelInMemory | None = field(default=None, compare=False, repr=False)
    """The object, of a model in memory."""

    @property
    def shown(self) -> str:
        """Location and revision, for errors."""
        return self.location if self.revision is None else f"{self.location}@{self.revision}"

    @property
    def source(self) -> str:
        """Text that `resolve` reads as this model from any working folder."""
        return f"{self.name}={self.shown}"


@dataclass(frozen=True)
class KnownModel:
    """A row of `motifs models list`; None where a value is not known before fetching."""

    name: str
    kind: Kind
    cached: bool
    location: str
    n_layers: int | None
    n_heads: int | None
    licence: str | None

    def to_json(self) -> dict[str, Any]:
        """Return the row as a JSON object."""
        return asdict(self)


def resolve(model: ModelLike) -> ModelReference:
    """Return the source that a model's name, hub id, path or object stands for.

    Args:
        model: `NAME`, `org/name`, `org/name@revision`, a path, or `NAME=` before any of these. The
            same folder by another path (`m`, `./m`, absolute) gives the same reference. Or a model
            in memory, see `in_memory`.

    Raises:
        InputError: if it is none of these; the nearest known names are offered.
    """
    if isinstance(model, os.PathLike):
        path = _path(os.fspath(model))
        return _local(_name_of(path), path)
    if is_model_object(model):
        return _held(in_memory(model))
    if not isinstance(model, str):
        raise InputError(
            f"model {model!r:.80} is a {type(model).__name__}, not a name: give a name such as "
            "'gpt2-small', a hub id (org/name), a path, or (model, tokenizer)"
        )
    if (held := model_given(model)) is not None:
        return _held(held)
    if model.startswith((".", "/", "~")):  # a path, whatever else is in it
        path = _path(model)
        return _local(_name_of(path), path)
    name, equals, source = model.partition("=")
    if not equals:
        return _unnamed(model)
    whole = _path(model)
    if whole.exists() and not (source and _path(source).exists()):
        return _local(_name_of(whole), whole)  # a path with "=" in it, such as lr=1e-4/step-500
    return _named(check_model_name(name), source)


def _held(held: ModelInMemory) -> ModelReference:
    return ModelReference(held.name, "memory", held.location, held=held)


def _unnamed(model: str) -> ModelReference:
    known = _known(model)
    if known is not None:
        return known
    path = _path(model)
    if path.exists() or path.suffix.lower() == GGUF_SUFFIX:
        return _local(_name_of(path), path)
    on_hub = _on_hub(model)
    if on_hub is not None:
        return on_hub
    advice = did_you_mean(model, [*PACKAGED, *ALIASES])
    raise InputError(
        f"model {model[:150]!r} is not known: no packaged model, no alias, no folder and no file "
        f"of that name; {advice} (see `motifs models list`; a hub id is org/name, a local model a "
        "path, and a model in memory is given in Python)"
    )


def _named(name: str, source: str) -> ModelReference:
    """Resolve what follows `NAME=`: a path first, then what has a name of its own."""
    if not source:
        raise InputError(f"model {name}=: no source follows the name. Write NAME=PATH or NAME=ID")
    path = _path(source)
    is_path = path.exists() or source.startswith((".", "/", "~"))
    if not is_path:
        known = _known(source) or _on_hub(source)
        if known is not None:
            return ModelReference(name, known.kind, known.location, known.revision)
    return _local(name, path)


def _known(model: str) -> ModelReference | None:
    """Return the packaged model or the hub id of an alias, with a revision if one follows."""
    alias, at, revision = model.partition("@")
    if not at and model in PACKAGED:
        return ModelReference(model, "packaged", model)
    if alias not in ALIASES:
        return None
    if not at:
        return ModelReference(alias, "hub", ALIASES[alias])
    revision = _check_revision(model, revision)
    return ModelReference(_name_at(alias, revision), "hub", ALIASES[alias], revision)


def _on_hub(model: str) -> ModelReference | None:
    """Return the reference of `org/name` or `org/name@revision`; None for other texts."""
    hub_id, at, revision = model.partition("@")
    if hub_id.count("/") != 1:
        return None
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    try:
        validate_repo_id(check_model_name(hub_id))
    except HFValidationError as error:
        raise InputError(f"model {model!r} cannot be a hub id; check its name") from error
    if not at:
        return ModelReference(hub_id, "hub", hub_id)
    revision = _check_revision(model, revision)
    return ModelReference(_name_at(hub_id, revision), "hub", hub_id, revision)


def _check_revision(model: str, revision: str) -> str:
    if not _REVISION.fullmatch(revision) or ".." in revision:
        raise InputError(
            f"model {model[:150]!r}: {revision[:80]!r} cannot be a revision. Write "
            "org/name@BRANCH, org/name@TAG or org/name@COMMIT"
        )
    return revision


def _name_at(name: str, revision: str) -> str:
    """Return the name of a model at a revision: two revisions are two models of an atlas."""
    short = revision[:12] if re.fullmatch(r"[0-9a-f]{40}", revision) else revision
    return check_model_name(f"{name}-{re.sub(r'[^A-Za-z0-9._-]+', '-', short)}")


def _path(text: str) -> Path:
    """Return a path given by the user, after checking that the system accepts it."""
    try:
        path = Path(text).expanduser()
        path.resolve()
        path.exists()
    except PermissionError as error:
        raise InputError(f"{text}: no permission to read it. Ask its owner for access") from error
    except (OSError, RuntimeError, ValueError) as error:  # too long, NUL, ~ of an unknown user
        raise InputError(f"model {text[:80]!r}: cannot be a path ({error!s:.80})") from error
    return path


def _name_of(path: Path) -> str:
    """Return the name of a local model: the last part of its path without links."""
    place = _place(path)
    name = place.stem if place.suffix.lower() == GGUF_SUFFIX else place.name
    try:
        return check_model_name(name or "_")
    except InputError as error:
        valid = re.sub(r"[^A-Za-z0-9.-]+", "-", name).strip("-.") or "my-model"
        command = shlex.quote(f"{valid}={place}")
        raise InputError(
            f"{path}: the name of this path cannot be the name of a model. Give it one with "
            f"NAME=PATH, for example: --model {command}"
        ) from error


def _place(path: Path) -> Path:
    """Return the absolute path without links, unless the link alone has the ending .gguf.

    The hub's cache keeps files under the names of their digests, and links to them by their names.
    """
    resolved = path.resolve()
    if path.suffix.lower() == GGUF_SUFFIX != resolved.suffix.lower():
        return path.parent.resolve() / path.name
    return resolved


def _local(name: str, path: Path) -> ModelReference:
    place = _place(path)
    if place.is_file() and path.suffix.lower() == GGUF_SUFFIX:
        return ModelReference(name, "gguf", str(place))
    reason = not_a_model(path)
    if reason is not None:
        raise InputError(reason)
    return ModelReference(name, "folder", str(place))


def known_models() -> list[KnownModel]:
    """List packaged models and aliases, and whether they are in the cache."""
    rows = [
        KnownModel(
            p.name, "packaged", is_cached(p.name), ", ".join(p.requirements), p.n_layers,
            p.n_heads, p.licence,
        )
        for p in PACKAGED.values()
    ]  # fmt: skip
    for name, hub_id in ALIASES.items():
        n_layers, n_heads, licence = _HUB_FACTS.get(name, (None, None, None))
        rows.append(
            KnownModel(name, "hub", _hub_cached(hub_id), hub_id, n_layers, n_heads, licence)
        )
    return rows


def _hub_cached(hub_id: str) -> bool:
    from huggingface_hub import try_to_load_from_cache

    return isinstance(try_to_load_from_cache(hub_id, "config.json"), str)
