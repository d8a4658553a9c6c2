r"""Write docs/packaged/ from the atlas of the configuration `packaged` and its figures.

    motifs paper --config packaged --atlas reference --out reference-figures/
    sets="--features paper --features skew_col"
    both="--model smollm2-135m-instruct --model gemma-3-270m"
    one="--model smollm2-135m-instruct --n-prompts 16 --n-view-prompts 4"
    motifs extract $both --n-prompts 128 --max-tokens 64 $sets --atlas 64-tokens
    motifs extract $one --bos always $sets --atlas 135M-with-BOS
    motifs extract $one $sets --atlas 135M-without-BOS
    for atlas in 64-tokens 135M-with-BOS 135M-without-BOS; do
        motifs embed --atlas $atlas && motifs distances --metric mean --atlas $atlas
    done
    python docs/make_packaged.py reference reference-figures/ \
        --beside 64-tokens 135M-with-BOS 135M-without-BOS

Pictures are kept at a width of 1,000 pixels and 64 colours, tables of one row per pattern are left
out, and of the embedded patterns a slice is kept, which a test computes again.
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
from importlib.metadata import version
from pathlib import Path

import polars as pl
from PIL import Image

from attention_motifs import Atlas
from attention_motifs.stages.compare import compare

DOCS = Path(__file__).resolve().parent
WIDTH, COLOURS = 1000, 64
VECTORS = ("figure-02-artificial", "figure-11-variance")
"""Small as SVG; the others hold a picture for every pattern, or a point for every head."""
LARGEST = 120_000
"""Bytes of a table that is kept as it is."""
SLICE_PROMPTS, SLICE_COMPONENTS = 2, 3
PACKAGES = (
    "attention-motifs",
    "torch",
    "transformers",
    "numpy",
    "polars",
    "scikit-learn",
    "umap-learn",
)


def main() -> None:
    """Read the arguments and write the folder."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("atlas", type=Path, help="atlas of the configuration `packaged`")
    parser.add_argument("figures", type=Path, help="what `motifs paper --out` wrote of it")
    parser.add_argument("--beside", type=Path, nargs="*", default=[], help="other atlases")
    parser.add_argument("--out", type=Path, default=DOCS / "packaged")
    given = parser.parse_args()
    atlas = Atlas.open(given.atlas)
    shutil.rmtree(given.out, ignore_errors=True)
    (given.out / "numbers").mkdir(parents=True)
    keep_pictures(given.figures, given.out)
    keep_tables(given.figures / "numbers", given.out / "numbers")
    shutil.copy(given.figures / "captions.json", given.out)
    keep_embedding(atlas, given.out)
    compared = compare([atlas, *(Atlas.open(path) for path in given.beside)])
    names = ["reference", *(path.name.replace("-", " ") for path in given.beside)]
    compared = [{**measured, "name": name} for measured, name in zip(compared, names, strict=True)]
    data = {"schema_version": 1, "atlases": compared}
    write_json(given.out / "comparison.json", data)
    write_json(given.out / "versions.json", versions(atlas))


def keep_pictures(figures: Path, out: Path) -> None:
    """Pictures in a size for a page, and vectors where they are small."""
    for path in sorted(figures.glob("*.png")):
        with Image.open(path) as whole:
            height = round(whole.height * WIDTH / whole.width)
            small = whole.convert("RGB").resize((WIDTH, height), Image.Resampling.LANCZOS)
        small.quantize(COLOURS, dither=Image.Dither.NONE).save(out / path.name, optimize=True)
    for name in VECTORS:
        shutil.copy(figures / f"{name}.svg", out)


def keep_tables(numbers: Path, out: Path) -> None:
    """Tables that are small once their numbers have five digits."""
    for path in sorted(numbers.glob("*.csv")):
        if path.stat().st_size > 10 * LARGEST:
            continue
        table = pl.read_csv(path, infer_schema_length=None)
        rounded = table.with_columns(pl.col(pl.Float64).round_sig_figs(5))
        text = rounded.write_csv()
        if len(text) <= LARGEST:
            (out / path.name).write_text(text, encoding="utf-8")


def keep_embedding(atlas: Atlas, out: Path) -> None:
    """Write the fitted embedding, and where it places the patterns of the first prompts."""
    for ending in (".json", ".safetensors"):
        shutil.copy(atlas.path / f"embedding{ending}", out)
    clouds = atlas.embedded()[:SLICE_PROMPTS, :, :SLICE_COMPONENTS]
    heads = atlas.heads["head"].to_list()
    ids = atlas.prompts["prompt_id"].to_list()[:SLICE_PROMPTS]
    tables = [
        pl.DataFrame(
            {
                "prompt_id": [prompt] * len(heads),
                "head": heads,
                **{f"pc{i}": cloud[:, i] for i in range(cloud.shape[1])},
            }
        )
        for prompt, cloud in zip(ids, clouds, strict=True)
    ]
    pl.concat(tables).write_csv(out / "numbers" / "embedded-slice.csv", float_precision=4)


def versions(atlas: Atlas) -> dict[str, object]:
    """What the reference was made with."""
    return {
        "command": "motifs paper --config packaged --atlas reference --out reference-figures/",
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "prompts_sha256": atlas.manifest.prompts["sha256"],
        "weights_sha256": {
            name: info.weights_sha256 for name, info in atlas.manifest.models.items()
        },
    }


def write_json(path: Path, value: object) -> None:
    """Write JSON as the repository keeps it."""
    path.write_text(json.dumps(value, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
