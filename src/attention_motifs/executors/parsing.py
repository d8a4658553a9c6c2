"""From what a user writes to an executor."""

from __future__ import annotations

import math

from attention_motifs.errors import InputError
from attention_motifs.executors.jobs import Executor
from attention_motifs.executors.ray_actors import RayExecutor

EXECUTORS = ("local", "ray")


def choose_executor(
    name: str = "local",
    *,
    address: str | None = None,
    n_workers: int | None = None,
    worker: str | None = None,
) -> Executor | None:
    """Return the executor meant; None for `local`, which stages have built in.

    Args:
        name: one of `EXECUTORS`.
        address: of the Ray cluster: `auto`, `local` (one is started here, the default), host:port
            or a `ray://` URL.
        n_workers: at most so many; by default as many as the cluster has room for.
        worker: what each worker takes, such as `cpus=2,gpus=0.5,a100=1`.

    Raises:
        InputError: if the name is not known, or a setting cannot be read or is not for it.
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
                raise InputError(f"{option} {value}: is for --executor ray")
        return None
    if n_workers is not None and n_workers < 1:
        raise InputError(f"--ray-workers {n_workers}: at least 1 is needed")
    resources = read_resources(worker or "")
    return RayExecutor(
        address=address or "local",
        n_workers=n_workers,
        cpus=resources.pop("cpus", 1.0),
        gpus=resources.pop("gpus", 0.0),
        resources=resources,
    )


def read_resources(text: str) -> dict[str, float]:
    """Read `cpus=2,gpus=0.5,a100=1`.

    Raises:
        InputError: if an entry is not NAME=NUMBER with a number of at least 0.
    """
    found: dict[str, float] = {}
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
        found[name] = number
    return found
