"""Jobs on a Ray cluster: each worker is an actor that keeps its model loaded."""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from attention_motifs.errors import InputError, JobsFailedError, MotifsError, ResourceError
from attention_motifs.executors.jobs import Job, call, failed_jobs
from attention_motifs.progress import Advance

TRIES = 3
"""Of a job whose worker dies, or which raises what is not the user's mistake."""


class Worker:
    """What runs in each actor's process."""

    def __init__(self, folder: str) -> None:
        """Work in the folder of the command, which relative paths of models begin at."""
        with suppress(OSError):  # on another machine it may not be there; whole paths may
            os.chdir(folder)

    def ready(self) -> None:
        """Return once the process is up."""

    def call(self, job: Job) -> Any:  # as the job's function returns
        """Call the job's function."""
        return call(job)


@dataclass
class RayExecutor:
    """Runs jobs on the workers of a Ray cluster that all see the atlas's folder."""

    address: str = "local"
    """`local` starts one here, for as long as jobs run; `auto` finds the one that is there."""
    n_workers: int | None = None
    """At most; by default as many as the cluster has room for."""
    cpus: float = 1.0
    """Of each worker, which also runs as many threads."""
    gpus: float = 0.0
    """Of each worker; 0.5 lets two workers share one."""
    resources: Mapping[str, float] = field(default_factory=dict)
    """Of each worker, by the cluster's own names."""
    _crew: _Crew | None = field(default=None, init=False, repr=False, compare=False)
    _ends: ExitStack = field(default_factory=ExitStack, init=False, repr=False, compare=False)

    def run(self, jobs: Sequence[Job], advance: Advance) -> list[Any]:
        """Run all jobs, see `Executor.run`. The workers stay, with their models, until `close`.

        Raises:
            InputError: if Ray is not installed, there is no cluster, or it has nowhere a worker
                fits.
            ResourceError: if workers die before they are ready.
            JobsFailedError: if jobs failed for good, once the others are done.
        """
        if not jobs:
            return []
        if self._crew is None:
            ray = self._ends.enter_context(self._connected())
            room = self._room(ray)
            self._crew = _Crew(ray, self, min(room, self.n_workers or room))
            self._ends.callback(self._crew.dismiss)
        try:
            return self._crew.run(jobs, advance)
        except JobsFailedError:
            raise
        except BaseException:  # Ctrl-C too: what the workers are at is of no use any more
            self.close()
            raise

    def close(self) -> None:
        """End the workers, and leave the cluster; a later `run` begins anew."""
        self._crew = None
        self._ends.close()

    @contextmanager
    def _connected(self) -> Iterator[Any]:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        try:
            import ray
        except ImportError as error:
            raise InputError(
                "--executor ray: Ray is not installed; run: pip install 'attention-motifs[ray]'"
            ) from error
        if ray.is_initialized():  # by the program that calls us
            yield ray
            return
        try:
            ray.init(
                address=self.address,
                include_dashboard=False if self.address == "local" else None,
                log_to_driver=False,
                logging_level=logging.ERROR,
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
        """How many workers fit on the machines of the cluster."""
        needs = {name: amount for name, amount in self._needs().items() if amount > 0}
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        room = sum(
            min(int(node.get(name, 0.0) / amount + 1e-9) for name, amount in needs.items())
            if needs
            else 1
            for node in nodes
        )
        if room < 1:
            asked = ", ".join(f"{name} {amount:g}" for name, amount in needs.items())
            there = "; ".join(
                ", ".join(f"{name} {node[name]:g}" for name in needs if name in node) or "none"
                for node in nodes
            )
            raise InputError(
                f"--ray-worker: no machine of the cluster has {asked} (it has: {there}); ask for "
                "less"
            )
        return room

    def start_worker(self, ray: Any) -> Any:
        """Start one actor; Ray finds the place."""
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
    """None while the worker starts."""


class _Crew:
    """The workers of one run and what each is doing."""

    def __init__(self, ray: Any, executor: RayExecutor, n_workers: int) -> None:
        self.ray, self.executor, self.n_workers = ray, executor, n_workers
        self.busy: dict[Any, _Busy] = {}
        self.idle: list[Any] = []
        self.loaded: dict[Any, str] = {}
        self.failed_starts = 0

    def _hire(self, n_jobs: int) -> None:
        """Start as many workers as are missing for the jobs that are left."""
        for _ in range(min(self.n_workers, n_jobs) - len(self.busy) - len(self.idle)):
            worker = self.executor.start_worker(self.ray)
            self.busy[worker.ready.remote()] = _Busy(worker, None)

    def dismiss(self) -> None:
        """End all workers, also in the middle of a job: parts are whole or absent."""
        for worker in [*self.idle, *(one.worker for one in self.busy.values())]:
            self.ray.kill(worker)

    def run(self, jobs: Sequence[Job], advance: Advance) -> list[Any]:
        """Give out jobs until each is done or has failed for good."""
        waiting = deque(range(len(jobs)))
        tries = [0] * len(jobs)
        results: list[Any] = [None] * len(jobs)
        failed: list[tuple[str, str]] = []
        left = len(jobs)
        while left:
            self._hire(left)
            self._assign(jobs, waiting)
            done, _ = self.ray.wait(list(self.busy), num_returns=1)
            one = self.busy.pop(done[0])
            result, error, died = self._outcome(done[0])
            if died:
                self.loaded.pop(one.worker, None)
                self.ray.kill(one.worker)  # in case it is only out of reach
                self._count_start(one, error)
            else:
                self.idle.append(one.worker)
                self.failed_starts = 0
            if one.job is None:
                continue
            job = jobs[one.job]
            if error is not None:
                tries[one.job] += 1
                if tries[one.job] < TRIES and not _is_users(error):
                    waiting.append(one.job)
                    continue
                failed.append((job.name, _told(error, tries[one.job])))
            results[one.job] = result
            left -= 1
            advance(job.steps)
        if failed:
            raise failed_jobs(failed, len(jobs))
        return results

    def _assign(self, jobs: Sequence[Job], waiting: deque[int]) -> None:
        """Give idle workers jobs: of the model that they have loaded, else of the rarest one."""
        while self.idle and waiting:
            worker = self.idle.pop()
            crowd = list(self.loaded.values())
            own = self.loaded.get(worker)
            at = next((i for i in waiting if jobs[i].loads == own), None)
            if at is None:
                at = min(waiting, key=lambda i: crowd.count(jobs[i].loads))
            waiting.remove(at)
            self.loaded[worker] = jobs[at].loads
            self.busy[worker.call.remote(jobs[at])] = _Busy(worker, at)

    def _outcome(self, reference: Any) -> tuple[Any, BaseException | None, bool]:
        """What a call gave, or its error, and whether the worker died of it."""
        from ray import exceptions

        try:
            return self.ray.get(reference), None, False
        except exceptions.RayTaskError as error:
            return None, error.cause if isinstance(error.cause, Exception) else error, False
        except exceptions.RayError as error:
            return None, error, True

    def _count_start(self, one: _Busy, error: BaseException | None) -> None:
        if one.job is not None:
            return
        self.failed_starts += 1
        if self.failed_starts >= TRIES:
            raise ResourceError(
                f"--executor ray: {TRIES} workers died while starting ({_first_line(error)}); is "
                "attention-motifs installed on all machines of the cluster?"
            )


def _is_users(error: BaseException) -> bool:
    """Whether the error is one that trying again cannot mend."""
    return isinstance(error, MotifsError) and not isinstance(error, ResourceError)


def _told(error: BaseException, tries: int) -> str:
    if isinstance(error, MotifsError):
        return str(error)
    return f"{type(error).__name__}: {_first_line(error)}, {tries} times"


def _first_line(error: BaseException | None) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "no reason")
