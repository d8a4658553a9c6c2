"""Reasons why a path or a folder is not a model that can be loaded, each with a remedy.

Everything here is read from names and from the first bytes of files, before transformers is asked,
whose own messages do not distinguish these cases.
"""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from attention_motifs.errors import ModelError
from attention_motifs.models.digests import INDEX, WEIGHTS, weight_files

GGUF_SUFFIX = ".gguf"

_LFS_START = b"version https://git-lfs.github.com/spec/"

TOKENIZER_SOURCES = (
    "tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model", "vocab.model",
    "sentencepiece.bpe.model", "tekken.json", "source.spm",
)  # fmt: skip

_WITHOUT_FILES = {"byt5", "canine", "perceiver", "PerceiverTokenizer", "ByT5Tokenizer",
                  "CanineTokenizer"}  # fmt: skip
"""Tokenizer classes of characters or bytes, which need no file of a vocabulary."""

_DEQUANTISED = {"mxfp4", "fp8"}
"""Quantisations that transformers turns into plain weights without other packages."""


_LAYERS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers", "num_decoder_layers")
_MOST_LAYERS = 10_000
_DEEPEST = 64
"""Levels of objects and lists in a config.json; real ones have five."""


def not_a_model(path: Path) -> str | None:
    """Return why a local path is not a folder of a model or an adapter; None if it is.

    Args:
        path: as the user gave it.
    """
    expects = "A local model is a folder with config.json, or a .gguf file"
    try:
        if not path.exists():
            link = " (a link to a place that does not exist)" if path.is_symlink() else ""
            return f"{path}: no such model{link}. {expects}"
        if not path.is_dir():
            return f"{path}: not a model: it is a file. {expects}"
        names = sorted(entry.name for entry in path.iterdir())
    except PermissionError:
        return f"{path}: no permission to read it. Ask its owner for access"
    if "config.json" in names or "adapter_config.json" in names:
        return None
    return f"{path}: has no config.json, so it is not a folder of a model. " + _other_kind(
        path, names, expects
    )


def _other_kind(path: Path, names: list[str], expects: str) -> str:
    """Return what a folder without config.json seems to be, and what to give instead."""
    checkpoints = sorted(
        (n for n in names if re.fullmatch(r"checkpoint-\d+", n) and (path / n).is_dir()),
        key=lambda n: int(n.rpartition("-")[2]),
    )
    if checkpoints:
        return (
            f"It holds {len(checkpoints)} checkpoints of a training run: give one of them, for "
            f"example {shlex.quote(str(path / checkpoints[-1]))}"
        )
    ggufs = [n for n in names if n.lower().endswith(GGUF_SUFFIX)]
    if ggufs:
        return f"It holds GGUF files: give one, {shlex.quote(str(path / ggufs[0]))}"
    if "model_index.json" in names:
        return "It is a pipeline of diffusers, which makes pictures: it has no attention over text"
    if "snapshots" in names and path.name.startswith("models--"):
        hub_id = path.name.removeprefix("models--").replace("--", "/")
        return f"It is a folder of the hub's cache: give the hub id, {hub_id}"
    if "params.json" in names:
        return (
            "It is in the original format of its makers: convert it to the format of transformers, "
            "or use its hub id"
        )
    inside = [n for n in names if (path / n / "config.json").is_file()]
    if inside:
        return f"A folder in it has one: give {shlex.quote(str(path / inside[0]))}"
    if any(n.endswith((".safetensors", ".bin", ".pt", ".pth")) for n in names):
        return "Copy config.json and the tokenizer's files to the folder of the weights"
    return expects


def checked_configuration(name: str, shown: str, folder: Path) -> dict[str, Any]:
    """Return the content of config.json, after checking all files that a model needs.

    Args:
        name: of the model, for errors.
        shown: its location, for errors.
        folder: with its files.

    Raises:
        ModelError: with what is wrong and how to fix it, if the folder cannot be loaded.
    """
    start = f"{name}: {shown} cannot be loaded"
    if not os.path.lexists(folder / "config.json"):
        names = sorted(entry.name for entry in folder.iterdir())
        expects = "Use a model in the format of transformers"
        raise ModelError(f"{start}: it has no config.json. {_other_kind(folder, names, expects)}")
    config = _configuration(start, folder / "config.json")
    reason = (
        _quantised(config)
        or _own_code(config)
        or _too_deep(config)
        or _weights_reason(folder)
        or _tokenizer_reason(folder, config)
    )
    if reason is not None:
        raise ModelError(f"{start}: {reason}")
    return config


def _configuration(start: str, path: Path) -> dict[str, Any]:
    reason = _unreadable(path)
    if reason is not None:
        raise ModelError(f"{start}: {reason}")
    try:
        config = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ModelError(
            f"{start}: its config.json is not JSON ({error!s:.150}). Copy that file again"
        ) from error
    if _is_deep(config):
        raise ModelError(
            f"{start}: its config.json has values {_DEEPEST} levels deep. Copy that file again"
        )
    if not isinstance(config, dict):
        raise ModelError(f"{start}: its config.json is not an object of JSON. Copy that file again")
    if not isinstance(config.get("model_type"), str):
        # Some versions of transformers guess the architecture from the folder's name then.
        raise ModelError(
            f"{start}: its config.json has no model_type, the name of an architecture of "
            "transformers. Save the model with `save_pretrained`"
        )
    return config


def _is_deep(value: Any) -> bool:
    """Return whether a value is so deep that transformers cannot read it, level by level."""
    level = [value]
    for _ in range(_DEEPEST):
        parts = [part for part in level if isinstance(part, dict | list)]
        level = [x for part in parts for x in (part.values() if isinstance(part, dict) else part)]
    return bool(level)


def _unreadable(path: Path) -> str | None:
    """Return why a file cannot be read at all, or is only a pointer to one."""
    try:
        with path.open("rb") as file:
            start = file.read(len(_LFS_START))
    except FileNotFoundError:
        return f"{path.name} is missing. Copy the file from where the model came from"
    except PermissionError:
        return f"no permission to read {path.name}. Ask the owner of the file for access"
    except OSError as error:
        return f"{path.name} cannot be read ({error.strerror})"
    if start == _LFS_START:
        return (
            f"{path.name} is a Git LFS pointer, not the file itself. Fetch the files with "
            "`git lfs pull` in that folder"
        )
    return None


def _quantised(config: dict[str, Any]) -> str | None:
    quantisation = config.get("quantization_config")
    if not isinstance(quantisation, dict):
        return None
    method = str(quantisation.get("quant_method") or "an unnamed method")
    if method in _DEQUANTISED:
        return None
    if method == "bitsandbytes" or "load_in_4bit" in quantisation:
        method = "bitsandbytes"
    return (
        f"its weights are quantised by {method}, which other packages would compute. Use the model "
        "that it was quantised from, or save it with plain weights "
        "(`model.dequantize()`, then `save_pretrained`)"
    )


def _own_code(config: dict[str, Any]) -> str | None:
    """Return why an architecture is not known: it brings its own code, or is newer."""
    from transformers import __version__
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    kind = config["model_type"]
    if kind in CONFIG_MAPPING:
        return None
    kind = " ".join(kind.split())[:80]
    if config.get("auto_map"):
        return (
            f"its architecture {kind} needs custom code that comes with the model, and code of "
            "models is never run. Use a model of an architecture that transformers itself has"
        )
    return (
        f"its architecture {kind} is not known to transformers {__version__}. Check model_type in "
        "config.json; a newer transformers may know it (`pip install -U transformers`)"
    )


def _too_deep(config: dict[str, Any]) -> str | None:
    """Return why a number of layers cannot be right; transformers would make them all."""
    text = config.get("text_config")
    for part in (config, text if isinstance(text, dict) else {}):
        for key in _LAYERS:
            value = part.get(key)
            if isinstance(value, int) and value > _MOST_LAYERS:
                return (
                    f"its config.json has {key} {value!r:.40}, more than {_MOST_LAYERS:,} layers. "
                    "Copy that file again"
                )
    return None


def _weights_reason(folder: Path) -> str | None:
    names = sorted(entry.name for entry in folder.iterdir())
    try:
        files = weight_files(folder)
    except ModelError as error:
        return str(error)
    if not files:
        return _no_weights(names)
    missing = [path.name for path in files if not path.exists()]
    if missing:
        shown = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
        return (
            f"{len(missing)} of the {len(files)} files that {INDEX} names are missing: {shown}. "
            "Copy them from where the model came from"
        )
    return next((r for path in files if (r := _not_safetensors(path)) is not None), None)


def _no_weights(names: Iterable[str]) -> str:
    names = list(names)
    others = [n for n in names if n.endswith((".bin", ".pt", ".pth", ".ckpt"))]
    if others:
        return (
            f"it has no safetensors weights, and PyTorch files such as {others[0]} are not read, "
            "since they may run code. Convert it in a place where you trust the file: load it with "
            "transformers and call `save_pretrained`"
        )
    others = [n for n in names if n.endswith((".h5", ".msgpack"))]
    if others:
        return (
            f"it has weights of another framework ({others[0]}) only. Save it from PyTorch with "
            "`save_pretrained`"
        )
    others = [n for n in names if n.endswith(".safetensors")]
    if others:
        return (
            f"it has no {WEIGHTS} and no {INDEX}, only {', '.join(others[:3])}. Rename the file if "
            "it holds all weights, or copy the index too"
        )
    return (
        f"it has no safetensors weights ({WEIGHTS}). Copy them from where the model came from, or "
        "save the model with `save_pretrained`"
    )


def _not_safetensors(path: Path) -> str | None:
    """Return why a file is not one of safetensors; None if its header and size fit each other."""
    reason = _unreadable(path)
    if reason is not None:
        return reason
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        length = int.from_bytes(start, "little")
        if start[:4] == b"PK\x03\x04":
            return f"{path.name} is a PyTorch file under another name; such files may run code"
        if start.lstrip()[:1] == b"<":
            return f"{path.name} is a web page, not weights. Download the file itself"
        if size < 8 or 8 + length > size:
            return _too_short(path, size, 8 + length if 2 <= length < 100 << 20 else None)
        try:
            header = json.loads(file.read(length))
            ends = [entry["data_offsets"][1] for k, entry in header.items() if k != "__metadata__"]
            needed = 8 + length + max(ends, default=0)
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            return f"{path.name} is not a safetensors file. Copy the file again"
    return _too_short(path, size, needed) if needed > size else None


def _too_short(path: Path, size: int, needed: int | None) -> str:
    if needed is None:
        return f"{path.name} is not a safetensors file ({size:,} bytes). Copy the file again"
    return (
        f"{path.name} is cut short: it has {size:,} bytes and its header describes {needed:,}. "
        "Copy the file again"
    )


def _tokenizer_reason(folder: Path, config: dict[str, Any]) -> str | None:
    for name in TOKENIZER_SOURCES:
        if (folder / name).is_file():
            return _unreadable(folder / name)
        if os.path.lexists(folder / name):
            return f"{name} is a link to a file that does not exist. Copy the file itself"
    kinds = {config["model_type"], _tokenizer_class(folder)}
    if kinds & _WITHOUT_FILES:
        return None
    return (
        "its tokenizer is missing: there is no tokenizer.json, tokenizer.model, vocab.json or "
        "vocab.txt. Save that of the model it was trained from into the folder "
        "(`AutoTokenizer.from_pretrained(BASE).save_pretrained(FOLDER)`)"
    )


def _tokenizer_class(folder: Path) -> str:
    try:
        return str(json.loads((folder / "tokenizer_config.json").read_bytes())["tokenizer_class"])
    except (OSError, ValueError, LookupError, TypeError):
        return ""
