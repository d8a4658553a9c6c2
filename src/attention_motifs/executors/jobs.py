"""Jobs, and what runs them."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from attention_motifs.errors import JobsFailedError
from attention_motifs.progress import Advance

N_NAMED = 3
"""Failed jobs that an error names; it counts the rest."""


def failed_jobs(failed: Sequence[tuple[str, str]], n_jobs: int) -> JobsFailedError:
    """Build the error for jobs that could not be done.

    Args:
        failed: names of the jobs and why they failed.
        n_jobs: how many there were in all.
    """
    told = "; ".join(f"{name}: {why}" for name, why in failed[:N_NAMED])
    more = f"; and {len(failed) - N_NAMED} more" if len(failed) > N_NAMED else ""
    return JobsFailedError(
        f"{len(failed)} of {n_jobs} jobs failed ({told}{more}); the others are done, and the same "
        "command goes on with what is missing"
    )


@dataclass(frozen=True)
class Job:
    """A function of this package to be called with plain arguments, here or elsewhere."""

    name: str
    """For messages."""
    function: str
    """Such as `attention_motifs.stages.distribute:extract_part`."""
    arguments: tuple[Any, ...]
    loads: str = ""
    """The model that it needs. A worker keeps to jobs of one model as long as there are any."""
    steps: int = 1
    """Of the progress bar."""


class Executor(Protocol):
    """Runs jobs that do not depend on one another."""

    def run(self, jobs: Sequence[Job], advance: Advance) -> list[Any]:
        """Run all jobs.

        Args:
            jobs: in any order.
            advance: told the steps of every job that is done or given up.

        Returns:
            What the jobs returned, in their order.

        Raises:
            JobsFailedError: if some failed, once the others are done.
        """
        ...

    def close(self) -> None:
        """Give back what jobs ran on; a later `run` takes it again."""
        ...


def call(job: Job) -> Any:  # as the function returns
    """Call a job's function in this process."""
    module, _, name = job.function.partition(":")
    return getattr(importlib.import_module(module), name)(*job.arguments)
