"""Adapters of peft (LoRA and its kin): merged once with their base model, in a folder of the cache.

The merged folder is an ordinary one of transformers, in float32. Its identity is that of the base
model and the adapter, so that merging again, elsewhere, gives the same model.
"""

from __future__ import annotations

import json
import re
import shutil
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attention_motifs.errors import InputError, ModelError
from attention_motifs.models import architectures
from attention_motifs.models.cache import locked, require_disk
from attention_motifs.models.convert import quiet_transformers, recorded_sha256
from attention_motifs.models.diagnosis import TOKENIZER_SOURCES, checked_configuration
from attention_motifs.models.digests import (
    OTHER_TOKENIZER_FILES,
    TOKENIZER_FILES,
    config_sha256,
    sha256_of,
    weight_files,
    weights_sha256,
)
from attention_motifs.models.packaged import converted_folder
from attention_motifs.models.records import changed_file, read_record, write_record
from attention_motifs.models.view import ADAPTER, view_of
from attention_motifs.store import files
from attention_motifs.store.files import replaced_folder

WEIGHTS = "adapter_model.safetensors"
RECORD = "attention_motifs_merged.json"
"""File in a merged folder: the digest of base model and adapter, and the adapter's commit."""

_ELSEWHERE = (
    "merge the two elsewhere (`AutoPeftModelForCausalLM.from_pretrained(FOLDER).merge_and_unload()"
    ".save_pretrained(NEW_FOLDER)`) and give the new folder"
)


@dataclass(frozen=True)
class Adapter:
    """An adapter and the base model that it was trained on.

    Attributes:
        name: as used in heads.
        shown: location, for errors.
        folder: with the adapter's files.
        base: name, hub id or path of the base model, as the adapter states it.
    """

    name: str
    shown: str
    folder: Path
    base: str

    def error(self, reason: str) -> ModelError:
        """Return the error for an adapter that cannot be merged."""
        return ModelError(f"{self.name}: {self.shown} holds an adapter of {self.base}: {reason}")


def is_adapter(folder: Path) -> bool:
    """Return whether a folder holds an adapter without the weights of a model."""
    return (folder / ADAPTER).is_file() and not weight_files(folder)


def read_adapter(name: str, shown: str, folder: Path) -> Adapter:
    """Return the adapter in a folder.

    Raises:
        ModelError: if it has no weights of safetensors, or names no base model.
    """
    try:
        base = json.loads((folder / ADAPTER).read_bytes())["base_model_name_or_path"]
        if not isinstance(base, str) or not base:
            raise TypeError("it is empty")
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise ModelError(
            f"{name}: {shown} holds an adapter without its base model: base_model_name_or_path "
            f"cannot be read from {ADAPTER} ({error!s:.100}). Write the path or the hub id of the "
            "base model there"
        ) from error
    adapter = Adapter(name, shown, folder, base)
    if not (folder / WEIGHTS).is_file():
        raise adapter.error(
            f"its weights ({WEIGHTS}) are missing. Save it with peft's `save_pretrained`; weights "
            "in PyTorch's format are not read, since they may run code"
        )
    return adapter


def merged(adapter: Adapter, base: Path, report: Callable[[str, int], Any]) -> Path:
    """Return the folder of the base model with the adapter merged into it, merging if needed.

    Args:
        adapter: the adapter.
        base: folder of the base model.
        report: shows progress.

    Raises:
        ModelError: if peft is not installed, or it cannot merge this adapter into the base model.
        ResourceError: if the disk is too small.
    """
    content = checked_configuration(adapter.name, adapter.base, base)
    sha256 = _digest(adapter, base)
    target = converted_folder(f"adapter-{sha256[:16]}")
    if _is_merge_of(target, sha256):
        return target
    n_bytes = sum(path.stat().st_size for path in weight_files(base))
    require_disk(target, 2 * n_bytes, f"{adapter.name} merged with its base model")
    with locked(target):
        if _is_merge_of(target, sha256):  # another process was faster
            return target
        with report(f"merge {adapter.name} with {adapter.base}", 1), replaced_folder(target) as new:
            with view_of(base, content) as view:
                _merge(adapter, view.folder, new)
            _copy_tokenizer(adapter.folder, base, new)
            write_record(new / RECORD, {"sha256": sha256, "revision": _commit(adapter.folder)})
    return target


def merge_record(folder: Path) -> dict[str, Any]:
    """Return the record of a merged folder; an empty one for other folders."""
    return read_record(folder / RECORD)


def _is_merge_of(folder: Path, sha256: str) -> bool:
    """Return whether `folder` holds the unchanged merge of that digest."""
    record = merge_record(folder)
    return record.get("sha256") == sha256 and changed_file(folder / RECORD, record) is None


def _digest(adapter: Adapter, base: Path) -> str:
    return files.digest(
        {
            "base": recorded_sha256(base) or weights_sha256(base),
            "configuration": config_sha256(base),
            "adapter": sha256_of(adapter.folder / WEIGHTS),
            "settings": sha256_of(adapter.folder / ADAPTER),
        }
    )


def _merge(adapter: Adapter, base: Path, target: Path) -> None:
    """Merge in float32, and save the merged model."""
    try:
        import peft
    except ImportError as error:
        raise adapter.error(
            "peft, which merges them, is not installed. Run `pip install peft` and the same "
            f"command again, or {_ELSEWHERE}"
        ) from error
    import torch
    from transformers import AutoConfig

    try:
        with quiet_transformers(), warnings.catch_warnings():
            # Else a weight that the adapter's file lacks would count as zero.
            warnings.filterwarnings("error", message="Found missing adapter keys")
            config = AutoConfig.from_pretrained(base, trust_remote_code=False)
            auto = architectures.language_model_class(adapter.name, config)
            model, loading = auto.from_pretrained(
                base, config=config, dtype=torch.float32, use_safetensors=True,
                trust_remote_code=False, output_loading_info=True,
            )  # fmt: skip
            if loading["missing_keys"]:
                raise InputError(f"the base model lacks the weight {min(loading['missing_keys'])}")
            with_adapter = peft.PeftModel.from_pretrained(model, str(adapter.folder))
            if with_adapter.active_peft_config.is_prompt_learning:
                raise InputError("it adds a prompt to the text and changes no weights")
            with_adapter.merge_and_unload(safe_merge=True).save_pretrained(target)
    except ModelError:
        raise
    except Exception as error:  # adapters that do not fit their base model raise anything
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise adapter.error(
            f"peft cannot merge them ({reason}). Check that {ADAPTER} names the right base model "
            f"and that {WEIGHTS} is whole"
        ) from error


def _copy_tokenizer(adapter: Path, base: Path, target: Path) -> None:
    """Copy the tokenizer that was saved with the adapter, or else that of the base model."""
    has_tokenizer = any((adapter / name).is_file() for name in TOKENIZER_SOURCES)
    for name in (*TOKENIZER_FILES, *OTHER_TOKENIZER_FILES):
        path = (adapter if has_tokenizer else base) / name
        if path.is_file():
            shutil.copyfile(path, target / name)


def _commit(folder: Path) -> str | None:
    """Return the commit of a hub snapshot, which is the name of its folder."""
    return folder.name if re.fullmatch(r"[0-9a-f]{40}", folder.name) else None
