"""Conversion of GGUF files, done once, to folders that transformers loads in seconds.

A converted folder is an ordinary one of transformers: config.json, the tokenizer's files and
model.safetensors in float32, with the exact values that the quantised file stands for. The
language-model head is left out unless it is tied to the embedding.
"""

from __future__ import annotations

import contextlib
import logging
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attention_motifs.errors import ModelError
from attention_motifs.models import records
from attention_motifs.models.records import read_record, write_record
from attention_motifs.store.files import replaced_folder

RECORD = "attention_motifs.json"
"""File in a converted folder: its source, SHA-256 digests and licence."""

CONVERSION = 2
"""Raised whenever a converted folder would hold other numbers; older ones are converted again."""

_SINGLE_DIGITS = {"smollm", "starcoder", "refact", "command-r", "codeshell", "exaone"}
"""Vocabularies that split digits one by one before words, by their names in GGUF files (llama.cpp,
src/llama-vocab.cpp); transformers leaves that out when it reads GGUF."""

_SPLIT_NAME = re.compile(r"-(\d{5})-of-(\d{5})\.gguf", re.IGNORECASE)


def convert_gguf(
    gguf: Path, target: Path, record: dict[str, Any], licence: Path | None = None
) -> None:
    """Convert `gguf` into the folder `target`, which appears complete or not at all.

    Args:
        gguf: the file.
        target: the folder; an existing one is replaced.
        record: written into the folder as `RECORD`, with the digests of the converted files.
        licence: text of the licence, copied into the folder.

    Raises:
        ModelError: if the file is not a GGUF model that transformers reads correctly.
        ResourceError: if the folder cannot be written.
    """
    vocabulary = _checked_vocabulary(gguf)
    with replaced_folder(target) as unfinished:
        with quiet_transformers():
            _convert(gguf, unfinished, vocabulary)
        if licence is not None:
            shutil.copy(licence, unfinished / licence.name)
        write_record(unfinished / RECORD, {**record, "conversion": CONVERSION})
        mode = unfinished.stat().st_mode & 0o666  # safetensors makes files private
        for path in unfinished.iterdir():
            path.chmod(mode)


def is_converted(folder: Path) -> bool:
    """Return whether `folder` holds a finished conversion by this version of the program."""
    return conversion_record(folder).get("conversion") == CONVERSION


def is_conversion_of(folder: Path, sha256: str) -> bool:
    """Return whether `folder` holds the unchanged conversion of the GGUF file of that digest."""
    record = conversion_record(folder)
    return (
        record.get("conversion") == CONVERSION
        and record.get("sha256") == sha256
        and isinstance(record.get("files"), dict)
        and changed_file(folder) is None
    )


def changed_file(folder: Path) -> str | None:
    """Return the first file of a conversion that is missing or not as it was written.

    Conversions by earlier versions hold no digests: theirs are recorded now, if possible.
    """
    record = conversion_record(folder)
    if not record:
        return RECORD
    if not isinstance(record.get("files"), dict):
        with contextlib.suppress(OSError):
            write_record(folder / RECORD, record)
        return None
    return records.changed_file(folder / RECORD, record)


def recorded_sha256(folder: Path) -> str | None:
    """Return the SHA-256 of the GGUF file of a conversion; None for other folders."""
    return conversion_record(folder).get("sha256")


def conversion_record(folder: Path) -> dict[str, Any]:
    """Return the record of a folder that we converted; an empty one for other folders."""
    return read_record(folder / RECORD)


def _checked_vocabulary(gguf: Path) -> str:
    """Refuse files that transformers would not read correctly; return the vocabulary's name.

    Raises:
        ModelError: if the file is not a whole GGUF file of a model, or its rotary embedding is
            scaled.
    """
    start = _first_bytes(gguf)
    if start != b"GGUF":
        kind = "is a Git LFS pointer" if start == b"vers" else "is not a GGUF file"
        raise ModelError(f"{gguf}: {kind}. Download the file itself")
    split = _SPLIT_NAME.search(gguf.name)
    try:
        from gguf import GGUFReader

        reader = GGUFReader(gguf)
        metadata = _Metadata(reader.fields)
        parts = int(metadata.get("split.count") or 1)
        scaled = _rotary_is_scaled(reader, metadata)
        adapter = metadata.get("general.type") == "adapter"
        vocabulary = str(metadata.get("tokenizer.ggml.pre") or "")
    except Exception as error:  # the reader raises anything for a file that is cut short
        reason = (str(error).splitlines() or [type(error).__name__])[0][:150]
        raise ModelError(
            f"{gguf}: cannot be read as GGUF: it is cut short or malformed ({reason}). Compare its "
            "size with that of the file it was copied from"
        ) from error
    if split is not None or parts > 1:
        number = f"part {int(split[1])} of {int(split[2])}" if split else f"one of {parts} parts"
        raise ModelError(
            f"{gguf}: is {number} of a split model. Merge the parts with `llama-gguf-split --merge "
            "FIRST_PART WHOLE.gguf`, or use the model's hub id"
        )
    if adapter:
        raise ModelError(f"{gguf}: is an adapter (LoRA), not a model. Merge it with its base model")
    if scaled:
        raise ModelError(
            f"{gguf}: its rotary embedding is scaled, which is lost when it is read from GGUF; use "
            "the model's safetensors from the hub or a folder"
        )
    return vocabulary


def _first_bytes(gguf: Path) -> bytes:
    try:
        with gguf.open("rb") as file:
            return file.read(4)
    except PermissionError as error:
        raise ModelError(f"{gguf}: no permission to read it. Ask its owner for access") from error
    except OSError as error:
        raise ModelError(f"{gguf}: cannot be read ({error.strerror})") from error


class _Metadata:
    """Values of a GGUF file's metadata by key."""

    def __init__(self, fields: Any) -> None:
        self.fields = fields

    def get(self, key: str) -> Any:
        """Return the value of a key that is no array; None if there is no such key."""
        field = self.fields.get(key)
        return None if field is None else field.contents()

    def get_of_architecture(self, key: str) -> Any:
        """Return the value of a key that begins with the name of the architecture."""
        return self.get(f"{self.get('general.architecture')}.{key}")


def _rotary_is_scaled(reader: Any, metadata: _Metadata) -> bool:
    """Return whether frequencies are scaled, which transformers drops when it reads GGUF.

    Llama 3.1 and 3.2 keep the factors in a tensor, others in the metadata.
    """
    if (metadata.get_of_architecture("rope.scaling.type") or "none") != "none":
        return True
    for key in ("rope.scaling.factor", "rope.scale_linear"):
        if float(metadata.get_of_architecture(key) or 1.0) != 1.0:
            return True
    factors = (t.data for t in reader.tensors if t.name == "rope_freqs.weight")
    return any(bool((values != 1.0).any()) for values in factors)


def _split_digits(tokenizer: Any, vocabulary: str) -> None:
    """Split digits one by one where the model's own tokenizer does."""
    from tokenizers import pre_tokenizers

    if vocabulary in _SINGLE_DIGITS:
        tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Digits(individual_digits=True),
                pre_tokenizers.ByteLevel(add_prefix_space=False),
            ]
        )


def _convert(gguf: Path, folder: Path, vocabulary: str) -> None:
    import torch
    from safetensors.torch import save_file
    from transformers import AutoModel, AutoTokenizer

    source = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name}
    try:
        tokenizer = AutoTokenizer.from_pretrained(**source)
        model, loading = AutoModel.from_pretrained(
            **source, dtype=torch.float32, output_loading_info=True
        )
    except Exception as error:  # parsers of another format raise anything
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise ModelError(
            f"{gguf}: transformers cannot read this GGUF file ({reason}). Use the model's hub id "
            "or its folder of safetensors"
        ) from error
    if loading["missing_keys"]:  # transformers fills them with random numbers
        raise ModelError(
            f"{gguf}: {len(loading['missing_keys'])} weights are missing, first "
            f"{min(loading['missing_keys'])}; use the model's hub id or folder"
        )
    _split_digits(tokenizer, vocabulary)
    tokenizer.save_pretrained(folder)
    # Our record names the GGUF file; the weights here are plain. (The model's own way of saving
    # refuses, since it remembers that they were quantised.)
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.config.name_or_path = ""
    model.config.save_pretrained(folder)
    tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


@contextlib.contextmanager
def quiet_transformers() -> Iterator[None]:
    """Keep the progress bars and notices of transformers off the screen while it loads."""
    from transformers import modeling_gguf_pytorch_utils
    from transformers.utils import logging as transformers_logging

    shown = transformers_logging.is_progress_bar_enabled()
    level = transformers_logging.get_verbosity()
    gguf_level = logging.getLogger("gguf").level
    transformers_logging.disable_progress_bar()
    bars = modeling_gguf_pytorch_utils.tqdm
    modeling_gguf_pytorch_utils.tqdm = lambda items, **_: items
    transformers_logging.set_verbosity_error()
    logging.getLogger("gguf").setLevel(logging.ERROR)
    try:
        yield
    finally:
        modeling_gguf_pytorch_utils.tqdm = bars
        transformers_logging.set_verbosity(level)
        logging.getLogger("gguf").setLevel(gguf_level)
        if shown:
            transformers_logging.enable_progress_bar()
