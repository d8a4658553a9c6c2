"""Long prompts: seconds, cores, memory and time to stop, by the number of tokens.

    python benchmarks/long_contexts.py --lengths 2048 4096
    python benchmarks/long_contexts.py --lengths 2048 --only commands

A model of random weights with two layers of two heads runs on one prompt of each length. Parts:

- `commands`: build an atlas, then `show` and `export --html`; the seconds, the processor seconds
  over the seconds (cores in use) and the peak memory of each command.
- `stop`: Ctrl-C at several moments of the extraction; seconds until the process has ended.

Prints tables and writes JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

LAYERS, HEADS = 2, 2
HEAD = "long:L1:H1"
MOMENTS = (3.0, 5.0, 7.0, 9.0, 12.0)
"""Seconds after the start of the extraction at which it is stopped."""


def main() -> None:
    """Run the parts, print tables and write JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lengths", type=int, nargs="+", default=[2048, 4096])
    parser.add_argument("--folder", type=Path, default=Path("long-contexts"))
    parser.add_argument("--only", nargs="*", default=["commands", "stop"])
    parser.add_argument("--features", nargs="*", default=[])
    given = parser.parse_args()
    folder = given.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    model = make_model(folder / "model", max(given.lengths))
    chosen = [word for name in given.features for word in ("--features", name)]
    results: dict[str, Any] = {}
    for n in given.lengths:
        words = build_words(folder, model, n, chosen)
        if "commands" in given.only:
            results[f"{n}"] = commands(folder, words, n)
        if "stop" in given.only:
            results[f"{n}, stop"] = [stopped(folder, words, moment) for moment in MOMENTS]
        print(json.dumps(results, indent=1), flush=True)
    (folder / "results.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


def make_model(path: Path, context: int) -> Path:
    """Write the model, unless it is there."""
    from tiny_models import make_tiny_model

    if not (path / "config.json").is_file():
        make_tiny_model(path, n_layers=LAYERS, n_heads=HEADS, context=max(8192, context))
    return path


def build_words(folder: Path, model: Path, n: int, features: Sequence[str]) -> list[str]:
    """Write a prompt of more than n tokens, and return the command that extracts its patterns."""
    from tiny_models import TEXTS

    text = " ".join(f"{i}: {TEXTS[i * 7 % len(TEXTS)]}" for i in range(n // 8))
    prompts = folder / f"prompt-{n}.jsonl"
    prompts.write_text(json.dumps({"text": text}) + "\n", encoding="utf-8")
    return [
        *("extract", "--model", f"long={model}", "--prompts", str(prompts)),
        *("--max-tokens", str(n), *features),
    ]


def commands(folder: Path, words: Sequence[str], n: int) -> dict[str, Any]:
    """Measure the extraction of one prompt, `show` and `export --html`."""
    atlas = folder / f"atlas-{n}"
    shutil.rmtree(atlas, ignore_errors=True)
    at = ("--atlas", str(atlas))
    page = str(folder / "head.html")
    return {
        "extract": measured([*words, *at]),
        "embed": measured(["embed", *at]),
        "distances": measured(["distances", "--metric", "mean", *at]),
        "show": measured(["show", HEAD, *at]),
        "export": measured(["export", HEAD, "--html", "--out", page, *at]),
        "check": measured(["check", *at]),
    }


def command(words: Sequence[str]) -> list[str]:
    """Return the words that run `motifs` in a process of its own."""
    return [sys.executable, "-m", "attention_motifs", *words]


def measured(words: Sequence[str]) -> dict[str, Any]:
    """Run a command; return seconds, cores in use, peak MiB, exit code and last line."""
    start = time.perf_counter()
    with subprocess.Popen(
        command(words), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as child:
        assert child.stdout is not None
        output = child.stdout.read().decode()
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - start
    return {
        "seconds": round(seconds, 1),
        "cores": round((usage.ru_utime + usage.ru_stime) / seconds, 2),
        "mib": usage.ru_maxrss // 1024,
        "code": child.returncode,
        "last": (output.strip().splitlines() or [""])[-1][:200],
    }


def stopped(folder: Path, words: Sequence[str], moment: float) -> dict[str, Any]:
    """Stop an extraction after some seconds; return the seconds until its end."""
    atlas = folder / "atlas-stopped"
    shutil.rmtree(atlas, ignore_errors=True)
    with subprocess.Popen(
        command([*words, "--atlas", str(atlas)]), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as child:
        time.sleep(moment)
        ended_before = child.poll() is not None
        start = time.perf_counter()
        if not ended_before:
            child.send_signal(signal.SIGINT)
        output, _ = child.communicate()
        seconds = time.perf_counter() - start
    last = (output.decode().strip().splitlines() or [""])[-1][:200]
    return {
        "after": moment,
        "seconds": round(seconds, 2),
        "ended before": ended_before,
        "code": child.returncode,
        "last": last,
    }


if __name__ == "__main__":
    main()
