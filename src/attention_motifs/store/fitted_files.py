"""What was fitted, on disk: arrays in `<path>.safetensors`, the rest in `<path>.json`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from attention_motifs.errors import AtlasError
from attention_motifs.store import files

if TYPE_CHECKING:
    import numpy as np

T = TypeVar("T")


@dataclass(frozen=True)
class FittedFormat:
    """How a dataclass of arrays and plain values is kept in the two files."""

    name: str
    """As the JSON file says."""
    version: int
    arrays: Sequence[str]
    """Fields in the safetensors file."""
    values: Mapping[str, Callable[[Any], Any]]
    """Fields in the JSON file, and what makes each of what JSON gives."""

    def write(self, path: str | Path, fitted: object) -> None:
        """Write `<path>.safetensors` and `<path>.json`."""
        arrays: dict[str, np.ndarray[Any, Any]] = {n: getattr(fitted, n) for n in self.arrays}
        values = {name: getattr(fitted, name) for name in self.values}
        description = {"format": f"attention-motifs {self.name}", "version": self.version, **values}
        files.write_tensors(_file(path, ".safetensors"), arrays, {})
        files.write_json(_file(path, ".json"), description)

    def read(
        self, path: str | Path, kind: Callable[..., T], fits: Callable[[T], bool], mend: str
    ) -> T:
        """Read what `write` wrote, equal bit for bit.

        Args:
            path: as given to `write`, or either file.
            kind: makes the fitted thing of all fields.
            fits: whether the arrays are such as belong together.
            mend: what errors tell the user to do.

        Raises:
            AtlasError: if a file is missing, damaged or of another format.
        """
        json_path, tensors_path = _file(path, ".json"), _file(path, ".safetensors")
        description = files.read_json(json_path, mend)
        if not isinstance(description, dict) or description.get("version") != self.version:
            raise AtlasError(f"{json_path}: not {self.name}, version {self.version}; {mend}")
        try:
            values = {name: made(description[name]) for name, made in self.values.items()}
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise files.damaged(json_path, mend, error) from error
        arrays, _ = files.read_tensors(tensors_path, mend)
        if missing := [name for name in self.arrays if name not in arrays]:
            raise AtlasError(f"{tensors_path}: has no {missing[0]}; {mend}")
        fitted = kind(**values, **{name: arrays[name] for name in self.arrays})
        if not fits(fitted):
            raise AtlasError(
                f"{tensors_path}: not the arrays that {json_path.name} describes; {mend}"
            )
        return fitted


def strings(values: Any) -> tuple[str, ...]:
    """Text of each value of a JSON list."""
    return tuple(map(str, values))


def integers(values: Any) -> tuple[int, ...]:
    """Whole numbers of a JSON list."""
    return tuple(map(int, values))


def _file(path: str | Path, ending: str) -> Path:
    """One of the two files; a path with the ending of either is understood."""
    base = Path(path)
    base = base.with_suffix("") if base.suffix in {".safetensors", ".json"} else base
    return base.with_name(base.name + ending)
