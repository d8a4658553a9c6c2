"""Valid inputs of every kind, and how they are forged and damaged."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

EXECUTED = "executed"
"""File that forged inputs would make if a reader ran them."""
_FORGED: tuple[Any, ...] = (
    None, True, -1, 0, 1, 2**31, 2**63, 2**200, -(2**70), 1e308, float("nan"), float("inf"), 0.5,
    "", " ", "\0", "../../secret", "/etc/passwd", "~", ".", "..", "a/b", "a\\b", "C:\\x",
    "x" * 70000,
    "\x1b[31mred\x1b[0m", "\x9b31m", "\u202egnirts", "\ud800", "\r\nSet-Cookie: a=b", "NaN",
    "1e999",
    "<script>alert(1)</script>", "'\"><img src=x onerror=alert(1)>", "{{7*7}}", "${HOME}", "%s%n%d",
    f"__import__('os').system('touch {EXECUTED}')", f"$(touch {EXECUTED})",
    f"`touch {EXECUTED}`",
    f"; touch {EXECUTED} ;", f"!!python/object/apply:os.system ['touch {EXECUTED}']",
    f"cos\nsystem\n(S'touch {EXECUTED}'\ntR.", "=cmd|' /C calc'!A0", "a:L0:H0", "a:L99999999999:H0",
    "s3://bucket/a", "http://127.0.0.1:9/", "file:///etc/passwd", "hf://x", [], {}, [[]], [None],
    {"": 0}, {"a": {"b": []}}, ["a"] * 3000,
)  # fmt: skip


_DEEP = "deep"
"""Stands for a value within many others."""


def forged(random_: random.Random) -> Any:
    """Return a value that a reader may not expect."""
    return _DEEP if random_.random() < 0.03 else copy.deepcopy(random_.choice(_FORGED))


def damaged_json(value: Any, random_: random.Random) -> bytes:
    """Return JSON of a value in which some parts are forged, renamed, doubled or gone."""
    value = json.loads(json.dumps(value))
    for _ in range(random_.choice((1, 1, 2, 4))):
        value = _forge_one(value, random_)
    depth = random_.choice((30, 500, 3000, 100_000))
    start, end = random_.choice((("[", "]"), ('{"a":', "}")))
    data = json.dumps(value).replace(f'"{_DEEP}"', start * depth + "0" + end * depth).encode()
    return damaged(data, random_) if random_.random() < 0.15 else data


def _forge_one(value: Any, random_: random.Random) -> Any:
    if not isinstance(value, dict | list) or not value or random_.random() < 0.08:
        return forged(random_)
    key = random_.choice(list(value) if isinstance(value, dict) else range(len(value)))
    kind = random_.random()
    if kind < 0.75:
        value[key] = _forge_one(value[key], random_)
    elif kind < 0.85:
        del value[key]
    elif isinstance(value, dict):
        name = forged(random_)
        value[name if isinstance(name, str) else str(name)] = value.pop(key)
    else:
        value.append(value[key])
    return value


def damaged(data: bytes, random_: random.Random) -> bytes:
    """Return bytes with some cut off, changed, inserted, doubled or replaced by large numbers."""
    changed = bytearray(data)
    # Headers are at the start, so most damages are there.
    reach = random_.choice((16, 64, 512, len(data)))
    for _ in range(random_.choice((1, 1, 2, 8))):
        at = random_.randrange(max(1, min(reach, len(changed))))
        kind = random_.randrange(6)
        if kind == 0:
            del changed[at:]
        elif kind == 1 and changed:
            changed[min(at, len(changed) - 1)] ^= 1 << random_.randrange(8)
        elif kind == 2:
            changed[at:at] = random_.randbytes(random_.choice((1, 7, 4096)))
        elif kind == 3:
            changed[at:at] = changed[at : at + random_.choice((1, 30, 900))]
        elif kind == 4:
            number = random_.choice((0, 1, 2**31 - 1, 2**32 - 1, 2**62, 2**63, 2**64 - 1))
            changed[at : at + 8] = number.to_bytes(8, "little")
        else:
            text = random_.choice(
                (b"[" * 100_000, b'{"a":' * 50_000, b"\xff\xfe", b"\0" * 99, b"9" * 9999)
            )
            changed[at:at] = text
    return bytes(changed)


def headvis_files() -> dict[str, Any]:
    """Return the files of a data folder of HeadVis, by name."""
    entry = {
        "sequence_id": 0, "interval": 10, "seq_len": 3, "tokens": ["a", "b", "c"],
        "attention_indices": [0, 3, 4, 6, 7, 8],
        "attention_values": [1.0, 0.5, 0.5, 0.2, 0.3, 0.5],
    }  # fmt: skip
    return {
        "config.json": {"model_name": "gpt2", "heads": [[0, 0], [1, 1]]},
        "scatter_data.json": [{"layer": 0, "head": 0, "score": 0.5}],
        "heads/L0H0.json": {"sequences": [entry, entry]},
        "heads/L1H1.json": {"sequences": [entry]},
    }


CLASS_FILE = {
    "schema": 1,
    "models": [{"name": "my-model", "layers": 2, "heads": 2, "aliases": ["mine"]}],
    "groups": [{"name": "my group", "colour": "#102030", "description": "look back"}],
    "classes": [{"name": "mine", "group": "my group", "description": "look back"}],
    "sources": [{"key": "me2026", "title": "A paper", "evidence": "manual", "url": ""}],
    "assignments": [
        {"model": "my-model", "head": "L0:H1", "class": "mine", "source": "me2026", "note": "n"}
    ],
    "lists": [
        {"model": "gpt2-small", "class": "mine", "source": "me2026", "heads": {"L1:H1": 0.5}}
    ],
}
TYPES_FILE = {
    "meta": {"cut_height": 1.0, "n_clusters": 2},
    "stats": {"n_heads": 2, "cluster_sizes": {"0": 1, "1": 1}},
    "types": [{"id": 0, "name": "first"}, {"id": 1, "name": "second"}],
    "assignments": {"a:L0:H0": 0, "a:L1:H1": 1},
    "selection": {"heads": ["a:L0:H0"]},
}
CONFIGURATION = (
    'models = ["smollm2-135m-instruct"]', 'prompts = "builtin"', "n_prompts = 8", "seed = 0",
    "max_tokens = 32",
    'bos = "auto"', 'dtype = "float32"', 'features = ["paper"]', "n_components = 16",
    'metrics = ["mean"]', "n_view_prompts = 8", "n_probes = 0", "score = true",
    "embedding_seed = 0", "min_chars = 5",
)  # fmt: skip
