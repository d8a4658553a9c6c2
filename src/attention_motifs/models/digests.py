"""SHA-256 digests of a model's weights, tokenizer and configuration, as the files are now."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from attention_motifs.errors import ModelError, ResourceError
from attention_motifs.store import files
from attention_motifs.store.cache_folder import cache_folder

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"

TOKENIZER_FILES = (
    "tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt", "tokenizer.model",
)  # fmt: skip
"""The order is part of the digest that atlases record."""

OTHER_TOKENIZER_FILES = (
    "special_tokens_map.json", "added_tokens.json", "spiece.model", "sentencepiece.bpe.model",
    "vocab.txt", "tekken.json", "vocab.model", "source.spm",
)  # fmt: skip
"""Read where there is no tokenizer.json; they count towards the digest then."""

_LEGACY_TOKENS = ("special_tokens_map.json", "added_tokens.json")
"""Read next to a tokenizer.json too, if tokenizer_config.json is of an old version. They count
towards the digest of the configuration then, so that earlier digests of tokenizers still hold."""

_LARGE = 16 << 20
"""Bytes from which hashing takes long enough to keep the result."""

_SETTLED_SECONDS = 2.0
"""A file changed more recently may change again without another time stamp."""

NEUTRALISED = frozenset(
    {
        "_attn_implementation", "_attn_implementation_autoset", "_attn_implementation_internal",
        "_experts_implementation", "_experts_implementation_internal", "_name_or_path",
        "_output_attentions", "attn_implementation", "auto_map", "dtype", "experts_implementation",
        "gradient_checkpointing", "output_attentions", "output_hidden_states", "return_dict",
        "return_dict_in_generate", "torch_dtype", "torchscript", "transformers_weights",
        "use_cache", "use_flash_attn", "use_flash_attention_2", "use_kernels", "use_return_dict",
    }
)  # fmt: skip
"""Settings of config.json that say how a model was run, not what it is. They are removed before a
model loads, so that patterns do not depend on them."""

DESCRIPTIVE = frozenset({"architectures", "transformers_version"})
"""Settings that transformers reads and that do not change patterns."""


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def current_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, from the cache if the file has not changed since it was hashed.

    A file counts as unchanged if its size, times of modification and of status change, inode and
    device are the same. The status-change time cannot be set back by copying tools.

    The hub's cache names large files by their SHA-256, which is then taken from the name.
    """
    target = path.resolve()
    if target.parent.name == "blobs" and re.fullmatch(r"[0-9a-f]{64}", target.name):
        return target.name
    status = _status(target)
    if status[0] < _LARGE:
        return sha256_of(target)
    key = hashlib.sha256(str(target).encode("utf-8", "surrogateescape")).hexdigest()[:32]
    memo = cache_folder() / "digests" / f"{key}.json"
    try:
        known = json.loads(memo.read_text(encoding="utf-8"))
        if known["status"] == status and known == _memo(status, known["sha256"]):
            return str(known["sha256"])
    except (OSError, ValueError, LookupError, TypeError):
        pass
    digest = sha256_of(target)
    settled = time.time() - max(status[1], status[2]) / 1e9 > _SETTLED_SECONDS
    if settled and _status(target) == status:
        _remember(memo, _memo(status, digest))
    return digest


def is_memo(value: Any) -> bool:
    """Return whether a value is one that `current_sha256` wrote into the cache, unchanged.

    Those of earlier versions have no digest of both. They are not used.
    """
    try:
        if value.keys() == {"status", "sha256"}:
            return True
        return bool(value == _memo(value["status"], value["sha256"]))
    except (AttributeError, LookupError, TypeError, ValueError):
        return False


def _memo(status: list[int], sha256: str) -> dict[str, Any]:
    """Return a digest with what changes when its file does, and with the digest of both."""
    both = hashlib.sha256(json.dumps([status, sha256]).encode()).hexdigest()
    return {"status": status, "sha256": sha256, "both": both}


def _status(path: Path) -> list[int]:
    status = path.stat()
    return [
        status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_dev,
    ]  # fmt: skip


def _remember(memo: Path, value: dict[str, Any]) -> None:
    with contextlib.suppress(OSError, ResourceError):  # costs only another hash
        files.write_json(memo, value)


def weight_files(folder: Path) -> list[Path]:
    """Return the weight files that transformers loads from a folder, sorted by name.

    These are model.safetensors or, if there is none, the shards that the index names. Adapters,
    optimizer states and other safetensors files in the folder do not belong to the model.

    Raises:
        ModelError: if the index cannot be read.
    """
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    index = folder / INDEX
    if not index.is_file():
        return []
    try:
        names = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        if not names or not all(isinstance(n, str) and Path(n).name == n for n in names):
            raise ValueError("weight_map does not name files of this folder")
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise ModelError(
            f"{index} cannot be read as an index of shards: {error!s:.200}. Copy it again from "
            "where the model came from."
        ) from error
    return [folder / name for name in sorted(names)]


def weights_sha256(folder: Path) -> str:
    """Return the SHA-256 of one weight file, or that of the list of digests of several.

    Raises:
        ModelError: if the index of shards cannot be read.
    """
    digests = [current_sha256(path) for path in weight_files(folder)]
    if len(digests) == 1:
        return digests[0]
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()


def tokenizer_sha256(folder: Path) -> str:
    """Return the SHA-256 over the tokenizer's files, since other tokens give other patterns."""
    names: Iterable[str] = TOKENIZER_FILES
    if not (folder / "tokenizer.json").is_file():
        names = (*TOKENIZER_FILES, *OTHER_TOKENIZER_FILES)
    digest = hashlib.sha256()
    for name in names:
        if (folder / name).is_file():
            digest.update(f"{name} {sha256_of(folder / name)}\n".encode())
    return digest.hexdigest()


def config_sha256(folder: Path) -> str:
    """Return the SHA-256 of the settings in config.json that can change patterns.

    It includes special tokens that `tokenizer_sha256` leaves out.
    """
    settings, _ = neutralised(json.loads((folder / "config.json").read_bytes()))
    settings = {key: value for key, value in settings.items() if key not in DESCRIPTIVE}
    if (folder / "tokenizer.json").is_file():
        settings |= {n: sha256_of(folder / n) for n in _LEGACY_TOKENS if (folder / n).is_file()}
    text = json.dumps(settings, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def neutralised(config: dict[str, Any]) -> tuple[dict[str, Any], set[str]]:
    """Return a configuration without the settings that say how a model was run.

    Args:
        config: content of config.json.

    Returns:
        The configuration, and the names of the removed settings whose values were not the defaults
        of transformers.
    """
    removed: set[str] = set()

    def plain(value: dict[str, Any]) -> dict[str, Any]:
        removed.update(k for k in NEUTRALISED & value.keys() if _is_unusual(k, value[k]))
        return {
            k: plain(v) if isinstance(v, dict) else v
            for k, v in value.items()
            if k not in NEUTRALISED
        }

    return plain(config), removed


def _is_unusual(key: str, value: Any) -> bool:
    if key in {"use_cache", "return_dict", "use_return_dict"}:
        return value is False
    return key not in {"_name_or_path", "dtype", "torch_dtype"} and bool(value)
