"""Options that choose where models run, for every command that runs them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import typer

from attention_motifs.cli import options as o
from attention_motifs.executors import choose_executor

Command = TypeVar("Command", bound=Callable[..., None])

_OPTIONS: dict[str, tuple[Any, Any]] = {
    "executor": (
        Annotated[
            str,
            typer.Option(
                "--executor",
                metavar="NAME",
                help="Where to run the models: local (this process) or ray (a cluster).",
            ),
        ],
        "local",
    ),
    "ray_address": (
        Annotated[
            str | None,
            o.value_option(
                "--ray-address",
                "ADDRESS",
                "Ray cluster: auto (a running one), local (start one here), host:port or ray://...",
                unset="local",
            ),
        ],
        None,
    ),
    "ray_workers": (
        Annotated[
            int | None,
            o.value_option(
                "--ray-workers", "N", "Maximum number of workers.", unset="as many as fit", min=1
            ),
        ],
        None,
    ),
    "ray_worker": (
        Annotated[
            str | None,
            o.value_option(
                "--ray-worker",
                "RESOURCES",
                "Resources of each worker, such as cpus=2,gpus=0.5; custom resources too.",
                unset="cpus=1",
            ),
        ],
        None,
    ),
}
"""Type and default of each option."""


def takes_executor(command: Command) -> Command:
    """Give a command the options that choose where models run.

    The command has an argument `executor`, and receives the `Executor` that the options describe.
    """

    @functools.wraps(command)
    def run(**values: Any) -> None:
        name, address, n_workers, worker = (values.pop(option) for option in _OPTIONS)
        executor = choose_executor(name, address=address, n_workers=n_workers, worker=worker)
        command(**values, executor=executor)

    signature = inspect.signature(command, eval_str=True)
    rest = [p for p in signature.parameters.values() if p.name != "executor"]
    options = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
        for name, (kind, default) in _OPTIONS.items()
    ]
    parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in rest] + options
    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return run  # type: ignore[return-value]
