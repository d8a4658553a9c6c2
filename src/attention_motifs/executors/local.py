"""Jobs in this process, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from attention_motifs.errors import MotifsError, ResourceError
from attention_motifs.executors.jobs import Done, Job, Live, Plain, call, failed_jobs, ignore
from attention_motifs.progress import Advance


@dataclass(frozen=True)
class LocalExecutor:
    """Runs jobs in this process, in their order.

    After an error that a user can fix, jobs of the same model are left out and the others run. A
    lack of disk or memory, which the others would meet too, ends the run, and so does a bug.
    """

    def run(self, jobs: Sequence[Job], advance: Advance, done: Done = ignore) -> list[Any]:
        """Run all jobs, see `Executor.run`.

        Raises:
            MotifsError: the first error, if jobs of every model failed.
            ResourceError: from the first job that lacks disk or memory.
            JobsFailedError: if jobs of some models failed, after the others finished.
        """
        results: list[Any] = [None] * len(jobs)
        errors: dict[str, tuple[str, MotifsError]] = {}
        owners = [job.loads or job.name for job in jobs]
        for position, (job, owner) in enumerate(zip(jobs, owners, strict=True)):
            if owner not in errors:
                try:
                    results[position] = call(job)
                except ResourceError:
                    raise
                except MotifsError as error:
                    errors[owner] = job.name, error
                else:
                    done(position, results[position])
            advance(job.steps)
        if errors.keys() == set(owners) and errors:
            raise next(iter(errors.values()))[1]
        if errors:
            failed = [(name, str(error)) for name, error in errors.values()]
            raise failed_jobs(failed, len(jobs), sum(owner in errors for owner in owners))
        return results

    def share(self, live: Live, plain: Plain) -> Live | Plain:  # noqa: ARG002
        """Return the object itself."""
        return live

    def close(self) -> None:
        """Release nothing: this process goes on."""


LOCAL = LocalExecutor()
"""The default of the stages."""
