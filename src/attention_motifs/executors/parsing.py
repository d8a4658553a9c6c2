"""Options of the command line to an executor."""

from __future__ import annotations

import math

from attention_motifs.errors import InputError
from attention_motifs.executors.jobs import Executor
from attention_motifs.executors.local import LOCAL
from attention_motifs.executors.ray_actors import RayExecutor

EXECUTORS = ("local", "ray")


def choose_executor(
    name: str = "local",
    *,
    address: str | None = None,
    n_workers: int | None = None,
    worker: str | None = None,
) -> Executor:
    """Return the executor that the options describe.

    Args:
        name: `local` (this process) or `ray`.
        address: Ray cluster: `local` (start one here; the default), `auto` (use the running one),
            `host:port` or a `ray://` URL.
        n_workers: largest number of Ray workers; default: as many as the cluster has room for.
        worker: resources of each Ray worker, such as `cpus=2,gpus=0.5,a100=1`.

    Raises:
        InputError: if the name is not known, or an option is malformed or needs `ray`.
    """
    if name not in EXECUTORS:
        raise InputError(f"--executor {name!r}: choose {' or '.join(EXECUTORS)}")
    if name == "local":
        for option, value in (
            ("--ray-address", address),
            ("--ray-workers", n_workers),
            ("--ray-worker", worker),
        ):
            if value is not None:
                raise InputError(f"{option} {value}: add --executor ray, or leave this option out")
        return LOCAL
    if n_workers is not None and n_workers < 1:
        raise InputError(f"--ray-workers {n_workers}: give 1 or more")
    resources = read_resources(worker or "")
    return RayExecutor(
        address=address or "local",
        n_workers=n_workers,
        cpus=resources.pop("cpus", 1.0),
        gpus=resources.pop("gpus", 0.0),
        resources=resources,
    )


def read_resources(text: str) -> dict[str, float]:
    """Read resources such as `cpus=2,gpus=0.5,a100=1`.

    Raises:
        InputError: if an entry is not NAME=NUMBER with a number of at least 0.
    """
    resources: dict[str, float] = {}
    for entry in filter(None, (part.strip() for part in text.split(","))):
        name, _, amount = (word.strip() for word in entry.partition("="))
        try:
            number = float(amount)
        except ValueError:
            number = math.nan
        if not name or not math.isfinite(number) or number < 0:
            raise InputError(
                f"--ray-worker {entry!r}: write NAME=NUMBER, such as cpus=2,gpus=0.5,a100=1"
            )
        resources[name] = number
    return resources
