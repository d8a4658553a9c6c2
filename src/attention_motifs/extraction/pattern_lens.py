"""Reader of patterns that the pattern-lens tool wrote.

There is one folder per model with `model_cfg.json`, `prompts.jsonl` and, per prompt,
`prompts/<hash>/activations.npz` with keys `blocks.<L>.attn.hook_pattern` of shape
1 x heads x n x n (as pattern-lens 0.6 writes them).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_motifs.errors import InputError
from attention_motifs.head import check_model_name
from attention_motifs.models.digests import current_sha256
from attention_motifs.prompts import Prompt

if TYPE_CHECKING:
    from jaxtyping import Float

# The hash names a folder, so nothing but URL-safe base64 is taken.
_HASH = re.compile(r"[A-Za-z0-9_-]{1,64}={0,2}", re.ASCII)
_TOLERANCE = 1e-3
"""Rows may sum to at most 1 plus this: patterns may have been saved in half precision."""


@dataclass(frozen=True)
class PatternLensModel:
    """One model's folder."""

    name: str
    folder: Path
    n_layers: int
    n_heads: int
    hashes: dict[str, str]
    """From prompt id to pattern-lens's hash, which names the prompt's folder."""
    prompts: tuple[Prompt, ...]
    tokens: dict[str, tuple[str, ...]]
    """From prompt id to the texts of its tokens; empty where the folder has none."""


def read_models(folder: str | Path) -> list[PatternLensModel]:
    """Return the models in a pattern-lens folder, in the order of their names.

    Raises:
        InputError: if there are none, or a file is missing or cannot be read (named with its line).
    """
    root = Path(folder)
    configurations = sorted([*root.glob("*/model_cfg.json"), *root.glob("*/*/model_cfg.json")])
    if not configurations:
        raise InputError(
            f"{folder}: no <model>/model_cfg.json in it; give the folder that pattern-lens wrote "
            "with --save-path"
        )
    return [_read_model(root, path.parent) for path in configurations]


def _read_model(root: Path, folder: Path) -> PatternLensModel:
    name = check_model_name(folder.relative_to(root).as_posix())
    path = folder / "model_cfg.json"
    try:
        configuration = json.loads(path.read_text(encoding="utf-8"))
        n_layers, n_heads = int(configuration["n_layers"]), int(configuration["n_heads"])
        if min(n_layers, n_heads) < 1:
            raise ValueError(f"{n_layers} layers of {n_heads} heads")
    except (OSError, ArithmeticError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise InputError(
            f"{path}: no numbers n_layers and n_heads can be read from it ({error}). Write the "
            "folder again with pattern-lens"
        ) from error
    hashes: dict[str, str] = {}
    prompts: list[Prompt] = []
    tokens: dict[str, tuple[str, ...]] = {}
    for number, line in enumerate(_lines(folder / "prompts.jsonl"), start=1):
        if not line.strip():
            continue
        where = f"{folder / 'prompts.jsonl'}, line {number}"
        record = _record(line, where)
        meta = record.get("meta")
        labels = dict(meta) if isinstance(meta, dict) else {}
        prompt = Prompt(record["text"], f"pattern-lens/{root.name}", labels)
        if prompt.prompt_id not in hashes:
            hashes[prompt.prompt_id] = record["hash"]
            prompts.append(prompt)
            tokens[prompt.prompt_id] = _tokens(record)
    if not prompts:
        raise InputError(f"{folder / 'prompts.jsonl'}: holds no prompts")
    return PatternLensModel(name, folder, n_layers, n_heads, hashes, tuple(prompts), tokens)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").split("\n")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 (byte {error.start})") from error


def _record(line: str, where: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:  # nested too deep, a number of 5,000 digits
        raise InputError(f"{where}: not JSON ({error})") from error
    if not isinstance(record, dict) or not isinstance(record.get("text"), str):
        raise InputError(f"{where}: has no string 'text'")
    try:
        record["text"].encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(f"{where}: the text holds an unpaired surrogate") from error
    if not isinstance(record.get("hash"), str) or not _HASH.fullmatch(record["hash"]):
        raise InputError(f"{where}: has no 'hash' of URL-safe base64, which names its folder")
    return record


def _tokens(record: dict[str, Any]) -> tuple[str, ...]:
    tokens = record.get("tokens")
    if not isinstance(tokens, list):
        return ()
    return tuple(str(token) for token in tokens)


def read_patterns(model: PatternLensModel, prompt_id: str) -> Float[np.ndarray, "layers heads n n"]:
    """Read all patterns of one prompt as float32.

    Raises:
        InputError: if the file is missing or cannot be read, a layer is missing, a shape is not
            1 x heads x n x n, or entries are not those of a causal attention pattern.
    """
    path, layers = _read_layers(model, prompt_id, range(model.n_layers))
    n = layers[0].shape[-1]
    for layer, patterns in enumerate(layers):
        if patterns.shape != (1, model.n_heads, n, n):
            raise InputError(
                f"{path}: layer {layer} has shape {patterns.shape}, not (1, {model.n_heads}, "
                f"{n}, {n})"
            )
    stacked = np.concatenate(layers)
    _check_patterns(stacked, path)
    return stacked


def read_n_tokens(model: PatternLensModel, prompt_id: str) -> int:
    """Return the size n of the patterns of one prompt.

    Raises:
        InputError: if the file is missing or cannot be read.
    """
    return int(_read_layers(model, prompt_id, [0])[1][0].shape[-1])


def _read_layers(
    model: PatternLensModel, prompt_id: str, layers: Iterable[int]
) -> tuple[Path, list[Float[np.ndarray, "1 heads n n"]]]:
    path = model.folder / "prompts" / model.hashes[prompt_id] / "activations.npz"
    try:
        with np.load(path, allow_pickle=False) as file:
            patterns = [file[f"blocks.{layer}.attn.hook_pattern"] for layer in layers]
        for array in patterns:
            if array.ndim != 4 or array.dtype.kind != "f":
                raise ValueError(f"an array of shape {array.shape} of {array.dtype}")
        return path, [np.asarray(array, dtype=np.float32) for array in patterns]
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file. Run pattern-lens on this prompt again") from error
    except PermissionError as error:
        raise InputError(f"{path}: no permission to read it. Ask its owner for access") from error
    except KeyError as error:
        raise InputError(
            f"{path}: has no array {error!s:.100}. Run pattern-lens on this prompt again, for all "
            "layers"
        ) from error
    except Exception as error:  # numpy, zipfile and zlib raise a dozen kinds
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"{path}: cannot be read as patterns ({reason}). Run pattern-lens on this prompt again"
        ) from error


def _check_patterns(patterns: Float[np.ndarray, "layers heads n n"], path: Path) -> None:
    n = patterns.shape[-1]
    if n < 2:
        raise InputError(f"{path}: patterns of {n} token; prompts need at least 2")
    if not np.isfinite(patterns).all():
        layer, head = np.argwhere(~np.isfinite(patterns))[0][:2]
        raise InputError(f"{path}: NaN or infinite entries at L{layer}:H{head}")
    above = np.triu(np.ones((n, n), dtype=bool), 1)
    if np.abs(patterns[..., above]).max(initial=0.0) > 0 or patterns.min() < 0:
        raise InputError(f"{path}: entries above the diagonal or below 0: not causal attention")
    if patterns.sum(axis=-1).max() > 1 + _TOLERANCE:
        raise InputError(f"{path}: rows sum to more than 1: not a softmax's attention")


def weights_digest(model: PatternLensModel) -> str:
    """Return the SHA-256 over the digests of the model's files, to notice when they change."""
    digest = hashlib.sha256()
    for prompt_id in sorted(model.hashes):
        path = model.folder / "prompts" / model.hashes[prompt_id] / "activations.npz"
        content = current_sha256(path) if path.is_file() else "missing"
        digest.update(f"{prompt_id} {content}\n".encode())
    return digest.hexdigest()
