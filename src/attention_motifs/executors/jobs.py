"""Jobs and the interface of the executors that run them."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from attention_motifs.errors import JobsFailedError
from attention_motifs.progress import Advance

N_NAMED = 3
"""Failed jobs that an error names; it counts the rest."""

Live = TypeVar("Live")
Plain = TypeVar("Plain")

Done = Callable[[int, Any], None]
"""Called with the position and the result of a job that finished."""


def ignore(_position: int, _result: Any) -> None:
    """Ignore the result of a job."""


def failed_jobs(
    failed: Sequence[tuple[str, str]], n_jobs: int, n_failed: int | None = None
) -> JobsFailedError:
    """Build the error for jobs that failed.

    Args:
        failed: names of the jobs and the reasons.
        n_jobs: number of all jobs.
        n_failed: number of jobs that failed or were left out; default: those of `failed`.
    """
    n_failed = len(failed) if n_failed is None else n_failed
    reasons = "; ".join(f"{name}: {reason}" for name, reason in failed[:N_NAMED])
    more = f"; and {len(failed) - N_NAMED} more" if len(failed) > N_NAMED else ""
    return JobsFailedError(
        f"{n_failed} of {n_jobs} jobs failed ({reasons}{more}). The others are complete; run "
        "the same command again to do what is missing"
    )


@dataclass(frozen=True)
class Job:
    """A call of a function of this package, in this process or in another."""

    name: str
    """For messages."""
    function: str
    """Module and name, such as `attention_motifs.stages.extract:extract_part`."""
    arguments: tuple[Any, ...]
    loads: str = ""
    """Model that the job needs. A worker prefers jobs of the model that it has loaded."""
    steps: int = 1
    """Steps of the progress bar."""


class Executor(Protocol):
    """Runs jobs that do not depend on one another."""

    def run(self, jobs: Sequence[Job], advance: Advance, done: Done = ignore) -> list[Any]:
        """Run all jobs.

        Args:
            jobs: in any order.
            advance: called with the steps of every job that finished or failed for good.
            done: called in this process with the position and result of every job that finished.

        Returns:
            Results of the jobs, in their order.

        Raises:
            JobsFailedError: if some failed, after the others finished.
        """
        ...

    def share(self, live: Live, plain: Plain) -> Live | Plain:
        """Return the form of an argument that jobs receive.

        Args:
            live: the object itself, for jobs in this process.
            plain: what another process can make the same object from.
        """
        ...

    def close(self) -> None:
        """Release the resources that jobs ran on; a later `run` takes them again."""
        ...


def call(job: Job) -> Any:  # as the function returns
    """Call a job's function in this process."""
    module, _, name = job.function.partition(":")
    return getattr(importlib.import_module(module), name)(*job.arguments)
