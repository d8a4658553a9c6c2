"""Models in memory: objects that a user gives in place of a model's name.

An object is known by a name for the time of a `with given(...)` block, within which `resolve` finds
it under that name. It is never changed: what runs is a copy of its modules that shares its weights.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from attention_motifs.errors import InputError, ModelError
from attention_motifs.head import check_model_name
from attention_motifs.models.digests import DESCRIPTIVE, NEUTRALISED

MEMORY = "memory"
"""Kind of a model that is given as an object."""

_FORMS = (
    "Give a model of transformers, TransformerLens, nnsight or nnterp, (model, tokenizer), or "
    "{'name': (model, tokenizer)}"
)

_HOOKED_RUN_SETTINGS = frozenset(
    {
        "device", "dtype", "init_weights", "model_name", "n_devices", "seed", "tokenizer_name",
        "use_attn_in", "use_attn_result", "use_hook_mlp_in", "use_hook_tokens",
        "use_split_qkv_input", "checkpoint_index", "checkpoint_label_type", "checkpoint_value",
        "from_checkpoint", "hf_cfg", "original_architecture", "experimental_logits_to_keep",
    }
)  # fmt: skip
"""Settings of TransformerLens that say how a model was loaded or observed, not what it is."""


@dataclass(frozen=True, eq=False)
class ModelInMemory:
    """A model and a tokenizer that the user holds, under a name.

    Attributes:
        name: as used in heads.
        model: a module of transformers, peft or TransformerLens.
        tokenizer: of transformers.
    """

    name: str
    model: Any
    tokenizer: Any

    @property
    def is_hooked(self) -> bool:
        """Whether it is a model of TransformerLens, which is read at its hook points."""
        return is_hooked(self.model)

    @property
    def location(self) -> str:
        """Name of its class, for records."""
        return type(self.model).__name__

    @property
    def dtype(self) -> str:
        """Number format in which it computes."""
        dtype = getattr(self.model, "dtype", None)
        if dtype is None:
            dtype = getattr(getattr(self.model, "cfg", None), "dtype", None)
        if dtype is None:
            floats = (p.dtype for p in self.model.parameters() if p.is_floating_point())
            dtype = next(floats, "float32")
        return str(dtype).removeprefix("torch.")

    @cached_property
    def weights_sha256(self) -> str:
        """Digest of the weights, as they were when it was first read."""
        return _weights_digest(self.name, self.model)

    @cached_property
    def tokenizer_sha256(self) -> str:
        """Digest of the vocabulary and the settings of the tokenizer."""
        return _tokenizer_digest(self.tokenizer)

    @cached_property
    def config_sha256(self) -> str:
        """Digest of the settings that can change patterns, active adapters included."""
        return _config_digest(self.model)


_given: ContextVar[Mapping[str, ModelInMemory]] = ContextVar("models in memory", default={})  # noqa: B039


@contextlib.contextmanager
def given(models: Mapping[str, ModelInMemory]) -> Iterator[None]:
    """Make models known to `resolve` by their names, for the time of the block.

    Args:
        models: by name.
    """
    token = _given.set({**_given.get(), **models})
    try:
        yield
    finally:
        _given.reset(token)


def model_given(name: str) -> ModelInMemory | None:
    """Return the model that is given under a name; None if there is none."""
    return _given.get().get(name)


def named_models(models: Any) -> tuple[list[str], dict[str, ModelInMemory]]:
    """Separate models that are given as objects from models that are given by name.

    Args:
        models: a mapping from names to models, a list of models, or a single model. A model is a
            name, a path, or an object.

    Returns:
        The texts that stand for the models, in their order, and the objects by name.

    Raises:
        InputError: if a value is neither, or two objects have the same name.
    """
    texts: list[str] = []
    objects: dict[str, ModelInMemory] = {}
    for name, model in _pairs(models):
        if _is_text(model):
            text = str(model)
            texts.append(text if name is None else f"{check_model_name(name)}={text}")
            continue
        held = in_memory(model, name)
        if held.name in objects:
            raise InputError(
                f"models: two of them are called {held.name!r}. Give each a name: "
                "models={'first': (model, tokenizer), 'second': ...}"
            )
        objects[held.name] = held
        texts.append(held.name)
    return texts, objects


def _pairs(models: Any) -> list[tuple[Any, Any]]:
    if isinstance(models, Mapping):
        return list(models.items())
    is_list = isinstance(models, list) or (
        isinstance(models, tuple) and all(_is_text(model) for model in models)
    )
    return [(None, model) for model in (models if is_list else [models])]


def _is_text(model: Any) -> bool:
    return isinstance(model, str) or hasattr(model, "__fspath__")


def in_memory(model: Any, name: str | None = None) -> ModelInMemory:
    """Return a model that the user gives as an object, with its tokenizer and its name.

    Args:
        model: a model of transformers, peft, TransformerLens, nnsight or nnterp; a pair of such a
            model and a tokenizer; or a mapping from one name to either.
        name: default: from the name that it was loaded by.

    Raises:
        InputError: if it is none of these, or has no tokenizer.
    """
    if isinstance(model, ModelInMemory):
        return model
    if isinstance(model, Mapping):
        if len(model) != 1:
            raise InputError(f"a mapping of {len(model)} models: expected one. {_FORMS}")
        ((name, model),) = model.items()
    tokenizer = None
    if isinstance(model, tuple | list):
        if len(model) != 2:
            raise InputError(f"a {type(model).__name__} of {len(model)} is no model. {_FORMS}")
        model, tokenizer = model
    tokenizer = _tokenizer_of(model) if tokenizer is None else tokenizer
    module = _unwrapped(model)
    chosen = check_model_name(name) if name is not None else _name_of(module)
    if tokenizer is None:
        tokenizer = _loaded_tokenizer(module, chosen)
    if not (callable(tokenizer) and hasattr(tokenizer, "convert_ids_to_tokens")):
        raise InputError(
            f"{chosen}: the tokenizer is a {type(tokenizer).__name__}. Give a tokenizer of "
            "transformers: (model, tokenizer)"
        )
    return ModelInMemory(chosen, module, tokenizer)


def is_model_object(value: Any) -> bool:
    """Return whether a value stands for a model in memory rather than for a name or a path."""
    if value is None or isinstance(value, bytes) or _is_text(value):
        return False
    if isinstance(value, ModelInMemory):
        return True
    if isinstance(value, Mapping):
        return len(value) == 1 and is_model_object(next(iter(value.values())))
    if isinstance(value, tuple | list):
        return len(value) == 2 and is_model_object(value[0])
    return hasattr(value, "parameters") or _inner(value) is not None


def is_hooked(model: Any) -> bool:
    """Return whether a module is a model of TransformerLens, of any version."""
    return (
        hasattr(model, "hook_dict") and hasattr(model, "run_with_hooks") and hasattr(model, "cfg")
    )


def _inner(model: Any) -> Any:
    """Return the module that an nnsight model wraps; None for other objects."""
    if not any(part.__module__.partition(".")[0] == "nnsight" for part in type(model).__mro__):
        return None
    return vars(model).get("_module", vars(model).get("_model"))


def _unwrapped(model: Any) -> Any:
    """Return the module that computes: of nnsight and nnterp, the model of transformers in it."""
    inner = _inner(model)
    module = model if inner is None else inner
    if not (hasattr(module, "named_modules") and hasattr(module, "parameters")):
        shown = " ".join(f"{module!r:.60}".split())
        raise InputError(f"model {shown} is a {type(module).__name__}, not a model. {_FORMS}")
    if is_hooked(module) or hasattr(module, "config"):
        return module
    raise InputError(
        f"model: a {type(module).__name__} is not a model that this package can read. {_FORMS}"
    )


def _tokenizer_of(model: Any) -> Any:
    inner = _inner(model)
    if inner is not None or is_hooked(model):
        return getattr(model, "tokenizer", None)
    return None


def _loaded_tokenizer(module: Any, name: str) -> Any:
    """Return the tokenizer from where a model of transformers was loaded, without the network."""
    from transformers import AutoTokenizer

    place = getattr(getattr(module, "config", None), "_name_or_path", "")
    try:
        if not place:
            raise OSError("it was not loaded from a folder")
        return AutoTokenizer.from_pretrained(place, local_files_only=True, trust_remote_code=False)
    except Exception as error:
        raise InputError(
            f"{name}: no tokenizer was given, and there is none where the model was loaded from. "
            "Give it with the model: (model, tokenizer)"
        ) from error


def _name_of(module: Any) -> str:
    """Return the last part of the name that a model was loaded by, or `model`."""
    cfg = module.cfg if is_hooked(module) else module.config
    text = getattr(cfg, "model_name" if is_hooked(module) else "_name_or_path", "") or ""
    last = re.sub(
        r"[^A-Za-z0-9.-]+", "-", str(text).rstrip("/\\").replace("\\", "/").split("/")[-1]
    )
    try:
        return check_model_name(last.strip("-.") or "model")
    except InputError:
        return "model"


def _weights_digest(name: str, model: Any) -> str:
    """Return the SHA-256 over the names, types, shapes and bytes of all tensors of a state."""
    whole = hashlib.sha256()
    known: dict[Any, str] = {}
    with _layouts_restored(model):
        for key, value in sorted(model.state_dict().items()):
            whole.update(f"{key} {_digest_of(name, key, value, known)}\n".encode())
    return whole.hexdigest()


@contextlib.contextmanager
def _layouts_restored(model: Any) -> Iterator[None]:
    """Restore 4-bit weights after a block that reads the state of a model.

    On a CPU bitsandbytes (0.50) changes their layout when they run, and not fully back when their
    state is read: the model would compute something else afterwards.
    """
    changed = [
        (weight, weight.data, weight.quant_state, dict(vars(weight.quant_state)))
        for weight in model.parameters()
        if getattr(weight, "quant_state", None) is not None
    ]
    try:
        yield
    finally:
        for weight, data, state, attributes in changed:
            weight.data, weight.quant_state = data, state
            vars(state).clear()
            vars(state).update(attributes)


def _digest_of(name: str, key: str, value: Any, known: dict[Any, str]) -> str:
    """Return the digest of one entry of a state: a tensor, or what a quantised layer keeps."""
    import torch

    if isinstance(value, tuple | list):
        return _joined(_digest_of(name, key, part, known) for part in value)
    if not isinstance(value, torch.Tensor):
        return _joined([repr(value)])
    value = value.detach()
    if value.device.type == "meta":
        raise ModelError(
            f"{name}: the weight {key} is not in memory (it is offloaded, or on the device meta). "
            "Load the model with all of its weights on a device"
        )
    if hasattr(value, "__tensor_flatten__"):  # a quantised tensor is made of several
        parts, _ = value.__tensor_flatten__()
        return _joined(_digest_of(name, key, getattr(value, part), known) for part in parts)
    if value.is_quantized:
        scales = value.q_per_channel_scales() if "channel" in str(value.qscheme()) else None
        rule = (value.q_scale(), value.q_zero_point()) if scales is None else scales.tolist()
        return _joined([repr(rule), _digest_of(name, key, value.int_repr(), known)])
    place = (value.data_ptr(), tuple(value.shape), value.stride(), value.dtype, value.device)
    if place not in known:  # tied weights are read once
        data = value.cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
        digest = hashlib.sha256(f"{value.dtype} {tuple(value.shape)} ".encode())
        digest.update(data)
        known[place] = digest.hexdigest()
    return known[place]


def _joined(texts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


def _tokenizer_digest(tokenizer: Any) -> str:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        content = tokenizer.get_vocab()
    else:
        # Calls of the tokenizer set how it truncates and pads.
        content = {**json.loads(backend.to_str()), "truncation": None, "padding": None}
    special = getattr(tokenizer, "special_tokens_map", {})
    parts = [
        type(tokenizer).__name__,
        json.dumps(content, sort_keys=True),
        repr(sorted(special.items(), key=str)),
    ]
    return _joined(parts)


def _config_digest(model: Any) -> str:
    if is_hooked(model):
        cfg = model.cfg
        settings = {k: v for k, v in vars(cfg).items() if k not in _HOOKED_RUN_SETTINGS}
    else:
        settings = model.config.to_dict()
        settings = {k: v for k, v in settings.items() if k not in NEUTRALISED | DESCRIPTIVE}
    adapters = [
        (name, module.active_adapters, module.scaling, bool(module.disable_adapters))
        for name, module in model.named_modules()
        if hasattr(module, "active_adapters") and isinstance(getattr(module, "scaling", None), dict)
    ]
    text = json.dumps([settings, adapters], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
