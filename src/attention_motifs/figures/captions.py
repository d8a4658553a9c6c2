"""Captions of the figures: what is shown, of how much, by which metric and seed, what is cut."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from attention_motifs.figures.arguments import regular_sample
from attention_motifs.figures.clouds import MAX_POINTS
from attention_motifs.figures.style import fitted

if TYPE_CHECKING:
    from attention_motifs.atlas import Atlas

_TEXT_POINTS = 150.0


def facts(atlas: Atlas) -> str:
    """Return what all captions share: models, heads, prompts, tokens, seed."""
    settings, models = atlas.manifest.configuration, atlas.models
    n_prompts = int(atlas.manifest.prompts["n"])
    names = ", ".join(models)
    return (
        f"Data: {len(models)} {'model' if len(models) == 1 else 'models'} ({names}), "
        f"{len(atlas.heads):,} heads, {n_prompts:,} prompts ({settings.prompts}) of at most "
        f"{settings.max_tokens} tokens, {n_prompts * len(atlas.heads):,} patterns, seed "
        f"{settings.seed}; embedding in {atlas.embedding().n_components} components."
    )


def full(atlas: Atlas, name: str, caption: str) -> str:
    """Return a whole caption: the number in the paper, the caption, and the shared facts."""
    kind, number, *_ = (*name.split("-"), "")
    begin = f"{kind.capitalize()} {int(number)}. " if number.isdigit() else ""
    return f"{begin}{caption} {facts(atlas)}"


def artificial() -> str:
    """Return the caption of figure 2."""
    return (
        "Artificial example, of no model: A2 and A3 share a motif, vertical bars, though they "
        "attend to unlike tokens; A1 attends to the tokens of A2 along a diagonal. Rows are query "
        "tokens, columns key tokens; the colour is the square root of the attention. Distances "
        "(Eq. 3) are those of the same heads on 16 texts at random."
    )


def _sample(atlas: Atlas) -> str:
    total = int(atlas.manifest.prompts["n"]) * len(atlas.heads)
    if total <= MAX_POINTS:
        return f"All {total:,} patterns are drawn."
    return f"{MAX_POINTS:,} of {total:,} patterns are drawn, sampled with seed 0."


def clouds(atlas: Atlas, heads: Sequence[str] = ()) -> str:
    """Return the captions of figure 4."""
    what = (
        f"Points are the patterns of {', '.join(heads)}; hexagons"
        if heads
        else "Contours enclose 50 and 90 % of the patterns of each model; hexagons"
    )
    return (
        f"Patterns in the first three principal components. {what} show the number of patterns "
        f"on a logarithmic scale. {_sample(atlas)} Up to a thousandth of the patterns of an axis "
        "are outside of the frame; panels give their number."
    )


def pairs(atlas: Atlas) -> str:
    """Return the caption of figure 12."""
    return (
        "Pairs of the first principal components. Contours enclose 50 and 90 % of the patterns of "
        "each model, grey shows the number of patterns on a logarithmic scale, and the diagonal "
        f"the distribution of each model. {_sample(atlas)} Each axis leaves out the outermost "
        "thousandth at either end."
    )


def features() -> str:
    """Return the caption of figure 10, top."""
    return (
        "The most important features: their share of the variance of the kept components, in "
        "percent of the variance of all standardised features. The table has all features."
    )


def correlation() -> str:
    """Return the caption of figure 10, bottom."""
    return (
        "Correlation of all features over all patterns, by family; the order is that of the "
        "feature table. Names of narrow families are left out."
    )


def variance(atlas: Atlas) -> str:
    """Return the caption of figure 11."""
    n = atlas.embedding().n_components
    return f"Share of variance by principal components, of which {n} are kept."


def maps(what: str) -> str:
    """Return the captions of figures 7, 14 and 15."""
    return (
        f"Heads as points, {what}, from the distances of Eq. 3. Colour and shape are the class: "
        "with a black edge from the literature, else computed from behaviour scores. T is the "
        "trustworthiness and C the continuity of the projection, 1 at best. Axes have no unit."
    )


def distances(atlas: Atlas, metric: str) -> str:
    """Return the caption of figure 13."""
    by = "Eq. 3" if metric == "mean" else metric
    n_all, n = len(atlas.heads), len(regular_sample(len(atlas.heads)))
    of = f"{n:,} of {n_all:,} heads, every {-(-n_all // n)}th," if n < n_all else "heads"
    return (
        f"Distances of all {n * (n - 1) // 2:,} pairs of {of} by {by}, ordered by model, layer "
        "and index. Colours end at the 99th percentile of the distances; larger ones share the "
        "last colour."
    )


def sheet(atlas: Atlas) -> str:
    """Return what the captions of all sheets say: colour, axes, prompts."""
    known = dict(atlas.prompts.select("prompt_id", "text").iter_rows())
    texts = "; ".join(
        f"“{fitted(known.get(i, i), _TEXT_POINTS, 6.0)}”" for i in atlas.view_prompts()[:6]
    )
    return (
        "Rows of a pattern are query tokens, columns key tokens; the colour is the square root of "
        f"the attention, on one scale. Prompts from the left, as many as the width holds: {texts}."
    )


def patterns(atlas: Atlas, heads: Sequence[str]) -> str:
    """Return the caption of figure 3."""
    return (
        f"Patterns of {len(heads)} heads, with their largest motif shares (means over all "
        f"prompts) and classes with scores. {sheet(atlas)}"
    )


def model_map(model: str) -> str:
    """Return the caption of the map of a model."""
    return (
        f"Heads of {model} by layer and index. Colour and letter are the motif with the largest "
        "mean share; the paler, the smaller the share (full colour from 80 %)."
    )


def depth() -> str:
    """Return the caption of the mixtures over depth."""
    return "Mean motif shares of the heads of each layer, over all prompts."


def evaluation(atlas: Atlas) -> str:
    """Return the caption of the evaluation's headline."""
    from attention_motifs.atlas.stored_evaluation import read_evaluation

    settings = read_evaluation(atlas).settings
    n = settings.get("n_bootstraps")
    return (
        "S5, the mean behaviour score of the five nearest heads of the heads of each behaviour, "
        "relative to the highest possible; means over behaviours and models. Bars are 95 % "
        f"bootstrap intervals over heads ({n} resamples, seed {settings.get('seed')}). Grey lines "
        "are the null matched by layer and the ceilings."
    )


def verdicts(atlas: Atlas) -> str:
    """Return the caption of the reliability curve."""
    return (
        "Reliability of class probabilities: heads of each model judged by the labelled heads of "
        "the other models alone. Bars are 95 % Wilson intervals; the diagonal is perfect "
        f"calibration. Voters by {atlas.best_metric}."
    )


def training() -> str:
    """Return the caption of heads through training."""
    return (
        "Scores of all heads at every version of the models: a thin line per head, a thick one for "
        "the largest score of a run. The dashed line is the smallest score of the class."
    )
