"""Reader of the data folder of HeadVis: sampled sequences of single heads, with sparse attention.

`config.json` lists the heads, `scatter_data.json` has one row of scores per head, and
`heads/L5H1.json` the sequences of a head. The format is that of HeadVis's `data_pipeline.py`
(May 2026). HeadVis keeps the largest weights of each row, so that rows sum to less than 1.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_motifs.errors import InputError
from attention_motifs.features.definitions import row_sum_limit
from attention_motifs.head import HeadId, check_model_name

if TYPE_CHECKING:
    from jaxtyping import Float32

CONFIG, SCORES, HEADS = "config.json", "scatter_data.json", "heads"
FILE = "L{layer}H{head}.json"
"""Name of the file of a head, unless the configuration has another."""
_MOST_TOKENS = 8192


@dataclass(frozen=True, eq=False)
class HeadVisSequence:
    """A sequence on which HeadVis shows a head.

    Attributes:
        sequence_id: its number in the data set of the folder.
        interval: tenth of the sequences by largest weight, from 1; 10 has the largest weights.
        tokens: texts of the n tokens.
        pattern: (n, n) float32, rows are queries; 0 for weights that the folder leaves out.
    """

    sequence_id: int
    interval: int
    tokens: tuple[str, ...]
    pattern: Float32[np.ndarray, "n n"]


@dataclass(frozen=True)
class HeadVisFolder:
    """A data folder of HeadVis.

    Attributes:
        folder: with `config.json`.
        model: name of the model.
        heads: the heads that it holds, in its order.
        scores: value of each score of a head, by head; empty without `scatter_data.json`.
    """

    folder: Path
    model: str
    heads: tuple[HeadId, ...]
    scores: Mapping[HeadId, Mapping[str, float]]
    _file: str

    def sequences(self, head: str | HeadId) -> list[HeadVisSequence]:
        """Return the sequences of a head, in the order of its file.

        Args:
            head: a head of the folder, such as `gpt2:L5:H1`.

        Raises:
            InputError: if the folder has no such head, or its file is not of the format.
        """
        place = HeadId.parse(head)
        if place not in self.heads:
            raise InputError(
                f"{place} is not in {self.folder}, which holds {len(self.heads)} heads of "
                f"{self.model}, first {self.heads[0]}"
            )
        name = self._file.replace("{layer}", str(place.layer)).replace("{head}", str(place.index))
        path = self.folder / HEADS / name
        entries = _entry(_object(path), "sequences", list, path)
        return [_sequence(entry, f"{path}: sequences[{i}]") for i, entry in enumerate(entries)]


def read_headvis(folder: str | Path) -> HeadVisFolder:
    """Read the description of a data folder of HeadVis; the heads are read when asked for.

    Args:
        folder: the folder with `config.json`, which HeadVis calls `data`.

    Raises:
        InputError: if a file is missing or not of the format.

    Example:
        >>> from attention_motifs.extraction.headvis import read_headvis
        >>> read_headvis("nowhere")
        Traceback (most recent call last):
        ...
        attention_motifs.errors.InputError: nowhere/config.json: no such file. Give the data \
folder of HeadVis
    """
    root = Path(folder)
    path = root / CONFIG
    config = _object(path)
    model = check_model_name(_entry(config, "model_name", str, path))
    pairs = _entry(config, "heads", list, path)
    heads = tuple(_head(model, pair, path) for pair in pairs)
    if not heads:
        raise InputError(f"{path}: 'heads' is empty. HeadVis lists [layer, head] of each head")
    file = config.get("head_data_pattern", FILE)
    if not isinstance(file, str) or "/" in file or "\\" in file or not file.endswith(".json"):
        raise InputError(f"{path}: head_data_pattern {file!r:.80} is no name of a file")
    return HeadVisFolder(root, model, heads, _scores(model, root / SCORES), file)


def _scores(model: str, path: Path) -> dict[HeadId, dict[str, float]]:
    if not path.is_file():
        return {}
    rows = _json(path)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise InputError(f"{path}: not a list of objects, one per head")
    return {
        _head(model, [row.get("layer"), row.get("head")], path): {
            name: float(value)
            for name, value in row.items()
            if name not in ("layer", "head") and _is_number(value)
        }
        for row in rows
    }


def _sequence(entry: Any, where: str) -> HeadVisSequence:
    if not isinstance(entry, dict):
        raise InputError(f"{where} is no object")
    n = _entry(entry, "seq_len", int, where)
    tokens = _entry(entry, "tokens", list, where)
    if not 1 <= n <= _MOST_TOKENS or len(tokens) != n or not all(map(_is_text, tokens)):
        raise InputError(f"{where}: seq_len {n} with {len(tokens)} tokens: expected n texts")
    places = _entry(entry, "attention_indices", list, where)
    weights = _entry(entry, "attention_values", list, where)
    if len(places) != len(weights) or not all(map(_is_number, [*places, *weights])):
        raise InputError(
            f"{where}: {len(places)} attention_indices and {len(weights)} attention_values: "
            "expected as many numbers"
        )
    pattern = np.zeros(n * n, dtype=np.float32)
    at = np.asarray(places, dtype=np.int64)
    if len(at) and (at.min() < 0 or at.max() >= n * n):
        raise InputError(f"{where}: attention_indices beyond {n} x {n} entries")
    with np.errstate(over="ignore"):  # infinite weights are refused below
        pattern[at] = weights
    pattern = pattern.reshape(n, n)
    if not np.isfinite(pattern).all() or pattern.min() < 0 or np.triu(pattern, 1).any():
        raise InputError(f"{where}: weights are negative, not finite, or above the diagonal")
    sums = pattern.astype(np.float64).sum(axis=1)
    if sums.max() > row_sum_limit(n) + _ROUNDING * n:
        raise InputError(f"{where}: a row of weights sums to {sums.max():.3g}, more than 1")
    return HeadVisSequence(
        _entry(entry, "sequence_id", int, where),
        _entry(entry, "interval", int, where),
        tuple(tokens),
        pattern,
    )


_ROUNDING = 5e-5
"""HeadVis rounds weights to four decimals."""


def _head(model: str, pair: Any, path: Path) -> HeadId:
    whole = isinstance(pair, list) and len(pair) == 2 and all(type(x) is int for x in pair)
    if not whole or min(pair) < 0:
        raise InputError(f"{path}: {pair!r:.80} is not [layer, head], two whole numbers from 0")
    return HeadId(model, *pair)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _entry(value: dict[str, Any], key: str, kind: type, where: Any) -> Any:
    entry = value.get(key)
    if not isinstance(entry, kind) or isinstance(entry, bool):
        raise InputError(
            f"{where}: {key} is {entry!r:.60}, not of the type {kind.__name__}. The data folder of "
            "HeadVis has it there"
        )
    return entry


def _object(path: Path) -> dict[str, Any]:
    value = _json(path)
    if not isinstance(value, dict):
        raise InputError(f"{path}: not an object of JSON")
    return value


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file. Give the data folder of HeadVis") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not JSON ({error!s:.100}). Write the folder again") from error
