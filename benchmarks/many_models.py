"""Seconds of every stage on atlases of many small models, and how they grow with the models.

    python benchmarks/many_models.py --models 250 500 1000

makes atlases of models of 16 heads on 8 prompts, with features of synthetic patterns of 12 tokens;
embeds them, computes distances, asks questions, publishes each to an object store that runs in this
process, fetches it as another machine would, and checks the copy. The exponent is that of the
seconds in the number of models, from the smallest number to the largest.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from scale import make_atlas

from attention_motifs.atlas import Atlas
from attention_motifs.atlas.check import check_atlas
from attention_motifs.sharing import copy
from attention_motifs.stages.distances import distances
from attention_motifs.stages.embed import embed
from attention_motifs.store.inventory import atlas_files
from loopback import serving
from s3_server import BUCKET, KEY_ID, SECRET, ObjectServer

SHAPE, N_PROMPTS = (4, 4), 8
"""Layers and heads of a model, and prompts."""

HEAD = "synthetic-3:L1:H2"


def main() -> None:
    """Run the stages for each number of models, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", type=int, nargs="+", default=[250, 500, 1000])
    given = parser.parse_args()
    measured: dict[int, dict[str, float]] = {}
    for n_models in given.models:
        with tempfile.TemporaryDirectory() as folder, serving(ObjectServer()) as server:
            measured[n_models] = run(n_models, Path(folder), server)
        print(n_models, {k: round(v, 2) for k, v in measured[n_models].items()}, flush=True)
    print(table(measured))


def run(n_models: int, folder: Path, server: Any) -> dict[str, float]:
    """Return the seconds of each stage, the files of the atlas, and the requests for them."""
    os.environ.update(
        AWS_ENDPOINT_URL=server.url,
        AWS_ALLOW_HTTP="true",
        AWS_REGION="us-east-1",
        AWS_ACCESS_KEY_ID=KEY_ID,
        AWS_SECRET_ACCESS_KEY=SECRET,
    )
    path, url = folder / "atlas", f"s3://{BUCKET}/models-{n_models}"
    result: dict[str, float] = {}

    def timed(name: str, work: Callable[[], Any]) -> Any:
        start = time.perf_counter()
        value = work()
        result[name] = time.perf_counter() - start
        return value

    timed("build and embed", lambda: make_atlas(path, n_models, N_PROMPTS, shape=SHAPE))
    timed("embed again", lambda: embed(Atlas.open(path), force=True))
    for metric in ("mean", "natural"):
        name = f"distances, {metric}"
        timed(name, lambda m=metric: distances(Atlas.open(path), m, budget_seconds=math.inf))
    timed("open, near", lambda: Atlas.open(path).near(HEAD))
    timed("open, explain", lambda: Atlas.open(path).explain(HEAD))
    result["files"] = len(atlas_files(path))
    result["MB"] = sum(file.stat().st_size for file in atlas_files(path).values()) / 1e6
    timed("publish", lambda: copy(path, url))
    result["requests to publish"] = len(server.requests(""))
    server.forget()
    os.environ["ATTENTION_MOTIFS_CACHE"] = str(folder / "another machine")
    fetched = timed("fetch", lambda: copy(url, folder / "fetched"))
    result["requests to fetch"] = len(server.requests(""))
    timed("check", lambda: check_atlas(fetched))
    return result


def table(measured: dict[int, dict[str, float]]) -> str:
    """Return the results as Markdown, with the exponent in the last column."""
    numbers = list(measured)
    rows = ["| | " + " | ".join(f"{n:,} models" for n in numbers) + " | exponent |"]
    rows.append("|---" * (len(numbers) + 2) + "|")
    for name in measured[numbers[0]]:
        values = [measured[n][name] for n in numbers]
        exponent = ""
        if len(numbers) > 1 and min(values) > 0:
            ratio = math.log(values[-1] / values[0]) / math.log(numbers[-1] / numbers[0])
            exponent = f"{ratio:.2f}"
        cells = [f"{value:,.0f}" if value >= 100 else f"{value:.3g}" for value in values]
        rows.append(f"| {name} | {' | '.join(cells)} | {exponent} |")
    return "\n".join(rows)


if __name__ == "__main__":
    main()
