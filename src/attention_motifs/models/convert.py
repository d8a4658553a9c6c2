"""A GGUF file, converted once to a folder that loads in seconds.

The converted folder is an ordinary one of transformers: config.json, the tokenizer's files and
model.safetensors in float32, the exact values that the quantised file stands for. The
language-model head is left out unless it is tied to the embedding, which is all there is then.
"""

from __future__ import annotations

import contextlib
import json
import logging
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attention_motifs.errors import ModelError
from attention_motifs.store.files import TEMPORARY_PREFIX

RECORD = "attention_motifs.json"
"""File beside the weights: where they come from, their SHA-256 and licence."""

CONVERSION = 2
"""Raised whenever a converted folder would hold other numbers; older ones are converted again."""

_DIGITS_APART = {"smollm", "starcoder", "refact", "command-r", "codeshell", "exaone"}
"""Vocabularies whose digits are split one by one before words are, by the name that a GGUF file
gives them (llama.cpp, src/llama-vocab.cpp); transformers' reading of GGUF leaves that out."""


def convert_gguf(
    gguf: Path, target: Path, record: dict[str, Any], licence: Path | None = None
) -> None:
    """Convert `gguf` into the folder `target`, which appears complete or not at all.

    Args:
        gguf: the file.
        target: the folder; what is there is replaced.
        record: written into the folder as `RECORD`.
        licence: text of the licence, copied into the folder.

    Raises:
        ModelError: if the file is damaged or of an architecture that transformers cannot read.
    """
    _check_header(gguf)
    target.parent.mkdir(parents=True, exist_ok=True)
    prefix = f"{TEMPORARY_PREFIX}{target.name}-"
    unfinished = Path(tempfile.mkdtemp(prefix=prefix, dir=target.parent))
    try:
        with quiet_transformers():
            _convert(gguf, unfinished)
        if licence is not None:
            shutil.copy(licence, unfinished / licence.name)
        text = json.dumps({**record, "conversion": CONVERSION}, indent=1, sort_keys=True)
        (unfinished / RECORD).write_text(text + "\n")
        unfinished.chmod(0o755)
        if target.exists():
            shutil.rmtree(target)
        unfinished.replace(target)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def is_converted(folder: Path) -> bool:
    """Whether `folder` holds a finished conversion by this version of the program."""
    try:
        record = json.loads((folder / RECORD).read_text())
    except (OSError, ValueError):
        return False
    return isinstance(record, dict) and record.get("conversion") == CONVERSION


_HEADER_BYTES = 64 << 20


def _check_header(gguf: Path) -> None:
    """Refuse what transformers would read wrongly without a word.

    Raises:
        ModelError: if it is not a GGUF file, or its rotary embedding is scaled.
    """
    with gguf.open("rb") as file:
        header = file.read(_HEADER_BYTES)
    if header[:4] != b"GGUF":
        raise ModelError(f"{gguf}: not a GGUF file; download it again")
    # The factors of Llama 3.1 and 3.2 stand in a tensor, those of others in the metadata; both
    # are dropped when transformers reads GGUF, and patterns would be wrong beyond a few tokens.
    if b"rope_freqs.weight" in header or b".rope.scaling.type" in header:
        raise ModelError(
            f"{gguf}: its rotary embedding is scaled, which is lost when it is read from GGUF; use "
            "the model's safetensors from the hub or a folder"
        )


def _split_digits(tokenizer: Any, vocabulary: str) -> None:
    """Split digits one by one where the model's own tokenizer does."""
    from tokenizers import pre_tokenizers

    if vocabulary in _DIGITS_APART:
        tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Digits(individual_digits=True),
                pre_tokenizers.ByteLevel(add_prefix_space=False),
            ]
        )


def _vocabulary(gguf: Path) -> str:
    """Name of the pre-tokenizer in the file's metadata, or ""."""
    with gguf.open("rb") as file:
        header = file.read(_HEADER_BYTES)
    key = b"tokenizer.ggml.pre"
    at = header.find(key)
    if at < 0:
        return ""
    at += len(key) + 4  # the type of the value, 8 for a string
    length = int.from_bytes(header[at : at + 8], "little")
    return header[at + 8 : at + 8 + min(length, 64)].decode("utf-8", "replace")


def _convert(gguf: Path, folder: Path) -> None:
    import torch
    from safetensors.torch import save_file
    from transformers import AutoModel, AutoTokenizer

    where = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name}
    try:
        tokenizer = AutoTokenizer.from_pretrained(**where)
        model, told = AutoModel.from_pretrained(
            **where, dtype=torch.float32, output_loading_info=True
        )
    except Exception as error:  # parsers of a damaged file raise anything
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise ModelError(f"{gguf}: damaged, or not a model that can be read ({reason})") from error
    if told["missing_keys"]:  # transformers fills them with random numbers
        raise ModelError(
            f"{gguf}: {len(told['missing_keys'])} weights are missing, first "
            f"{min(told['missing_keys'])}; use the model's hub id or folder"
        )
    _split_digits(tokenizer, _vocabulary(gguf))
    tokenizer.save_pretrained(folder)
    # What the file was made of is in our record; here the weights are plain ones. (The model's own
    # way of saving refuses, since it remembers that they came quantised.)
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.config.name_or_path = ""
    model.config.save_pretrained(folder)
    tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


@contextlib.contextmanager
def quiet_transformers() -> Iterator[None]:
    """Keep transformers' own bars and notices off the screen while it loads."""
    from transformers import modeling_gguf_pytorch_utils
    from transformers.utils import logging as theirs

    shown, level = theirs.is_progress_bar_enabled(), theirs.get_verbosity()
    gguf_level = logging.getLogger("gguf").level
    theirs.disable_progress_bar()
    bars = modeling_gguf_pytorch_utils.tqdm
    modeling_gguf_pytorch_utils.tqdm = lambda items, **_: items
    theirs.set_verbosity_error()
    logging.getLogger("gguf").setLevel(logging.ERROR)
    try:
        yield
    finally:
        modeling_gguf_pytorch_utils.tqdm = bars
        theirs.set_verbosity(level)
        logging.getLogger("gguf").setLevel(gguf_level)
        if shown:
            theirs.enable_progress_bar()
