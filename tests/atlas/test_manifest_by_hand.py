"""Every field of atlas.json set by hand to something else ends in one line, or in an answer."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from attention_motifs.atlas import Atlas
from attention_motifs.atlas.check import check_atlas
from attention_motifs.errors import MotifsError
from synthetic_atlas import make_synthetic_atlas

TRIES = 1000
CHECKED = 8
"""Atlases that still open are checked whole, and queried: some of them, since it takes long."""

_REMOVED = object()


@pytest.fixture(scope="module")
def atlas(tmp_path_factory: pytest.TempPathFactory) -> Atlas:
    folder = tmp_path_factory.mktemp("by-hand") / "atlas"
    return make_synthetic_atlas(folder, n_models=2, n_layers=2, n_prompts=5, n_tokens=6)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths of all values in a JSON value."""
    if path:
        yield path
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(item, (*path, key))


def changed(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    result = json.loads(json.dumps(value))
    inner = result
    for key in path[:-1]:
        inner = inner[key]
    if new is _REMOVED:
        del inner[path[-1]]
    else:
        inner[path[-1]] = new
    return result


VALUES = [None, "", "x", "../x", "a\nb", "\ud800", [], [None], ["x"], {}, {"x": 1}, 0, -1, 1, 3,
          2**40, 10**30, 0.5, float("inf"), float("nan"), True, False, _REMOVED]  # fmt: skip


def message_of(call: Callable[[], object]) -> str:
    """The line of the error; empty if there is none. Any other error fails the test."""
    try:
        call()
    except MotifsError as error:
        return str(error)
    return ""


def test_any_field_set_to_anything_ends_in_one_line(atlas: Atlas, tmp_path: Path) -> None:
    rng = random.Random(0)  # noqa: S311
    folder = Path(shutil.copytree(atlas.path, tmp_path / "atlas"))
    original = json.loads((folder / "atlas.json").read_text())
    all_places = list(places(original))
    head, checked = atlas.heads["head"][0], set()
    tries = [(place, value) for place in all_places for value in (None, "x", [], 3, _REMOVED)]
    tries += [(rng.choice(all_places), rng.choice(VALUES)) for _ in range(TRIES - len(tries))]
    rng.shuffle(tries)
    for place, value in tries:
        (folder / "atlas.json").write_text(json.dumps(changed(original, place, value)))
        if message := message_of(lambda: Atlas.open(folder)):
            assert "\n" not in message, (place, value)
            assert str(folder) in message, (place, value)
        elif place not in checked and len(checked) < CHECKED:
            checked.add(place)
            by_hand = Atlas.open(folder)
            findings = check_atlas(by_hand)
            for ask in (lambda a: a.near(head, 2), repr, lambda a: a.embedded()):
                findings.append(message_of(lambda ask=ask, by_hand=by_hand: ask(by_hand)))
            assert not any("\n" in finding for finding in findings), (place, value)
