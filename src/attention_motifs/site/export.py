"""`motifs site`: export of an atlas as a folder that any static host can serve."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from attention_motifs import __version__
from attention_motifs.atlas import Atlas
from attention_motifs.atlas.head_distances import AllPairs, stored_distances
from attention_motifs.errors import AtlasError, InputError
from attention_motifs.progress import Report, silent
from attention_motifs.site import export_heads as of_heads
from attention_motifs.site import export_stages as of_stages
from attention_motifs.site.contract import SITE_SCHEMA, Json, Manifest
from attention_motifs.site.export_distances import write_distances
from attention_motifs.site.export_explanations import can_explain, write_explanations
from attention_motifs.site.export_patterns import write_patterns
from attention_motifs.site.export_pictures import write_pictures
from attention_motifs.site.export_points import write_points
from attention_motifs.site.output import DataFolder, json_bytes
from attention_motifs.store import files
from attention_motifs.store.paths import AtlasPaths

ASSETS = Path(__file__).parent / "assets"
"""The built pages: index.html and the files that it loads."""

EXPORT_VERSION = 8
"""Raise it when the same atlas gives other files."""

MANIFEST = Path("data") / "manifest.json"


@dataclass(frozen=True)
class Exported:
    """A site on disk."""

    path: Path
    written: bool
    """Whether its data was written now; False if it was up to date."""
    has_pages: bool
    """Whether it has pages; False in a source tree without built pages."""
    missing: dict[str, str]
    """Parts that the atlas does not hold, with the command that makes each."""


def export_site(
    atlas: Atlas, out: Path | None = None, *, force: bool = False, report: Report = silent
) -> Exported:
    """Write the pages and data of the explorer; a site with the same inputs is kept.

    New data is written to a temporary folder, which replaces the old site when it is complete. The
    same atlas gives the same bytes.

    Args:
        atlas: an atlas with patterns and heads; parts of later stages may be missing.
        out: folder of the site; by default `site/` in the atlas.
        force: write the data even if nothing changed.
        report: shows progress.

    Raises:
        AtlasError: if the atlas has no heads, or a file is damaged.
        InputError: if `out` holds files that are not a site.
        ResourceError: if the folder cannot be written.
    """
    target = out or atlas.path / "site"
    _check_target(target)
    if not atlas.models:
        raise AtlasError(f"{atlas.place}: has no patterns yet; run {atlas.paths.extract_command()}")
    inputs = inputs_digest(atlas)
    missing = missing_parts(atlas)
    if not force and _inputs_of(target) == inputs:
        return Exported(target, False, _refresh_pages(target), missing)
    with files.replaced_folder(target) as temporary:
        has_pages = _copy_pages(temporary)
        data = DataFolder(temporary / "data")
        manifest = _write_data(atlas, data, inputs, missing, report)
        (temporary / MANIFEST).write_bytes(json_bytes(manifest))
    return Exported(target, True, has_pages, missing)


def is_current(atlas: Atlas, out: Path | None = None) -> bool:
    """Return whether a site exists and its data is up to date."""
    target = out or atlas.path / "site"
    return bool(atlas.models) and _inputs_of(target) == inputs_digest(atlas)


def _check_target(target: Path) -> None:
    if target.exists() and not target.is_dir():
        raise InputError(f"--out {target}: is a file. Give a folder")
    if target.is_dir() and any(target.iterdir()) and not (target / MANIFEST).is_file():
        raise InputError(
            f"--out {target}: holds files that are not a site of motifs and would be replaced. "
            "Give a new folder"
        )


def _inputs_of(target: Path) -> str | None:
    """Return the digest of a site's inputs; None if there is no site or it is damaged."""
    try:
        manifest = files.read_json(target / MANIFEST)
    except AtlasError:
        return None
    return manifest.get("inputs") if isinstance(manifest, dict) else None


def inputs_digest(atlas: Atlas) -> str:
    """Return the digest of the inputs of a site.

    Large files count by the journal of the atlas, small ones by their bytes.
    """
    manifest = atlas.manifest.to_json()
    paths = [
        atlas.file("heads"),
        atlas.file("classes"),
        atlas.file("prompts"),
        atlas.file("projections"),
        atlas.file("evaluation"),
        atlas.file("ablations"),
        *atlas.paths.existing("clusters"),
        atlas.file("cluster_names"),
        *(atlas.file("tokens", model=model) for model in atlas.models),
    ]
    read = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths if path.is_file()
    }
    stored = {m: type(d).__name__ for m, d in stored_distances(atlas).items()}
    made_by = [SITE_SCHEMA, EXPORT_VERSION, __version__]
    return files.digest([made_by, manifest, stored, read])


def missing_parts(atlas: Atlas, stale: tuple[str, ...] = ()) -> dict[str, str]:
    """Return the parts that the atlas does not hold, or `stale` ones, with a fix in words."""
    # The site names the folder of the atlas without its path on this machine.
    paths = atlas.paths if atlas.paths.origin else AtlasPaths(Path(atlas.path.name))
    command, has_embedding = paths.command, "embed" in atlas.manifest.stages
    columns = atlas.heads.columns
    cluster, evaluate = command("cluster"), command("evaluate")
    stored = stored_distances(atlas)
    if stored and not any(isinstance(d, AllPairs) for d in stored.values()):
        # Not every method does without all pairs.
        cluster = command("cluster --method leiden")
    parts = {
        "patterns": (atlas.view_prompts(), "build the atlas with --n-view-prompts above 0"),
        "points": (has_embedding, f"run {command('embed')}"),
        "metrics": (stored, f"run {command('distances')}"),
        "projections": (atlas.file("projections").is_file(), f"run {command('project')}"),
        "clusterings": (
            any(name.startswith("cluster (") for name in columns),
            f"run {cluster}",
        ),
        "explanations": (
            can_explain(atlas),
            f"run {command('shares' if has_embedding else 'embed')}",
        ),
        "scores": (of_heads.scores(atlas), f"run {command('score')}"),
        "evaluation": (of_stages.evaluation(atlas), f"run {evaluate}"),
        "ablations": (atlas.file("ablations").is_file(), f"run {command('ablate')}"),
    }
    words = ", then `motifs site` again"
    absent = {
        name: fix + words for name, (exists, fix) in parts.items() if not exists or name in stale
    }
    if all(model.is_imported for model in atlas.manifest.models.values()):
        no_model = dict.fromkeys(("scores", "ablations"), "imported patterns have no model to run")
        absent |= {name: reason for name, reason in no_model.items() if name in absent}
    return absent


def _write_data(
    atlas: Atlas, out: DataFolder, inputs: str, missing: dict[str, str], report: Report
) -> Manifest:
    """Write every data file except for the manifest, which is returned."""
    tokens = of_heads.write_tokens(atlas, out)
    patterns = write_patterns(atlas, out, report)
    tags = of_heads.tags(atlas)
    classes = of_heads.classes(atlas, tags)
    pictures = write_pictures(atlas, classes, out, report)
    metrics = write_distances(atlas, out, report)
    points, features = write_points(atlas, out, report)
    projections = of_stages.write_projections(atlas, out)
    if not projections:
        missing = missing_parts(atlas, stale=("projections",))
    clusterings = of_stages.write_clusterings(atlas, out)
    heads = of_heads.heads_table(atlas, classes, clusterings, out)
    measured = of_heads.write_measured(atlas, out)
    scores_of_heads = of_heads.write_scores_of_heads(atlas, out)
    explanations = write_explanations(atlas, out, report)
    evaluation = of_stages.evaluation(atlas)
    ablations = of_stages.ablations(atlas)
    downloads = of_stages.write_downloads(atlas, out)
    written = {
        "prompts.json.bin": of_heads.prompts(atlas),
        "classes.json.bin": classes,
        "tags.json.bin": tags,
        "evaluation.json.bin": evaluation,
        "ablations.json.bin": ablations,
    }
    for name, value in written.items():
        if value is not None:
            out.json(name, value)
    return Manifest(
        schema=SITE_SCHEMA,
        version=out.version(),
        inputs=inputs,
        package_version=atlas.manifest.package_version,
        title="Attention motifs: " + ", ".join(atlas.models),
        models=of_heads.models(atlas, tokens, explanations.files, patterns),
        n_heads=len(atlas.heads),
        n_patterns=len(atlas.heads) * int(atlas.manifest.prompts["n"]),
        settings=_settings(atlas),
        heads=heads,
        scores=of_heads.scores(atlas),
        measured=measured,
        scores_of_heads=scores_of_heads,
        verdicts=explanations.verdicts,
        motifs=explanations.motifs,
        motif_shares=explanations.shares,
        explained_by=explanations.metric,
        metrics=metrics,
        projections=projections,
        points=points,
        pictures=pictures,
        clusterings=clusterings,
        prompts="prompts.json.bin",
        classes="classes.json.bin",
        tags="tags.json.bin",
        groups=of_heads.groups(atlas),
        features=features,
        evaluation="evaluation.json.bin" if evaluation else None,
        ablations="ablations.json.bin" if ablations else None,
        downloads=downloads,
        missing=missing,
    )


def _settings(atlas: Atlas) -> dict[str, Json]:
    """Return the settings of the atlas by titles for readers."""
    configuration = asdict(atlas.manifest.configuration)
    imputed = sum(sum(counts.values()) for counts in atlas.manifest.imputed.values())
    return {
        "prompts": f"{atlas.manifest.prompts['n']} of {configuration['prompts']}",
        "prompts digest": atlas.manifest.prompts["sha256"],
        "tokens per prompt, at most": configuration["max_tokens"],
        "BOS policy": configuration["bos"],
        "seed": configuration["seed"],
        "feature sets": ", ".join(configuration["feature_sets"]),
        "components": configuration["n_components"],
        "length bins": ", ".join(map(str, configuration["length_bins"])) or "none",
        "patterns kept for viewing": f"{len(atlas.view_prompts())} prompts",
        "probes": int(atlas.manifest.probes["n"]) if atlas.has_probes() else 0,
        "imputed values": imputed,
        "atlas schema": atlas.manifest.schema_version,
        "made by": f"attention-motifs {atlas.manifest.package_version}",
    }


# The pages


def _pages() -> Iterator[Path]:
    """Yield the files of the built pages; none in a source tree without them."""
    if (ASSETS / "index.html").is_file():
        for path in sorted(ASSETS.rglob("*")):
            # Not part of a site: the stamp of the build, and the viewer of notebooks.
            if path.is_file() and path.relative_to(ASSETS).parts[0] not in {
                "sources.sha256", "viewer",
            }:  # fmt: skip
                yield path


def _copy_pages(folder: Path) -> bool:
    copied = False
    for path in _pages():
        target = folder / path.relative_to(ASSETS)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
        copied = True
    return copied


def _refresh_pages(folder: Path) -> bool:
    """Update the pages of a site and keep its data; return whether the site has pages.

    Names of scripts hold a digest, so old ones stay: an open page may still load them. index.html
    is replaced last.
    """
    has_pages = False
    for path in sorted(_pages(), key=lambda p: p.name == "index.html"):
        has_pages = True
        target = folder / path.relative_to(ASSETS)
        data: Any = path.read_bytes()
        if not target.is_file() or target.read_bytes() != data:
            with files.atomic(target) as temporary:
                temporary.write_bytes(data)
    return has_pages or (folder / "index.html").is_file()
