"""The dataset card of a published atlas: its contents, sources and licences."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from attention_motifs import __version__
from attention_motifs.errors import replace_unprintable
from attention_motifs.prompts import BUILTIN, PILE_10K
from attention_motifs.store.inventory import FileEntry
from attention_motifs.store.manifest import SCHEMA_VERSION, Manifest

if TYPE_CHECKING:
    import polars as pl

_MAX_SOURCES = 30
_MAX_CELL = 200

_LICENCES = {
    BUILTIN: "MIT, with attention-motifs",
    PILE_10K: "the terms of each text's source; see the card of NeelNanda/pile-10k",
}


# Markup of Markdown within a line; escaping `.`, `:` and `@` keeps addresses from becoming links.
_MARKUP = re.compile(r"([!#$()*+\-.:@\[\\\]^_`{|}~])")


def escaped(value: object) -> str:
    """Return one line of Markdown that shows the text literally."""
    text = str(value)
    text = text if len(text) <= _MAX_CELL else text[: _MAX_CELL - 3] + "..."
    text = replace_unprintable(re.sub(r"\s", " ", text), lambda _: " ")
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _MARKUP.sub(r"\\\1", text)


def dataset_card(
    repository: str,
    manifest: Manifest,
    prompts: pl.DataFrame,
    files: Mapping[str, FileEntry],
    *,
    licence: str,
    prompts_licence: str | None,
) -> str:
    """Write the card: YAML for the hub, and Markdown for people.

    Args:
        repository: `org/name` of the published atlas.
        manifest: the published manifest.
        prompts: table of prompt_id, text, source.
        files: the published files except the card.
        licence: licence of the numbers, by its name on the hub.
        prompts_licence: licence of the prompts' texts (default: the known one of the prompts).
    """
    sections = [
        "# An atlas of attention heads",
        _summary(repository, manifest),
        "## Open it\n\n" + _opening(repository),
        "## Models\n\nWeights are not included. Each model has its own licence; those listed "
        "here were recorded when the atlas was made.\n\n" + _models(manifest),
        "## Prompts\n\n" + _prompts(manifest, prompts, prompts_licence),
        "## Settings\n\n" + _settings(manifest),
        "## Files\n\n" + _files(files),
    ]
    return _front_matter(repository, licence) + "\n" + "\n\n".join(sections) + "\n"


def _front_matter(repository: str, licence: str) -> str:
    from huggingface_hub import DatasetCardData

    data = DatasetCardData(
        license=licence,
        pretty_name=f"Attention heads: {repository.partition('/')[2]}",
        tags=["attention-motifs", "interpretability", "attention-heads"],
        viewer=False,  # the tables are parts of one atlas and differ in their columns
    )
    return f"---\n{data.to_yaml()}\n---\n"


def _summary(repository: str, manifest: Manifest) -> str:
    n_heads = sum(i.n_all_heads for i in manifest.models.values())
    return (
        f"`{repository}` holds numbers that describe the attention patterns of {n_heads} heads of "
        f"{len(manifest.models)} language models over {int(manifest.prompts['n'])} prompts, and "
        "the distances between the heads. It was made with attention-motifs "
        f"{escaped(manifest.package_version)} and published with {escaped(__version__)}; its files "
        f"have schema version {SCHEMA_VERSION}."
    )


def _opening(repository: str) -> str:
    return (
        "```sh\n"
        "pip install attention-motifs\n"
        f"motifs fetch {repository}\n"
        f"motifs serve --atlas {repository.partition('/')[2]} --open\n"
        "```\n\n"
        "```python\n"
        "import attention_motifs as am\n\n"
        f'atlas = am.Atlas.open("hf://datasets/{repository}")\n'
        'atlas.near(atlas.heads["head"][0])\n'
        "```"
    )


def _models(manifest: Manifest) -> str:
    from attention_motifs.models.sources import known_models

    known = {model.location: model.licence for model in known_models()}
    rows = [
        [
            name,
            info.location or "",
            info.licence
            or known.get(str(info.location))
            or "not recorded; see the model's own card",
            info.n_layers,
            info.n_heads,
            info.dtype or "",
            "with" if info.bos else "without",
            str(info.weights_sha256 or "")[:16],
        ]
        for name, info in manifest.models.items()
    ]
    columns = [
        "model", "from", "licence", "layers", "heads per layer", "dtype", "BOS token",
        "SHA-256 of the weights",
    ]  # fmt: skip
    return table(columns, rows)


def _prompts(manifest: Manifest, prompts: pl.DataFrame, prompts_licence: str | None) -> str:
    named = manifest.configuration.prompts
    licence = prompts_licence or _LICENCES.get(named, "not stated by the publisher")
    counts = Counter(str(source) for source in prompts["source"].to_list())
    rows: list[list[object]] = [[name, n] for name, n in counts.most_common(_MAX_SOURCES)]
    if len(counts) > _MAX_SOURCES:
        rest = sum(counts.values()) - sum(int(str(n)) for _, n in rows)
        rows.append([f"{len(counts) - _MAX_SOURCES} more sources", rest])
    return (
        f"{len(prompts)} texts of {escaped(named)}, in `prompts.parquet`, and their tokens, in "
        f"`tokens/`. Licence of the texts: {escaped(licence)}.\n\n"
        + table(["source", "texts"], rows)
    )


def _settings(manifest: Manifest) -> str:
    c = manifest.configuration
    metrics = [s.partition(":")[2] for s in manifest.stages if s.startswith("distances:")]
    rows: list[tuple[str, object]] = [
        ("tokens per prompt, at most", c.max_tokens),
        ("feature sets", ", ".join(c.feature_sets)),
        ("principal components", c.n_components),
        ("length bins", ", ".join(map(str, c.length_bins)) or "none"),
        ("BOS token", c.bos),
        ("dtype", "as stored, see the models" if c.dtype == "auto" else c.dtype),
        ("seed for sampling prompts", c.seed),
        ("prompts whose patterns are kept", c.n_view_prompts),
        ("distances", ", ".join(sorted(metrics)) or "none"),
        ("values imputed", sum(sum(counts.values()) for counts in manifest.imputed.values())),
    ]
    return table(["setting", "value"], rows)


def _files(files: Mapping[str, FileEntry]) -> str:
    sizes: Counter[str] = Counter()
    numbers: Counter[str] = Counter()
    for name, entry in files.items():
        top, slash, _ = name.partition("/")
        sizes[top + slash] += entry.size
        numbers[top + slash] += 1
    rows = [[name, numbers[name], megabytes(sizes[name])] for name in sorted(sizes)]
    rows.append(["all", len(files), megabytes(sum(sizes.values()))])
    return (
        "Sizes and SHA-256 of all files are in `files.json`; `motifs fetch` compares the "
        "fetched files with them.\n\n" + table(["name", "files", "MB"], rows)
    )


def megabytes(n_bytes: int) -> str:
    """Return a size in MB with about three digits."""
    return f"{n_bytes / 1e6:.3g}" if n_bytes < 1e9 else f"{n_bytes / 1e6:.0f}"


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a Markdown table whose cells show their texts literally."""
    lines = [columns, ["---"] * len(columns)]
    text = ["| " + " | ".join(line) + " |" for line in lines]
    text += ["| " + " | ".join(escaped(cell) for cell in row) + " |" for row in rows]
    return "\n".join(text)
