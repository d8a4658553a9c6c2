"""Jobs on a Ray cluster: every worker is an actor that keeps its model loaded."""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from attention_motifs.errors import InputError, JobsFailedError, MotifsError, ResourceError, require
from attention_motifs.executors.jobs import Done, Job, Live, Plain, call, failed_jobs, ignore
from attention_motifs.executors.ray_cleaner import session_folder
from attention_motifs.progress import Advance

TRIES = 3
"""Attempts at a job whose worker dies, or which raises anything but a user's mistake."""


class Worker:
    """The actor: runs jobs in its own process."""

    def __init__(self, folder: str) -> None:
        """Change to the folder of the command, since paths of models may be relative to it."""
        with suppress(OSError):  # another machine may not have it, and absolute paths still work
            os.chdir(folder)

    def ready(self) -> None:
        """Return once the process is up."""

    def call(self, job: Job) -> Any:  # as the job's function returns
        """Call the job's function."""
        return call(job)


@dataclass
class RayExecutor:
    """Runs jobs on the workers of a Ray cluster; all workers must see the folder of the atlas."""

    address: str = "local"
    """`local` starts a cluster here while jobs run; `auto` uses the running one."""
    n_workers: int | None = None
    """Largest number of workers; default: as many as the cluster has room for."""
    cpus: float = 1.0
    """CPUs of each worker, which runs as many threads."""
    gpus: float = 0.0
    """GPUs of each worker; 0.5 lets two workers share one."""
    resources: Mapping[str, float] = field(default_factory=dict)
    """Custom resources of each worker, by the names that the cluster gives them."""
    _crew: _Crew | None = field(default=None, init=False, repr=False, compare=False)
    _ends: ExitStack = field(default_factory=ExitStack, init=False, repr=False, compare=False)

    def run(self, jobs: Sequence[Job], advance: Advance, done: Done = ignore) -> list[Any]:
        """Run all jobs, see `Executor.run`. The workers keep their models until `close`.

        Raises:
            InputError: if Ray is not installed, no cluster answers, or no machine has room for a
                worker.
            ResourceError: if workers die before they are ready.
            JobsFailedError: if jobs failed for good, after the others finished.
        """
        if not jobs:
            return []
        if self._crew is None:
            ray = self._ends.enter_context(self._connected())
            room = self._room(ray)
            self._crew = _Crew(ray, self, min(room, self.n_workers or room))
            self._ends.callback(self._crew.dismiss)
        try:
            return self._crew.run(jobs, advance, done)
        except JobsFailedError:
            raise
        except BaseException:  # Ctrl-C too: nobody needs the results of the running jobs
            self.close()
            raise

    def share(self, live: Live, plain: Plain) -> Live | Plain:  # noqa: ARG002
        """Return the plain form: workers are other processes."""
        return plain

    def close(self) -> None:
        """Stop the workers and disconnect from the cluster; a later `run` connects again."""
        self._crew = None
        self._ends.close()

    @contextmanager
    def _connected(self) -> Iterator[Any]:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        ray = require("ray", "--executor ray")
        if ray.is_initialized():  # by the calling program
            yield ray
            return
        with session_folder() if self.address == "local" else nullcontext() as folder:
            here = {} if folder is None else {"include_dashboard": False, "_temp_dir": str(folder)}
            try:
                ray.init(
                    address=self.address, log_to_driver=False, logging_level=logging.ERROR, **here
                )
            except (ConnectionError, ValueError, RuntimeError) as error:
                raise InputError(
                    f"--ray-address {self.address!r}: no cluster answers there "
                    f"({_first_line(error)}); start one with `ray start --head`, or use 'local'"
                ) from error
            try:
                yield ray
            finally:
                ray.shutdown()

    def _needs(self) -> dict[str, float]:
        return {"CPU": self.cpus, "GPU": self.gpus, **self.resources}

    def _room(self, ray: Any) -> int:
        """Return how many workers fit on the machines of the cluster."""
        needs = {name: amount for name, amount in self._needs().items() if amount > 0}
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        room = sum(
            min(int(node.get(name, 0.0) / amount + 1e-9) for name, amount in needs.items())
            if needs
            else 1
            for node in nodes
        )
        if room < 1:
            needed = ", ".join(f"{name} {amount:g}" for name, amount in needs.items())
            available = "; ".join(
                ", ".join(f"{name} {node[name]:g}" for name in needs if name in node) or "none"
                for node in nodes
            )
            raise InputError(
                f"--ray-worker: no machine of the cluster has {needed} (available: {available}). "
                "Give each worker less"
            )
        return room

    def start_worker(self, ray: Any) -> Any:
        """Start one actor; Ray chooses the machine."""
        threads = str(max(1, int(self.cpus)))
        variables = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), threads)
        variables["NUMBA_NUM_THREADS"] = variables["OPENBLAS_NUM_THREADS"] = threads
        return (
            ray.remote(Worker)
            .options(
                num_cpus=self.cpus,
                num_gpus=self.gpus,
                resources=dict(self.resources) or None,
                runtime_env={"env_vars": variables},
            )
            .remote(str(Path.cwd()))
        )


@dataclass
class _Busy:
    worker: Any
    job: int | None
    """Position of its job; None while the worker starts."""


class _Crew:
    """The workers of one run and the job of each."""

    def __init__(self, ray: Any, executor: RayExecutor, n_workers: int) -> None:
        self.ray, self.executor, self.n_workers = ray, executor, n_workers
        self.busy: dict[Any, _Busy] = {}
        self.idle: list[Any] = []
        self.loaded: dict[Any, str] = {}
        self.failed_starts = 0

    def _hire(self, n_jobs: int) -> None:
        """Start the workers that are missing for the remaining jobs."""
        for _ in range(min(self.n_workers, n_jobs) - len(self.busy) - len(self.idle)):
            worker = self.executor.start_worker(self.ray)
            self.busy[worker.ready.remote()] = _Busy(worker, None)

    def dismiss(self) -> None:
        """Stop all workers, also during a job: a part is complete or absent."""
        for worker in [*self.idle, *(busy.worker for busy in self.busy.values())]:
            self.ray.kill(worker)

    def run(self, jobs: Sequence[Job], advance: Advance, done: Done) -> list[Any]:
        """Assign jobs until each finished or failed for good."""
        waiting = deque(range(len(jobs)))
        tries = [0] * len(jobs)
        results: list[Any] = [None] * len(jobs)
        failed: list[tuple[str, str]] = []
        remaining = len(jobs)
        while remaining:
            self._hire(remaining)
            self._assign(jobs, waiting)
            ready, _ = self.ray.wait(list(self.busy), num_returns=1)
            busy = self.busy.pop(ready[0])
            result, error, died = self._outcome(ready[0])
            if died:
                self.loaded.pop(busy.worker, None)
                self.ray.kill(busy.worker)  # it may only be unreachable
                self._count_start(busy, error)
            else:
                self.idle.append(busy.worker)
                self.failed_starts = 0
            if busy.job is None:
                continue
            job = jobs[busy.job]
            if error is not None:
                tries[busy.job] += 1
                if tries[busy.job] < TRIES and not _is_mistake(error):
                    waiting.append(busy.job)
                    continue
                failed.append((job.name, _reason(error, tries[busy.job])))
            else:
                results[busy.job] = result
                done(busy.job, result)
            remaining -= 1
            advance(job.steps)
        if failed:
            raise failed_jobs(failed, len(jobs))
        return results

    def _assign(self, jobs: Sequence[Job], waiting: deque[int]) -> None:
        """Assign idle workers jobs of the model that they have loaded, else of the rarest model."""
        while self.idle and waiting:
            worker = self.idle.pop()
            loaded = list(self.loaded.values())
            model = self.loaded.get(worker)
            position = next((i for i in waiting if jobs[i].loads == model), None)
            if position is None:
                position = min(waiting, key=lambda i: loaded.count(jobs[i].loads))
            waiting.remove(position)
            self.loaded[worker] = jobs[position].loads
            self.busy[worker.call.remote(jobs[position])] = _Busy(worker, position)

    def _outcome(self, reference: Any) -> tuple[Any, BaseException | None, bool]:
        """Return the result of a call, or its error, and whether the worker died."""
        from ray import exceptions

        try:
            return self.ray.get(reference), None, False
        except exceptions.RayTaskError as error:
            return None, error.cause if isinstance(error.cause, Exception) else error, False
        except exceptions.RayError as error:
            return None, error, True

    def _count_start(self, busy: _Busy, error: BaseException | None) -> None:
        if busy.job is not None:
            return
        self.failed_starts += 1
        if self.failed_starts >= TRIES:
            raise ResourceError(
                f"--executor ray: {TRIES} workers died while starting ({_first_line(error)}). "
                "Install attention-motifs on all machines of the cluster"
            )


def _is_mistake(error: BaseException) -> bool:
    """Return whether the error is a user's mistake, which another attempt repeats."""
    return isinstance(error, MotifsError) and not isinstance(error, ResourceError)


def _reason(error: BaseException, tries: int) -> str:
    if isinstance(error, MotifsError):
        return str(error)
    return f"{type(error).__name__}: {_first_line(error)}, {tries} times"


def _first_line(error: BaseException | None) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "no reason")
