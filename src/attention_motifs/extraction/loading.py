"""Load a model ready to be tapped: weights, tokenizer, and what is to be known of them."""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from attention_motifs import __version__
from attention_motifs.errors import InputError, ModelError, ResourceError
from attention_motifs.extraction import onednn_linear, tap
from attention_motifs.extraction.causal_check import VERSION, causal_check
from attention_motifs.models import architectures
from attention_motifs.models.convert import RECORD, quiet_transformers
from attention_motifs.models.dtypes import AUTO, DTYPES, dtype_as_stored, stored_dtype
from attention_motifs.models.language_head import without_head
from attention_motifs.models.model import LoadedModel, ModelInfo, weights_sha256
from attention_motifs.models.packaged import converted_folder, sha256_of
from attention_motifs.models.sources import ModelReference, local_folder, resolve
from attention_motifs.progress import Report, silent
from attention_motifs.store.cache_folder import cache_folder


def load_model(
    wanted: str,
    *,
    device: str = "auto",
    dtype: str = "float32",
    language_head: bool = False,
    report: Report = silent,
) -> LoadedModel:
    """Load a model by name, hub id, folder, GGUF file or NAME=PATH, and check it.

    Args:
        wanted: see `resolve`.
        device: `auto` (CUDA if there is any, else the CPU), or a device of torch.
        dtype: `float32`, `bfloat16`, `float16`, or `auto` for the one that the weights are stored
            in (on a CPU float32 for float16).
        language_head: load the language-model head too, which patterns do not need.
        report: shows progress of fetching.

    Raises:
        InputError: if a name, device or dtype is not known.
        ModelError: if it cannot be fetched or loaded, or fails the causal check.
        ResourceError: if it will not fit in memory.
    """
    if dtype not in (*DTYPES, AUTO):
        raise InputError(f"dtype {dtype!r}: choose {', '.join(DTYPES)} or {AUTO}")
    place = _device(device)
    reference = resolve(wanted)
    folder = local_folder(reference, report)
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    except Exception as error:  # a broken or foreign configuration raises anything
        raise _unreadable(reference, error) from error
    architectures.check_configuration(reference.name, config)
    if dtype == AUTO:
        dtype = dtype_as_stored(folder, place)
    _require_memory(reference.name, folder, dtype, place)
    with report(f"load {reference.name}", 1):
        return _load(
            reference, folder, config.get_text_config(decoder=True), dtype, place, language_head
        )


def resolve_dtype(wanted: str, dtype: str, *, device: str = "auto", report: Report = silent) -> str:
    """Return the dtype that `load_model` would load a model in, without loading it.

    Args:
        wanted: see `resolve`.
        dtype: see `load_model`.
        device: see `load_model`.
        report: shows progress of fetching.

    Raises:
        InputError, ModelError, ResourceError: as `load_model`, before it loads.
    """
    if dtype != AUTO:
        return dtype
    return dtype_as_stored(local_folder(resolve(wanted), report), _device(device))


@dataclass(frozen=True)
class ModelIdentity:
    """Name, digests and dtype of a model: the patterns of a text depend on nothing else."""

    name: str
    weights_sha256: str
    tokenizer_sha256: str
    dtype: str


def identify_model(
    wanted: str, *, device: str = "auto", dtype: str = "float32", report: Report = silent
) -> ModelIdentity:
    """Return the identity of the model that `load_model` would load, without loading it.

    Args:
        wanted: see `resolve`.
        device: see `load_model`.
        dtype: see `load_model`.
        report: shows progress of fetching.

    Raises:
        InputError, ModelError, ResourceError: as `load_model`, before it loads.
    """
    reference = resolve(wanted)
    folder = local_folder(reference, report)
    chosen = dtype_as_stored(folder, _device(device)) if dtype == AUTO else dtype
    return ModelIdentity(reference.name, _weights_sha256(folder), _tokenizer_sha256(folder), chosen)


def _weights_sha256(folder: Path) -> str:
    return _record(folder).get("sha256") or weights_sha256(folder)


def _load(
    reference: ModelReference,
    folder: Path,
    config: Any,
    dtype: str,
    device: torch.device,
    language_head: bool,
) -> LoadedModel:
    n_layers, n_heads = architectures.layers_and_heads(reference.name, config)
    record = _record(folder)
    info = ModelInfo(
        name=reference.name,
        kind=reference.kind,
        location=record.get("location") or _shown(reference),
        revision=_revision(folder) if reference.kind == "hub" else None,
        weights_sha256=_weights_sha256(folder),
        tokenizer_sha256=_tokenizer_sha256(folder),
        licence=record.get("licence"),
        architecture=config.model_type,
        n_layers=n_layers,
        n_heads=n_heads,
        n_parameters=0,
        dtype=dtype,
        device=device.type,
        tap="attention interface",
    )
    tokenizer = _tokenizer(reference, folder)
    refusals = []
    for way in architectures.taps_to_try(config.model_type):
        try:
            whole = _weights(reference, folder, way, dtype, device, language_head)
            onednn_linear.use_in(whole)
            model, head = without_head(whole) if language_head else (whole, None)
            # Models that see and hear as well carry their text model inside.
            model = getattr(model, "language_model", model)
            loaded = LoadedModel(
                model,
                tokenizer,
                replace(info, tap=way, n_parameters=sum(p.numel() for p in model.parameters())),
                head,
            )
            _check_once(loaded)
        except ModelError as error:
            refusals.append(error)
        else:
            return loaded
    raise refusals[-1]


def _weights(
    reference: ModelReference,
    folder: Path,
    way: architectures.Tap,
    dtype: str,
    device: torch.device,
    language_head: bool,
) -> Any:
    from transformers import AutoModel, AutoModelForCausalLM

    tap.register()
    try:
        with quiet_transformers():
            model, told = (AutoModelForCausalLM if language_head else AutoModel).from_pretrained(
                folder,
                output_loading_info=True,
                dtype=DTYPES[dtype],
                attn_implementation=tap.INTERFACE if way == "attention interface" else "eager",
                use_safetensors=True,
                trust_remote_code=False,
            )
    except Exception as error:  # a damaged file or an unknown architecture raises anything
        raise _unreadable(reference, error) from error
    missing = sorted(told["missing_keys"])
    if missing:
        raise ModelError(
            f"{reference.name}: {len(missing)} weights are missing in {reference.location}, first "
            f"{missing[0]}; the files are incomplete"
        )
    return model.eval().requires_grad_(False).to(device)


def _tokenizer(reference: ModelReference, folder: Path) -> Any:
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    try:
        if (folder / RECORD).is_file():
            # All of it is in the one file that we wrote; transformers takes seconds to put a large
            # vocabulary together anew.
            named = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
            return PreTrainedTokenizerFast(
                tokenizer_file=str(folder / "tokenizer.json"),
                **{name: token for name, token in named.items() if name.endswith("_token")},
            )
        with quiet_transformers():
            return AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except Exception as error:
        raise _unreadable(reference, error) from error


def _unreadable(reference: ModelReference, error: Exception) -> ModelError:
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
    mend = (
        f"delete {converted_folder(reference.name)} and run the same command again"
        if reference.kind == "packaged"
        else "the files may be damaged, or the architecture unknown to transformers"
    )
    return ModelError(
        f"{reference.name}: cannot be loaded from {reference.location} ({reason}); {mend}"
    )


def _device(wanted: str) -> torch.device:
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(wanted)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"--device {wanted}: not to be had here; use cpu or auto") from error
    return device


def _require_memory(name: str, folder: Path, dtype: str, device: torch.device) -> None:
    """Hold the weights, and as much again for a pass, against what is free.

    Raises:
        ResourceError: if the weights alone do not fit.
    """
    stored = sum(p.stat().st_size for p in folder.glob("*.safetensors"))
    stored_as = stored_dtype(folder) or torch.float32
    needed = stored * torch.finfo(DTYPES[dtype]).bits // torch.finfo(stored_as).bits
    free = free_memory(device)
    if free is not None and needed > free:
        raise ResourceError(
            f"{name}: its weights take {needed / 1e9:.1f} GB as {dtype} and {free / 1e9:.1f} GB of "
            f"memory are free on {device}; use --dtype bfloat16, another device, or a smaller model"
        )


def free_memory(device: torch.device) -> int | None:
    """Bytes of memory free on the device; None where the system does not tell."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    try:
        text = Path("/proc/meminfo").read_text()
        return int(re.search(r"MemAvailable:\s+(\d+) kB", text)[1]) * 1024  # type: ignore[index]
    except (OSError, TypeError):
        pass
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return None


def _check_once(loaded: LoadedModel) -> None:
    """Run the causal check the first time that these weights are tapped this way."""
    from transformers import __version__ as of_transformers

    info, config = loaded.info, loaded.model.config.to_json_string()
    versions = [str(VERSION), __version__, of_transformers]
    key = [info.weights_sha256, info.tap, info.dtype, config, *versions]
    name = hashlib.sha256("\n".join(key).encode()).hexdigest()[:32]
    passed = cache_folder() / "checked" / name
    if passed.is_file():
        return
    causal_check(loaded)
    try:
        passed.parent.mkdir(parents=True, exist_ok=True)
        passed.touch()
    except OSError:
        pass  # the check is quick; it is only done again


def _record(folder: Path) -> dict[str, Any]:
    """What a folder that we converted says of itself; nothing for others."""
    path = folder / RECORD
    if not path.is_file():
        return {}
    record: dict[str, Any] = json.loads(path.read_text())
    return record


def _shown(reference: ModelReference) -> str:
    return (
        reference.location if reference.kind == "hub" else Path(reference.location).resolve().name
    )


def _revision(folder: Path) -> str | None:
    """Commit of a hub snapshot: the name of its folder."""
    return folder.name if re.fullmatch(r"[0-9a-f]{40}", folder.name) else None


def _tokenizer_sha256(folder: Path) -> str:
    """SHA-256 over the tokenizer's files, since other tokens give other patterns."""
    names = ("tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt",
             "tokenizer.model")  # fmt: skip
    digest = hashlib.sha256()
    for name in names:
        if (folder / name).is_file():
            digest.update(f"{name} {sha256_of(folder / name)}\n".encode())
    return digest.hexdigest()
