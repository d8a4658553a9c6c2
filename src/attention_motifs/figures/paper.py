"""Counterparts of every figure and table of the paper, made from an atlas (`motifs paper`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from attention_motifs.atlas.head_distances import all_pairs_of, head_distances_of
from attention_motifs.features import feature_names
from attention_motifs.figures.artificial import artificial_distances, artificial_example
from attention_motifs.figures.clouds import embedding_points, pattern_embedding
from attention_motifs.figures.components import (
    component_pairs,
    component_points,
    correlation_table,
    feature_importance,
    importance_table,
)
from attention_motifs.figures.head_groups import head_groups
from attention_motifs.figures.head_maps import ALL_MODELS, METHODS, head_map_table, head_maps
from attention_motifs.figures.heatmap import distance_heatmap
from attention_motifs.figures.make import distance_numbers, pattern_numbers, typical_heads
from attention_motifs.figures.sheet import pattern_sheet
from attention_motifs.figures.style import save
from attention_motifs.figures.variance import variance_explained, variance_table
from attention_motifs.literature import known_heads
from attention_motifs.progress import Report, silent
from attention_motifs.store import files
from attention_motifs.store.settings import FigureSettings

if TYPE_CHECKING:
    import polars as pl
    from matplotlib.figure import Figure

    from attention_motifs.atlas import Atlas

_WORTH = "T: trustworthiness, C: continuity of the projection, 1 at best."

# Figure -> the head that the paper shows, and a behaviour score. An atlas without that head shows
# its head with the highest score.
SHOWN_HEADS = {
    "5": ("gpt2-small:L11:H9", "duplicate token"),
    "6": ("gpt2-small:L4:H11", "previous token"),
    "8": ("gpt2-small:L5:H2", "local window"),
    "9": ("gpt2-small:L5:H5", "induction"),
}


DEFAULT_FIGURES = FigureSettings()


@dataclass(frozen=True)
class PaperItem:
    """A figure or table of the paper and the functions that make its counterpart."""

    name: str
    """Stem of the file names: `figure-04-models`."""
    caption: str
    draw: Callable[[], Figure] | None
    """None for a table."""
    numbers: dict[str, Callable[[], pl.DataFrame]]
    """Ending of the CSV's name -> table; the ending may be empty."""


def models_table(atlas: Atlas) -> pl.DataFrame:
    """Return the models with parameters, layers, heads and source (paper, table 1)."""
    import polars as pl

    rows = [
        {
            "model": name,
            "parameters": int(info.n_parameters or 0),
            "layers": info.n_layers,
            "heads per layer": info.n_heads,
            "heads": info.n_all_heads,
            "architecture": str(info.architecture or ""),
            "source": str(info.location or ""),
            "revision": str(info.revision or ""),
            "weights SHA-256": str(info.weights_sha256 or ""),
        }
        for name, info in atlas.manifest.models.items()
    ]
    return pl.DataFrame(rows)


def shown_head(atlas: Atlas, figure: str) -> tuple[str, str]:
    """Return the head for figure 5, 6, 8 or 9, and the reason for the choice.

    It is the paper's head if the atlas holds it, else the head with the highest score of the
    behaviour, else a typical head.

    Raises:
        AtlasError: if the distances by `mean` do not exist.
    """
    of_paper, score = SHOWN_HEADS[figure]
    heads = atlas.heads
    if of_paper in heads["head"].to_list():
        return of_paper, "the head of the paper"
    if score in heads.columns and heads[score].null_count() < len(heads):
        best = heads.sort(score, descending=True, nulls_last=True).row(0, named=True)
        return str(best["head"]), f"highest {score} score here ({best[score]:.2f})"
    return typical_heads(atlas, 1)[0], "a typical head; `motifs score` would find a better one"


def paper_items(
    atlas: Atlas,
    nearest: Callable[[str, int], list[str]],
    settings: FigureSettings = DEFAULT_FIGURES,
) -> list[PaperItem]:
    """List all figures and tables for this atlas, in the order of the paper.

    Args:
        atlas: an atlas with distances by `mean` and projections.
        nearest: (head, n) -> the n nearest heads by Eq. 3.
        settings: chosen heads, number of look-alikes, neighbourhoods.

    Raises:
        InputError: if a chosen head is not in the atlas.
        AtlasError: if the distances by `mean` do not exist.
    """
    for head in settings.heads:
        atlas.head_index(head)
    chosen = list(settings.heads) or typical_heads(atlas)
    items = [
        _table("table-1-models", "Models used.", lambda: models_table(atlas)),
        *_artificial_items(atlas),
        *_embedding_items(atlas, chosen),
        *_map_items(atlas, settings),
        _figure(
            "figure-13-distances",
            "Distances of all heads by Eq. 3.",
            lambda: distance_heatmap(atlas, "mean"),
            lambda: distance_numbers(atlas, "mean"),
        ),
    ]
    if atlas.view_prompts():
        items += _sheet_items(atlas, chosen, nearest, settings.look_alikes)
    return sorted(items, key=lambda item: item.name)


def _artificial_items(atlas: Atlas) -> list[PaperItem]:
    """Return figure 2, whose patterns have no texts; none for an embedding that needs texts."""
    if set(atlas.embedding().feature_names) & set(feature_names("tokens")):
        return []
    return [
        _figure(
            "figure-02-artificial",
            "Artificial example: A2 and A3 share a motif though they attend to unlike tokens.",
            lambda: artificial_example(atlas),
            lambda: artificial_distances(atlas),
        )
    ]


def _embedding_items(atlas: Atlas, chosen: Sequence[str]) -> list[PaperItem]:
    """Yield figures 4, 10, 11 and 12: patterns and features."""
    return [
        _figure(
            "figure-04-models",
            "Patterns in the first three components, by model.",
            lambda: pattern_embedding(atlas),
            lambda: embedding_points(atlas),
        ),
        _figure(
            "figure-04-heads",
            "Patterns in the first three components, chosen heads picked out.",
            lambda: pattern_embedding(atlas, chosen),
            lambda: embedding_points(atlas, chosen),
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
        _figure(
            "figure-11-variance",
            "Share of variance by principal components.",
            lambda: variance_explained(atlas),
            lambda: variance_table(atlas),
        ),
        _figure(
            "figure-12-components",
            "Pairs of principal components, by model.",
            lambda: component_pairs(atlas),
            lambda: component_points(atlas),
        ),
    ]


def _map_items(atlas: Atlas, settings: FigureSettings) -> list[PaperItem]:
    """Yield figures 7, 14 and 15: heads as points."""
    first, k = atlas.models[0], settings.isomap_neighbors
    sizes = list(settings.neighbors) or None
    return [
        PaperItem(
            "figure-07-isomap",
            f"Heads by Isomap with {k} neighbours, by known class: one model, all. {_WORTH}",
            lambda: head_maps(atlas, [first, ALL_MODELS], ["isomap"], [k]),
            {
                "one-model": lambda: head_map_table(atlas, first, ["isomap"], [k]),
                "all": lambda: head_map_table(atlas, ALL_MODELS, ["isomap"], [k]),
            },
        ),
        _figure(
            "figure-14-projections-one-model",
            f"Heads of {first} by Isomap, UMAP and t-SNE, by neighbourhood size. {_WORTH}",
            lambda: head_maps(atlas, [first], n_neighbors=sizes),
            lambda: head_map_table(atlas, first, n_neighbors=sizes),
        ),
        _figure(
            "figure-15-projections-all",
            f"Heads of all models by Isomap, UMAP and t-SNE, by neighbourhood size. {_WORTH}",
            lambda: head_maps(atlas, [ALL_MODELS], n_neighbors=sizes),
            lambda: head_map_table(atlas, ALL_MODELS, n_neighbors=sizes),
        ),
    ]


def _sheet_items(
    atlas: Atlas,
    chosen: Sequence[str],
    nearest: Callable[[str, int], list[str]],
    look_alikes: int,
) -> list[PaperItem]:
    """Yield figures 3, 5, 6, 8 and 9: patterns of heads over the same prompts."""
    items = [_sheet(atlas, "figure-03-patterns", "Patterns of chosen heads.", chosen)]
    for figure in SHOWN_HEADS:
        head, why = shown_head(atlas, figure)
        heads = [head, *nearest(head, look_alikes)]
        items.append(
            PaperItem(
                f"figure-{int(figure):02d}-look-alikes",
                f"{head} ({why}) and the {len(heads) - 1} heads nearest to it by Eq. 3. "
                + _classes_in_words(atlas, heads),
                partial(pattern_sheet, atlas, heads),
                {
                    "": partial(pattern_numbers, atlas, heads),
                    "heads": partial(look_alike_table, atlas, heads),
                },
            )
        )
    return items


def look_alike_table(atlas: Atlas, heads: Sequence[str]) -> pl.DataFrame:
    """Return heads with their distance by Eq. 3 from the first, their known classes and sources.

    Returns:
        Columns `head`, `distance`, `label` (of `head_groups`: known, or computed from behaviour),
        `classes`, `papers`, `urls`; the last three join several by semicolons, and are empty where
        the literature says nothing.

    Raises:
        AtlasError: if the distances by `mean` do not exist.
    """
    import polars as pl

    rows = [atlas.head_index(head) for head in heads]
    distances, labels = head_distances_of(atlas, "mean").row(rows[0]), head_groups(atlas).labels
    known = pl.concat([known_heads(model, atlas.paths.own_classes) for model in atlas.models])
    statements = [known.filter(pl.col("head") == head) for head in heads]
    return pl.DataFrame(
        {
            "head": list(heads),
            "distance": [float(distances[row]) for row in rows],
            "label": [labels[row] for row in rows],
            **{
                name: ["; ".join(table[column].unique(maintain_order=True)) for table in statements]
                for name, column in (("classes", "class"), ("papers", "paper"), ("urls", "url"))
            },
        }
    )


def _classes_in_words(atlas: Atlas, heads: Sequence[str]) -> str:
    """Return the classes of these heads in the literature, for a caption."""
    texts = [
        f"{row['head']}: {row['classes']} ({row['papers']})"
        for row in look_alike_table(atlas, heads).iter_rows(named=True)
        if row["classes"]
    ]
    if not texts:
        return "None of them is in the literature known here."
    return f"In the literature: {', '.join(texts)}."


def _sheet(atlas: Atlas, name: str, caption: str, heads: Sequence[str]) -> PaperItem:
    return _figure(
        name, caption, lambda: pattern_sheet(atlas, heads), lambda: pattern_numbers(atlas, heads)
    )


def _numbered(name: str, caption: str) -> str:
    """Return a caption that begins with the number in the paper: `Figure 4`, `Table 1`."""
    kind, number, *_ = name.split("-")
    return f"{kind.capitalize()} {int(number)}. {caption}"


def _figure(
    name: str, caption: str, draw: Callable[[], Figure], numbers: Callable[[], pl.DataFrame]
) -> PaperItem:
    return PaperItem(name, caption, draw, {"": numbers})


def _table(name: str, caption: str, numbers: Callable[[], pl.DataFrame]) -> PaperItem:
    return PaperItem(name, caption, None, {"": numbers})


def make_paper(
    atlas: Atlas,
    nearest: Callable[[str, int], list[str]],
    out: str | Path | None = None,
    settings: FigureSettings = DEFAULT_FIGURES,
    report: Report = silent,
) -> list[Path]:
    """Make the counterpart of every figure and table of the paper.

    Args:
        atlas: an atlas with distances by `mean` and 2-D projections (Isomap, UMAP, t-SNE).
        nearest: (head, n) -> the n nearest heads by Eq. 3.
        out: folder, `figures/paper/` in the atlas by default; CSV files go to its `numbers/`,
            captions to `captions.json`.
        settings: formats, chosen heads, neighbourhoods.
        report: shows progress.

    Returns:
        The files written.

    Raises:
        AtlasError: if a stage has not run or a file is damaged.
        InputError: if a format is unknown.
        ResourceError: if the disk is full or the folder cannot be written.
    """
    folder = atlas.path / "figures" / "paper" if out is None else Path(out)
    all_pairs_of(atlas, "mean")  # raises before anything is drawn
    head_map_table(atlas, ALL_MODELS, METHODS)
    items = paper_items(atlas, nearest, settings)
    paths: list[Path] = []
    with report("the paper's figures", len(items)) as advance:
        for item in items:
            if item.draw is not None:
                paths += save(item.draw(), folder, item.name, settings.formats)
            for ending, table in item.numbers.items():
                name = f"{item.name}-{ending}" if ending else item.name
                path = folder / "numbers" / f"{name}.csv"
                with files.atomic(path) as temporary:
                    table().write_csv(temporary)
                paths.append(path)
            advance(1)
    captions = folder / "captions.json"
    files.write_json(captions, {i.name: _numbered(i.name, i.caption) for i in items})
    return [*paths, captions]
