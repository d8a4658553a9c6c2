"""JSON files that people edit: read and checked, so that an error names file, entry and mend."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attention_motifs.errors import InputError, did_you_mean


@dataclass(frozen=True, slots=True)
class Entry:
    """A JSON object and the words for where it is: `names.json: names[2]`."""

    value: dict[str, Any]
    where: str

    def error(self, why: str) -> InputError:
        """Build the one-line error for this entry."""
        return InputError(f"{self.where}: {' '.join(why.split())}")

    def only(self, keys: Iterable[str]) -> None:
        """Refuse a key that is not in `keys`: it would be passed over without a word.

        Raises:
            InputError: if there is one.
        """
        known = sorted(keys)
        for key in self.value:
            if key not in known:
                raise self.error(f"key {key!r} is not known; {did_you_mean(key, known)}")

    def text(self, key: str, default: str | None = None) -> str:
        """Read a string; one without a default must be there and not be blank.

        Raises:
            InputError: if it is missing, blank or not a string.
        """
        value = self.value.get(key, default)
        if not isinstance(value, str):
            found = "is missing" if key not in self.value else f"is {_shown(value)}"
            raise self.error(f"{key!r} {found}; give a string")
        if default is None and not value.strip():
            raise self.error(f"{key!r} is empty; give a text")
        return value

    def texts(self, key: str) -> list[str]:
        """Read a list of strings; a missing one is empty.

        Raises:
            InputError: if it is not a list of strings.
        """
        values = self._list(key)
        for value in values:
            if not isinstance(value, str):
                raise self.error(f"{key!r} holds {_shown(value)}; give a list of strings")
        return values

    def entries(self, key: str) -> list[Entry]:
        """Read a list of objects; a missing one is empty.

        Raises:
            InputError: if it is not a list of objects.
        """
        file = self.where
        result = []
        for number, value in enumerate(self._list(key)):
            where = f"{file}: {key}[{number}]"
            if not isinstance(value, dict):
                raise InputError(f"{where}: is {_shown(value)}; give an object {{...}}")
            result.append(Entry(value, where))
        return result

    def _list(self, key: str) -> list[Any]:
        value = self.value.get(key, [])
        if not isinstance(value, list):
            raise self.error(f"{key!r} is {_shown(value)}; give a list [...]")
        return value


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def read_entry(path: Path, schema: int) -> Entry:
    """Read a file that holds one JSON object with `"schema": <number>`.

    Raises:
        InputError: if the file is missing, not UTF-8, not JSON, holds a key twice, is not an
            object, or has another schema number.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    return parse_entry(data, str(path), schema)


def parse_entry(data: bytes, name: str, schema: int) -> Entry:
    """Check the bytes of such a file; `name` is what errors call it.

    Raises:
        InputError: as `read_entry`.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{name}: not UTF-8 (byte {error.start}); save it as UTF-8") from error
    try:
        value = json.loads(text, object_pairs_hook=_without_repeats)
    except (ValueError, RecursionError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{name}: not JSON ({reason}); mend that place") from error
    if not isinstance(value, dict):
        raise InputError(f"{name}: is {_shown(value)}; give an object {{...}}")
    entry = Entry(value, name)
    if value.get("schema") != schema or isinstance(value.get("schema"), bool):
        raise entry.error(f'"schema" is {_shown(value.get("schema"))}; write "schema": {schema}')
    return entry


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Build an object, refusing a key given twice: JSON would keep the last without a word."""
    result: dict[str, Any] = {}
    for key, value in pairs:
        if key in result:
            raise ValueError(f"key {key!r} is given twice in one object")
        result[key] = value
    return result
