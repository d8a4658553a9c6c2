"""What the site tells of models, prompts, heads, classes and scores."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_motifs.atlas import Atlas
from attention_motifs.behaviour import BEHAVIOURS, CLASS_THRESHOLDS, computed_classes
from attention_motifs.literature import (
    COMPUTED_COLOURS,
    group_colours,
    known_heads,
    load_known_heads,
)
from attention_motifs.site.contract import (
    ClassTag,
    Clustering,
    HeadClass,
    Model,
    PatternChunk,
    Prompt,
    Score,
    Table,
    Tokens,
)
from attention_motifs.site.output import DataFolder, NamedColumn, codes

if TYPE_CHECKING:
    import polars as pl

LONGEST_TEXT = 1000
LONGEST_TOKEN = 100

SPREAD = " spread"
"""Ending of the column that holds a score's standard deviation over sequences."""

_SIZE = re.compile(r"\d+(\.\d+)?[kmbt]|small|medium|large|xl|base|mini|tiny", re.IGNORECASE)


def models(
    atlas: Atlas, tokens: dict[str, str], patterns: dict[str, list[PatternChunk]]
) -> list[Model]:
    """The models of the atlas, in the order of the heads."""
    made, row = [], 0
    for name, info in atlas.manifest.models.items():
        n_layers, n_heads = info.n_layers, info.n_heads
        architecture = str(info.architecture or info.kind or "")
        made.append(
            Model(
                name=name,
                architecture=architecture,
                n_layers=n_layers,
                n_heads=n_heads,
                n_parameters=int(info.n_parameters or 0),
                first_row=row,
                bos=bool(info.bos),
                dtype=str(info.dtype or ""),
                licence=str(info.licence or ""),
                source=str(info.location or info.kind or ""),
                revision=info.revision,
                weights_sha256=str(info.weights_sha256 or ""),
                added=bool(info.added),
                family=family(name, architecture),
                tokens=tokens[name],
                patterns=patterns[name],
            )
        )
        row += n_layers * n_heads
    return made


def family(name: str, architecture: str) -> str:
    """Name of the models of one make: `pythia` of `org/pythia-1b-deduped`.

    It is what stands before the size in the name; where no size is written, the architecture.
    """
    parts = name.rpartition("/")[2].split("-")
    for i, part in enumerate(parts):
        if i and _SIZE.fullmatch(part):
            return "-".join(parts[:i])
    return architecture or name


def prompts(atlas: Atlas) -> list[Prompt]:
    """All prompts with the beginnings of their texts and their numbers of tokens."""
    n_tokens = [atlas.tokens(model)["token_ids"].list.len().to_list() for model in atlas.models]
    n_view = len(atlas.view_prompts())
    return [
        Prompt(
            id=row["prompt_id"],
            source=row["source"],
            text=row["text"][:LONGEST_TEXT],
            cut=len(row["text"]) > LONGEST_TEXT,
            n_tokens=[lengths[i] for lengths in n_tokens],
            viewable=i < n_view,
        )
        for i, row in enumerate(atlas.prompts.iter_rows(named=True))
    ]


def write_tokens(atlas: Atlas, out: DataFolder) -> dict[str, str]:
    """Write the tokens of the viewable prompts; return the file of each model."""
    n_view = len(atlas.view_prompts())
    written = {}
    for code, model in enumerate(atlas.models):
        listed = atlas.tokens(model)["tokens"].head(n_view).to_list()
        cut = [[_cut(token) for token in tokens] for tokens in listed]
        written[model] = f"tokens/{code}.json.bin"
        out.json(written[model], Tokens(list(range(n_view)), cut))
    return written


def _cut(token: str) -> str:
    return token if len(token) <= LONGEST_TOKEN else token[: LONGEST_TOKEN - 1] + "…"


def scores(atlas: Atlas) -> list[Score]:
    """The behaviour scores in the heads table."""
    return [
        Score(name, meaning, CLASS_THRESHOLDS.get(name))
        for name, meaning in BEHAVIOURS.items()
        if name in atlas.heads.columns
    ]


def score_values(heads: pl.DataFrame, name: str) -> np.ndarray[Any, Any]:
    """A column of the heads table as numbers; NaN where a head was not scored."""
    return heads[name].fill_null(float("nan")).to_numpy()


def tags(atlas: Atlas) -> list[ClassTag]:
    """Every source's word on a head of this atlas."""
    import polars as pl

    rows = {head: i for i, head in enumerate(atlas.heads["head"].to_list())}
    said = pl.concat([known_heads(model, atlas.paths.own_classes) for model in atlas.models])
    return [
        ClassTag(
            row=rows[one["head"]],
            head_class=one["class"],
            paper=one["paper"],
            url=one["url"],
            evidence=one["evidence"],
            note=one["note"],
            conflict=one["conflict"],
        )
        for one in said.iter_rows(named=True)
        if one["head"] in rows  # a model of that name may have fewer heads than the paper's
    ]


def classes(atlas: Atlas, tagged: list[ClassTag]) -> list[HeadClass]:
    """All classes of the literature and of the atlas's own file, and those by behaviour scores."""
    literature, colours = load_known_heads(atlas.paths.own_classes), groups(atlas)
    here = {literature.model_name(model) for model in atlas.models}
    made = []
    for one in literature.classes.values():
        elsewhere = [
            str(said.head)
            for said in literature.assignments
            if said.head_class == one.name and said.head.model not in here
        ]
        made.append(
            HeadClass(
                name=one.name,
                group=one.group,
                colour=colours[one.group],
                description=one.description,
                kind="literature",
                rows=sorted({tag.row for tag in tagged if tag.head_class == one.name}),
                elsewhere=list(dict.fromkeys(elsewhere)),
            )
        )
    there = {score.name: score_values(atlas.heads, score.name) for score in scores(atlas)}
    for name, members in computed_classes(there).items():
        made.append(
            HeadClass(
                name=f"{name} (computed)",
                group=name,
                colour=colours[name],
                description=f"{BEHAVIOURS[name]}, on repeated random tokens: a score of "
                f"{CLASS_THRESHOLDS[name]:g} or more",
                kind="computed",
                rows=np.flatnonzero(members).tolist(),
                elsewhere=[],
            )
        )
    return made


def groups(atlas: Atlas) -> dict[str, str]:
    """Colour of each class group: the literature's, own ones, those of computed classes alone."""
    return {**group_colours(atlas.paths.own_classes), **COMPUTED_COLOURS}


def heads_table(
    atlas: Atlas, all_classes: list[HeadClass], clusterings: list[Clustering], out: DataFolder
) -> Table:
    """Write the table of heads; see `contract.Manifest.heads`."""
    heads = atlas.heads
    names = list(groups(atlas))
    group_of = np.full(len(heads), -1)
    for one in reversed(all_classes):  # so that the literature, which comes first, has its way
        group_of[one.rows] = names.index(one.group)
    columns: list[NamedColumn] = [
        ("model", "uint16", codes(heads["model"].to_list(), atlas.models), list(atlas.models)),
        ("layer", "uint16", heads["layer"].to_numpy(), None),
        ("index", "uint16", heads["index"].to_numpy(), None),
        ("depth", "float32", heads["depth"].to_numpy(), None),
        ("class_group", "uint8", group_of, names),
    ]
    measured = [name for score in scores(atlas) for name in (score.name, score.name + SPREAD)]
    columns += [
        (name, "float16", score_values(heads, name), None)
        for name in measured
        if name in heads.columns
    ]
    for made in clusterings:
        labels = heads[f"cluster ({made.method})"].fill_null(-1).to_numpy()
        columns.append((f"cluster {made.method}", "uint16", labels, None))
    return out.table("heads.bin", columns)
