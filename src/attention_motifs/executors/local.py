"""Jobs in this process, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from attention_motifs.executors.jobs import Done, Job, Live, Plain, call, ignore
from attention_motifs.progress import Advance


@dataclass(frozen=True)
class LocalExecutor:
    """Runs jobs in this process, in their order; the first error ends the run."""

    def run(self, jobs: Sequence[Job], advance: Advance, done: Done = ignore) -> list[Any]:
        """Run all jobs, see `Executor.run`.

        Raises:
            Exception: the error of the first job that fails.
        """
        results = []
        for position, job in enumerate(jobs):
            results.append(call(job))
            done(position, results[-1])
            advance(job.steps)
        return results

    def share(self, live: Live, plain: Plain) -> Live | Plain:  # noqa: ARG002
        """Return the object itself."""
        return live

    def close(self) -> None:
        """Release nothing: this process goes on."""


LOCAL = LocalExecutor()
"""The default of the stages."""
