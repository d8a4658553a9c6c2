"""`motifs check`: read every file of an atlas and hold it against the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_motifs.atlas import BLOCK_SIZE, Atlas
from attention_motifs.atlas.head_distances import AllPairs, NearestHeads, stored_distances
from attention_motifs.atlas.packed_patterns import unpack_triangle
from attention_motifs.atlas.queries import by_prompt
from attention_motifs.distances import get_metric, neighbour_files
from attention_motifs.distances.index import HeadIndex
from attention_motifs.distances.neighbours import distances_among
from attention_motifs.errors import AtlasError, InputError
from attention_motifs.features import feature_names
from attention_motifs.progress import Report, silent
from attention_motifs.store import files

if TYPE_CHECKING:
    from pathlib import Path

    from attention_motifs.embedding import PatternEmbedding

# Files that stages after `distances` write, and the commands that write them again.
_LATER = {
    "projections.parquet": "run `motifs project --atlas {atlas} --force`",
    "evaluation.json": "delete it and run `motifs evaluate --atlas {atlas}`",
    "ablations.parquet": "delete it and run `motifs ablate --atlas {atlas}`",
    "clusters/*.parquet": "delete it and run `motifs cluster --atlas {atlas}`",
    "clusters/*.npy": "run `motifs cluster --atlas {atlas}` again with its method",
    "clusters/*.json": "delete it and run `motifs cluster --atlas {atlas}`",
}


def check_atlas(atlas: Atlas, report: Report = silent) -> list[str]:
    """Return what is wrong with an atlas, one line each; nothing if it is sound."""
    steps: list[Callable[[], Iterator[str]]] = [
        lambda: _check_prompts(atlas),
        lambda: _check_own_classes(atlas),
    ]
    for model in atlas.models:
        steps += [
            lambda model=model: _check_features(atlas, model),  # type: ignore[misc]
            lambda model=model: _check_patterns(atlas, model),  # type: ignore[misc]
            lambda model=model: _check_embedded(atlas, model),  # type: ignore[misc]
        ]
        if "recommended" in atlas.manifest.stages:
            steps.append(lambda model=model: _check_recommended(atlas, model))  # type: ignore[misc]
    for distances in stored_distances(atlas).values():
        if isinstance(distances, AllPairs):
            steps.append(lambda d=distances: _check_distances(d))  # type: ignore[misc]
        else:
            steps.append(lambda d=distances: _check_neighbours(d))  # type: ignore[misc]
    steps.append(lambda: _check_later(atlas))
    findings: list[str] = []
    # What damaged numbers overflow or divide by is told by the findings.
    with report("check the atlas", len(steps)) as advance, np.errstate(all="ignore"):
        for step in steps:
            try:
                findings.extend(step())
            except AtlasError as error:
                findings.append(str(error))
            advance(1)
    return list(dict.fromkeys(findings))  # several steps read the same damaged table


def _check_prompts(atlas: Atlas) -> Iterator[str]:
    import hashlib

    from attention_motifs.prompts import Prompt

    table = atlas.prompts
    wrong = [
        row["prompt_id"]
        for row in table.iter_rows(named=True)
        if Prompt(row["text"]).prompt_id != row["prompt_id"]
    ]
    if wrong:
        yield (
            f"{atlas.prompts_path}: {len(wrong)} texts do not have their ids, first {wrong[0]}; "
            "build the atlas anew"
        )
    joined = "\n".join(table["prompt_id"].to_list())
    if hashlib.sha256(joined.encode()).hexdigest() != atlas.manifest.prompts["sha256"]:
        yield f"{atlas.prompts_path}: not the prompts that atlas.json names; build the atlas anew"
    wanted = sum(int(i["n_layers"]) * int(i["n_heads"]) for i in atlas.manifest.models.values())
    if len(atlas.heads) != wanted:
        yield (
            f"{atlas.heads_path}: {len(atlas.heads)} heads, the models have {wanted}; delete it "
            f"and {atlas.extract_command()}"
        )


def _check_own_classes(atlas: Atlas) -> Iterator[str]:
    from attention_motifs.literature import load_known_heads

    try:
        load_known_heads(atlas.own_classes)
    except InputError as error:
        yield f"{error} (or `motifs classes --atlas {atlas.path} --forget`)"


def _check_features(atlas: Atlas, model: str) -> Iterator[str]:
    ids: list[str] = atlas.prompts["prompt_id"].to_list()
    mend = f"delete it and {atlas.extract_command(model)}"
    if atlas.tokens(model)["prompt_id"].to_list() != ids:
        yield f"{atlas.tokens_path(model)}: other prompts than the atlas; {mend}"
    heads = [h for h in atlas.heads["head"].to_list() if h.rpartition(":L")[0] == model]
    names = feature_names(list(atlas.manifest.configuration.feature_sets))
    for block, part in enumerate(atlas.feature_parts(model, names)):
        path = atlas.part_path(model, block)
        wanted = ids[block * BLOCK_SIZE : (block + 1) * BLOCK_SIZE]
        rows = {"head": heads * len(wanted), "prompt_id": [i for i in wanted for _ in heads]}
        if any(part[key].to_list() != values for key, values in rows.items()):
            yield f"{path}: heads or prompts missing, or in another order; {mend}"
        elif np.isnan(part.select(names).to_numpy()).all(axis=1).any():
            yield f"{path}: holds a pattern without any feature; {mend}"


def _check_patterns(atlas: Atlas, model: str) -> Iterator[str]:
    for prompt_id in atlas.view_prompts():
        sums = unpack_triangle(atlas.triangles(model, prompt_id)[:, 0]).sum(axis=-1)
        if sums.max() > 1.5:
            yield (
                f"{atlas.patterns_path(model, prompt_id)}: rows sum to {sums.max():.2f}, more "
                f"than 1; delete it and {atlas.extract_command(model)}"
            )


def _check_embedded(atlas: Atlas, model: str) -> Iterator[str]:
    embedding: PatternEmbedding = atlas.embedding()
    clouds = atlas.embedded([model])
    there = clouds.reshape(-1, clouds.shape[-1])
    names = list(embedding.feature_names)
    row = 0
    for part in atlas.feature_parts(model, names):
        again = embedding.transform(part.select(names).to_numpy(), part["n_tokens"].to_numpy())
        block = there[row : row + len(again)]
        row += len(again)
        if block.shape != again.shape or not np.allclose(block, again, rtol=1e-4, atol=1e-4):
            yield (
                f"{atlas.embedded_path(model)}: not what the saved embedding gives; run "
                f"`motifs embed --atlas {atlas.path} --force`"
            )
            return


def _check_recommended(atlas: Atlas, model: str) -> Iterator[str]:
    recommended = atlas.recommended()
    there = atlas.recommended_clouds([model])
    names = list(recommended.feature_names)
    start = 0
    for part in atlas.feature_parts(model, names):
        again = recommended.place(*by_prompt(atlas, model, part, names))
        block = there[start : start + len(again)]
        start += len(again)
        if block.shape != again.shape or not np.allclose(block, again, rtol=1e-4, atol=1e-4):
            yield (
                f"{atlas.recommended_clouds_path(model)}: not what the saved preset gives; run "
                f"`motifs embed --atlas {atlas.path} --force`"
            )
            return


def _check_distances(distances: AllPairs) -> Iterator[str]:
    atlas, metric = distances.atlas, distances.metric
    matrix = np.asarray(distances.matrix)
    what = None
    if not np.isfinite(matrix).all():
        what = "holds values that are not finite"
    elif (matrix < 0).any() or np.diag(matrix).any() or not np.array_equal(matrix, matrix.T):
        what = "negative, not symmetric, or not zero on the diagonal"
    if what:
        mend = f"run `motifs distances --atlas {atlas.path} --metric {metric} --force`"
        yield f"{atlas.distances_path(metric)}: {what}; {mend}"


_RECOMPUTED = 64
"""Heads whose distances to their neighbours are computed again."""


def _check_neighbours(stored: NearestHeads) -> Iterator[str]:
    """What is kept of very many heads: whole, in order, and what the clouds give."""
    atlas, metric, neighbours = stored.atlas, stored.metric, stored.neighbours
    words = neighbour_files.rebuild_hint(atlas, metric)
    heads, distances = neighbours.heads, neighbours.distances
    n = len(heads)
    what = None
    if not np.isfinite(distances).all() or (distances < 0).any():
        what = "holds distances that are negative or not finite"
    elif (np.diff(distances, axis=1) < 0).any():
        what = "neighbours are not nearest first"
    elif (heads == np.arange(n)[:, None]).any():
        what = "a head is its own neighbour"
    if what:
        yield f"{atlas.neighbours_folder(metric)}: {what}; {words}"
        return
    space = get_metric(metric).space
    by_head = stored.clouds
    read = atlas.recommended_clouds if space == "recommended" else atlas.embedded
    first = 0
    for model in atlas.models:
        clouds = read([model]).transpose(1, 0, 2)
        if not np.array_equal(by_head[first : first + len(clouds)], clouds):
            yield f"{atlas.head_clouds_path(space)}: not the clouds of {model}; {words}"
            return
        first += len(clouds)
    some = np.unique(np.linspace(0, n - 1, _RECOMPUTED).astype(int))
    again = distances_among(by_head, some, heads[some].astype(np.int64), metric)
    if not np.allclose(again, distances[some], rtol=1e-4, atol=1e-5):
        yield f"{atlas.neighbours_folder(metric)}: not the distances of the clouds; {words}"
    if find_spec("faiss") is not None:
        index = HeadIndex.load(atlas.index_path(metric), words)
        if index.n_heads != n:
            yield f"{atlas.index_path(metric)}: of {index.n_heads} heads, not {n}; {words}"


def _check_later(atlas: Atlas) -> Iterator[str]:
    """What later stages wrote, where they did, must be readable."""
    readers: dict[str, Callable[[Path, str], Any]] = {
        ".parquet": files.read_parquet,
        ".json": files.read_json,
        ".npy": files.read_array,
    }
    for pattern, words in _LATER.items():
        for path in sorted(atlas.path.glob(pattern)):
            try:
                readers[path.suffix](path, words.format(atlas=atlas.path))
            except AtlasError as error:
                yield str(error)
