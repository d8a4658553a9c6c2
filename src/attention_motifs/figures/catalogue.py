"""All figures and tables of an atlas: the counterparts of the paper's, and more."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from attention_motifs.errors import InputError
from attention_motifs.features import feature_names
from attention_motifs.figures import captions
from attention_motifs.figures.artificial import artificial_distances, artificial_example
from attention_motifs.figures.clouds import component_pairs, component_points, pattern_embedding
from attention_motifs.figures.feature_figures import (
    correlation_matrix,
    correlation_table,
    feature_importance,
    importance_table,
)
from attention_motifs.figures.head_maps import ALL_MODELS, head_map_table, head_maps
from attention_motifs.figures.heatmap import distance_heatmap, distance_pairs
from attention_motifs.figures.look_alikes import (
    SHOWN_HEADS,
    LookAlikes,
    look_alike_caption,
    look_alike_table,
    look_alikes,
    row_notes,
)
from attention_motifs.figures.profiles import model_map, motif_table, motifs_by_depth
from attention_motifs.figures.quality import (
    evaluation_headline,
    headline_table,
    reliability_curve,
    reliability_table,
)
from attention_motifs.figures.sheet import pattern_numbers, pattern_sheet
from attention_motifs.figures.style import COLUMN_WIDTH, PAGE_WIDTH
from attention_motifs.figures.training import heads_through_training, training_table
from attention_motifs.figures.typical import typical_heads
from attention_motifs.figures.variance import variance_explained, variance_table
from attention_motifs.store.settings import FigureSettings

if TYPE_CHECKING:
    import polars as pl
    from matplotlib.figure import Figure

    from attention_motifs.atlas import Atlas

DEFAULT_FIGURES = FigureSettings()
COMPONENTS = "patterns-in-components"
"""Table of the positions of patterns, which several figures share."""


@dataclass(frozen=True)
class FigureItem:
    """A figure or table, and the functions that make it."""

    name: str
    """Stem of the file names: `figure-04-models`."""
    caption: Callable[[], str]
    """Returns the caption without the number and without what all captions share."""
    draw: Callable[[float], Figure] | None
    """Draws at a width in inches; None for a table."""
    tables: dict[str, Callable[[], pl.DataFrame]] = field(default_factory=dict)
    """File name without ending -> table; figures that share a table name it alike."""
    width: float = PAGE_WIDTH
    """Width in inches, where none is given."""
    optional: bool = False
    """Whether an atlas that lacks what it needs has the other figures without it."""

    def is_meant_by(self, word: str) -> bool:
        """Return whether a word names the item: a number, a name, or the beginning of one."""
        number = re.fullmatch(r"(?:figure-|table-)?0*(\d+)", word)
        if number:
            numbered = re.match(r"(figure|table)-0*(\d+)-", self.name)
            kind = "table" if word.startswith("table") else "figure"
            return numbered is not None and numbered.groups() == (kind, number[1])
        return self.name == word or self.name.startswith(f"{word}-")


def catalogue(
    atlas: Atlas, settings: FigureSettings = DEFAULT_FIGURES, metric: str = "mean"
) -> list[FigureItem]:
    """List the figures and tables of this atlas, in the order of their names.

    Args:
        atlas: an atlas with distances by `mean`; figures 7, 14 and 15 need projections.
        settings: chosen heads, number of look-alikes, neighbourhoods.
        metric: metric of figure 13 and of the choice of typical heads.

    Raises:
        InputError: if a chosen head is not in the atlas.
    """
    for head in settings.heads:
        atlas.head_index(head)

    @functools.cache
    def chosen() -> tuple[str, ...]:
        return tuple(settings.heads) or tuple(typical_heads(atlas, metric=metric))

    items = [
        *_tables(atlas),
        *_artificial_items(atlas),
        *_embedding_items(atlas, chosen),
        *_map_items(atlas, settings),
        FigureItem(
            "figure-13-distances",
            lambda: captions.distances(atlas, metric),
            lambda width: distance_heatmap(atlas, metric, width),
            {f"figure-13-distances-{metric}": lambda: distance_pairs(atlas, metric)},
            COLUMN_WIDTH,
        ),
        *_profile_items(atlas),
    ]
    if atlas.view_prompts():
        items += _sheet_items(atlas, chosen, settings.look_alikes)
    return sorted(items, key=lambda item: item.name)


def choose_items(items: Sequence[FigureItem], only: Sequence[str] | str) -> list[FigureItem]:
    """Return the items that are named: `4`, `figure-04-heads`, `model-map`; all if none is named.

    Raises:
        InputError: if a word names no item.
    """
    words = [only] if isinstance(only, str) else list(only)
    for word in words:
        if not isinstance(word, str) or not any(item.is_meant_by(word) for item in items):
            raise InputError(
                f"figure {word!r:.80} is not known. Give the number in the paper, such as 4, or "
                f"one of {', '.join(item.name for item in items)}."
            )
    return [item for item in items if not words or any(map(item.is_meant_by, words))]


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


def _tables(atlas: Atlas) -> list[FigureItem]:
    name = "table-1-models"
    return [FigureItem(name, lambda: "Models used.", None, {name: lambda: models_table(atlas)})]


def _artificial_items(atlas: Atlas) -> list[FigureItem]:
    """Return figure 2, whose patterns have no texts; none for an embedding that needs texts."""
    if set(atlas.embedding().feature_names) & set(feature_names("tokens")):
        return []
    name = "figure-02-artificial"
    return [
        FigureItem(
            name,
            captions.artificial,
            lambda width: artificial_example(atlas, width),
            {name: lambda: artificial_distances(atlas)},
        )
    ]


def _embedding_items(atlas: Atlas, chosen: Callable[[], Sequence[str]]) -> list[FigureItem]:
    """Return figures 4, 10, 11 and 12: patterns and features."""
    components = {COMPONENTS: lambda: component_points(atlas, chosen())}
    return [
        FigureItem(
            "figure-04-models",
            lambda: captions.clouds(atlas),
            lambda width: pattern_embedding(atlas, width=width),
            components,
        ),
        FigureItem(
            "figure-04-heads",
            lambda: captions.clouds(atlas, chosen()),
            lambda width: pattern_embedding(atlas, chosen(), width=width),
            components,
        ),
        FigureItem(
            "figure-10-features",
            captions.features,
            lambda width: feature_importance(atlas, width=width),
            {"figure-10-features": lambda: importance_table(atlas)},
            COLUMN_WIDTH,
        ),
        FigureItem(
            "figure-10-correlation",
            captions.correlation,
            lambda width: correlation_matrix(atlas, width),
            {"figure-10-correlation": lambda: correlation_table(atlas)},
            COLUMN_WIDTH,
        ),
        FigureItem(
            "figure-11-variance",
            lambda: captions.variance(atlas),
            lambda width: variance_explained(atlas, width),
            {"figure-11-variance": lambda: variance_table(atlas)},
            COLUMN_WIDTH,
        ),
        FigureItem(
            "figure-12-components",
            lambda: captions.pairs(atlas),
            lambda width: component_pairs(atlas, width=width),
            components,
        ),
    ]


def _map_items(atlas: Atlas, settings: FigureSettings) -> list[FigureItem]:
    """Return figures 7, 14 and 15: heads as points."""
    first, k = atlas.models[0], settings.isomap_neighbors
    sizes = list(settings.neighbors) or None
    names = ("figure-07-isomap", "figure-14-projections-one-model", "figure-15-projections-all")
    return [
        FigureItem(
            names[0],
            lambda: captions.maps(f"by Isomap with {k} neighbours: {first}, and all models"),
            lambda width: head_maps(atlas, [first, ALL_MODELS], ["isomap"], [k], width),
            {
                f"{names[0]}-one-model": lambda: head_map_table(atlas, first, ["isomap"], [k]),
                f"{names[0]}-all": lambda: head_map_table(atlas, ALL_MODELS, ["isomap"], [k]),
            },
        ),
        FigureItem(
            names[1],
            lambda: captions.maps(f"of {first} by three methods and several neighbourhood sizes"),
            lambda width: head_maps(atlas, [first], n_neighbors=sizes, width=width),
            {names[1]: lambda: head_map_table(atlas, first, n_neighbors=sizes)},
        ),
        FigureItem(
            names[2],
            lambda: captions.maps("of all models by three methods and several neighbourhood sizes"),
            lambda width: head_maps(atlas, [ALL_MODELS], n_neighbors=sizes, width=width),
            {names[2]: lambda: head_map_table(atlas, ALL_MODELS, n_neighbors=sizes)},
        ),
    ]


def _sheet_items(atlas: Atlas, chosen: Callable[[], Sequence[str]], n: int) -> list[FigureItem]:
    """Return figures 3, 5, 6, 8 and 9: patterns of heads."""

    @functools.cache
    def shown() -> dict[str, LookAlikes]:
        return look_alikes(atlas, n)

    name = "figure-03-patterns"
    items = [
        FigureItem(
            name,
            lambda: captions.patterns(atlas, chosen()),
            lambda width: pattern_sheet(atlas, chosen(), width=width),
            {name: lambda: pattern_numbers(atlas, chosen())},
        )
    ]
    # A small atlas has too few heads for four figures without repetition.
    for figure in SHOWN_HEADS if len(atlas.heads) >= len(SHOWN_HEADS) else ["5"]:
        stem = f"figure-{int(figure):02}-look-alikes"

        def draw(width: float, figure: str = figure) -> Figure:
            each = shown()[figure]
            notes = row_notes(atlas, each)
            return pattern_sheet(atlas, each.heads, width=width, notes=notes, query=True)

        def caption(figure: str = figure) -> str:
            each = shown()[figure]
            return f"{look_alike_caption(atlas, each)} {captions.sheet(atlas)}"

        items.append(
            FigureItem(
                stem,
                caption,
                draw,
                {
                    stem: lambda figure=figure: pattern_numbers(atlas, shown()[figure].heads),  # type: ignore[misc]
                    f"{stem}-heads": lambda figure=figure: look_alike_table(  # type: ignore[misc]
                        atlas, shown()[figure]
                    ),
                },
            )
        )
    return items


def _profile_items(atlas: Atlas) -> list[FigureItem]:
    """Return the figures that the paper does not have; an atlas may lack what they need."""
    shares = {"motif-shares": lambda: motif_table(atlas)}
    maps = [
        FigureItem(
            f"model-map-{re.sub(r'[^A-Za-z0-9.]+', '-', model)}",
            lambda model=model: captions.model_map(model),  # type: ignore[misc]
            lambda width, model=model: model_map(atlas, model, width),  # type: ignore[misc]
            shares,
            COLUMN_WIDTH,
            optional=True,
        )
        for model in atlas.models
    ]
    return [
        *maps,
        FigureItem(
            "motifs-by-depth", captions.depth, lambda width: motifs_by_depth(atlas, width), shares,
            optional=True,
        ),
        FigureItem(
            "evaluation", lambda: captions.evaluation(atlas),
            lambda width: evaluation_headline(atlas, width=width),
            {"evaluation": lambda: headline_table(atlas)}, optional=True,
        ),
        FigureItem(
            "reliability", lambda: captions.verdicts(atlas),
            lambda width: reliability_curve(atlas, width=width),
            {"reliability": lambda: reliability_table(atlas)}, COLUMN_WIDTH, optional=True,
        ),
        FigureItem(
            "training", captions.training, lambda width: heads_through_training(atlas, width),
            {"training": lambda: training_table(atlas)}, optional=True,
        ),
    ]  # fmt: skip
