"""Nearest heads among a million: recall, build time, memory and latency.

The heads are drawn to resemble those of a real atlas (`HeadGenerator`). Each step is a run of its
own, goes on from the files of the one before, and adds to the results:

    python benchmarks/nearest.py draw --atlas demo-atlas --heads 1000000
    python benchmarks/nearest.py build
    python benchmarks/nearest.py query
    python benchmarks/nearest.py graph --parts 2       # of 65,536 heads each
    python benchmarks/nearest.py brute                 # the same queries against all heads
    python benchmarks/nearest.py compare               # sketches, and two libraries, side by side
    python benchmarks/nearest.py draw --heads 20000 --folder small    # a quick look
"""

from __future__ import annotations

import argparse
import json
import os
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from attention_motifs.distances.head_vectors import cloud_vectors
from attention_motifs.distances.index import HeadIndex
from attention_motifs.distances.neighbours import (
    N_CANDIDATES,
    nearest_among,
    nearest_neighbours,
    rows_from,
)
from attention_motifs.store import files

CHUNK = 16_384
MIB = 2**20


def main() -> None:
    """Run one step."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("step", choices=sorted(STEPS))
    parser.add_argument("--atlas", type=Path, default=Path("demo-atlas"))
    parser.add_argument("--folder", type=Path, default=Path("nearest-benchmark"))
    parser.add_argument("--metric", default="mean")
    parser.add_argument("--heads", type=int, default=1_000_000)
    parser.add_argument("--prompts", type=int, default=16)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--parts", type=int, default=1)
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).parent / "results" / "nearest.json"
    )
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    figures = STEPS[arguments.step](arguments)
    figures["memory"] = memory()
    print(json.dumps(figures, indent=1))
    result: dict[str, Any] = (
        json.loads(arguments.out.read_text()) if arguments.out.is_file() else {}
    )
    result.setdefault(arguments.folder.name, {})[arguments.step] = figures
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


@dataclass(frozen=True)
class HeadGenerator:
    """Heads around real ones, as far from each other as a real head from its nearest.

    A drawn head is `mean + sqrt(share) own + sqrt(1 - share) new`, around a real head chosen at
    random. Its mean is the real head's plus normal noise whose covariance is half of that of the
    differences between the means of nearest real heads. `own` is what the real head does prompt by
    prompt, around its mean; `new` is normal, with the real head's covariance over components and
    the covariance over prompts of all real heads (prompts of one kind go together). `share` is how
    much of it nearest real heads have in common. So two heads drawn around one real head differ,
    in mean and prompt by prompt, as nearest real heads do.
    """

    means: np.ndarray
    own: np.ndarray
    noise: np.ndarray
    prompts: np.ndarray
    components: np.ndarray
    share: float

    @classmethod
    def fit(cls, clouds: np.ndarray) -> HeadGenerator:
        """Fit on clouds (prompts, heads, components)."""
        from attention_motifs.distances import head_distances

        n_prompts, n_heads, _ = clouds.shape
        # What all heads share on a prompt cancels in every difference.
        centred = clouds.astype(np.float64) - clouds.mean(axis=1, keepdims=True)
        means = centred.mean(axis=0)
        own = centred - means
        matrix = head_distances(clouds)
        np.fill_diagonal(matrix, np.inf)
        nearest = matrix.argmin(axis=1)
        differences = means - means[nearest]
        apart, both = own - own[:, nearest], (own**2).sum() + (own[:, nearest] ** 2).sum()
        over_prompts = np.einsum("shc,thc->st", own, own)
        return cls(
            means=means,
            own=own.transpose(1, 0, 2),
            noise=root(differences.T @ differences / n_heads / 2),
            prompts=root(over_prompts / np.trace(over_prompts) * n_prompts),
            components=np.stack([root(x.T @ x / n_prompts) for x in own.transpose(1, 0, 2)]),
            share=float(1 - (apart**2).sum() / both),
        )

    def draw(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Draw (n, prompts, components), float32."""
        _, n_prompts, n_components = self.own.shape
        parent = rng.integers(len(self.means), size=n)
        mean = self.means[parent] + rng.standard_normal((n, n_components)) @ self.noise.T
        new = rng.standard_normal((n, n_prompts, n_components), dtype=np.float32)
        new = np.matmul(self.prompts.astype(np.float32), new)
        new = np.matmul(new, self.components.astype(np.float32)[parent].transpose(0, 2, 1))
        kept, fresh = np.sqrt([self.share, 1 - self.share]).astype(np.float32)
        cloud = mean[:, None].astype(np.float32) + fresh * new
        return cloud + kept * self.own.astype(np.float32)[parent]


def root(covariance: np.ndarray) -> np.ndarray:
    """A matrix R with R R^T the covariance."""
    values, vectors = np.linalg.eigh(covariance)
    return vectors * np.sqrt(np.maximum(values, 0.0))


def likeness(clouds: np.ndarray, metric: str) -> dict[str, Any]:
    """What neighbourhoods are like: to hold real and drawn heads of one number side by side."""
    rows = rows_from(clouds, np.arange(len(clouds)), metric).astype(np.float64)
    np.fill_diagonal(rows, np.inf)
    nearest = np.sort(rows, axis=1)[:, :2]
    ratio = nearest[:, 1] / np.maximum(nearest[:, 0], 1e-12)
    return {
        "heads": len(clouds),
        "nearest_5_50_95": np.quantile(nearest[:, 0], [0.05, 0.5, 0.95]).tolist(),
        "median_of_all": float(np.median(rows[np.isfinite(rows)])),
        # Facco et al. (2017): how many dimensions the heads seem to fill.
        "two_nearest_dimension": float((len(clouds) - 1) / np.log(ratio).sum()),
    }


def draw(arguments: argparse.Namespace) -> dict[str, Any]:
    """Draw the heads and write their clouds."""
    from attention_motifs.atlas import Atlas

    atlas = Atlas.open(arguments.atlas)
    read = atlas.block_clouds if arguments.metric == "natural" else atlas.embedded
    whole = read()
    chosen = np.linspace(0, len(whole) - 1, arguments.prompts).astype(int)
    real = whole[chosen]
    generator, rng = HeadGenerator.fit(real), np.random.default_rng(0)
    shape = arguments.heads, *generator.own.shape[1:]
    started = time.perf_counter()
    path = arguments.folder / "clouds.npy"
    with files.mapped_array(path, shape) as clouds:
        for a in range(0, len(clouds), CHUNK):
            clouds[a : a + CHUNK] = generator.draw(min(CHUNK, len(clouds) - a), rng)
    seconds = time.perf_counter() - started
    centred = (real - real.mean(axis=1, keepdims=True)).transpose(1, 0, 2)
    drawn = np.load(path, mmap_mode="r")[: len(centred)]
    return {
        "shape": shape,
        "seconds": seconds,
        "mib": path.stat().st_size / MIB,
        "share": generator.share,
        "real": likeness(np.ascontiguousarray(centred), arguments.metric),
        "drawn": likeness(np.ascontiguousarray(drawn), arguments.metric),
    }


def clouds_of(arguments: argparse.Namespace) -> np.ndarray:
    """The clouds drawn, read from the disk as they are used."""
    return np.load(arguments.folder / "clouds.npy", mmap_mode="r")


def build(arguments: argparse.Namespace) -> dict[str, Any]:
    """Build and save the index."""
    clouds = clouds_of(arguments)
    started = time.perf_counter()
    index = HeadIndex.build(clouds, arguments.metric)
    built = time.perf_counter()
    path = arguments.folder / f"index-{arguments.metric}.safetensors"
    index.save(path)
    saved = time.perf_counter()
    return {
        "metric": arguments.metric,
        "heads": index.n_heads,
        "axes": int(index.sketch.axes.shape[1]),
        "cells": int(index.cells.nlist),
        "build_seconds": built - started,
        "save_seconds": saved - built,
        "mib": path.stat().st_size / MIB,
    }


def load(arguments: argparse.Namespace) -> tuple[HeadIndex, float]:
    """The index saved, and the seconds it took to read."""
    started = time.perf_counter()
    path = arguments.folder / f"index-{arguments.metric}.safetensors"
    index = HeadIndex.load(path, "run the step build")
    return index, time.perf_counter() - started


def asked(arguments: argparse.Namespace, n_heads: int) -> np.ndarray:
    """The heads whose neighbours are asked for."""
    return np.sort(np.random.default_rng(1).permutation(n_heads)[: arguments.queries])


def query(arguments: argparse.Namespace) -> dict[str, Any]:
    """Latency of one query after another, and recall against all heads."""
    clouds = clouds_of(arguments)
    index, seconds = load(arguments)
    queries = asked(arguments, len(clouds))
    nearest_neighbours(clouds, index, queries[:2], 10)  # compiled, and pages of the clouds read
    each, parts = [], []
    for one in queries:
        started = time.perf_counter()
        parts.append(nearest_neighbours(clouds, index, np.array([one]), 64)[0][0])
        each.append(time.perf_counter() - started)
    vectors = index.sketch.vectors(clouds[queries])
    truth = true_nearest(arguments, clouds, queries)
    recalls: dict[str, float] = {}
    for probed in (16, 32, 64, 128):
        for candidates in (64, 128, 256):
            offered = index.search(vectors, candidates, n_probed=probed)
            best = nearest_among(clouds, queries, offered, arguments.metric, 64)[0]
            for k in (10, 64):
                name = f"{probed} cells, {candidates} candidates, nearest {k}"
                recalls[name] = recall(best, truth, k)
    return {
        "metric": arguments.metric,
        "load_seconds": seconds,
        "milliseconds_median": float(np.median(each) * 1e3),
        "milliseconds_95": float(np.quantile(each, 0.95) * 1e3),
        "recall_10": recall(np.array(parts), truth, 10),
        "recall_64": recall(np.array(parts), truth, 64),
        "recalls": recalls,
    }


def true_nearest(
    arguments: argparse.Namespace, clouds: np.ndarray, queries: np.ndarray
) -> np.ndarray:
    """The 64 nearest by the exact metric among all heads; kept in a file."""
    path = arguments.folder / f"truth-{arguments.metric}-{len(queries)}.npy"
    if not path.is_file():
        truth = []
        for some in np.array_split(queries, max(1, len(queries) // 25)):
            rows = rows_from(clouds, some, arguments.metric)
            rows[np.arange(len(some)), some] = np.inf
            few = np.argpartition(rows, 64, axis=1)[:, :64]
            order = np.argsort(np.take_along_axis(rows, few, axis=1), axis=1, kind="stable")
            truth.append(np.take_along_axis(few, order, axis=1))
        np.save(path, np.concatenate(truth))
    return np.load(path)


def recall(neighbours: np.ndarray, truth: np.ndarray, k: int) -> float:
    """Share of the true k nearest that are among the k found."""
    pairs = zip(neighbours.tolist(), truth.tolist(), strict=True)
    shared = [len(set(a[:k]) & set(b[:k])) for a, b in pairs]
    return float(np.mean(shared) / k)


def brute(arguments: argparse.Namespace) -> dict[str, Any]:
    """One query against all heads, by the exact metric alone."""
    clouds = clouds_of(arguments)
    seconds = []
    for one in asked(arguments, len(clouds))[:6]:
        started = time.perf_counter()
        rows_from(clouds, np.array([one]), arguments.metric)
        seconds.append(time.perf_counter() - started)
    return {"seconds_median_of_5": float(np.median(seconds[1:]))}


def graph(arguments: argparse.Namespace) -> dict[str, Any]:
    """The neighbours of every head, part by part; those that are there are kept."""
    from attention_motifs.distances.neighbour_files import HEADS_PER_PART, n_parts, write_part
    from attention_motifs.distances.neighbour_graph import Neighbours

    clouds = clouds_of(arguments)
    index, _ = load(arguments)
    total, done = n_parts(len(clouds)), []
    for part in range(total):
        path = arguments.folder / f"part-{arguments.metric}-{part:05d}.safetensors"
        if path.is_file() or len(done) == arguments.parts:
            continue
        heads = np.arange(part * HEADS_PER_PART, min((part + 1) * HEADS_PER_PART, len(clouds)))
        started = time.perf_counter()
        write_part(path, Neighbours(*nearest_neighbours(clouds, index, heads)), "benchmark")
        done.append((time.perf_counter() - started) / len(heads))
        print(f"part {part} of {total}: {done[-1] * 1e6:.0f} microseconds a head", flush=True)
    return {
        "parts_now": len(done),
        "parts_there": len(list(arguments.folder.glob(f"part-{arguments.metric}-*"))),
        "parts": total,
        "microseconds_per_head": [one * 1e6 for one in done],
        "mib_per_million_heads": (64 * 8 * 1_000_000) / MIB,
    }


def compare(arguments: argparse.Namespace) -> dict[str, Any]:
    """Sketches by exhaustive search, and two libraries on one sketch, at one number of heads."""
    clouds = np.ascontiguousarray(clouds_of(arguments)[: min(200_000, arguments.heads)])
    arguments.folder = arguments.folder / str(len(clouds))
    arguments.folder.mkdir(exist_ok=True)
    queries = asked(arguments, len(clouds))
    truth = true_nearest(arguments, clouds, queries)
    rows = cloud_vectors(clouds, arguments.metric)
    rows = rows - rows.mean(axis=0)
    principal = np.linalg.eigh(rows[::16].T @ rows[::16])[1][:, ::-1]
    rng = np.random.default_rng(0)
    sketches = {
        "head means": clouds.mean(axis=1),
        "head means and spreads": np.hstack([clouds.mean(axis=1), clouds.std(axis=1)]),
        **{
            f"{n} random directions": rows @ rng.standard_normal((rows.shape[1], n), np.float32)
            for n in (64, 128)
        },
        **{f"{n} principal directions": rows @ principal[:, :n] for n in (32, 64, 96, 128)},
    }
    figures: dict[str, Any] = {"heads": len(clouds), "sketches": {}}
    for name, sketch in sketches.items():
        nearest = [
            np.argsort(np.square(sketch - sketch[one]).sum(axis=1))[1:513] for one in queries
        ]
        figures["sketches"][name] = {
            f"{n} candidates": recall(
                nearest_among(clouds, queries, np.stack(nearest)[:, :n], arguments.metric, 10)[0],
                truth, 10,
            )
            for n in (64, 128, 256, 512)
        }  # fmt: skip
        print(name, figures["sketches"][name], flush=True)
    vectors = np.ascontiguousarray(sketches["64 principal directions"], dtype=np.float32)
    makers = {"faiss, inverted file": inverted_file}
    if find_spec("usearch"):
        makers["usearch, HNSW"] = usearch_hnsw
    else:
        print("usearch is not installed: pip install usearch==2.26.6 to compare with it")
    figures["libraries"] = {
        name: by_library(make, clouds, vectors, queries, truth, arguments.metric)
        for name, make in makers.items()
    }
    return figures


def by_library(
    make: Any,
    clouds: np.ndarray,
    vectors: np.ndarray,
    queries: np.ndarray,
    truth: np.ndarray,
    metric: str,
) -> dict[str, float]:
    """Build time, size, recall with the package's candidates, and time to search many heads."""
    started = time.perf_counter()
    search, size = make(vectors)
    built = time.perf_counter()
    offered = search(vectors[queries])
    best = nearest_among(clouds, queries, offered, metric, 64)[0]
    searched = time.perf_counter()
    search(vectors[:20_000])
    many = time.perf_counter() - searched
    figures = {
        "build_seconds": built - started,
        "mib": size / MIB,
        "recall_10": recall(best, truth, 10),
        "recall_64": recall(best, truth, 64),
        "microseconds_per_head_of_20000": many / 20_000 * 1e6,
    }
    print(make.__name__, figures, flush=True)
    return figures


def inverted_file(vectors: np.ndarray) -> Any:
    """faiss, as the package uses it."""
    import faiss

    from attention_motifs.distances.index import N_PROBED

    n, d = vectors.shape
    quantizer = faiss.ScalarQuantizer.QT_fp16
    cells = faiss.IndexIVFScalarQuantizer(faiss.IndexFlatL2(d), d, round(4 * n**0.5), quantizer)
    cells.cp.niter = 10
    cells.train(vectors)
    cells.add(vectors)
    cells.nprobe = N_PROBED
    return lambda rows: cells.search(rows, N_CANDIDATES)[1], faiss.serialize_index(cells).nbytes


def usearch_hnsw(vectors: np.ndarray) -> Any:
    """The other library measured: a hierarchical navigable small world graph in half precision."""
    from usearch.index import Index

    index = Index(
        ndim=vectors.shape[1], metric="l2sq", dtype="f16",
        connectivity=16, expansion_add=128, expansion_search=2 * N_CANDIDATES,
    )  # fmt: skip
    index.add(np.arange(len(vectors)), vectors)
    size = len(index.save())

    def search(rows: np.ndarray) -> np.ndarray:
        return index.search(rows, N_CANDIDATES).keys.astype(np.int64).reshape(len(rows), -1)

    return search, size


def memory() -> dict[str, float]:
    """Peak resident memory of this process, and its own share at the end, without mapped files."""
    status = Path("/proc/self/status")
    if not status.is_file():
        return {}
    lines = [line.split() for line in status.read_text(encoding="ascii").splitlines()]
    values = {words[0].rstrip(":"): words[1] for words in lines if len(words) > 1}
    return {
        "peak_mib": int(values["VmHWM"]) / 1024,
        "own_mib_at_end": int(values["RssAnon"]) / 1024,
        "processors": os.cpu_count() or 1,
    }


STEPS = {
    "draw": draw,
    "build": build,
    "query": query,
    "brute": brute,
    "graph": graph,
    "compare": compare,
}

if __name__ == "__main__":
    main()
