"""JSON files that people may edit, read into typed records.

An error names file, key, value and fix. msgspec checks the types: a record is a `msgspec.Struct`
with `forbid_unknown_fields=True`, or a dataclass, which passes over unknown keys.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec

from attention_motifs.errors import InputError, did_you_mean

T = TypeVar("T")

Text = Annotated[str, msgspec.Meta(pattern=r"\S")]
"""A text that is not blank."""

_TYPES = {
    "str": "a text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list [...]",
    "object": "an object {...}",
    "null": "null",
}


def shown(value: Any) -> str:
    """Return a value for an error message: one line, at most 60 characters."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def read_document(path: Path, kind: type[T], schema: int) -> T:
    """Read a file that holds one JSON object with `"schema": <number>`.

    Args:
        path: path of the file.
        kind: type of the object.
        schema: schema number that it must have.

    Raises:
        InputError: if the file is missing, not UTF-8, not JSON, holds a key twice, has another
            schema number, or does not fit `kind`.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    return parse_document(data, str(path), kind, schema)


def parse_document(data: bytes, name: str, kind: type[T], schema: int) -> T:
    """Check the bytes of such a file; `name` stands for it in errors.

    Raises:
        InputError: as `read_document`.
    """
    value = parse(data, name)
    if not isinstance(value, dict):
        raise InputError(f"{name}: is {shown(value)}; give an object {{...}}")
    number = value.get("schema")
    if number != schema or isinstance(number, bool):
        raise InputError(f'{name}: "schema" is {shown(number)}; write "schema": {schema}')
    return convert(value, kind, name)


def parse(data: bytes, name: str) -> Any:
    """Parse UTF-8 JSON without repeated keys.

    Raises:
        InputError: if it is not UTF-8, not JSON, or holds a key twice.
    """
    try:
        return json.loads(data.decode("utf-8-sig"), object_pairs_hook=_without_repeats)
    except UnicodeDecodeError as error:
        raise InputError(f"{name}: not UTF-8 (byte {error.start}); save it as UTF-8") from error
    except (ValueError, RecursionError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{name}: not JSON ({reason}); fix that place") from error


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Build an object, refusing a repeated key, of which JSON would keep the last silently."""
    result: dict[str, Any] = {}
    for key, value in pairs:
        if key in result:
            raise ValueError(f"key {key!r} is given twice in one object")
        result[key] = value
    return result


def convert(value: Any, kind: type[T], where: str) -> T:
    """Convert a value, as JSON gives it, to a type.

    Args:
        value: the value.
        kind: a `msgspec.Struct`, a dataclass or a plain type, with `msgspec.Meta` for limits.
        where: name of the value in errors, such as `names.json: names[2]`.

    Raises:
        InputError: if it does not fit; one line with place, key, value and fix.
    """
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise InputError(_explained(str(error), value, kind, where)) from None
    except (OverflowError, RecursionError, UnicodeEncodeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{where}: cannot be read ({reason}); correct it") from None


def _explained(message: str, value: Any, kind: Any, where: str) -> str:
    """Return msgspec's finding with the value and the fix, which it does not give."""
    reason, _, path = message.partition(" - at `$")
    steps = re.findall(r"\.([^.\[\]`]+)|\[(\d+|\.\.\.)\]", path.rstrip("`"))
    place = path.rstrip("`").lstrip(".")
    for key, index in steps:
        try:
            value = value[key] if key else value[int(index)]
        except (KeyError, ValueError, IndexError, TypeError):  # `[...]` stands for any key
            value = msgspec.UNSET
            break
    inside, _, last = place.rpartition(".")
    at = f"{where}: {inside}" if inside else where
    named = repr(last) if last else "it"
    if missing := re.search(r"missing required field `(.*)`", reason):
        at = f"{where}: {place}" if place else where
        return f"{at}: {missing[1]!r} is missing; add it"
    if unknown := re.search(r"unknown field `(.*)`", reason):
        at = f"{where}: {place}" if place else where
        return f"{at}: unknown key {unknown[1]!r}; {_known_keys(kind, steps, unknown[1])}"
    given = f"{named} is {shown(value)}" if value is not msgspec.UNSET else f"{named}: {reason}"
    return f"{at}: {given}; give {_expected(reason)}"


def _expected(reason: str) -> str:
    types = re.search(r"Expected `([^`]*)`(?:,| (.*))?", reason)
    if types is None:
        return "one of the values that the documentation lists"
    names = [_TYPES.get(name, name) for name in types[1].split(" | ")]
    limit = (types[2] or "").partition(", got")[0]
    limit = limit.replace(r"matching regex '\\S'", "that is not blank")
    limit = re.sub(r"matching regex.*", "of another form", limit)
    return " or ".join(names) + (f" {limit}" if limit else "")


def _known_keys(kind: Any, steps: list[tuple[str, str]], unknown: str) -> str:
    """Return a suggestion from the keys that a record has, found by following the path."""
    described = msgspec.inspect.type_info(kind)
    for key, _ in steps:
        fields = {f.encode_name: f.type for f in getattr(described, "fields", ())}
        described = (
            fields.get(key, described) if key else getattr(described, "item_type", described)
        )
    known = sorted(f.encode_name for f in getattr(described, "fields", ()))
    return did_you_mean(unknown, known)
