"""Renaming of the files of an atlas of an earlier version."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from attention_motifs.store import earlier_names, files, remote
from attention_motifs.store.manifest import read_manifest
from attention_motifs.store.paths import AtlasFile, AtlasPaths

_TABLES = ("projections", "ablations")
"""Tables that name the metric that they were computed from."""


def rename_earlier_files(paths: AtlasPaths) -> None:
    """Give the files of an atlas of an earlier version their present names.

    A call that is stopped is continued by the next one. The atlas can be read at any moment.

    Args:
        paths: files of the atlas; the caller holds its lock.

    Raises:
        AtlasError: if `atlas.json` is missing or damaged.
        ResourceError: if the folder cannot be written.
    """
    manifest = read_manifest(paths.file("manifest"))
    if not manifest.has_earlier_names:
        return
    earlier = replace(paths, manifest=manifest)
    present = replace(paths, manifest=None)
    with files.writable_folder(paths.folder):
        for artefact, key in earlier_names.NAMED_BY.items():
            for file in earlier.existing(artefact, **{key: earlier_names.NOW}):
                _rename(file, AtlasFile(present, artefact, file.parts))
    for file in earlier.existing("clusters"):
        files.write_json(file, _renamed_json(files.read_json(file)))
    if earlier.file("evaluation").is_file():
        _rename_evaluation(earlier.file("evaluation"))
    for artefact in _TABLES:
        if earlier.file(artefact).is_file():
            _rename_in_table(earlier.file(artefact))
    with remote.sent(paths):
        files.write_json(paths.file("manifest"), manifest.to_json())


def _rename(file: AtlasFile, target: AtlasFile) -> None:
    source, name = file.fetch(), file.name
    if name == target.name:
        return
    target.path.parent.mkdir(parents=True, exist_ok=True)
    source.replace(target.path)
    if file.paths.origin is not None and name in file.paths.origin.listing:
        file.paths.origin.forget(name)
    if source.parent != file.paths.folder and not any(source.parent.iterdir()):
        source.parent.rmdir()


def _rename_evaluation(file: AtlasFile) -> None:
    by_metric = _renamed_json(files.read_json(file))
    if isinstance(by_metric, dict) and earlier_names.EARLIER in by_metric:
        by_metric[earlier_names.NOW] = by_metric.pop(earlier_names.EARLIER)
    files.write_json(file, by_metric)


def _renamed_json(value: Any) -> Any:
    """Rename the preset where it is the value of `metric`, in all objects inside."""
    if isinstance(value, list):
        return [_renamed_json(item) for item in value]
    if not isinstance(value, dict):
        return value
    renamed = {key: _renamed_json(item) for key, item in value.items()}
    if renamed.get("metric") == earlier_names.EARLIER:
        renamed["metric"] = earlier_names.NOW
    return renamed


def _renamed_text(text: str) -> str:
    """Rename the preset where it is the whole text or its end, as in `nearest by recommended`."""
    start = text.removesuffix(earlier_names.EARLIER)
    return start + earlier_names.NOW if start != text and start[-4:] in ("", " by ") else text


def _rename_in_table(file: AtlasFile) -> None:
    import polars as pl

    table = files.read_parquet(file)
    changed = table
    for name in (name for name, kind in table.schema.items() if kind == pl.String):
        texts = table[name].drop_nulls().unique().to_list()
        new = {text: _renamed_text(text) for text in texts if _renamed_text(text) != text}
        if new:
            changed = changed.with_columns(pl.col(name).replace(new))
    if not changed.equals(table):
        kept = {k: v for k, v in files.parquet_metadata(file, "").items() if k != "ARROW:schema"}
        files.write_parquet(file, changed, kept)
