"""Commands that query an atlas and do not change it."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from attention_motifs.atlas import IMPORTED, Atlas, queries
from attention_motifs.atlas.head_distances import AllPairs, stored_distances
from attention_motifs.cli import options as o
from attention_motifs.cli.application import app
from attention_motifs.cli.console import print_json, print_line, print_table
from attention_motifs.cli.near_patterns import print_near_patterns, refuse_options
from attention_motifs.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float

    from attention_motifs.atlas.blocks import DescribedMetric
    from attention_motifs.atlas.queries import NearHead

_SHADES = " .:-=+*#%@"


@app.command()
def near(
    head: o.HeadsArgument = None,
    atlas: o.AtlasOption = None,
    n: Annotated[int, o.count_option("-n", "Number of heads to list.")] = 10,
    metric: o.BestMetricOption = None,
    patterns: o.PatternsOption = None,
    scope: Annotated[
        Literal["all", "within", "across"],
        typer.Option("--scope", help="Heads of all models, within the head's model, or across."),
    ] = "all",
    model: o.ModelFilterOption = None,
    layers: Annotated[
        str | None,
        o.value_option(
            "--layers",
            "LAYERS",
            "Only heads of these layers, such as 5, 4,9 (two layers), 4-9 or 4- (from 4 on).",
            unset="all layers",
        ),
    ] = None,
    farthest: Annotated[
        bool, typer.Option("--farthest", help="List the most distant heads instead.")
    ] = False,
    without: o.WithoutOption = None,
    without_model: o.WithoutModelOption = None,
    where: o.WhereOption = None,
    json: o.JsonOption = False,
) -> None:
    """List the heads nearest to HEAD, or nearest to several heads together.

    Examples:
      motifs near smollm2-135m-instruct:L18:H6
      motifs near smollm2-135m-instruct:L18:H6 --metric recommended --scope across -n 5
      motifs near gemma-3-270m:L5:H1 --layers 4-9 --json
      motifs near gemma-3-270m:L5:H1 gemma-3-270m:L8:H0 --not-model gemma-3-270m
      motifs near smollm2-135m-instruct:L18:H6 --where genre=fiction
      motifs near --patterns patterns.npy
    """
    from attention_motifs.atlas.queries import why_nothing_is_near

    opened = o.on_prompts(Atlas.open(o.find_atlas(atlas)), where)
    if patterns is not None or not head:
        unused = {"HEAD": head, "--layers": layers, "--not": without, "--farthest": farthest,
                  "--scope": scope != "all"}  # fmt: skip
        refuse_options(unused, patterns)
        print_near_patterns(opened, Path(str(patterns)), n, metric, model, without_model, json=json)
        return
    metric = metric or opened.best_metric
    neighbours = queries.near(
        opened,
        head,
        n,
        metric,
        scope=scope,
        models=model,
        layers=_layers(layers),
        farthest=farthest,
        without=without or (),
        without_models=without_model or (),
    )
    if json:
        print_json([item.to_json() for item in neighbours])
        return
    if not neighbours:
        reason = why_nothing_is_near(
            opened, head, scope=scope, models=model, layers=_layers(layers)
        )
        print_line(f"No head to list: {reason}.")
        return
    which = "Farthest from" if farthest else "Nearest to"
    names = ", ".join(head)
    n_others = len(opened.heads) - len(set(head))
    some = f", on some prompts ({len(opened.prompts)})" if where else ""
    title = f"{which} {names} by {metric}, of {n_others} heads{some}"
    _print_neighbours(title, neighbours, "far" if farthest else "near")


def _print_neighbours(title: str, neighbours: Sequence[NearHead], extent: str = "near") -> None:
    print_table(
        title,
        ["rank", "head", "distance", "percentile", "p", "classes"],
        [[x.rank, x.head, x.distance, x.percentile, x.p, x.class_text] for x in neighbours],
    )
    if any(x.p is not None for x in neighbours):
        print_line(
            "percentile: among pairs of these two layers (50 is typical). p: chance that k heads "
            f"are this {extent}; for k = 1 at least 1 / (heads in the layer)."
        )


def _layers(text: str | None) -> list[int] | range | slice | None:
    """Read `5`, `4,9`, `4-9` or `4-`."""
    if text is None:
        return None
    if re.fullmatch(r"\s*\d{1,5}\s*(,\s*\d{1,5}\s*)*", text, re.ASCII):
        return [int(layer) for layer in text.split(",")]
    match = re.fullmatch(r"\s*(\d{1,5})\s*-\s*(\d{1,5})?\s*", text, re.ASCII)
    if match is None:
        raise InputError(
            f"--layers {text!r}: write layers, such as 5 or 4,9, or a range, as 4-9 or 4-"
        )
    first = int(match[1])
    if not match[2]:
        return slice(first, None)
    last = int(match[2])
    if last < first:
        raise InputError(f"--layers {text}: the range is empty; write {last}-{first}")
    return range(first, last + 1)


@app.command()
def show(
    head: o.HeadArgument,
    atlas: o.AtlasOption = None,
    prompt: Annotated[
        str | None,
        o.value_option(
            "--prompt",
            "NUMBER|ID",
            "Prompt whose pattern to draw: its number in `motifs prompts`, or the first "
            "characters of its id.",
            unset="the first",
        ),
    ] = None,
    n: Annotated[
        int, o.count_option("-n", "Number of unusual features and of neighbours to list.")
    ] = 5,
    metric: o.BestMetricOption = None,
    size: Annotated[int, o.count_option("--size", "Maximum width of the drawing, in cells.")] = 32,
    json: o.JsonOption = False,
) -> None:
    """Show one head: its pattern, its most unusual features, and its neighbours.

    Examples:
      motifs show smollm2-135m-instruct:L18:H6
      motifs show smollm2-135m-instruct:L18:H6 --prompt 2 --size 48
      motifs show gemma-3-270m:L5:H1 --json
    """
    from attention_motifs.atlas.queries import unusual_features
    from attention_motifs.literature.behaviours import class_text, measured_classes

    opened = Atlas.open(o.find_atlas(atlas))
    row = opened.heads.row(opened.head_index(head), named=True)
    chosen = _prompt_id(opened, prompt)
    unusual = unusual_features(opened, head, n)
    metric = metric or opened.best_metric
    neighbours = queries.near(opened, head, n, metric)
    if json:
        print_json(
            {
                **row,
                "unusual_features": [vars(u) for u in unusual],
                "near": [x.to_json() for x in neighbours],
            }
        )
        return
    if chosen is None:
        print_line("This atlas has no stored patterns.")
    else:
        pattern = opened.pattern(head, chosen)
        print_line(f"{row['head']} on prompt {chosen} ({len(pattern)} tokens), row = query")
        print_line(draw_pattern(pattern, size))
    classes = class_text(row["classes"], measured_classes(row)) or "none known"
    print_line(f"depth {row['depth']:.2f} (0 first layer, 1 last); classes: {classes}")
    print_table(
        "Most unusual features",
        ["feature", "mean", "z", "percentile"],
        [[u.feature, u.mean, u.z, u.percentile] for u in unusual],
    )
    if neighbours:
        _print_neighbours(f"Nearest by {metric}", neighbours)
    else:
        print_line("The atlas has no other head.")


def _prompt_id(atlas: Atlas, prompt: str | None) -> str | None:
    """Return the id of the prompt to show, or None if the atlas stores no patterns.

    Args:
        atlas: with its prompts.
        prompt: number in `motifs prompts`, id of a probe, or first characters of a prompt's id.

    Raises:
        InputError: if no prompt or more than one matches, or its patterns are not stored.
    """
    probes = atlas.view_probes()
    stored = [*atlas.view_prompts(), *probes]
    if prompt is None:
        return stored[0] if stored else None
    chosen = prompt if prompt in probes else matching_prompt(atlas, prompt)
    if chosen not in stored:
        raise InputError(
            f"--prompt {prompt}: the atlas does not store the patterns of this prompt; choose one "
            f"marked in {atlas.paths.command('prompts')}"
        )
    return chosen


def matching_prompt(atlas: Atlas, prompt: str) -> str:
    """Return the id of the prompt that a user means.

    Args:
        atlas: with its prompts.
        prompt: number in `motifs prompts`, id, or the first characters of one.

    Raises:
        InputError: if no prompt or more than one matches.
    """
    ids: list[str] = atlas.prompts["prompt_id"].to_list()
    by_number = prompt.isdecimal() and prompt.isascii() and 1 <= int(prompt) <= len(ids)
    # An id may consist of digits alone: then it is longer than any number of a prompt.
    matches = [i for i in ids if i.startswith(prompt)] if prompt else []
    if by_number and len(prompt) <= len(str(len(ids))):
        matches = [ids[int(prompt) - 1]]
    if len(matches) != 1:
        reason = "no prompt has" if not matches else f"{len(matches)} prompts have"
        raise InputError(
            f"--prompt {prompt[:40]!r}: {reason} this number or start of an id; list them with "
            f"{atlas.paths.command('prompts')}"
        )
    return matches[0]


_FIRST_CHARACTERS = 48


@app.command()
def prompts(atlas: o.AtlasOption = None, json: o.JsonOption = False) -> None:
    """List the prompts of an atlas: number, id, source, first words, tokens, patterns stored.

    --json prints their labels too, for --where.

    Examples:
      motifs prompts --atlas demo-atlas
      motifs prompts --json
    """
    from attention_motifs.atlas.prompt_labels import labels_of

    opened = Atlas.open(o.find_atlas(atlas))
    stored = set(opened.view_prompts())
    tokens = _token_counts(opened)
    rows = [
        {
            "number": number,
            "id": row["prompt_id"],
            "source": row["source"],
            "meta": labels,
            "text": row["text"],
            "tokens": {model: counts.get(row["prompt_id"]) for model, counts in tokens.items()},
            "patterns": row["prompt_id"] in stored,
        }
        for number, (row, labels) in enumerate(
            zip(opened.prompts.iter_rows(named=True), labels_of(opened), strict=True), start=1
        )
    ]
    if json:
        print_json(rows)
        return
    print_table(
        f"Prompts of {opened.place}",
        ["number", "id", "source", "text", "tokens", "patterns stored"],
        [
            [
                row["number"],
                row["id"],
                row["source"],
                _first_words(row["text"]),
                "-".join(str(n) for n in sorted({n for n in row["tokens"].values() if n})),
                "yes" if row["patterns"] else "no",
            ]
            for row in rows
        ],
    )


def _token_counts(atlas: Atlas) -> dict[str, dict[str, int]]:
    """Return the number of tokens of each prompt, by model and prompt id."""
    counts = {}
    for model in atlas.models:
        table = atlas.tokens(model)
        lengths = table["token_ids"].list.len()
        counts[model] = dict(zip(table["prompt_id"], lengths.to_list(), strict=True))
    return counts


def _first_words(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _FIRST_CHARACTERS else line[: _FIRST_CHARACTERS - 3] + "..."


@app.command()
def features(
    feature_set: Annotated[
        str, typer.Argument(metavar="[SET|FEATURE]", help="Feature set, or name of one feature.")
    ] = "paper",
    json: o.JsonOption = False,
) -> None:
    """List features with their formula, range and meaning.

    Examples:
      motifs features
      motifs features diag.mean
      motifs features extended --json
    """
    from attention_motifs.features import feature_names, feature_sets, features_of

    if feature_set in feature_sets():
        chosen = list(features_of(feature_set))
    else:
        by_name = {f.name: f for s in feature_sets() for f in features_of(s)}
        if feature_set not in by_name:
            feature_names(feature_set)  # raises the error that offers similar names
        chosen = [by_name[feature_set]]
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
def metrics(atlas: o.AtlasOption = None, json: o.JsonOption = False) -> None:
    """List the metrics and presets of an atlas: what each compares, and what it lacks.

    Examples:
      motifs metrics
      motifs metrics --atlas demo-atlas --json
    """
    from attention_motifs.atlas.blocks import described_metrics

    opened = Atlas.open(o.find_atlas(atlas))
    described = described_metrics(opened)
    if json:
        print_json([asdict(metric) for metric in described])
        return
    print_table(
        "Metrics, the best first",
        ["metric", "heads at a small distance have", "distances"],
        [[m.name, m.description, _state(m)] for m in described],
    )
    for metric in described:
        if metric.lacks:
            print_line(f"{metric.name}: the atlas {metric.lacks}")


def _state(metric: DescribedMetric) -> str:
    if metric.lacks:
        return "not yet"
    return "stored" if metric.is_stored else "on request"


@app.command()
def info(atlas: o.AtlasOption = None, json: o.JsonOption = False) -> None:
    """Print what an atlas holds and how it was built.

    Examples:
      motifs info --atlas demo-atlas
      motifs info --json
    """
    opened = Atlas.open(o.find_atlas(atlas))
    if json:
        print_json(opened.manifest.to_json())
        return
    m = opened.manifest
    unfitted = "embed" not in m.stages
    print_line(f"{opened.place}: atlas of schema version {m.schema_version}, attention-motifs "
               f"{m.package_version}")  # fmt: skip
    print_table(
        "Models",
        ["model", "layers", "heads", "architecture", "BOS", "dtype", "embedding"],
        [
            [
                name,
                i.n_layers,
                i.n_all_heads,
                i.architecture or i.kind,
                i.bos,
                i.dtype,
                "none yet" if unfitted else "added later" if i.added else "fitted",
            ]
            for name, i in m.models.items()
        ],
    )
    c = m.configuration
    print_line(
        f"Prompts: {m.prompts['n']} of {c.prompts}, cut to {c.max_tokens} tokens, seed {c.seed}"
    )
    if opened.has_probes():
        print_line(f"Probes: {m.probes['n']} of {c.probe_tokens} tokens, seed {c.probe_seed}")
    elif c.prompts != IMPORTED:
        print_line(f"Probes: none or not of all models; run {opened.paths.command('probe')}")
    print_line(f"Feature sets: {', '.join(c.feature_sets)}; {c.n_components} components")
    stored = [
        name if isinstance(distances, AllPairs) else f"{name} (nearest heads)"
        for name, distances in stored_distances(opened).items()
    ]
    print_line(f"Distances: {', '.join(stored) or 'none yet'}")
    imputed = sum(sum(counts.values()) for counts in m.imputed.values())
    print_line(f"Values that were not finite and imputed: {imputed}")
    if "embed" not in m.stages or not stored:
        print_line("Not finished: run `motifs build` again with the same settings.")


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
