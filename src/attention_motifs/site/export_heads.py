"""Export of models, prompts, heads, classes and scores."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_motifs.atlas import Atlas
from attention_motifs.atlas.prompt_labels import label_values, labels_of
from attention_motifs.atlas.stimuli import PROBES
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
    PatternFiles,
    Prompt,
    Score,
    Table,
    Tokens,
)
from attention_motifs.site.contract_distances import HeadFiles
from attention_motifs.site.head_blocks import head_blocks
from attention_motifs.site.output import DataFolder, NamedColumn, codes
from attention_motifs.site.viewable import tokens_of, viewable

if TYPE_CHECKING:
    import polars as pl

LONGEST_TEXT = 1000
LONGEST_TOKEN = 100
LONGEST_LABEL = 100

SPREAD = " spread"
"""Suffix of the column of a score's standard deviation over sequences."""

N_BINS = 48
HEADS_PER_FILE = 64

_SIZE = re.compile(r"\d+(\.\d+)?[kmbt]|small|medium|large|xl|base|mini|tiny", re.IGNORECASE)


def models(
    atlas: Atlas,
    tokens: dict[str, str],
    explanations: dict[str, list[str]],
    patterns: dict[str, PatternFiles],
) -> list[Model]:
    """Return the models of the atlas with their files, in the order of the heads."""
    described, row = [], 0
    for name, info in atlas.manifest.models.items():
        architecture = str(info.architecture or info.kind or "")
        described.append(
            Model(
                name=name,
                architecture=architecture,
                n_layers=info.n_layers,
                n_heads=info.n_heads,
                layers=list(info.layers),
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
                explanations=explanations[name],
                patterns=patterns[name],
            )
        )
        row += info.n_all_heads
    return described


def family(name: str, architecture: str) -> str:
    """Return the family of a model: `pythia` for `org/pythia-1b-deduped`.

    It is the part of the name before the size; the architecture if the name holds no size.
    """
    parts = name.rpartition("/")[2].split("-")
    for i, part in enumerate(parts):
        if i and _SIZE.fullmatch(part):
            return "-".join(parts[:i])
    return architecture or name


def prompts(atlas: Atlas) -> list[Prompt]:
    """Return all prompts, with the beginning of each text, and the probes that can be viewed."""
    n_tokens = [atlas.tokens(model)["token_ids"].list.len().to_list() for model in atlas.models]
    n_view = len(atlas.view_prompts())
    labels = labels_of(atlas)
    listed = [
        Prompt(
            id=row["prompt_id"],
            source=row["source"],
            text=row["text"][:LONGEST_TEXT],
            cut=len(row["text"]) > LONGEST_TEXT,
            n_tokens=[lengths[i] for lengths in n_tokens],
            viewable=i < n_view,
            labels=_labels(labels[i]),
            group="prompts",
        )
        for i, row in enumerate(atlas.prompts.iter_rows(named=True))
    ]
    return listed + _probes(atlas)


def _labels(labels: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the values of labels as `--where` compares them, without very long ones."""
    texts = {key: sorted(label_values(value)) for key, value in labels.items()}
    short = {key: [v for v in values if len(v) <= LONGEST_LABEL] for key, values in texts.items()}
    return {key: values for key, values in short.items() if values}


def _probes(atlas: Atlas) -> list[Prompt]:
    """Return the probes that can be viewed; none if some model was not run on them."""
    rows = [item.row for item in viewable(atlas) if item.stimuli is PROBES]
    if not rows:
        return []
    table = atlas.probes
    tables = [atlas.probe_sequences(model) for model in atlas.models]
    lengths = [of_model["token_ids"].list.len().to_list() for of_model in tables]
    repeats = [of_model["repeat_length"].to_list() for of_model in tables]
    listed = []
    for i in rows:
        row = table.row(i, named=True)
        text = row["text"] or _description(sorted({lengths_of[i] for lengths_of in repeats}))
        if row["repeats"] > 1:
            text = f"{row['repeats']} times: {text}"
        listed.append(
            Prompt(
                id=row["prompt_id"],
                source=row["source"],
                text=text[:LONGEST_TEXT],
                cut=len(text) > LONGEST_TEXT,
                n_tokens=[of_model[i] for of_model in lengths],
                viewable=True,
                labels={},
                group="probes",
            )
        )
    return listed


def _description(repeat_lengths: list[int]) -> str:
    return f"{' or '.join(map(str, repeat_lengths))} random tokens, repeated"


def write_tokens(atlas: Atlas, out: DataFolder) -> dict[str, str]:
    """Write the tokens of the viewable prompts and probes; return the file of each model."""
    shown = viewable(atlas)
    written = {}
    for code, model in enumerate(atlas.models):
        cut = [[_cut(token) for token in tokens] for tokens in tokens_of(atlas, model, shown)]
        written[model] = f"tokens/{code}.json.bin"
        out.json(written[model], Tokens([item.place for item in shown], cut))
    return written


def _cut(token: str) -> str:
    return token if len(token) <= LONGEST_TOKEN else token[: LONGEST_TOKEN - 1] + "…"


def scores(atlas: Atlas) -> list[Score]:
    """Return the behaviour scores in the heads table."""
    described = []
    for name, meaning in BEHAVIOURS.items():
        if name not in atlas.heads.columns:
            continue
        values = score_values(atlas.heads, name)
        present = values[np.isfinite(values)]
        high = float(present.max(initial=0.0)) or 1.0
        counts, _ = np.histogram(np.clip(present, 0, high), N_BINS, (0, high))
        described.append(Score(name, meaning, CLASS_THRESHOLDS.get(name), counts.tolist(), high))
    return described


def write_measured(atlas: Atlas, out: DataFolder) -> Table:
    """Write the scores that reach their threshold: pages that name heads need no others."""
    listed = [score for score in scores(atlas) if score.threshold is not None]
    found = [
        (row, code, value)
        for code, score in enumerate(listed)
        for row, value in enumerate(score_values(atlas.heads, score.name).tolist())
        if score.threshold is not None and value >= score.threshold
    ]
    rows, of_scores, reached = zip(*found, strict=True) if found else ((), (), ())
    return out.table(
        "measured.bin",
        [
            ("row", "uint32", np.array(rows), None),
            ("score", "uint8", np.array(of_scores), [score.name for score in listed]),
            ("value", "float16", np.array(reached), None),
        ],
    )


def write_scores_of_heads(atlas: Atlas, out: DataFolder) -> HeadFiles:
    """Write the scores of each head, with their percentiles among the heads."""
    names = [score.name for score in scores(atlas)]
    heads = atlas.heads
    compared = np.full((len(heads), 3, len(names)), np.nan)
    for place, name in enumerate(names):
        values = score_values(heads, name)
        present = np.sort(values[np.isfinite(values)])
        below = 100 * np.searchsorted(present, values, side="left") / max(1, len(present))
        compared[:, 0, place] = values
        compared[:, 2, place] = np.where(np.isfinite(values), below, np.nan)
        if name + SPREAD in heads.columns:
            compared[:, 1, place] = score_values(heads, name + SPREAD)
    per_file = [min(info.n_all_heads, HEADS_PER_FILE) for info in atlas.manifest.models.values()]
    files = HeadFiles("scores", per_file)
    for file, rows in head_blocks(atlas, files):
        out.array(f"{file}.bin", compared[rows], "float32")
    return files


def score_values(heads: pl.DataFrame, name: str) -> np.ndarray[Any, Any]:
    """Return a column of the heads table as numbers; NaN for heads without a score."""
    return heads[name].fill_null(float("nan")).to_numpy()


def tags(atlas: Atlas) -> list[ClassTag]:
    """Return the classes that sources give to heads of this atlas."""
    import polars as pl

    rows = {head: i for i, head in enumerate(atlas.heads["head"].to_list())}
    known = pl.concat([known_heads(model, atlas.paths.own_classes) for model in atlas.models])
    return [
        ClassTag(
            row=rows[entry["head"]],
            head_class=entry["class"],
            paper=entry["paper"],
            url=entry["url"],
            evidence=entry["evidence"],
            note=entry["note"],
            conflict=entry["conflict"],
        )
        for entry in known.iter_rows(named=True)
        if entry["head"] in rows  # a model of that name may have fewer heads than the paper's
    ]


def classes(atlas: Atlas, tagged: list[ClassTag]) -> list[HeadClass]:
    """Return the classes of the literature, of the atlas's class file, and of behaviour scores."""
    literature, colours = load_known_heads(atlas.paths.own_classes), groups(atlas)
    in_atlas = {literature.model_name(model) for model in atlas.models}
    described = []
    for entry in literature.classes.values():
        elsewhere = [
            str(assigned.head)
            for assigned in literature.assignments
            if assigned.head_class == entry.name and assigned.head.model not in in_atlas
        ]
        described.append(
            HeadClass(
                name=entry.name,
                group=entry.group,
                colour=colours[entry.group],
                description=entry.description,
                kind="literature",
                rows=sorted({tag.row for tag in tagged if tag.head_class == entry.name}),
                elsewhere=list(dict.fromkeys(elsewhere)),
            )
        )
    measured = {score.name: score_values(atlas.heads, score.name) for score in scores(atlas)}
    for name, members in computed_classes(measured).items():
        described.append(
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
    return described


def groups(atlas: Atlas) -> dict[str, str]:
    """Return the colour of each class group."""
    return {**group_colours(atlas.paths.own_classes), **COMPUTED_COLOURS}


def heads_table(
    atlas: Atlas, all_classes: list[HeadClass], clusterings: list[Clustering], out: DataFolder
) -> Table:
    """Write the table of heads; see `contract.Manifest.heads`."""
    heads = atlas.heads
    names = list(groups(atlas))
    group_of = np.full(len(heads), -1)
    for entry in reversed(all_classes):  # so that classes of the literature, which come first, win
        group_of[entry.rows] = names.index(entry.group)
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
    for clustering in clusterings:
        labels = heads[f"cluster ({clustering.method})"].fill_null(-1).to_numpy()
        columns.append((f"cluster {clustering.method}", "uint16", labels, None))
    return out.table("heads.bin", columns)
