"""The view of a model's folder that transformers reads in place of the folder itself.

It holds links to the weights and to the tokenizer's files, and a configuration without settings
that say how the model was run. So patterns depend neither on such settings, nor on adapters in the
folder (which transformers applies if peft is installed), nor on the folder's name.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attention_motifs.errors import ResourceError
from attention_motifs.models.digests import (
    INDEX,
    OTHER_TOKENIZER_FILES,
    TOKENIZER_FILES,
    neutralised,
    weight_files,
)

ADAPTER = "adapter_config.json"


@dataclass(frozen=True)
class View:
    """A temporary folder with all that transformers may read of a model."""

    folder: Path
    set_aside: tuple[str, ...]
    """Settings and files of the model's folder that have no effect here."""


@contextlib.contextmanager
def view_of(folder: Path, config: dict[str, Any]) -> Iterator[View]:
    """Give the view of a model's folder for the time of the block.

    Args:
        folder: of the model.
        config: content of its config.json.
    """
    settings, set_aside = neutralised(config)
    if (folder / ADAPTER).is_file():
        set_aside.add(ADAPTER)
    with _temporary_folder() as temporary:
        view = Path(temporary)
        (view / "config.json").write_text(json.dumps(settings), encoding="utf-8")
        names = [path.name for path in weight_files(folder)]
        for name in (*names, INDEX, *TOKENIZER_FILES, *OTHER_TOKENIZER_FILES):
            if (folder / name).is_file():
                _link(folder / name, view / name)
        yield View(view, tuple(sorted(set_aside)))


def _temporary_folder() -> tempfile.TemporaryDirectory[str]:
    try:
        return tempfile.TemporaryDirectory(prefix="attention-motifs-", ignore_cleanup_errors=True)
    except OSError as error:
        raise ResourceError(
            f"{os.environ.get('TMPDIR', 'the temporary folder')}: cannot be written "
            f"({error.strerror}). Set TMPDIR to a folder with free space that can be written"
        ) from error


def _link(path: Path, link: Path) -> None:
    path = path.resolve()
    with contextlib.suppress(OSError):  # links need a privilege on Windows
        link.symlink_to(path)
        return
    with contextlib.suppress(OSError):  # not across disks
        os.link(path, link)
        return
    shutil.copy(path, link)
