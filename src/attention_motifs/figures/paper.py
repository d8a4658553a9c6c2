"""`motifs paper`: the counterpart of every figure and table of the paper, made from an atlas."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from attention_motifs import files
from attention_motifs.figures.artificial import artificial_distances, artificial_example
from attention_motifs.figures.clouds import embedding_points, pattern_embedding
from attention_motifs.figures.components import (
    component_pairs,
    component_points,
    correlation_table,
    feature_importance,
    importance_table,
)
from attention_motifs.figures.head_maps import ALL_MODELS, METHODS, head_map_table, head_maps
from attention_motifs.figures.heatmap import distance_heatmap
from attention_motifs.figures.make import distance_numbers, pattern_numbers, typical_heads
from attention_motifs.figures.sheet import pattern_sheet
from attention_motifs.figures.style import save
from attention_motifs.figures.variance import variance_explained, variance_table
from attention_motifs.progress import Report, silent

if TYPE_CHECKING:
    import polars as pl
    from matplotlib.figure import Figure

    from attention_motifs.atlas import Atlas

ISOMAP_NEIGHBORS = 16
"""Of figure 7 (paper, section 3.1)."""
N_LOOK_ALIKES = 5
FORMATS = ("svg", "pdf", "png")
_WORTH = "T: trustworthiness, C: continuity of the projection, 1 at best."

# Figure -> the head that the paper shows, and the behaviour score whose highest head stands for
# it in an atlas without that head.
SHOWN_HEADS = {
    "5": ("gpt2-small:L11:H9", "duplicate token"),
    "6": ("gpt2-small:L4:H11", "previous token"),
    "8": ("gpt2-small:L5:H2", "local window"),
    "9": ("gpt2-small:L5:H5", "induction"),
}


@dataclass(frozen=True)
class PaperItem:
    """A figure or table of the paper and what makes its counterpart."""

    name: str
    """Of the files: `figure-04-models`."""
    caption: str
    draw: Callable[[], Figure] | None
    """None for a table."""
    numbers: dict[str, Callable[[], pl.DataFrame]]
    """Ending of the CSV's name -> table; the ending may be empty."""


def models_table(atlas: Atlas) -> pl.DataFrame:
    """Models with parameters, layers, heads and source (paper, table 1)."""
    import polars as pl

    rows = [
        {
            "model": name,
            "parameters": int(info.get("n_parameters") or 0),
            "layers": int(info["n_layers"]),
            "heads per layer": int(info["n_heads"]),
            "heads": int(info["n_layers"]) * int(info["n_heads"]),
            "architecture": str(info.get("architecture", "")),
            "source": str(info.get("location", "")),
            "revision": str(info.get("revision") or ""),
            "weights SHA-256": str(info.get("weights_sha256") or ""),
        }
        for name, info in atlas.manifest.models.items()
    ]
    return pl.DataFrame(rows)


def shown_head(atlas: Atlas, figure: str) -> tuple[str, str]:
    """Head for figure 5, 6, 8 or 9, and why it was chosen.

    The paper's own head where the atlas holds it, else the head with the highest score of the
    behaviour that it stands for, else a typical head.

    Raises:
        AtlasError: if the distances by `mean` were not computed.
    """
    wanted, score = SHOWN_HEADS[figure]
    heads = atlas.heads
    if wanted in heads["head"].to_list():
        return wanted, "the head of the paper"
    if score in heads.columns and heads[score].null_count() < len(heads):
        best = heads.sort(score, descending=True, nulls_last=True).row(0, named=True)
        return str(best["head"]), f"highest {score} score here ({best[score]:.2f})"
    return typical_heads(atlas, 1)[0], "a typical head; `motifs score` would find a better one"


def paper_items(atlas: Atlas, nearest: Callable[[str, int], list[str]]) -> list[PaperItem]:
    """List everything that can be made of this atlas, in the order of the paper.

    Args:
        atlas: with distances by `mean` and projections.
        nearest: (head, n) -> the n nearest heads by Eq. 3.
    """
    typical = typical_heads(atlas)
    models = atlas.models
    items = [
        PaperItem("table-1-models", "Models used.", None, {"": lambda: models_table(atlas)}),
        PaperItem(
            "figure-02-artificial",
            "Artificial example: A2 and A3 share a motif though they attend to unlike tokens.",
            lambda: artificial_example(atlas),
            {"": lambda: artificial_distances(atlas)},
        ),
        PaperItem(
            "figure-04-models",
            "Patterns in the first three components, by model.",
            lambda: pattern_embedding(atlas),
            {"": lambda: embedding_points(atlas)},
        ),
        PaperItem(
            "figure-04-heads",
            "Patterns in the first three components, chosen heads picked out.",
            lambda: pattern_embedding(atlas, typical),
            {"": lambda: embedding_points(atlas, typical)},
        ),
        PaperItem(
            "figure-07-isomap",
            f"Heads by Isomap with {ISOMAP_NEIGHBORS} neighbours, by known class: one model, all. "
            f"{_WORTH}",
            lambda: head_maps(atlas, [models[0], ALL_MODELS], ["isomap"], [ISOMAP_NEIGHBORS]),
            {
                "one-model": lambda: head_map_table(
                    atlas, models[0], ["isomap"], [ISOMAP_NEIGHBORS]
                ),
                "all": lambda: head_map_table(atlas, ALL_MODELS, ["isomap"], [ISOMAP_NEIGHBORS]),
            },
        ),
        PaperItem(
            "figure-10-features",
            "Importance (top) and correlation (bottom) of all features.",
            lambda: feature_importance(atlas),
            {
                "importance": lambda: importance_table(atlas),
                "correlation": lambda: correlation_table(atlas),
            },
        ),
        PaperItem(
            "figure-11-variance",
            "Share of variance by principal components.",
            lambda: variance_explained(atlas),
            {"": lambda: variance_table(atlas)},
        ),
        PaperItem(
            "figure-12-components",
            "Pairs of principal components, by model.",
            lambda: component_pairs(atlas),
            {"": lambda: component_points(atlas)},
        ),
        PaperItem(
            "figure-13-distances",
            "Distances of all heads by Eq. 3.",
            lambda: distance_heatmap(atlas, "mean"),
            {"": lambda: distance_numbers(atlas, "mean")},
        ),
        PaperItem(
            "figure-14-projections-one-model",
            f"Heads of {models[0]} by Isomap, UMAP and t-SNE, by neighbourhood size. {_WORTH}",
            lambda: head_maps(atlas, [models[0]]),
            {"": lambda: head_map_table(atlas, models[0])},
        ),
        PaperItem(
            "figure-15-projections-all",
            f"Heads of all models by Isomap, UMAP and t-SNE, by neighbourhood size. {_WORTH}",
            lambda: head_maps(atlas, [ALL_MODELS]),
            {"": lambda: head_map_table(atlas, ALL_MODELS)},
        ),
    ]
    if atlas.view_prompts():
        items += [_sheet(atlas, "figure-03-patterns", "Patterns of chosen heads.", typical)]
        for figure in SHOWN_HEADS:
            head, why = shown_head(atlas, figure)
            items.append(
                _sheet(
                    atlas,
                    f"figure-{int(figure):02d}-look-alikes",
                    f"{head} ({why}) and the {N_LOOK_ALIKES} heads nearest to it.",
                    [head, *nearest(head, N_LOOK_ALIKES)],
                )
            )
    return sorted(items, key=lambda item: item.name)


def _sheet(atlas: Atlas, name: str, caption: str, heads: Sequence[str]) -> PaperItem:
    return PaperItem(
        name,
        caption,
        lambda: pattern_sheet(atlas, heads),
        {"": lambda: pattern_numbers(atlas, heads)},
    )


def make_paper(
    atlas: Atlas,
    nearest: Callable[[str, int], list[str]],
    out: str | Path | None = None,
    formats: Sequence[str] = FORMATS,
    report: Report = silent,
) -> list[Path]:
    """Make the counterpart of every figure and table of the paper.

    Args:
        atlas: with distances by `mean` and projections (Isomap, UMAP, t-SNE in 2-D).
        nearest: (head, n) -> the n nearest heads by Eq. 3.
        out: folder, `figures/paper/` in the atlas by default; CSV files go to its `numbers/`,
            captions to `captions.json`.
        formats: of `svg`, `pdf` and `png`.
        report: shows progress.

    Returns:
        The files written.

    Raises:
        AtlasError: if a stage has not run or a file is damaged.
        InputError: if a format is unknown.
        ResourceError: if the disk is full or the folder cannot be written.
    """
    folder = atlas.path / "figures" / "paper" if out is None else Path(out)
    atlas.distances("mean")  # raises, if it does, before anything is drawn
    head_map_table(atlas, ALL_MODELS, METHODS)
    items = paper_items(atlas, nearest)
    paths: list[Path] = []
    with report("the paper's figures", len(items)) as advance:
        for item in items:
            if item.draw is not None:
                paths += save(item.draw(), folder, item.name, formats)
            for ending, table in item.numbers.items():
                name = f"{item.name}-{ending}" if ending else item.name
                path = folder / "numbers" / f"{name}.csv"
                with files.atomic(path) as temporary:
                    table().write_csv(temporary)
                paths.append(path)
            advance(1)
    captions = folder / "captions.json"
    files.write_json(captions, {item.name: item.caption for item in items})
    return [*paths, captions]
