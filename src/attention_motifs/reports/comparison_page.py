"""The comparison with the paper as a Markdown page."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from attention_motifs.errors import InputError, replace_unprintable
from attention_motifs.reports.comparison_claims import CLAIMS, judged

Measured = Mapping[str, Any]

_RESULTS = {
    "carried", "classes", "layers", "likeness", "metrics", "name", "overlap", "regions",
    "settings", "too_few", "variance",
}  # fmt: skip
"""Keys of the results of `stages.compare.measure`."""

_PAPER = {
    "models": "gpt2-small, gpt2-medium, Llama-3.2-1B, pythia-1b, gemma-2b, gemma-2-2b",
    "prompts": "128 of pile-10k",
    "tokens": "not stated",
    "bos": "always (TransformerLens)",
    "heads": "1,520 (from its Table 1)",
    "patterns": "more than 100,000",
    "columns": "92 after a filter of its own",
    "components": "16",
}


def comparison_page(
    atlases: Sequence[Measured], figures: str | None = None, ending: str = "svg"
) -> str:
    """Return the results of `stages.compare.measure` for one or more atlases as Markdown.

    Args:
        atlases: results; the first is shown in full, the others next to it by claim.
        figures: folder of the figures that `motifs paper` draws, relative to the page; without
            it they are named and not linked.
        ending: file ending of the figures.

    Raises:
        InputError: if the results are not those of `stages.compare.measure`, or there are none.
    """
    _check(atlases)
    for name, value in (("figures", figures), ("ending", ending)):
        if not isinstance(value, str) and not (name == "figures" and value is None):
            raise InputError(f"{name}={value!r:.80}: expected a text")
    first = atlases[0]
    parts = [
        "## Claims\n",
        *_claims(atlases, figures, ending),
        "\n## Settings\n",
        *_settings(atlases),
        "\n## Share of variance by choice\n",
        *_variance(first),
        "\n## Classes\n",
        *_classes(first),
        "\n## Early and late layers\n",
        *_layers(first),
        "\n## What other choices change\n",
        *_changes(atlases),
    ]
    return "\n".join(parts) + "\n"


def _check(atlases: object) -> None:
    """Refuse anything but a list of results of `stages.compare.measure`."""
    if not isinstance(atlases, Sequence) or isinstance(atlases, str) or not atlases:
        raise InputError(
            f"atlases={atlases!r:.80}: expected a list of results of stages.compare.measure"
        )
    for number, measured in enumerate(atlases):
        if not isinstance(measured, Mapping):
            raise InputError(
                f"result {number} is {measured!r:.80}: expected one of stages.compare.measure"
            )
        if missing := sorted(_RESULTS - set(measured), key=str):
            raise InputError(
                f"result {number} has no {missing[0]!r}: it is not of stages.compare.measure. "
                "Measure the atlas anew"
            )


def _claims(atlases: Sequence[Measured], figures: str | None, ending: str) -> list[str]:
    verdicts = [{row["claim"]: row for row in judged(measured)} for measured in atlases]
    names = [str(measured["name"]) for measured in atlases]
    header = ["the paper", "its number", *names, "figure"]
    rows = []
    for claim in CLAIMS:
        place = f" ({claim.section})" if claim.section else ""
        figure = f"figure {int(claim.figure.split('-')[1])}"
        if figures is not None:
            figure = f"[{figure}]({figures}/{claim.figure}.{ending})"
        verdict = [
            f"{of[claim.key]['measured']}: **{of[claim.key]['verdict']}**" for of in verdicts
        ]
        rows.append([claim.claim + place, claim.paper, *map(_plain, verdict), figure])
    rules = [f"- {claim.claim}: {claim.rule}." for claim in CLAIMS if claim.rule != "none"]
    return [*_table(header, rows, raw=True), "\nWhat each verdict takes:\n", *rules]


def _settings(atlases: Sequence[Measured]) -> list[str]:
    columns = [_setting(measured["settings"]) for measured in atlases]
    rows = [[key, paper, *(column[key] for column in columns)] for key, paper in _PAPER.items()]
    return _table(["", "the paper", *(str(m["name"]) for m in atlases)], rows)


def _setting(measured: Mapping[str, Any]) -> dict[str, str]:
    shortest, middle, longest = measured["tokens"]
    same = shortest == longest
    with_bos = [info["name"] for info in measured["models"] if info["bos"]]
    return {
        "models": ", ".join(info["name"] for info in measured["models"]),
        "prompts": f"{measured['n_prompts']} of {measured['prompts']}, seed {measured['seed']}",
        "tokens": f"{longest}" if same else f"{shortest} to {longest}, median {middle}",
        "bos": f"{measured['bos']}: {', '.join(with_bos) or 'no model'}",
        "heads": f"{measured['n_heads']:,}" + _drawn(measured),
        "patterns": f"{measured['n_patterns']:,}",
        "columns": f"{measured['columns']}, of which {measured['columns_kept']} vary",
        "components": str(measured["n_components"]),
    }


def _drawn(measured: Mapping[str, Any]) -> str:
    """Return how many heads of a large atlas were measured; nothing where all were."""
    drawn = measured.get("drawn")  # earlier versions measured all
    if not drawn:
        return ""
    return (
        f"; measured: {drawn['n_heads']:,} of {len(drawn['models'])} models, drawn at random with "
        f"seed {drawn['seed']}"
    )


def _variance(measured: Measured) -> list[str]:
    rows = [
        [row["choice"], str(row["columns"]), *(f"{row[k]:.1%}" for k in ("3", "10", "16"))]
        for row in measured["variance"]
    ]
    return _table(["choice", "columns", "3 components", "10", "16"], rows)


def _classes(measured: Measured) -> list[str]:
    metrics = list(dict.fromkeys(row["metric"] for row in measured["classes"]))
    of: dict[tuple[str, str, str], dict[str, Mapping[str, Any]]] = {}
    for row in measured["classes"]:
        of.setdefault((row["model"], row["name"], row["kind"]), {})[row["metric"]] = row
    if not of:
        return ["No class with three heads in a model: run `motifs score` for computed ones."]
    rows = []
    for (model, name, kind), by_metric in of.items():
        some = next(iter(by_metric.values()))
        cells = [_recovery(by_metric[metric]) for metric in metrics]
        rows.append(
            [model, f"{name}, {kind}" if kind not in name else name, some["n_heads"], *cells]
        )
    header = ["model", "class", "heads", *("Eq. 3" if m == "mean" else m for m in metrics)]
    small = [
        f"{item['name']} in {item['model']} ({item['n_heads']})" for item in measured["too_few"]
    ]
    note = f"\nToo few heads to score: {_cell(', '.join(small))}." if small else ""
    return [
        "AUROC (mean of the layer-matched null), its p; MAP (95 % point of the null), its p.\n",
        *_table(header, rows),
        note,
    ]


def _recovery(row: Mapping[str, Any]) -> str:
    def number(key: str, digits: int = 2) -> str:
        return "-" if row.get(key) is None else f"{row[key]:.{digits}f}"

    return (
        f"{number('auroc')} ({number('auroc_null')}), {number('auroc_p', 3)}; "
        f"{number('map')} ({number('map_null_95')}), {number('p', 3)}"
    )


def _layers(measured: Measured) -> list[str]:
    rows = [
        [
            row["model"],
            f"{row['within']:.2f}",
            f"{row['across']:.2f}",
            f"{row['auroc']:.2f}",
            f"{row['p']:.3f}",
            f"{row['best_auroc']:.2f} (p {row['best_p']:.3f}), before layer {row['best_cut']}",
            f"{row['spearman']:.2f}",
        ]
        for row in measured["layers"]
    ]
    header = [
        "model", "mean distance within a half", "across the halves", "AUROC", "p",
        "AUROC of the best cut", "Spearman of distance and layers between",
    ]  # fmt: skip
    return _table(header, rows)


def _changes(atlases: Sequence[Measured]) -> list[str]:
    first = atlases[0]
    shares = {row["choice"]: row for row in first["variance"]}
    here = first["variance"][0]
    lines = []
    for choice, row in shares.items():
        if row is not here:
            change = [f"{100 * (row[k] - here[k]):+.1f}" for k in ("3", "10", "16")]
            lines.append(
                f"- **{_cell(choice)}**: share of variance {', '.join(change)} points with 3, 10 "
                "and 16 components."
            )
    for row in first["metrics"]:
        metric, value = row["metric"], row["spearman"]
        if value is not None:
            lines.append(
                f"- **{_cell(metric)}**: its distances rank pairs of heads like Eq. 3 with a "
                f"Spearman correlation of {value:.2f}{_gain(first, metric)}."
            )
    lines += [_difference(first, other) for other in atlases[1:]]
    return lines


def _gain(measured: Measured, metric: str) -> str:
    """Return the number of classes in which a metric has a higher MAP than Eq. 3."""
    key = ("model", "name", "kind")
    base = {
        tuple(row[k] for k in key): row["map"]
        for row in measured["classes"]
        if row["metric"] == "mean" and row["map"] is not None
    }
    pairs = [
        (row["map"], base[tuple(row[k] for k in key)])
        for row in measured["classes"]
        if row["metric"] == metric and row["map"] is not None and tuple(row[k] for k in key) in base
    ]
    if not pairs:
        return ""
    higher = sum(mine > theirs for mine, theirs in pairs)
    return f", and its MAP is higher in {higher} of {len(pairs)} classes"


def _difference(first: Measured, second: Measured) -> str:
    """Return the differences between two atlases in a sentence."""
    change = [
        f"{100 * (second['variance'][0][k] - first['variance'][0][k]):+.1f}"
        for k in ("3", "10", "16")
    ]
    text = f"- **{_cell(str(second['name']))}** against {_cell(str(first['name']))}: share of "
    text += f"variance {', '.join(change)} points with 3, 10 and 16 components"
    if first["regions"] and second["regions"]:
        text += f"; top-1 {first['regions']['top_1']:.2f} to {second['regions']['top_1']:.2f}"
        text += (
            f"; silhouette {first['regions']['silhouette']:.2f} to "
            f"{second['regions']['silhouette']:.2f}"
        )
    if second["carried"] is not None:
        text += (
            "; placed in the embedding of the first, its patterns are nearest to the centroid of "
            f"their head there in {second['carried']:.2f} of the cases"
        )
    return text + "."


def _table(header: Sequence[str], rows: Iterable[Sequence[Any]], *, raw: bool = False) -> list[str]:
    """Return the lines of a Markdown table; with `raw` the cells are Markdown already."""
    lines = [[_cell(name) for name in header], ["---"] * len(header)]
    lines += [[str(cell) if raw else _cell(str(cell)) for cell in row] for row in rows]
    return [f"| {' | '.join(line)} |" for line in lines]


def _plain(text: str) -> str:
    """Escape text for Markdown, since names of models and classes come from users."""
    body, mark, verdict = text.rpartition(": **")
    return _cell(body) + mark + verdict


def _cell(text: str) -> str:
    """Return text for a cell of a Markdown table."""
    escaped = html.escape(replace_unprintable(" ".join(text.split()), lambda _: ""), quote=False)
    for character in "\\`*_[]|":
        escaped = escaped.replace(character, "\\" + character)
    return escaped
