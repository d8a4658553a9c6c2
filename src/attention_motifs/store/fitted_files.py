"""Fitted objects on disk: arrays in `<path>.safetensors`, settings in `<path>.json`."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from attention_motifs.errors import AtlasError, InputError
from attention_motifs.store import files

if TYPE_CHECKING:
    import numpy as np

FittedPath = str | Path | tuple[files.Location, files.Location]
"""Path without ending, or the JSON file and the safetensors file of an atlas."""


@dataclass(frozen=True)
class FittedFormat:
    """The division of a dataclass of arrays and plain values into the two files."""

    name: str
    """Name of the format in the JSON file."""
    version: int
    arrays: Sequence[str]
    """Fields in the safetensors file."""
    values: Mapping[str, Callable[[Any], Any]]
    """Fields in the JSON file, each with the function that converts the JSON value."""
    fix: str
    """Last sentence of error messages: how to make the files again."""


class Fitted(ABC):
    """A fitted dataclass that is saved in two files and loaded equal bit for bit."""

    _format: ClassVar[FittedFormat]

    @abstractmethod
    def _fits_together(self) -> bool:
        """Return whether the shapes and values of the fields fit together."""

    def save(self, path: FittedPath) -> None:
        """Write `<path>.safetensors` and `<path>.json`, without pickle."""
        form = self._format
        arrays: dict[str, np.ndarray[Any, Any]] = {n: getattr(self, n) for n in form.arrays}
        values = {name: getattr(self, name) for name in form.values}
        description = {"format": f"attention-motifs {form.name}", "version": form.version, **values}
        json_path, tensors_path = _both(path)
        files.write_tensors(tensors_path, arrays, {})
        files.write_json(json_path, description)

    @classmethod
    def load(cls, path: FittedPath, fix: str | None = None) -> Self:
        """Read the files that `save` wrote, equal bit for bit.

        Args:
            path: the path given to `save`, or either file.
            fix: the last sentence of error messages: how to make the files again; default: the
                command that makes them in an atlas.

        Raises:
            AtlasError: if a file is missing, damaged or of another format.
        """
        form = cls._format
        fix = form.fix if fix is None else fix
        if not isinstance(fix, str):
            raise InputError(f"fix={fix!r:.80}: expected the last sentence of error messages")
        json_path, tensors_path = _both(path)
        if not isinstance(json_path, Path):
            fix = json_path.fix
        description = files.read_json(json_path, fix)
        if not isinstance(description, dict) or description.get("version") != form.version:
            raise AtlasError(f"{json_path}: not {form.name}, version {form.version}; {fix}")
        try:
            values = {name: convert(description[name]) for name, convert in form.values.items()}
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise files.damaged(json_path, fix, error) from error
        arrays, _ = files.read_tensors(tensors_path, fix)
        if missing := [name for name in form.arrays if name not in arrays]:
            raise AtlasError(f"{tensors_path}: has no {missing[0]}; {fix}")
        fitted = cls(**values, **{name: arrays[name] for name in form.arrays})
        if not fitted._fits_together():
            raise AtlasError(f"{tensors_path}: not the arrays that {json_path} describes; {fix}")
        return fitted


def strings(values: Any) -> tuple[str, ...]:
    """Return the text of each value of a JSON list."""
    return tuple(map(str, values))


def integers(values: Any) -> tuple[int, ...]:
    """Return the whole numbers of a JSON list."""
    return tuple(map(int, values))


def _is_plain(value: object) -> bool:
    """Return whether a value is no file of an atlas."""
    return value is None or isinstance(value, str | bytes | int | float | tuple | list | dict | set)


def _both(path: FittedPath) -> tuple[files.Location, files.Location]:
    """Return the JSON file and the safetensors file; a path may have the ending of either."""
    if isinstance(path, tuple) and len(path) == 2 and not any(map(_is_plain, path)):
        return path
    if not isinstance(path, str | os.PathLike) or not Path(path).name or "\0" in os.fspath(path):
        raise InputError(f"path={path!r:.80}: expected the path of a file without its ending")
    base = Path(path)
    base = base.with_suffix("") if base.suffix in {".safetensors", ".json"} else base
    return base.with_name(base.name + ".json"), base.with_name(base.name + ".safetensors")
