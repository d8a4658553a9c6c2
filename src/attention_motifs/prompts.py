"""Prompts: loading from the built-in set, pile-10k, a JSON file, a list or a frame, and sampling.

The id of a prompt is the first 16 hex digits of the SHA-256 of its UTF-8 text: the same text is
the same prompt in every atlas.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import resources
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np

from attention_motifs.errors import InputError, ModelError, ResourceError, require

BUILTIN = "builtin"
PILE_10K = "pile-10k"
_PILE_HUB_ID = "NeelNanda/pile-10k"  # the paper's prompts, its reference [Neel Nanda, 2022]


@dataclass(frozen=True, slots=True)
class Prompt:
    """A text and its source.

    Attributes:
        text: the text.
        source: where it comes from, such as `builtin/news`.
        meta: labels, such as the genre or the condition of an experiment; JSON values by key.
        place: file and line, for errors; empty if the prompt is not from a file.

    Example:
        >>> Prompt("Once upon a time").prompt_id
        'e286222c229ec73b'
    """

    text: str
    source: str = "unnamed"
    meta: dict[str, Any] = field(default_factory=dict, compare=False)
    place: str = field(default="", compare=False)

    @property
    def prompt_id(self) -> str:
        """First 16 hex digits of the SHA-256 of the UTF-8 text."""
        return hashlib.sha256(self.text.encode("utf-8")).hexdigest()[:16]


def load_prompts(
    source: Any = BUILTIN,
    n_prompts: int | None = None,
    seed: int = 0,
    *,
    min_chars: int | None = None,
    max_chars: int | None = None,
) -> list[Prompt]:
    """Load prompts and sample `n_prompts` of them without replacement.

    Args:
        source: `builtin`, `pile-10k` (needs the datasets library), or a JSON-lines file whose
            lines hold `text` and, optionally, `meta`. A JSON file with a list of such objects, or
            of texts, is read too. Or a list of texts, of `Prompt` or of mappings with `text`; or a
            polars or pandas frame with a column `text`. Other keys and columns than `text`,
            `source` and `meta` become part of `meta`.
        n_prompts: number of prompts. Default: None, all in their order.
        seed: seed for sampling. The same source, number and seed give the same prompts.
        min_chars: texts and pieces with fewer characters are left out. Default: None, none are.
        max_chars: longer texts are cut into pieces of this many characters; each is a prompt.
            Default: None, texts stay whole.

    Returns:
        The prompts; of equal texts, the first.

    Raises:
        InputError: if an argument has another type, the file is missing or not UTF-8, has a broken
            line (its number is named) or an empty text, or has fewer distinct texts than
            `n_prompts`, or none of `min_chars`.
        ModelError: if pile-10k cannot be fetched.

    Example:
        >>> len(load_prompts("builtin", 8))
        8
        >>> load_prompts([{"text": "The court ruled.", "genre": "law"}])[0].meta
        {'genre': 'law'}
        >>> [p.text for p in load_prompts(["abcdefgh"], min_chars=2, max_chars=3)]
        ['abc', 'def', 'gh']
    """
    _check_arguments(source, n_prompts, seed, min_chars, max_chars)
    prompts = _without_repeats(_pieces(_read_source(source), min_chars or 1, max_chars))
    shown = source if isinstance(source, str | os.PathLike) else "the given list"
    if not prompts:
        raise InputError(
            f"--min-chars {min_chars}: {shown} holds no text of so many characters. Give a smaller "
            "number"
        )
    if n_prompts is None or n_prompts == len(prompts):
        return prompts
    if n_prompts > len(prompts):
        raise InputError(
            f"--n-prompts {n_prompts}: {shown} holds only {len(prompts)} different prompts; "
            f"choose {len(prompts)} or fewer"
        )
    chosen = np.random.default_rng(seed).permutation(len(prompts))[:n_prompts]
    return [prompts[i] for i in chosen]


def _check_arguments(
    source: object, n_prompts: object, seed: object, min_chars: Any, max_chars: Any
) -> None:
    if not isinstance(source, str | os.PathLike) and not _is_listed(source):
        shown = " ".join(f"{source!r:.80}".split())
        raise InputError(
            f"prompts {shown}: expected '{BUILTIN}', '{PILE_10K}', the path of a JSON-lines file, "
            "a list of texts, or a data frame with a column 'text'"
        )
    for name, value, least in (
        ("--n-prompts", n_prompts, 1),
        ("--seed", seed, 0),
        ("--min-chars", min_chars, 1),
        ("--max-chars", max_chars, 1),
    ):
        whole = isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= least
        if not whole and not (value is None and name != "--seed"):
            raise InputError(f"{name} {value!r:.80}: expected a whole number of at least {least}")
    if min_chars is not None and max_chars is not None and max_chars < min_chars:
        raise InputError(
            f"--max-chars {max_chars}: pieces would have fewer than --min-chars {min_chars} "
            f"characters. Give {min_chars} at least"
        )


def _is_listed(source: object) -> bool:
    """Return whether a value is a list of prompts, or a frame of polars or pandas."""
    is_list = isinstance(source, Sequence) and not isinstance(source, str | bytes | range)
    return is_list or hasattr(source, "columns")


def _listed(source: Any) -> Iterator[Prompt]:
    """Yield the prompts of a list or frame.

    Raises:
        InputError: if there are none, an entry is no prompt, or a frame has no column `text`.
    """
    rows = source
    if hasattr(source, "columns"):
        if "text" not in list(source.columns):
            raise InputError(
                f"prompts: the frame has the columns {list(source.columns)!r:.80} and none of the "
                "name 'text'. Rename the column with the texts"
            )
        rows = source.to_dicts() if hasattr(source, "to_dicts") else source.to_dict("records")
    if not len(rows):
        raise InputError("prompts: the list is empty. Give one text at least")
    for number, row in enumerate(rows, start=1):
        place = f"prompt {number}"
        if isinstance(row, Prompt):
            yield _prompt({"text": row.text, "meta": row.meta}, place, row.source)
        elif isinstance(row, str):
            yield _prompt({"text": row}, place, "list")
        elif isinstance(row, Mapping):
            yield _from_mapping(row, place)
        else:
            raise InputError(f"{place} is {row!r:.60}: give a text, a Prompt, or a mapping")


def _from_mapping(row: Mapping[Any, Any], place: str) -> Prompt:
    """Return the prompt of a mapping; keys other than `text`, `source` and `meta` are labels."""
    meta = row.get("meta")
    labels = {
        str(key): value
        for key, value in row.items()
        # A frame has an empty cell where a row lacks the key; only NaN differs from itself.
        if key not in ("text", "source", "meta") and value is not None and not _is_nan(value)
    }
    joined = {**(dict(meta) if isinstance(meta, Mapping) else {}), **labels}
    source = row.get("source")
    return _prompt(
        {"text": row.get("text"), "meta": joined},
        place,
        source if isinstance(source, str) else "list",
    )


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)


def meta_json(meta: Mapping[str, Any]) -> str | None:
    """Return labels as JSON, None if there are none.

    Values that JSON has no form for are written as text, and numbers that are not finite as null.

    Args:
        meta: labels of a prompt.

    Raises:
        InputError: if a value contains itself.
    """
    if not meta:
        return None
    try:
        text = json.dumps(meta, default=str)
    except (ValueError, RecursionError) as error:
        raise InputError(f"meta {meta!r:.60} cannot be written as JSON: {error}") from error
    except TypeError:  # a key that is no text
        return meta_json({str(key): value for key, value in meta.items()})
    finite = json.loads(text, parse_constant=lambda _: None)
    return json.dumps(finite)


def save_prompts(prompts: Sequence[Prompt], path: str | Path) -> Path:
    """Write prompts with their labels to a JSON-lines file that `load_prompts` reads.

    Args:
        prompts: the prompts.
        path: the file; an existing one is replaced.

    Returns:
        The path.

    Raises:
        InputError: if a value is no prompt, or a label cannot be written as JSON.
        ResourceError: if the file cannot be written.

    Example:
        >>> path = save_prompts([Prompt("The court ruled.", meta={"genre": "law"})], "law.jsonl")
        >>> load_prompts(path)[0].meta
        {'genre': 'law'}
    """
    if not isinstance(prompts, Sequence) or not all(isinstance(p, Prompt) for p in prompts):
        raise InputError(f"prompts={prompts!r:.60}: give a list of Prompt, such as load_prompts()")
    if not isinstance(path, str | os.PathLike):
        raise InputError(f"path={path!r:.60}: give the path of a file")
    lines = []
    for prompt in prompts:
        labels = meta_json(prompt.meta)
        meta = {} if labels is None else {"meta": json.loads(labels)}
        lines.append(json.dumps({"text": prompt.text, **meta}) + "\n")
    target = Path(path)
    try:
        target.write_text("".join(lines), encoding="utf-8")
    except (OSError, ValueError) as error:  # a null byte in the name is a ValueError
        reason = getattr(error, "strerror", None) or str(error)
        raise ResourceError(
            f"{str(target)[:200]}: cannot be written ({reason}). Name another file"
        ) from error
    return target


def prompts_digest(prompts: Sequence[Prompt]) -> str:
    """Return the SHA-256 of the prompt ids in their order, as hex."""
    return hashlib.sha256("\n".join(p.prompt_id for p in prompts).encode()).hexdigest()


def _read_source(source: Any) -> Iterable[Prompt]:
    if _is_listed(source):
        return _listed(source)
    if source == BUILTIN:
        return _builtin()
    if source == PILE_10K:
        return _pile_10k()
    return read_prompts_file(source, f"a JSON-lines file, '{BUILTIN}' or '{PILE_10K}'")


def read_prompts_file(source: str | Path, expected: str = "a JSON-lines file") -> list[Prompt]:
    """Read a JSON-lines file of texts, repeated ones included.

    Args:
        source: path of the file; see `read_jsonl`.
        expected: what can be given instead, for errors.

    Raises:
        InputError: if the file is missing, cannot be read or is malformed.
    """
    path = Path(source)
    try:
        data = path.read_bytes() if path.is_file() else None
    except OSError as error:
        raise InputError(
            f"{str(source)[:200]}: cannot be read ({error.strerror}); give {expected}"
        ) from error
    if data is None:
        raise InputError(f"{source}: no such prompts file; give {expected}")
    return read_jsonl(data, name=str(path), source=path.name)


def _builtin() -> Iterator[Prompt]:
    folder = resources.files("attention_motifs") / "builtin_prompts"
    for file in sorted(folder.iterdir(), key=lambda f: f.name):
        if file.name.endswith(".jsonl"):
            genre = file.name.removesuffix(".jsonl")
            yield from read_jsonl(file.read_bytes(), file.name, f"{BUILTIN}/{genre}")


def _pile_10k() -> Iterator[Prompt]:
    datasets = require("datasets", f"--prompts {PILE_10K}")
    try:
        rows = datasets.load_dataset(_PILE_HUB_ID, split="train")
    except Exception as error:  # the library raises many kinds of errors
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise ModelError(
            f"{PILE_10K}: could not be fetched from the hub as {_PILE_HUB_ID} ({reason}); check "
            f"the network, or use --prompts {BUILTIN}"
        ) from error
    for row in rows:
        meta = dict(row.get("meta") or {})
        name = str(meta.get("pile_set_name", "unnamed"))
        if row["text"].strip():
            yield Prompt(row["text"], f"{PILE_10K}/{name}", meta)


def read_jsonl(data: bytes, name: str, source: str) -> list[Prompt]:
    """Read JSON lines with `text` and optional `meta`, or one JSON list of such objects or texts.

    Blank lines are ignored. The key `repeats`, for probes, becomes part of `meta`.

    Args:
        data: bytes of the file.
        name: name of the file in errors.
        source: source of the prompts.

    Raises:
        InputError: on the first line or entry that is not UTF-8, not JSON, has no text, or whose
            text is empty or holds an unpaired surrogate; its number is named.
    """
    data = data.removeprefix(b"\xef\xbb\xbf")
    entries = _json_list(data)
    if entries is not None:
        prompts = [
            _prompt({"text": entry} if isinstance(entry, str) else entry, place, source)
            for place, entry in ((f"{name}, entry {i}", e) for i, e in enumerate(entries, start=1))
        ]
    else:
        prompts = [
            _read_line(line, f"{name}, line {number}", source)
            for number, line in enumerate(data.split(b"\n"), start=1)
            if line.strip()
        ]
    if not prompts:
        raise InputError(f"{name}: holds no prompts; write one JSON object with 'text' per line")
    return prompts


def _json_list(data: bytes) -> list[Any] | None:
    """Return the entries of a file that is one JSON list; None if it is not."""
    if not data.lstrip().startswith(b"["):
        return None
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, list) else None


def _read_line(raw: bytes, where: str, source: str) -> Prompt:
    try:
        line = json.loads(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise InputError(
            f"{where}: not UTF-8 (byte {error.start}); save the file as UTF-8"
        ) from error
    except (ValueError, RecursionError) as error:  # nested too deep, a number of 5,000 digits
        raise InputError(
            f'{where}: not JSON ({error}); each line is an object such as {{"text": "..."}}'
        ) from error
    return _prompt(line, where, source)


def _prompt(line: object, where: str, source: str) -> Prompt:
    text = line.get("text") if isinstance(line, dict) else None
    if not isinstance(text, str):
        raise InputError(f'{where}: has no string \'text\'; write {{"text": "..."}}')
    if not text.strip():
        raise InputError(f"{where}: the text is empty; remove the line")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(
            f"{where}: the text holds half a character (an unpaired surrogate at "
            f"{error.start}); correct the escape"
        ) from error
    other_keys = line if isinstance(line, dict) else {}
    meta = other_keys.get("meta")
    meta = dict(meta) if isinstance(meta, dict) else {}
    if "repeats" in other_keys:
        meta["repeats"] = other_keys["repeats"]
    return Prompt(text, source, meta, where)


def _pieces(prompts: Iterable[Prompt], min_chars: int, max_chars: int | None) -> Iterator[Prompt]:
    """Yield texts cut to `max_chars`, without pieces that are blank or shorter than `min_chars`.

    This is how the authors' public code cuts texts.
    """
    for prompt in prompts:
        size = max_chars or len(prompt.text)
        for start in range(0, len(prompt.text), size):
            text = prompt.text[start : start + size]
            if len(text) >= min_chars and text.strip():
                yield prompt if text == prompt.text else replace(prompt, text=text)


def _without_repeats(prompts: Iterable[Prompt]) -> list[Prompt]:
    """Keep the first of equal texts: a prompt id identifies one row per head."""
    first: dict[str, Prompt] = {}
    for prompt in prompts:
        first.setdefault(prompt.prompt_id, prompt)
    return list(first.values())
