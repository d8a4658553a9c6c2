"""Commands that ask an atlas and change nothing."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any

import typer

from attention_motifs.atlas import Atlas
from attention_motifs.atlas.head_distances import AllPairs, stored_distances
from attention_motifs.cli import options as o
from attention_motifs.cli.app import app
from attention_motifs.cli.console import print_error, print_json, print_line, print_table, report
from attention_motifs.errors import AtlasError, InputError

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float

_SHADES = " .:-=+*#%@"


@app.command()
def near(
    head: o.HeadArgument,
    atlas: o.AtlasOption = None,
    n: Annotated[int, typer.Option("-n", help="How many neighbours.")] = 10,
    metric: o.MetricOption = "mean",
    scope: Annotated[
        str, typer.Option("--scope", help="all, within the head's model, or across models.")
    ] = "all",
    model: o.ModelFilterOption = None,
    layers: Annotated[
        str | None, typer.Option("--layers", help="Only heads of these layers, such as 4-9.")
    ] = None,
    farthest: Annotated[bool, typer.Option("--farthest", help="The most distant instead.")] = False,
    json: o.JsonOption = False,
) -> None:
    """List the heads nearest to HEAD.

    Examples:
      motifs near gpt2-small:L5:H1
      motifs near gpt2-small:L5:H1 --metric cosine --scope across -n 5
      motifs near gpt2-small:L5:H1 --layers 4-9 --json
    """
    from attention_motifs.atlas.queries import why_nothing_is_near

    there = Atlas.open(o.find_atlas(atlas))
    found = there.near(
        head,
        n,
        metric,
        scope=scope,
        models=model,
        layers=_layers(layers),
        farthest=farthest,
    )
    if json:
        print_json([item.to_json() for item in found])
        return
    if not found:
        why = why_nothing_is_near(there, head, scope=scope, models=model, layers=_layers(layers))
        print_line(f"Nothing found: {why}.")
        return
    which = "Farthest from" if farthest else "Nearest to"
    print_table(
        f"{which} {head} by {metric}, of {len(there.heads) - 1} heads",
        ["rank", "head", "distance", "classes"],
        [[f.rank, f.head, f.distance, ", ".join(f.classes)] for f in found],
    )


def _layers(text: str | None) -> range | slice | None:
    if text is None:
        return None
    first, dash, last = text.partition("-")
    if not first.isdecimal() or not (last or first).isdecimal():
        raise InputError(
            f"--layers {text!r}: write one layer, such as 5, or a range, such as 4-9 or 4-"
        )
    if dash and not last:
        return slice(int(first), None)
    return range(int(first), int(last or first) + 1)


@app.command()
def show(
    head: o.HeadArgument,
    atlas: o.AtlasOption = None,
    prompt: Annotated[
        str | None, typer.Option("--prompt", help="Id of a viewing prompt; default: the first.")
    ] = None,
    n: Annotated[int, typer.Option("-n", help="Unusual features and neighbours shown.")] = 5,
    metric: o.MetricOption = "mean",
    size: Annotated[int, typer.Option("--size", help="Width of the drawing.")] = 32,
    json: o.JsonOption = False,
) -> None:
    """Show one head: its pattern, what is unusual about it, and its neighbours.

    Examples:
      motifs show gpt2-small:L5:H1
      motifs show gpt2-small:L5:H1 --prompt 0123456789abcdef --json
    """
    from attention_motifs.atlas.queries import unusual_features

    there = Atlas.open(o.find_atlas(atlas))
    row = there.heads.row(there.head_index(head), named=True)
    unusual = unusual_features(there, head, n)
    neighbours = there.near(head, n, metric)
    if json:
        print_json(
            {
                **row,
                "unusual_features": [vars(u) for u in unusual],
                "near": [x.to_json() for x in neighbours],
            }
        )
        return
    prompts = there.view_prompts()
    if not prompts and prompt is None:
        print_line("No patterns are kept for viewing in this atlas.")
    else:
        chosen = prompt or prompts[0]
        pattern = there.pattern(head, chosen)
        print_line(f"{row['head']} on prompt {chosen} ({len(pattern)} tokens), row = query")
        print_line(draw_pattern(pattern, size))
    classes = ", ".join(row["classes"]) or "none known"
    print_line(f"depth {row['depth']:.2f} (0 first layer, 1 last); classes: {classes}")
    print_table(
        "Most unusual features",
        ["feature", "mean", "z", "percentile"],
        [[u.feature, u.mean, u.z, u.percentile] for u in unusual],
    )
    print_table(
        f"Nearest by {metric}",
        ["rank", "head", "distance", "classes"],
        [[x.rank, x.head, x.distance, ", ".join(x.classes)] for x in neighbours],
    )


@app.command()
def features(
    feature_set: Annotated[
        str, typer.Argument(metavar="[SET or FEATURE]", help="A set, or one feature's name.")
    ] = "paper",
    json: o.JsonOption = False,
) -> None:
    """List features with formula and meaning.

    Examples:
      motifs features
      motifs features diag.mean
      motifs features paper --json
    """
    from attention_motifs.features import feature_names, feature_sets, features_of

    if feature_set in feature_sets():
        chosen = list(features_of(feature_set))
    else:
        everything = {f.name: f for s in feature_sets() for f in features_of(s)}
        if feature_set not in everything:
            feature_names(feature_set)  # raises the error that offers the near names
        chosen = [everything[feature_set]]
    if json:
        print_json([_feature_json(f) for f in chosen])
        return
    for f in chosen:
        low, high = f.range
        print_line(f"{f.name}   [{low:g}, {high:g}]   {f.formula}")
        print_line(f"    large: {f.large}  (source: {f.source})")


def _feature_json(f: Any) -> dict[str, Any]:
    low, high = f.range
    return {
        "name": f.name,
        "context": f.context,
        "statistic": f.statistic,
        "formula": f.formula,
        "range": [None if math.isinf(low) else low, None if math.isinf(high) else high],
        "large": f.large,
        "source": f.source,
        "cost": f.cost,
    }


@app.command()
def info(atlas: o.AtlasOption = None, json: o.JsonOption = False) -> None:
    """Tell what an atlas holds and how it was made.

    Examples:
      motifs info --atlas my-atlas
      motifs info --json
    """
    there = Atlas.open(o.find_atlas(atlas))
    if json:
        print_json(there.manifest.to_json())
        return
    m = there.manifest
    print_line(f"{there.path}: atlas of schema version {m.schema_version}, attention-motifs "
               f"{m.package_version}")  # fmt: skip
    print_table(
        "Models",
        ["model", "layers", "heads", "architecture", "BOS", "dtype", "in the fit"],
        [
            [
                name,
                i["n_layers"],
                i["n_layers"] * i["n_heads"],
                i.get("architecture", i.get("kind")),
                i.get("bos"),
                i.get("dtype"),
                "no, added" if i.get("added") else "yes",
            ]
            for name, i in m.models.items()
        ],
    )
    c = m.configuration
    print_line(
        f"Prompts: {m.prompts['n']} of {c.prompts}, cut to {c.max_tokens} tokens, seed {c.seed}"
    )
    print_line(f"Feature sets: {', '.join(c.feature_sets)}; {c.n_components} components")
    stored = [
        name if isinstance(distances, AllPairs) else f"{name} (nearest heads)"
        for name, distances in stored_distances(there).items()
    ]
    print_line(f"Distances: {', '.join(stored) or 'none yet'}")
    imputed = sum(sum(counts.values()) for counts in m.imputed.values())
    print_line(f"Values that were not finite and were imputed: {imputed}")
    if "embed" not in m.stages or not stored:
        print_line("Not finished: run `motifs build` with the same settings again.")


@app.command()
def check(
    atlas: Annotated[str | None, typer.Argument(help="Folder of the atlas, or its URL.")] = None,
) -> None:
    """Verify every file of an atlas; leaves with 4 if anything is wrong.

    Examples:
      motifs check my-atlas
    """
    from attention_motifs.atlas.check import check_atlas

    there = Atlas.open(o.find_atlas(atlas))
    findings = check_atlas(there, report)
    for finding in findings:
        print_error(finding, start="")
    if findings:
        raise AtlasError(f"{there.path}: {len(findings)} finding(s), listed above")
    print_line(f"{there.path}: sound")


def draw_pattern(pattern: Float[np.ndarray, "n n"], size: int = 32) -> str:
    """Draw a pattern as `size` lines at most; darker is the square root of a larger weight.

    Blocks of entries show their largest, so that thin diagonals stay visible; NaN shows as `?`.
    """
    import numpy as np

    n = len(pattern)
    size = max(1, min(size, n))
    edges = np.linspace(0, n, size + 1).round().astype(int)
    lines = []
    for top, bottom in pairwise(edges):
        cells = [float(pattern[top:bottom, left:right].max()) for left, right in pairwise(edges)]
        lines.append("".join(2 * _shade(cell) for cell in cells).rstrip())
    return "\n".join(lines)


def _shade(weight: float) -> str:
    return "?" if math.isnan(weight) else _SHADES[round(math.sqrt(min(max(weight, 0.0), 1.0)) * 9)]
