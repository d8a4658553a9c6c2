"""Extraction against its bars: time over a bare forward pass, memory, and the loading of a model.

Whole extraction is forward passes, features, and parts written, on prompts of one length, with one
prompt in twelve kept for viewing as in a default atlas. The bare pass is the model's own eager
attention without the language-model head, run three ways; rounds are interleaved, and the ratio
is to the fastest of them, by the fastest rounds and by the medians. A fourth way, the same model
with its linear layers computed as extraction computes them, is shown beside.

    python benchmarks/extract.py                                # 128 tokens
    python benchmarks/extract.py --max-tokens 512 --n-prompts 8
    python benchmarks/extract.py --load --long                  # loading; 2,048 tokens
    python benchmarks/extract.py --memory                       # peaks for 32, 128 and 512 prompts
    python benchmarks/extract.py --peers --rounds 3             # the loop, and other libraries

TransformerLens need not be installed next to the package: `--libraries FOLDER` names a folder that
`pip install --target FOLDER --no-deps` filled with it and what it needs.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

MODELS = ("smollm2-135m-instruct", "gemma-3-270m")
BARS = {128: 1.25, 512: 1.35}
LOADING_BAR = 3.0
SETS = {"paper": ("paper",), "paper + extended": ("paper", "extended")}


def main() -> None:
    """Parse the arguments, measure, print tables and write JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default=MODELS[0])
    parser.add_argument("--max-tokens", type=int, default=128)
    parser.add_argument("--n-prompts", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--memory", action="store_true", help="peak memory instead")
    parser.add_argument("--load", action="store_true", help="loading of cached models instead")
    parser.add_argument("--long", action="store_true", help="memory of 2,048 tokens instead")
    parser.add_argument("--peers", action="store_true", help="in memory, by us and others, instead")
    parser.add_argument("--libraries", type=Path, help="folder with TransformerLens, for --peers")
    parser.add_argument("--way", choices=PEERS, default="patterns", help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help="JSON file for the figures")
    parser.add_argument("--child", choices=CHILDREN, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(CHILDREN[arguments.child](arguments)))
        return
    result: dict[str, Any] = {}
    parts = {"memory": memory, "load": loading, "long": long_pattern, "peers": peers}
    for name, measure in parts.items():
        if getattr(arguments, name):
            result[name] = measure(arguments)
    result = result or ratio(arguments)
    if arguments.out:
        arguments.out.write_text(json.dumps(result, indent=1) + "\n")


def print_result(what: str, value: float, bar: float, unit: str = "") -> None:
    """Print a figure beside its bar."""
    verdict = "met" if value <= bar else "MISSED"
    print(f"  {what:58} {value:6.2f}{unit}   bar {bar:.2f}{unit}   {verdict}")


def in_process(arguments: argparse.Namespace, child: str, **options: Any) -> Any:
    """Run a part of this file in a fresh process, and return what it found."""
    command = [sys.executable, __file__, "--child", child]
    values = {"model": arguments.model, "max-tokens": arguments.max_tokens, **options}
    command += [word for name, value in values.items() for word in (f"--{name}", str(value))]
    paths = [str(arguments.libraries or ""), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths[::-1]))}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return json.loads(done.stdout.splitlines()[-1])


# Time over a bare pass


def long_prompts(n_prompts: int, max_tokens: int) -> list[Any]:
    """Built-in texts, several joined where one is too short for `max_tokens`."""
    from attention_motifs.prompts import Prompt, load_prompts

    texts = [p.text for p in load_prompts(seed=0)]
    joined = max(1, -(-max_tokens // 128))
    return [
        Prompt(f"{i}. " + "\n\n".join(texts[(i * 7 + k) % len(texts)] for k in range(joined)))
        for i in range(n_prompts)
    ]


def ratio(arguments: argparse.Namespace) -> dict[str, Any]:
    """Time bare passes and whole extractions, round by round."""
    import torch

    from attention_motifs.extraction import load_model
    from attention_motifs.models.tokenizing import tokenize

    prompts = long_prompts(arguments.n_prompts, arguments.max_tokens)
    loaded = load_model(arguments.model)
    tokenized = tokenize(
        loaded, [(p.prompt_id, p.text) for p in prompts], max_tokens=arguments.max_tokens
    )
    viewed = max(1, round(len(prompts) / 12))
    ways = bare_ways(arguments.model, torch.tensor([t.token_ids for t in tokenized]))
    ways |= {
        f"whole, {name}": whole(loaded, prompts, tokenized, arguments.max_tokens, sets, viewed)
        for name, sets in SETS.items()
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for round_ in range(arguments.rounds + 1):
        for name, run in ways.items():
            started = time.perf_counter()
            run()
            if round_:  # the first round warms up
                seconds[name].append(time.perf_counter() - started)
    print(
        f"{arguments.model}, {arguments.n_prompts} prompts of {arguments.max_tokens} tokens, "
        f"{torch.get_num_threads()} threads, {arguments.rounds} rounds"
    )
    for name, values in seconds.items():
        print(f"  {name:40} {min(values):7.2f} s fastest {statistics.median(values):7.2f} s median")
    ratios: dict[str, dict[str, float]] = {}
    for kind, of in (("fastest", min), ("median", statistics.median)):
        bare = {name: of(values) for name, values in seconds.items() if name.startswith("bare")}
        ours = bare.pop(OUR_PRODUCTS)
        for name in SETS:
            value = of(seconds[f"whole, {name}"])
            ratios.setdefault(name, {})[kind] = value / min(bare.values())
            ratios[name][f"{kind}, over the same batches on all threads"] = value / bare[SAME]
            ratios[name][f"{kind}, over a bare pass with our products"] = value / ours
            bar = BARS.get(arguments.max_tokens, BARS[512])
            print_result(f"{name}, {kind}: over the fastest bare pass", ratios[name][kind], bar)
            print_result(f"{name}, {kind}: over {SAME}", value / bare[SAME], bar)
            print(f"  {name + ', ' + kind + ': over the bare pass with our products':58} "
                  f"{value / ours:6.2f}")  # fmt: skip
    return {"seconds": seconds, "ratio": ratios, **vars(arguments)} | {"out": None}


SAME = "bare, same batches"
OUR_PRODUCTS = "bare, a thread per batch, our products"


def bare_ways(model: str, ids: Any) -> dict[str, Callable[[], None]]:
    """The model's own eager attention on all prompts, as transformers loads it."""
    from concurrent.futures import ThreadPoolExecutor
    from copy import deepcopy

    import torch
    from transformers import AutoModel

    from attention_motifs.atlas import BLOCK_SIZE
    from attention_motifs.extraction import onednn_linear
    from attention_motifs.extraction.stream import BATCH_TOKENS
    from attention_motifs.models.fetch import local_folder
    from attention_motifs.models.sources import resolve

    eager = AutoModel.from_pretrained(
        local_folder(resolve(model)), attn_implementation="eager", dtype=torch.float32
    ).eval()
    ours = deepcopy(eager)
    onednn_linear.use_in(ours)
    cores = torch.get_num_threads()

    def forward(batch: Any, model: Any = eager) -> None:
        with torch.inference_mode():
            model(input_ids=batch, use_cache=False)

    def one_by_one(batches: Any) -> None:
        for batch in batches:
            forward(batch)

    def side_by_side(batches: Any, model: Any = eager) -> None:
        with ThreadPoolExecutor(cores, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            list(pool.map(lambda batch: forward(batch, model), batches))
        torch.set_num_threads(cores)

    batches = ids.split(max(1, BATCH_TOKENS // ids.shape[1]))
    return {
        SAME: lambda: one_by_one(batches),
        "bare, whole blocks": lambda: one_by_one(ids.split(BLOCK_SIZE)),
        "bare, a thread per batch": lambda: side_by_side(batches),
        OUR_PRODUCTS: lambda: side_by_side(batches, ours),
    }


def whole(
    loaded: Any, prompts: Any, tokenized: Any, max_tokens: int, sets: tuple[str, ...], viewed: int
) -> Callable[[], None]:
    """Extraction of all prompts into an atlas of its own, `viewed` of them kept for viewing."""
    from attention_motifs.atlas import Atlas
    from attention_motifs.prompts import prompts_digest
    from attention_motifs.stages.create import prompts_table
    from attention_motifs.stages.model_source import source_of
    from attention_motifs.stages.parts import extract_from
    from attention_motifs.store.settings import Configuration

    configuration = Configuration(
        models=(loaded.info.name,),
        max_tokens=max_tokens,
        feature_sets=sets,
        n_view_prompts=viewed,
    )

    def run() -> None:
        with tempfile.TemporaryDirectory() as folder:
            atlas = Atlas.create(
                Path(folder) / "atlas",
                configuration,
                prompts_table(prompts),
                prompts_digest(prompts),
            )
            extract_from(atlas, source_of(loaded, tokenized, configuration))

    return run


# Loading


def loading(arguments: argparse.Namespace) -> dict[str, Any]:
    """Seconds that a fresh process takes to have a cached model ready, round by round."""
    figures: dict[str, list[dict[str, float]]] = {model: [] for model in MODELS}
    for round_ in range(arguments.rounds + 1):
        for model in MODELS:
            one = in_process(arguments, "load", model=model)
            if round_:
                figures[model].append(one)
    for model, rounds in figures.items():
        for part in ("imports", "load"):
            values = [one[part] for one in rounds]
            print(f"  {model:24} {part:8} {min(values):5.2f} fastest, "
                  f"{statistics.median(values):5.2f} s median")  # fmt: skip
        for kind, of in (("fastest", min), ("median", statistics.median)):
            print_result(
                f"{model}, load, {kind}", of([one["load"] for one in rounds]), LOADING_BAR, " s"
            )
            whole_ = of([one["imports"] + one["load"] for one in rounds])
            print_result(f"{model}, with imports, {kind}", whole_, LOADING_BAR, " s")
    return figures


def load_once(arguments: argparse.Namespace) -> dict[str, float]:
    """Seconds that `load_model` takes in a fresh process: its imports, and the rest of it."""
    started = time.perf_counter()
    from transformers import PreTrainedModel  # noqa: F401

    from attention_motifs.extraction import load_model

    imported = time.perf_counter()
    load_model(arguments.model)
    return {"imports": imported - started, "load": time.perf_counter() - imported}


# Memory


def memory(arguments: argparse.Namespace) -> dict[str, Any]:
    """Peak memory of extraction in a fresh process, for growing numbers of prompts.

    Weights are mapped from their file, and the embedding matrix comes into memory row by row, as
    its tokens occur for the first time: a growth that ends with the vocabulary, of pages that the
    system may drop. So all weights are read first, and the peaks compared are those of the rest.
    """
    figures: dict[int, dict[str, float]] = {}
    for n_prompts in (32, 128, 512):
        figures[n_prompts] = in_process(arguments, "peak", **{"n-prompts": n_prompts})
        one = figures[n_prompts]
        print(
            f"  {n_prompts:5} prompts: peak {one['peak']:7.0f} MiB, of which weights, all read, "
            f"{one['weights']:.0f}; the rest {one['peak'] - one['weights']:.0f}; before the first "
            f"pass {one['loaded']:.0f}"
        )
    rest = {n: one["peak"] - one["weights"] for n, one in figures.items()}
    print_result("peak without weights, 512 over 32 prompts", rest[512] / rest[32], 1.05)
    return {"mib": figures}


def peak_of_extraction(arguments: argparse.Namespace) -> dict[str, float]:
    """Extract into an atlas; MiB of the weights, of all before it, and of this process's peak."""
    from attention_motifs.extraction import load_model
    from attention_motifs.models.tokenizing import tokenize

    prompts = long_prompts(arguments.n_prompts, arguments.max_tokens)
    loaded = load_model(arguments.model)
    tokenized = tokenize(
        loaded, [(p.prompt_id, p.text) for p in prompts], max_tokens=arguments.max_tokens
    )
    weights = list(loaded.model.parameters())
    for weight in weights:
        weight.sum()
    figures = {"weights": sum(w.nbytes for w in weights) / 2**20, "loaded": peak_mib()}
    sets = SETS["paper + extended"]
    whole(loaded, prompts, tokenized, arguments.max_tokens, sets, viewed=8)()
    return {**figures, "peak": peak_mib()}


def peak_mib() -> float:
    """Peak memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def long_pattern(arguments: argparse.Namespace) -> dict[str, Any]:
    """Memory that a pass over 2,048 tokens takes, in patterns of one layer."""
    figures: dict[str, Any] = in_process(arguments, "long", **{"max-tokens": 2048})
    print(f"  one layer's patterns of 2,048 tokens: {figures['patterns']:.0f} MiB")
    for what in ("pass", "pass and features"):
        print_result(f"{what}: peak memory over that", figures[what] / figures["patterns"], 2.0)
    return figures


def long_once(arguments: argparse.Namespace) -> dict[str, float]:
    """MiB of a layer's patterns, and by which a pass over three layers raises the peak."""
    import torch

    from attention_motifs.extraction import load_model, run_tapped
    from attention_motifs.features import compute_features

    loaded = load_model(arguments.model)
    n = arguments.max_tokens
    ids = torch.arange(100, 100 + n)[None]

    def features(_layer: int, patterns: Any) -> None:
        compute_features(patterns[0], ["paper", "extended"], threads=1)

    run_tapped(loaded, ids[:, :64], features)  # compiled, and all weights read
    figures = {"patterns": loaded.info.n_heads * n * n * 4 / 2**20}
    before = peak_mib()
    run_tapped(loaded, ids, lambda *_: None, stop_after_layer=2)
    figures["pass"] = peak_mib() - before
    run_tapped(loaded, ids, features, stop_after_layer=2)
    figures["pass and features"] = peak_mib() - before
    return figures


# A model in memory, by us and by others

LOOP_BAR = 1.3


def in_memory_ways(
    arguments: argparse.Namespace, model: Any, tokenizer: Any, folder: Path
) -> dict[str, Callable[[], Callable[[], None]]]:
    """Ways to the patterns or the features of a model in memory; each is prepared by a call."""
    import torch

    import attention_motifs as am
    from attention_motifs.models.tokenizing import tokenize

    n = arguments.max_tokens
    prompts = long_prompts(arguments.n_prompts, n)
    sets = SETS["paper + extended"]
    cut = [tokenizer(p.text, truncation=True, max_length=n)["input_ids"] for p in prompts]
    ids = torch.tensor(cut)

    ours = am.load_model((model, tokenizer)) if arguments.way in OURS else None

    def batches() -> Any:
        return am.extract_patterns(ours, prompts, max_tokens=n)

    def patterns() -> None:
        for _ in batches():
            pass

    def loop() -> None:
        for batch in batches():
            am.compute_features(batch.patterns, sets)

    def extraction() -> Callable[[], None]:
        given = [(p.prompt_id, p.text) for p in prompts]
        return whole(ours, prompts, tokenize(ours, given, max_tokens=n), n, sets, 1)

    def eager() -> Callable[[], None]:
        model.set_attn_implementation("eager")

        def run() -> None:
            with torch.inference_mode():
                for batch in ids.split(4):
                    model(input_ids=batch, use_cache=False, output_attentions=True)

        return run

    def lens() -> Callable[[], None]:
        from transformer_lens.model_bridge import TransformerBridge

        model.set_attn_implementation("eager")
        bridge = TransformerBridge.boot_transformers(
            str(folder), hf_model=model, tokenizer=tokenizer, device="cpu"
        )

        def run() -> None:
            with torch.inference_mode():
                for batch in ids.split(4):
                    bridge.run_with_cache(batch, names_filter=lambda n: n.endswith("hook_pattern"))

        return run

    return {
        "patterns": lambda: patterns,
        "loop": lambda: loop,
        "extraction": extraction,
        "output_attentions": eager,
        "run_with_cache": lens,
    }


OURS = ("patterns", "loop", "extraction")
PEERS = (*OURS, "output_attentions", "run_with_cache")


def peer_once(arguments: argparse.Namespace) -> dict[str, float]:
    """Seconds and processor seconds of the second run of one way in a fresh process, and its peak.

    Processor seconds differ less from run to run where other programs use the machine too.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from attention_motifs.models.fetch import local_folder
    from attention_motifs.models.sources import resolve

    folder = local_folder(resolve(arguments.model))
    model = AutoModelForCausalLM.from_pretrained(folder).float().eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    run = in_memory_ways(arguments, model, tokenizer, folder)[arguments.way]()
    run()
    started, used = time.perf_counter(), time.process_time()
    run()
    return {
        "seconds": time.perf_counter() - started,
        "processor seconds": time.process_time() - used,
        "peak": peak_mib(),
    }


def peers(arguments: argparse.Namespace) -> dict[str, Any]:
    """Compare the ways, round by round; a library that is not installed is left out."""
    figures: dict[str, list[dict[str, float]]] = {way: [] for way in PEERS}
    for _ in range(arguments.rounds):
        for way in PEERS:
            try:
                figures[way].append(
                    in_process(arguments, "peer", way=way, **{"n-prompts": arguments.n_prompts})
                )
            except subprocess.CalledProcessError as error:
                print(f"  {way}: left out: {error.stderr.strip().splitlines()[-1]}")
    done = {way: rounds for way, rounds in figures.items() if rounds}
    for way, rounds in done.items():
        parts = []
        for kind in ("seconds", "processor seconds"):
            values = [one[kind] for one in rounds]
            parts.append(f"{min(values):6.2f} to {max(values):6.2f} {kind}")
        parts.append(f"peak {max(one['peak'] for one in rounds):6.0f} MiB")
        print(f"  {way:18}" + ", ".join(parts))
    for kind in ("seconds", "processor seconds"):
        loop, extraction = (min(one[kind] for one in done[way]) for way in ("loop", "extraction"))
        print_result(f"the loop over extraction, fastest {kind}", loop / extraction, LOOP_BAR)
    return figures


CHILDREN: dict[str, Callable[[argparse.Namespace], Any]] = {
    "peak": peak_of_extraction,
    "load": load_once,
    "long": long_once,
    "peer": peer_once,
}


if __name__ == "__main__":
    main()
