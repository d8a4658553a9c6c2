"""Published scores of every head of a model: an optional data set for evaluation.

A class list names the heads above a threshold; these tables hold the scores of all heads, so that
the other heads are real negatives. Tables whose licence allows it are in the package, the others
are fetched from the authors' repositories.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec
import numpy as np

from attention_motifs.errors import AtlasError, InputError, RemoteError, did_you_mean
from attention_motifs.literature.records import load_known_heads
from attention_motifs.progress import Report, silent
from attention_motifs.store import files, recorded_digests
from attention_motifs.store.cache_folder import cache_folder
from attention_motifs.store.validated_json import parse, parse_document

if TYPE_CHECKING:
    from jaxtyping import Float

_HOST = "https://github.com"
_SECONDS = 60
_MOST_BYTES = 64 << 20


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A table as `graded.json` describes it; `values` names its array in `graded.npz`."""

    source: str
    model: str
    head_class: str = msgspec.field(name="class")
    layers: int
    heads: int
    kind: str
    repository: str
    commit: str
    path: str
    licence: str = ""
    values: str = ""
    format: Literal["", "ranking", "lists"] = ""

    @property
    def url(self) -> str:
        """Address of the authors' file."""
        return f"{_HOST}/{self.repository}/raw/{self.commit}/{self.path}"

    @property
    def cached(self) -> Path:
        """Path of the fetched table."""
        name = re.sub(r"[^A-Za-z0-9.]+", "-", f"{self.source} {self.model} {self.head_class}")
        return cache_folder() / "graded-scores" / f"{name}.npy"


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    schema: int
    tables: tuple[_Table, ...]


@dataclass(frozen=True)
class GradedScores:
    """Scores of all heads of a model by one source.

    Attributes:
        model: name in the literature.
        head_class: the source's word for what is scored.
        source: key of the source.
        kind: how the score is measured.
        url: address of the authors' file.
        scores: (layers, heads) float64; NaN where the source has none.
    """

    model: str
    head_class: str
    source: str
    kind: str
    url: str
    scores: Float[np.ndarray, "layers heads"]


def graded_scores(model: str | None = None) -> list[GradedScores]:
    """Return the published scores of every head: those of the package, and those fetched.

    Args:
        model: any name of a model; default: all models.

    Raises:
        InputError: if no table is about the model.
    """
    literature = load_known_heads()
    requested = None if model is None else literature.model_name(model)
    names = [literature.model_name(table.model) for table in _tables()]
    if requested is not None and requested not in names:
        raise InputError(f"no published scores of {model!r}; {did_you_mean(requested, set(names))}")
    packaged = _packaged()
    tables = []
    for table, name in zip(_tables(), names, strict=True):
        if requested not in (None, name) or not (table.values or table.cached.is_file()):
            continue
        scores = packaged[table.values] if table.values else _read_cached(table.cached)
        tables.append(
            GradedScores(
                name, table.head_class, table.source, table.kind, table.url, scores.astype(float)
            )
        )
    return tables


def fetch_graded_scores(report: Report = silent) -> int:
    """Fetch the tables that the package may not hold from the authors' repositories.

    Tables that were fetched before are kept.

    Args:
        report: shows progress.

    Returns:
        Number of tables fetched now.

    Raises:
        RemoteError: if a file cannot be fetched, or is not of the expected form.
    """
    missing = [t for t in _tables() if not t.values and not t.cached.is_file()]
    with report("published scores", len(missing)) as advance:
        for table in missing:
            scores = read_scores(_fetched(table.url), table.format, (table.layers, table.heads))
            table.cached.parent.mkdir(parents=True, exist_ok=True)
            files.write_array(table.cached, scores.astype(np.float32))
            recorded_digests.record(table.cached.parent, table.cached.name, table.cached)
            advance(1)
    return len(missing)


def _read_cached(path: Path) -> Float[np.ndarray, "layers heads"]:
    """Read a fetched table.

    Raises:
        AtlasError: if it is damaged.
    """
    fix = "delete it and run `motifs classes --fetch-scores`"
    if recorded_digests.is_changed(path.parent, path.name, path):
        raise AtlasError(f"{path}: was damaged or changed after it was fetched; {fix}")
    return files.read_array(path, fix)


def read_scores(
    data: bytes, form: str, shape: tuple[int, int]
) -> Float[np.ndarray, "layers heads"]:
    """Read the scores of every head from a file of the authors.

    Args:
        data: JSON: `[{"0": [layer, head, score]}, ...]` (`ranking`), or
            `{"layer-head": [scores of single trials], ...}` (`lists`), of which the mean is taken.
        form: `ranking` or `lists`.
        shape: number of layers and of heads.

    Returns:
        (layers, heads) float64; NaN for heads without a score.

    Raises:
        RemoteError: if the file has another form, or heads that the model lacks.
    """
    scores = np.full(shape, np.nan)
    try:
        value = parse(data, "the file of scores")
        if form == "ranking":
            for entry in value:
                for layer, head, score in entry.values():
                    scores[layer, head] = score
        else:
            for place, trials in value.items():
                layer, head = map(int, place.split("-"))
                scores[layer, head] = np.mean(trials) if len(trials) else np.nan
    except (AttributeError, IndexError, InputError, TypeError, ValueError) as error:
        raise RemoteError(
            f"scores of {shape[0]} x {shape[1]} heads cannot be read: {str(error)[:200]}. The "
            "authors may have changed the file; use the tables of the package"
        ) from error
    return scores


def _fetched(url: str) -> bytes:
    import http.client
    import urllib.request

    try:
        with urllib.request.urlopen(url, timeout=_SECONDS) as response:  # noqa: S310 (https only)
            data: bytes = response.read(_MOST_BYTES)
            return data
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise RemoteError(
            f"{url}: cannot be fetched ({reason!s:.100}). Check the connection and run the command "
            "again; tables that were fetched are kept"
        ) from error


@lru_cache(maxsize=1)
def _tables() -> tuple[_Table, ...]:
    name = "graded.json"
    data = (resources.files("attention_motifs.literature") / name).read_bytes()
    return parse_document(data, name, _File, 1).tables


@lru_cache(maxsize=1)
def _packaged() -> dict[str, Float[np.ndarray, "layers heads"]]:
    path = resources.files("attention_motifs.literature") / "graded.npz"
    with path.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}
