"""Loading of models ready to be tapped: weights, tokenizer and their record."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from attention_motifs.errors import InputError, ModelError, ResourceError
from attention_motifs.extraction import onednn_linear, tap
from attention_motifs.extraction.causal_check import check_once
from attention_motifs.extraction.loading_from_memory import load_from_memory
from attention_motifs.features.numerics import fixed_numerics
from attention_motifs.memory import available_memory
from attention_motifs.models import architectures
from attention_motifs.models.convert import conversion_record, quiet_transformers
from attention_motifs.models.diagnosis import checked_configuration
from attention_motifs.models.digests import weight_files
from attention_motifs.models.dtypes import AUTO, DTYPES, dtype_as_stored, stored_dtype
from attention_motifs.models.fetch import local_folder
from attention_motifs.models.identity import (
    ModelIdentity,
    identity_in_memory,
    identity_of,
)
from attention_motifs.models.language_head import LanguageHead, without_head
from attention_motifs.models.model import LoadedModel, ModelInfo
from attention_motifs.models.sources import ModelLike, ModelReference, resolve
from attention_motifs.models.tokenizing import check_max_tokens
from attention_motifs.models.view import View, view_of
from attention_motifs.progress import Report, silent


@dataclass(frozen=True)
class _Request:
    """A model to load, and the form it is to have in memory."""

    reference: ModelReference
    folder: Path
    identity: ModelIdentity
    view: View
    config: Any
    """Of the whole model, as transformers reads it from the view."""
    dtype: str
    device: torch.device
    language_head: bool
    softmax_only: bool

    @property
    def name(self) -> str:
        return self.reference.name


@fixed_numerics()
def load_model(
    model: ModelLike,
    *,
    device: str = "auto",
    dtype: str = "float32",
    language_head: bool = False,
    max_tokens: int | None = None,
    softmax_only: bool = False,
    report: Report = silent,
) -> LoadedModel:
    """Load a model by name, hub id, folder, GGUF file or NAME=PATH, and check its attention.

    A model in memory is not changed: its twin shares its weights, device and number format.

    Args:
        model: see `resolve`; a model in memory keeps its device and its dtype.
        device: `auto` (CUDA if available, else the CPU), or a device of torch.
        dtype: `float32`, `bfloat16`, `float16`, or `auto` for the type of the stored weights (on a
            CPU float32 in place of float16).
        language_head: whether to load the language-model head too, which patterns do not need.
        max_tokens: length of the prompts, if known: a model with a shorter context is refused
            before its weights are loaded.
        softmax_only: load a hybrid too (Qwen3-Next, Jamba, Falcon-H1, LFM2), and read its layers
            with softmax attention alone; `layers` of the result are their numbers. Other models
            are loaded as without it.
        report: shows the progress of fetching and loading.

    Returns:
        The model in evaluation mode, with its tokenizer and its record.

    Raises:
        InputError: if a name, device or dtype is not known, or `max_tokens` exceeds the context.
        ModelError: if the model cannot be fetched or loaded, or fails the causal check.
        ResourceError: if the weights do not fit in memory.

    Example:
        >>> import attention_motifs as am
        >>> info = am.load_model("smollm2-135m-instruct").info
        >>> info.n_layers, info.n_heads
        (30, 9)
    """
    if not isinstance(dtype, str) or dtype not in (*DTYPES, AUTO):
        raise InputError(f"dtype {dtype!r:.80}: choose {', '.join(DTYPES)} or {AUTO}")
    place = _device(device)
    reference = resolve(model)
    if reference.held is not None:
        with report(f"check {reference.name}", 1):
            return load_from_memory(
                reference.held,
                language_head=language_head,
                max_tokens=max_tokens,
                softmax_only=softmax_only,
            )
    folder = local_folder(reference, report)
    content = checked_configuration(reference.name, reference.shown, folder)
    with view_of(folder, content) as view:
        config = _transformers_config(reference, view)
        architectures.check_configuration(reference.name, config, softmax_only=softmax_only)
        if max_tokens is not None:
            check_max_tokens(reference.name, config.get_text_config(decoder=True), max_tokens)
        if dtype == AUTO:
            dtype = dtype_as_stored(folder, place)
        _require_memory(reference.name, folder, dtype, place)
        with report(f"load {reference.name}", 1):
            identity = identity_of(reference, folder, dtype)
            return _load(
                _Request(
                    reference, folder, identity, view, config, dtype, place, language_head,
                    softmax_only,
                )
            )  # fmt: skip


def resolve_dtype(
    model: ModelLike, dtype: str, *, device: str = "auto", report: Report = silent
) -> str:
    """Return the dtype in which `load_model` would load a model, without loading it.

    Args:
        model: see `resolve`.
        dtype: see `load_model`.
        device: see `load_model`.
        report: shows the progress of fetching.

    Raises:
        InputError, ModelError, ResourceError: as `load_model`, before it loads.
    """
    reference = resolve(model)
    if reference.held is not None:
        return reference.held.dtype
    if dtype != AUTO:
        return dtype
    return dtype_as_stored(local_folder(reference, report), _device(device))


def identify_model(
    model: ModelLike,
    *,
    device: str = "auto",
    dtype: str = "float32",
    report: Report = silent,
) -> ModelIdentity:
    """Return the identity of the model that `load_model` would load, without loading it.

    The digests are those of the files as they are now. Digests of large files are kept in the
    cache folder, so that only changed files are read again.

    Args:
        model: see `resolve`.
        device: see `load_model`.
        dtype: see `load_model`.
        report: shows the progress of fetching.

    Raises:
        InputError, ModelError, ResourceError: as `load_model`, before it loads.
    """
    reference = resolve(model)
    if reference.held is not None:
        with report(f"digest of the weights of {reference.name}", 1):
            return identity_in_memory(reference.held)
    folder = local_folder(reference, report)
    checked_configuration(reference.name, reference.shown, folder)
    chosen = dtype_as_stored(folder, _device(device)) if dtype == AUTO else dtype
    return identity_of(reference, folder, chosen)


def _transformers_config(reference: ModelReference, view: View) -> Any:
    from transformers import AutoConfig

    try:
        with quiet_transformers():
            config = AutoConfig.from_pretrained(view.folder, trust_remote_code=False)
    except Exception as error:  # a configuration of another kind raises anything
        raise _unreadable(reference, "its config.json is not accepted", error) from error
    config.name_or_path = ""
    if getattr(config, "quantization_config", None):
        config.quantization_config = {**config.quantization_config, "dequantize": True}
    return config


def _load(request: _Request) -> LoadedModel:
    config = request.config.get_text_config(decoder=True)
    n_layers, n_heads = architectures.layers_and_heads(request.name, config)
    identity = request.identity
    info = ModelInfo(
        name=identity.name,
        kind=identity.kind,
        location=identity.location,
        revision=identity.revision,
        weights_sha256=identity.weights_sha256,
        tokenizer_sha256=identity.tokenizer_sha256,
        licence=identity.licence,
        architecture=config.model_type,
        n_layers=n_layers,
        n_heads=n_heads,
        n_parameters=0,
        dtype=request.dtype,
        device=request.device.type,
        tap="attention interface",
        config_sha256=identity.config_sha256,
        set_aside=request.view.set_aside,
        softmax_layers=architectures.layers_of_hybrid(config),
    )
    tokenizer = _tokenizer(request.reference, request.folder, request.view)
    refusals = []
    hybrid = info.softmax_layers is not None
    for way in architectures.taps_to_try(config.model_type, hybrid=hybrid):
        try:
            model, head = _model(request, way)
            n_parameters = sum(p.numel() for p in model.parameters())
            info = replace(info, tap=way, n_parameters=n_parameters)
            loaded = LoadedModel(model, tokenizer, info, head)
            check_once(loaded)
        except ModelError as error:
            refusals.append(error)
        else:
            return loaded
    raise refusals[-1]


def _model(request: _Request, way: architectures.Tap) -> tuple[Any, LanguageHead | None]:
    """Load the text model, and its language-model head if it was asked for."""
    whole = _weights(request, way)
    onednn_linear.use_in(whole)
    base, head = without_head(whole) if request.language_head else (whole, None)
    return architectures.text_model(request.name, base), head


def _weights(request: _Request, way: architectures.Tap) -> Any:
    from transformers import AutoModel

    auto = AutoModel
    if request.language_head:
        auto = architectures.language_model_class(request.name, request.config)
    tap.register()
    try:
        with quiet_transformers():
            model, loading = auto.from_pretrained(
                request.view.folder,
                config=request.config,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # refused below with their names
                dtype=DTYPES[request.dtype],
                attn_implementation=tap.INTERFACE if way == "attention interface" else "eager",
                use_safetensors=True,
                trust_remote_code=False,
            )
    except Exception as error:  # files that do not fit each other raise anything
        raise _unreadable(request.reference, "transformers refuses it", error) from error
    _require_all_weights(request, loading)
    return model.eval().requires_grad_(False).to(request.device)


def _require_all_weights(request: _Request, loading: dict[str, Any]) -> None:
    """Refuse weights that transformers would fill with random numbers."""
    start = f"{request.name}: {request.reference.shown} cannot be loaded"
    mismatched = sorted(str(key[0]) for key in loading["mismatched_keys"])
    if mismatched:
        raise ModelError(
            f"{start}: {len(mismatched)} weights have other sizes than its config.json states, "
            f"first {mismatched[0]}. Use the config.json that was saved with these weights"
        )
    missing = sorted(loading["missing_keys"])
    if missing:
        raise ModelError(
            f"{start}: {len(missing)} weights that its config.json "
            f"({request.config.model_type}) needs are missing in its files, first {missing[0]}. "
            "Copy all weight files, or the config.json that was saved with these weights"
        )


def load_tokenizer(model: ModelLike, report: Report = silent) -> Any:
    """Load the tokenizer of a model, without its weights.

    Args:
        model: see `resolve`.
        report: shows the progress of fetching.

    Raises:
        InputError, ModelError, ResourceError: as `load_model`, before it loads.
    """
    reference = resolve(model)
    if reference.held is not None:
        return reference.held.tokenizer
    folder = local_folder(reference, report)
    content = checked_configuration(reference.name, reference.shown, folder)
    with view_of(folder, content) as view:
        return _tokenizer(reference, folder, view)


def _tokenizer(reference: ModelReference, location: Path, view: View) -> Any:
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    folder = view.folder
    try:
        if conversion_record(location):
            # The one file that we wrote holds all of it; transformers takes seconds to assemble a
            # large vocabulary again.
            settings = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
            tokenizer = PreTrainedTokenizerFast(
                tokenizer_file=str(folder / "tokenizer.json"),
                **{name: token for name, token in settings.items() if name.endswith("_token")},
            )
        else:
            with quiet_transformers():
                tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except Exception as error:  # files of another kind raise anything
        raise _unreadable(reference, "its tokenizer is not accepted", error) from error
    backend: Any = getattr(getattr(tokenizer, "backend_tokenizer", None), "model", None)
    if getattr(backend, "dropout", None):
        backend.dropout = None  # random merges, meant for training
    return tokenizer


def _unreadable(reference: ModelReference, what: str, error: Exception) -> ModelError:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    reason = " ".join(lines[:2])[:250] or type(error).__name__
    advice = (
        "Install that package, or use another model"
        if isinstance(error, ImportError)
        else "Check that `transformers` itself loads it, or use another model"
    )
    return ModelError(
        f"{reference.name}: {reference.shown} cannot be loaded: {what} ({reason}). {advice}"
    )


def _device(device: str) -> torch.device:
    if not isinstance(device, str | torch.device):
        raise InputError(f"device {device!r:.80} is not a name: use cpu, cuda or auto")
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        place = torch.device(device)
        torch.empty(0, device=place)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"--device {device}: not available here; use cpu or auto") from error
    if place.type == "meta":
        raise InputError("--device meta: a meta device holds no numbers; use cpu or auto")
    return place


def _require_memory(name: str, folder: Path, dtype: str, device: torch.device) -> None:
    """Compare the size of the weights with the free memory.

    Raises:
        ResourceError: if the weights do not fit.
    """
    stored = sum(p.stat().st_size for p in weight_files(folder))
    stored_as = stored_dtype(folder) or torch.float32
    needed = stored * torch.finfo(DTYPES[dtype]).bits // torch.finfo(stored_as).bits
    free = free_memory(device)
    if free is not None and needed > free:
        raise ResourceError(
            f"{name}: its weights take {needed / 1e9:.1f} GB as {dtype} and {free / 1e9:.1f} GB of "
            f"memory are free on {device}; use --dtype bfloat16, another device, or a smaller model"
        )


def free_memory(device: torch.device) -> int | None:
    """Return the bytes of memory free on the device; None where the system does not report it."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return available_memory()
