"""One call for every figure: `atlas.plot("distances")`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from attention_motifs.errors import InputError
from attention_motifs.figures.arguments import check_atlas, check_count
from attention_motifs.figures.artificial import artificial_example
from attention_motifs.figures.clouds import component_pairs, pattern_embedding
from attention_motifs.figures.feature_figures import correlation_matrix, feature_importance
from attention_motifs.figures.head_maps import ALL_MODELS, head_maps
from attention_motifs.figures.heatmap import distance_heatmap
from attention_motifs.figures.look_alikes import nearest_to, row_notes
from attention_motifs.figures.profiles import model_map, motifs_by_depth
from attention_motifs.figures.quality import evaluation_headline, reliability_curve
from attention_motifs.figures.sheet import pattern_sheet
from attention_motifs.figures.style import PAGE_WIDTH
from attention_motifs.figures.training import heads_through_training
from attention_motifs.figures.typical import typical_heads
from attention_motifs.figures.variance import variance_explained

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure

    from attention_motifs.atlas import Atlas
    from attention_motifs.head import HeadId


def near_sheet(atlas: Atlas, head: str | HeadId, n: int = 5, width: float = PAGE_WIDTH) -> Figure:
    """Draw a head and its n nearest heads by Eq. 3, with distances, classes and verdicts.

    Args:
        atlas: an atlas with patterns for viewing and distances by `mean`.
        head: the head.
        n: number of nearest heads.
        width: width in inches.

    Raises:
        HeadNotFoundError: if the head is not in the atlas.
        AtlasError: if the atlas lacks the distances or patterns for viewing.
    """
    check_atlas(atlas)
    shown = nearest_to(atlas, head, check_count("n", n))
    notes = row_notes(atlas, shown)
    return pattern_sheet(atlas, shown.heads, width=width, notes=notes, query=True)


def _patterns(atlas: Atlas, heads: Sequence[str | HeadId] | None = None, **options: Any) -> Figure:
    return pattern_sheet(atlas, typical_heads(atlas) if heads is None else heads, **options)


def _map(atlas: Atlas, model: str = ALL_MODELS, **options: Any) -> Figure:
    return head_maps(atlas, [model], **options)


PLOTS: Mapping[str, Callable[..., Figure]] = MappingProxyType(
    {
        "artificial": artificial_example,
        "components": pattern_embedding,
        "correlation": correlation_matrix,
        "depth": motifs_by_depth,
        "distances": distance_heatmap,
        "evaluation": evaluation_headline,
        "features": feature_importance,
        "map": _map,
        "model": model_map,
        "near": near_sheet,
        "pairs": component_pairs,
        "patterns": _patterns,
        "reliability": reliability_curve,
        "training": heads_through_training,
        "variance": variance_explained,
    }
)
"""Functions that draw a figure of an atlas, by the name for `plot`."""


def plot(atlas: Atlas, name: str, *arguments: Any, **options: Any) -> Figure:
    """Draw a figure of an atlas.

    Args:
        atlas: the atlas.
        name: `artificial`, `components`, `correlation`, `depth`, `distances`, `evaluation`,
            `features`, `map`, `model`, `near`, `pairs`, `patterns`, `reliability`, `training` or
            `variance`.
        arguments: such as the head for `near`, the heads for `patterns` and `components`, the
            metric for `distances`, the model for `model` and `map`.
        options: `width` in inches, and what else the figure takes.

    Returns:
        A figure of matplotlib, which notebooks show; save it with `figure.savefig("name.pdf")`.

    Raises:
        InputError: if the figure or an option is not known.
        AtlasError: if the atlas lacks what the figure needs; the message names the command.

    Examples:
        >>> import attention_motifs as am
        >>> atlas = am.Atlas.open("demo-atlas")
        >>> atlas.plot("distances", width=5.5).get_figwidth()
        5.5
    """
    check_atlas(atlas)
    if not isinstance(name, str) or name not in PLOTS:
        raise InputError(f"figure {name!r:.80} is not known. Choose {', '.join(PLOTS)}.")
    draw = PLOTS[name]
    try:
        inspect.signature(draw).bind(atlas, *arguments, **options)
    except TypeError as error:
        raise InputError(
            f"figure {name!r} cannot be drawn: {error}. Its arguments are "
            f"{', '.join(list(inspect.signature(draw).parameters)[1:])}."
        ) from error
    return draw(atlas, *arguments, **options)
