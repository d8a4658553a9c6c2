"""Check an atlas: read every file, and compare it with the others."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_motifs.atlas import BLOCK_SIZE, Atlas
from attention_motifs.atlas.blocks import blocks_of, clouds_of
from attention_motifs.atlas.head_distances import AllPairs, NearestHeads, stored_distances
from attention_motifs.atlas.motif_shares import has_shares, motif_shares_of
from attention_motifs.atlas.opened import locked_folder
from attention_motifs.atlas.queries import by_prompt
from attention_motifs.atlas.stimuli import PROBES, PROMPTS, Stimuli
from attention_motifs.distances import get_metric
from attention_motifs.distances.index import HeadIndex
from attention_motifs.distances.neighbours import distances_among
from attention_motifs.errors import AtlasError, InputError
from attention_motifs.features import feature_names, feature_sets, features_of
from attention_motifs.progress import Report, silent
from attention_motifs.store import files, recorded_digests, remote
from attention_motifs.store.inventory import atlas_files
from attention_motifs.store.packed_patterns import unpack_triangle
from attention_motifs.store.paths import MANIFEST, AtlasFile

if TYPE_CHECKING:
    from attention_motifs.embedding import PatternEmbedding
    from attention_motifs.embedding.presets import Block

_READERS: dict[str, Callable[[files.Location], Any]] = {
    ".parquet": files.read_parquet,
    ".json": files.read_json,
    ".npy": files.read_array,
}

_LATER = (
    "projections", "labels", "cluster_names", "clusters", "linkage", "label_scores", "evaluation",
)  # fmt: skip
"""Files of the stages after `distances`; the check only reads them."""


def check_atlas(atlas: Atlas, report: Report = silent) -> list[str]:
    """Return the problems of an atlas, one line each; an empty list if there is none.

    Args:
        atlas: the atlas; nothing is written.
        report: shows progress.
    """
    steps: list[Callable[[], Iterator[str]]] = [
        lambda: _check_digests(atlas),
        lambda: _check_prompts(atlas),
        lambda: _check_own_classes(atlas),
    ]
    for model in atlas.models:
        steps += [
            lambda model=model: _check_features(atlas, model, PROMPTS),  # type: ignore[misc]
            lambda model=model: _check_patterns(atlas, model),  # type: ignore[misc]
            lambda model=model: _check_motif_shares(atlas, model),  # type: ignore[misc]
            lambda model=model: _check_embedded(atlas, model),  # type: ignore[misc]
        ]
        if atlas.has_probes(model):
            steps.append(lambda model=model: _check_features(atlas, model, PROBES))  # type: ignore[misc]
        steps += [
            lambda model=model, block=block: _check_block(atlas, model, block)  # type: ignore[misc]
            for block in blocks_of(atlas)
            if f"fit-block:{block.name}" in atlas.manifest.stages
        ]
    for distances in stored_distances(atlas).values():
        if isinstance(distances, AllPairs):
            steps.append(lambda d=distances: _check_distances(d))  # type: ignore[misc]
        else:
            steps.append(lambda d=distances: _check_neighbours(d))  # type: ignore[misc]
    steps.append(lambda: _check_later(atlas))
    findings: list[str] = []
    # Damaged numbers may overflow; the findings report them.
    with report("check the atlas", len(steps)) as advance, np.errstate(all="ignore"):
        for step in steps:
            try:
                findings.extend(step())
            except (AtlasError, InputError) as error:
                findings.append(str(error))
            advance(1)
    return list(dict.fromkeys(findings))  # several steps read the same damaged table


def without_digest(atlas: Atlas) -> list[str]:
    """Return the names of the files of an atlas in a folder whose digest is not recorded."""
    if atlas.paths.origin is not None:
        return []
    return sorted(atlas_files(atlas.path).keys() - recorded_digests.recorded(atlas.path).keys())


def write_digests(path: str | Path) -> int:
    """Record the digests of all files of an atlas in a folder, as they are now.

    Args:
        path: folder of the atlas.

    Returns:
        The number of files.

    Raises:
        InputError: for a URL: a remote atlas lists its digests in `atlas.json`.
        AtlasError: if the folder holds no atlas, another run holds it, or a file is a link.
        ResourceError: if the folder cannot be written.
    """
    if remote.is_url(path):
        raise InputError(
            f"{path}: the digests of a remote atlas are in its {MANIFEST}. Leave out "
            "--write-digests"
        )
    # Not `Atlas.lock`, which reads `atlas.json`: its digest may be what is to be recorded.
    folder = Path(path)
    if not (folder / MANIFEST).is_file():
        Atlas.open(folder)  # raises the reason
    with locked_folder(folder, str(path)):
        paths = atlas_files(folder)
        recorded_digests.write_all(folder, paths)
    return len(paths)


def _check_digests(atlas: Atlas) -> Iterator[str]:
    """Compare every file with the digest that was recorded when it was written."""
    if atlas.paths.origin is not None:
        return
    record = atlas.file("digests")
    if not record.path.is_file():
        if os.path.lexists(record.path):
            yield f"{record}: is not a file; delete it and {record.fix}"
        return
    listed = recorded_digests.recorded(atlas.path)
    if recorded_digests.is_damaged(atlas.path):
        yield (
            f"{record}: is damaged, or was cut off, so that changes of files can go unnoticed; "
            f"{record.fix}"
        )
    for name in listed:
        file = atlas.paths.file_named(name)
        if file is None:
            yield f"{record}: lists {name!r:.80}, no file of an atlas; {record.fix}"
        elif link := next((p for p in _path_within(atlas, name) if p.is_symlink()), None):
            yield f"{link}: is a link; replace it by the file"
        elif not file.path.is_file():
            yield _absent(file)
        elif recorded_digests.is_changed(atlas.path, name, file.path, largest=None):
            yield str(file.changed())


def _absent(file: AtlasFile) -> str:
    """Return the message of a reader for a file that is missing or a folder."""
    try:
        files.check_readable(file, file.path, file.fix)
    except AtlasError as error:
        return str(error)
    return f"{file}: not found; {file.fix}"


def _path_within(atlas: Atlas, name: str) -> list[Path]:
    """Return a file and the folders above it within the atlas."""
    path = atlas.path / name
    return [path, *path.parents[: name.count("/")]]


def _check_prompts(atlas: Atlas) -> Iterator[str]:
    import hashlib

    from attention_motifs.prompts import Prompt

    table, file = atlas.prompts, atlas.file("prompts")
    mismatches = [
        row["prompt_id"]
        for row in table.iter_rows(named=True)
        if Prompt(row["text"]).prompt_id != row["prompt_id"]
    ]
    if mismatches:
        yield (
            f"{file}: {len(mismatches)} texts differ from their prompt_id, first {mismatches[0]}; "
            f"{file.fix}"
        )
    joined = "\n".join(table["prompt_id"].to_list())
    if hashlib.sha256(joined.encode()).hexdigest() != atlas.manifest.prompts["sha256"]:
        yield f"{file}: its prompts differ from those that {MANIFEST} lists; {file.fix}"
    _ = atlas.heads  # reading compares the number of heads with the models


def _check_own_classes(atlas: Atlas) -> Iterator[str]:
    from attention_motifs.literature import load_known_heads

    try:
        load_known_heads(atlas.paths.own_classes)
    except InputError as error:
        yield f"{error} (or run {atlas.paths.command('classes --forget')})"


def _check_features(atlas: Atlas, model: str, stimuli: Stimuli) -> Iterator[str]:
    of_probes = stimuli is PROBES
    ids: list[str] = (atlas.probes if of_probes else atlas.prompts)["prompt_id"].to_list()
    tokens = atlas.file(stimuli.tokens, model=model)
    table = atlas.probe_sequences(model) if of_probes else atlas.tokens(model)
    if table["prompt_id"].to_list() != ids:
        yield f"{tokens}: its {stimuli.name} differ from those of the atlas; {tokens.fix_damaged}"
    heads = [h for h in atlas.heads["head"].to_list() if h.rpartition(":L")[0] == model]
    names = _defined_features(atlas)
    for block, part in enumerate(atlas.feature_parts(model, names, stimuli.name)):
        file = atlas.file(stimuli.features, model=model, block=block)
        in_block = ids[block * BLOCK_SIZE : (block + 1) * BLOCK_SIZE]
        rows = {"head": heads * len(in_block), "prompt_id": [i for i in in_block for _ in heads]}
        if any(part[key].to_list() != values for key, values in rows.items()):
            yield (
                f"{file}: heads or {stimuli.name} are missing or in another order; "
                f"{file.fix_damaged}"
            )
        elif np.isnan(part.select(names).to_numpy()).all(axis=1).any():
            yield f"{file}: holds a pattern without any feature; {file.fix_damaged}"


def _defined_features(atlas: Atlas) -> list[str]:
    """Return the features of the atlas that are defined here; a user's own may not be.

    Raises:
        InputError: if none is.
    """
    sets = atlas.manifest.configuration.feature_sets
    defined = {f.name for name in feature_sets() for f in features_of(name)} | set(feature_sets())
    return feature_names([name for name in sets if name in defined] or list(sets))


def _check_patterns(atlas: Atlas, model: str) -> Iterator[str]:
    view = [(PROMPTS, prompt_id) for prompt_id in atlas.view_prompts()]
    if atlas.has_probes(model):
        view += [(PROBES, prompt_id) for prompt_id in atlas.view_probes()]
    for stimuli, prompt_id in view:
        sums = unpack_triangle(atlas.triangles(model, prompt_id)[:, 0]).sum(axis=-1)
        if sums.max() > 1.5:
            file = atlas.file(stimuli.patterns, model=model, prompt=prompt_id)
            yield f"{file}: rows sum to {sums.max():.2f}, more than 1; {file.fix_damaged}"


def _check_motif_shares(atlas: Atlas, model: str) -> Iterator[str]:
    if not has_shares(atlas):
        return  # an atlas of an earlier version
    sums = motif_shares_of(atlas, model).sum(axis=2)
    if np.nanmax(np.abs(sums - 1.0), initial=0.0) > 1e-3:
        file = atlas.file("motif_shares", model=model, block=0)
        yield f"{file}: motif shares of a pattern do not sum to 1; {file.fix_damaged}"


def _check_embedded(atlas: Atlas, model: str) -> Iterator[str]:
    embedding: PatternEmbedding = atlas.embedding()
    clouds = atlas.embedded([model])
    saved = clouds.reshape(-1, clouds.shape[-1])
    names = list(embedding.feature_names)
    row = 0
    for part in atlas.feature_parts(model, names):
        recomputed = embedding.transform(part.select(names).to_numpy(), part["n_tokens"].to_numpy())
        block = saved[row : row + len(recomputed)]
        row += len(recomputed)
        if block.shape != recomputed.shape or not np.allclose(
            block, recomputed, rtol=1e-4, atol=1e-4
        ):
            file = atlas.file("embedded", model=model)
            yield f"{file}: differs from the result of the saved embedding; {file.fix}"
            return


def _check_block(atlas: Atlas, model: str, checked: Block) -> Iterator[str]:
    fitted = atlas.block(checked.name)
    saved = atlas.block_clouds(checked.name, [model])
    names = list(fitted.feature_names)
    start = 0
    for part in atlas.feature_parts(model, names, checked.stimuli):
        recomputed = fitted.place(*by_prompt(atlas, model, part, names))
        block = saved[start : start + len(recomputed)]
        start += len(recomputed)
        if block.shape != recomputed.shape or not np.allclose(
            block, recomputed, rtol=1e-4, atol=1e-4
        ):
            file = atlas.file("block_clouds", block=checked.name, model=model)
            yield f"{file}: differs from the result of the saved block; {file.fix}"
            return


def _check_distances(distances: AllPairs) -> Iterator[str]:
    atlas, metric = distances.atlas, distances.metric
    matrix = np.asarray(distances.matrix)
    fault = None
    if not np.isfinite(matrix).all():
        fault = "holds values that are not finite"
    elif (matrix < 0).any() or np.diag(matrix).any() or not np.array_equal(matrix, matrix.T):
        fault = "is negative, not symmetric, or not zero on the diagonal"
    if fault:
        file = atlas.file("distances", metric=metric)
        yield f"{file}: {fault}; {file.fix}"


_RECOMPUTED = 64
"""Number of heads whose distances to their neighbours are computed again."""


def _check_neighbours(stored: NearestHeads) -> Iterator[str]:
    """Compare the stored nearest heads with the clouds."""
    atlas, metric, neighbours = stored.atlas, stored.metric, stored.neighbours
    file = atlas.file("neighbours", metric=metric, part=0)
    heads, distances = neighbours.heads, neighbours.distances
    n = len(heads)
    fault = None
    if not np.isfinite(distances).all() or (distances < 0).any():
        fault = "holds distances that are negative or not finite"
    elif (np.diff(distances, axis=1) < 0).any():
        fault = "does not list the nearest neighbours first"
    elif (heads == np.arange(n)[:, None]).any():
        fault = "lists a head as its own neighbour"
    if fault:
        yield f"{file}: {fault}; {file.fix}"
        return
    space = get_metric(metric).space
    by_head = stored.clouds
    first = 0
    for model in atlas.models:
        clouds = clouds_of(atlas, metric, [model]).array.transpose(1, 0, 2)
        if not np.array_equal(by_head[first : first + len(clouds)], clouds):
            clouds_file = atlas.file("head_clouds", space=space)
            yield f"{clouds_file}: differs from the clouds of {model}; {clouds_file.fix}"
            return
        first += len(clouds)
    sample = np.unique(np.linspace(0, n - 1, _RECOMPUTED).astype(int))
    recomputed = distances_among(by_head, sample, heads[sample].astype(np.int64), metric)
    if not np.allclose(recomputed, distances[sample], rtol=1e-4, atol=1e-5):
        yield f"{file}: differs from the distances of the clouds; {file.fix}"
    if find_spec("faiss") is not None:
        index_file = atlas.file("neighbour_index", metric=metric)
        index = HeadIndex.load(index_file)
        if index.n_heads != n:
            yield f"{index_file}: holds {index.n_heads} heads, the atlas {n}; {index_file.fix}"


def _check_later(atlas: Atlas) -> Iterator[str]:
    """Read the files of later stages that exist."""
    for artefact in _LATER:
        for file in atlas.paths.existing(artefact):
            try:
                _READERS[file.path.suffix](file)
            except AtlasError as error:
                yield str(error)
    if atlas.file("ablations").is_file():
        _ = atlas.ablations
