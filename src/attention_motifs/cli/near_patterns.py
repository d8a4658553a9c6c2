"""Output of `motifs near --patterns`: the heads nearest to given patterns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from attention_motifs.cli.console import print_json, print_table
from attention_motifs.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from attention_motifs.atlas import Atlas


def refuse_options(unused: Mapping[str, Any], patterns: Path | None) -> None:
    """Raise an error if there are no patterns, or options that go with a head alone.

    Raises:
        InputError: for the first such option.
    """
    if patterns is None:
        raise InputError("HEAD is missing. Name a head, or give patterns with --patterns FILE.npy")
    names = [name for name, value in unused.items() if value]
    if names:
        raise InputError(f"{names[0]} cannot be used with --patterns. Leave it out")


def print_near_patterns(
    atlas: Atlas,
    file: Path,
    n: int,
    metric: str | None,
    models: Sequence[str] | None,
    without_models: Sequence[str] | None,
    *,
    json: bool,
) -> None:
    """Print the heads nearest to the patterns in a file."""
    from attention_motifs.atlas.identify import read_patterns
    from attention_motifs.atlas.near_patterns import IDENTIFICATION, near_patterns

    neighbours = near_patterns(
        atlas,
        read_patterns(file),
        n,
        metric,
        models=models,
        without_models=without_models or (),
    )
    if json:
        print_json([item.to_json() for item in neighbours])
        return
    print_table(
        f"Nearest to {file} by {metric or IDENTIFICATION}, of {len(atlas.heads)} heads",
        ["rank", "head", "distance", "classes"],
        [[x.rank, x.head, x.distance, x.class_text] for x in neighbours],
    )
