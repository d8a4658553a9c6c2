"""Run the command line again and again, stopped by a signal at chosen steps of its writing.

Started as a program: one process imports what takes long, and forks one run after another. A step
is the making of a temporary file, its flush, and its renaming, before and after.

    python stopped_runs.py SIGNAL STEPS ARGUMENT...

STEPS is a list such as 3,1,12: the first run is stopped at its third step, the second at its
first... The run after the last one is left alone. Exit codes are printed as one JSON list.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from attention_motifs.store import atomic

_SLOW_TO_IMPORT = (
    "attention_motifs.cli.app",
    "attention_motifs.distances.metrics",
    "attention_motifs.extraction.stream",
    "attention_motifs.features.kernels",
    "attention_motifs.stages.run",
    "polars",
    "torch._dynamo",
    "transformers.models.auto.modeling_auto",
    "transformers.models.auto.tokenization_auto",
    "transformers.models.gpt2.modeling_gpt2",
    "transformers.models.llama.modeling_llama",
    "transformers.models.qwen2.modeling_qwen2",
)


def run(arguments: list[str], signal: int, at: int | None) -> int:
    """Fork one run; return its exit code, or minus the signal that ended it."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if at is not None:
        _stop_at(at, signal)
    sys.argv = ["motifs", *arguments]
    code: Any = 99
    try:
        from attention_motifs.cli import main

        main()
    except SystemExit as leaving:
        code = leaving.code
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 98)


def _stop_at(at: int, signal: int) -> None:
    steps = iter(range(1, at + 1))

    def step() -> None:
        if next(steps, None) == at:
            os.kill(os.getpid(), signal)

    def watched(function: Callable[..., Any], before: bool, after: bool) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            if before:
                step()
            result = function(*arguments, **named)
            if after:
                step()
            return result

        return call

    atomic._temporary = watched(atomic._temporary, before=False, after=True)
    os.fsync = watched(os.fsync, before=True, after=False)
    Path.replace = watched(Path.replace, before=True, after=True)  # type: ignore[method-assign]


def main() -> None:
    signal, steps, *arguments = sys.argv[1:]
    for name in _SLOW_TO_IMPORT:
        import_module(name)
    moments = [int(step) for step in steps.split(",") if step]
    codes = [run(arguments, int(signal), at) for at in [*moments, None]]
    print(json.dumps(codes))


if __name__ == "__main__":
    main()
