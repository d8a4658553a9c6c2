"""A real Ray cluster on this machine: two workers, some of which die."""

from __future__ import annotations

import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from attention_motifs.atlas import Atlas
from attention_motifs.errors import InputError, JobsFailedError
from attention_motifs.executors import LOCAL, Executor, Job, RayExecutor
from attention_motifs.stages.create import create_or_resume
from attention_motifs.stages.extract import extract
from attention_motifs.stages.remove import remove
from attention_motifs.stages.run import build
from attention_motifs.stages.score import score
from conftest import Tiny, contents
from tiny_models import texts, write_prompts

ray = pytest.importorskip("ray")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]  # a cluster takes seconds to start


@pytest.fixture(scope="module", autouse=True)
def cluster(own_cache: Path) -> Iterator[None]:
    """Two processors, and a resource of its own; the cache is this module's."""
    paths = [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    ray.init(
        runtime_env={"env_vars": {"PYTHONPATH": os.pathsep.join(filter(None, paths))}},
        address="local",
        num_cpus=2,
        resources={"special": 2},
        include_dashboard=False,
        log_to_driver=False,
    )
    yield
    ray.shutdown()


def run(jobs: list[Job], executor: RayExecutor | None = None) -> tuple[list[Any], int]:
    """Results, and how many steps were reported."""
    steps: list[int] = []
    chosen = executor or RayExecutor()
    try:
        return chosen.run(jobs, steps.append), sum(steps)
    finally:
        if executor is None:
            chosen.close()


def notes(folder: Path, *names: str) -> list[Job]:
    return [Job(name, "jobs_to_run:note", (str(folder), name)) for name in names]


def n_calls(folder: Path, name: str) -> int:
    return len(list((folder / name).iterdir()))


def test_results_come_in_the_order_of_the_jobs() -> None:
    jobs = [Job(str(i), "jobs_to_run:double", (i,), loads=f"model {i % 3}") for i in range(12)]
    assert run(jobs) == ([2 * i for i in range(12)], 12)


def test_nothing_to_do_needs_no_worker() -> None:
    assert run([]) == ([], 0)


def test_a_job_whose_worker_dies_is_done_by_another(tmp_path: Path) -> None:
    assert run(notes(tmp_path, "a", "dies once", "b")) == (["a", "dies once", "b"], 3)
    assert n_calls(tmp_path, "dies once") == 2
    assert n_calls(tmp_path, "a") == n_calls(tmp_path, "b") == 1


def test_poisoned_jobs_are_told_after_three_tries_and_the_rest_is_done(tmp_path: Path) -> None:
    with pytest.raises(JobsFailedError) as caught:
        run(notes(tmp_path, "dies", "a", "raises", "b", "mistaken", "c"))
    message = str(caught.value)
    assert "3 of 6 jobs failed" in message
    assert "\n" not in message
    assert "ValueError: nothing works, 3 times" in message
    assert "mistaken: prompt 3: is empty" in message
    assert [n_calls(tmp_path, name) for name in ("dies", "raises")] == [3, 3]
    assert n_calls(tmp_path, "mistaken") == 1, "a user's mistake is the same the second time"
    assert [n_calls(tmp_path, name) for name in "abc"] == [1, 1, 1]


def test_resources_are_passed_through() -> None:
    executor = RayExecutor(cpus=0.5, resources={"special": 1.0})
    result, _ = run([Job("one", "jobs_to_run:assigned", ("special",))], executor)
    executor.close()
    assert result == [(1.0, "1", str(Path.cwd()))]


def test_resources_that_no_machine_has_are_named() -> None:
    with pytest.raises(InputError, match=r"GPU 0\.5.*GPU 0|no machine of the cluster has"):
        run([Job("one", "jobs_to_run:double", (1,))], RayExecutor(gpus=0.5))
    with pytest.raises(InputError, match="h100 1"):
        run([Job("one", "jobs_to_run:double", (1,))], RayExecutor(resources={"h100": 1.0}))


@pytest.fixture(scope="module")
def many(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prompts of ten blocks, the last of them not full."""
    return write_prompts(tmp_path_factory.mktemp("many") / "prompts.jsonl", texts(150))


def extracted(path: Path, tiny: Tiny, prompts: Path, executor: Executor) -> Atlas:
    with Atlas.lock(path, new=True):
        atlas = create_or_resume(path, tiny.configuration(prompts=str(prompts)))
        extract(atlas, executor=executor)
        score(atlas, executor=executor)
        return atlas


class Killer(threading.Thread):
    """Kills one of two workers while it makes a part, once the first part is there."""

    def __init__(self, folder: Path) -> None:
        super().__init__(daemon=True)
        self.folder = folder
        self.killed: int | None = None

    def run(self) -> None:
        ends = time.monotonic() + 120
        while time.monotonic() < ends and self.killed is None:
            if list(self.folder.rglob("part-*.parquet")):
                self.killed = next(self._workers(), None)
                if self.killed is not None:
                    os.kill(self.killed, signal.SIGKILL)
            time.sleep(0.002)

    @staticmethod
    def _workers() -> Iterator[int]:
        """Processes of this cluster that are in a job now: Ray writes it in their titles."""
        ours = os.getpid()
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                title = (entry / "cmdline").read_bytes()
                if title.startswith(b"ray::Worker.call") and ours in _ancestors(int(entry.name)):
                    yield int(entry.name)
            except OSError:  # it ended meanwhile
                continue


def _ancestors(pid: int) -> list[int]:
    result = []
    while pid > 1:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        pid = int(fields[1])
        result.append(pid)
    return result


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds the workers in /proc")
def test_the_atlas_is_the_same_bit_for_bit_though_a_worker_is_killed(
    tiny: Tiny, many: Path, tmp_path: Path
) -> None:
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as many as each worker has
    try:
        here = extracted(tmp_path / "here", tiny, many, LOCAL)
    finally:
        torch.set_num_threads(threads)
    killer = Killer(tmp_path / "there")
    killer.start()
    distributed = extracted(tmp_path / "there", tiny, many, RayExecutor(n_workers=2))
    killer.join(timeout=1)
    assert killer.killed is not None, "no worker was killed: the test shows nothing"
    created, whole = contents(distributed.path), contents(here.path)
    assert sorted(created) == sorted(whole)
    assert [name for name in whole if created[name] != whole[name]] == []


def test_what_a_killed_worker_left_is_removed(tiny: Tiny, tmp_path: Path) -> None:
    path = tmp_path / "atlas"
    unfinished = path / "patterns" / "a" / ".unfinished-0123.safetensors"

    class Leaving(RayExecutor):
        def close(self) -> None:
            super().close()
            unfinished.parent.mkdir(parents=True, exist_ok=True)
            unfinished.write_bytes(b"half of a pattern")

    configuration = tiny.configuration(models=(str(tiny.folder / "a"),), prompts=str(tiny.prompts))
    with Atlas.lock(path, new=True):
        extract(create_or_resume(path, configuration), executor=Leaving())
        assert unfinished.parent.is_dir()
        assert not unfinished.exists()


def test_parts_that_are_there_are_not_made_again(tiny: Tiny, tmp_path: Path) -> None:
    atlas = extracted(tmp_path / "atlas", tiny, tiny.prompts, RayExecutor())
    lost = atlas.file("features", model="b", block=1).path
    features = atlas.path / "features"
    before = {path: path.stat().st_ino for path in features.rglob("part-*.parquet")}
    whole = lost.read_bytes()
    lost.unlink()
    with Atlas.lock(atlas.path):
        extract(Atlas.open(atlas.path), executor=RayExecutor())
    assert lost.read_bytes() == whole
    kept = {path: path.stat().st_ino for path in features.rglob("part-*.parquet")}
    assert {path for path in before if before[path] != kept[path]} <= {lost}


def test_a_model_that_is_not_there_is_one_line(tiny: Tiny, many: Path, tmp_path: Path) -> None:
    path = tmp_path / "atlas"
    with Atlas.lock(path, new=True):
        atlas = create_or_resume(
            path, tiny.configuration(models=(f"a={tiny.folder / 'a'}",), prompts=str(many))
        )
        (moved := tiny.folder / "a").rename(tmp_path / "moved")
        try:
            with pytest.raises((InputError, JobsFailedError)) as caught:
                extract(atlas, executor=RayExecutor())
        finally:
            (tmp_path / "moved").rename(moved)
    assert "\n" not in str(caught.value)


def test_a_sweep_by_workers_gives_the_same_rows(built: Atlas, tmp_path: Path) -> None:
    import torch

    from attention_motifs.stages.ablation.ablate import sweep
    from attention_motifs.stages.ablation.settings import Settings

    settings = Settings(n_sequences=5, methods=("mean", "resample"))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        here = Atlas.open(shutil.copytree(built.path, tmp_path / "here"))
        score(here)
        distributed = Atlas.open(shutil.copytree(here.path, tmp_path / "there"))
        alone = sweep(here, "b", settings)
    finally:
        torch.set_num_threads(threads)
    assert sweep(distributed, "b", settings, executor=RayExecutor()).equals(alone)
    parts = {n: b for n, b in contents(here.path).items() if "ablations/" in n}
    assert len(parts) == 8, "two methods, two designs, two blocks of sequences"
    created = contents(distributed.path)
    assert {name: created[name] for name in parts} == parts


def test_workers_keep_their_model_between_runs_and_end_with_close(tmp_path: Path) -> None:
    executor = RayExecutor(n_workers=1)
    for _ in range(2):
        run(notes(tmp_path, "a"), executor)
    executor.close()
    run(notes(tmp_path, "a"), executor)
    executor.close()
    first, second, third = (
        path.name.partition("-")[2] for path in sorted((tmp_path / "a").iterdir())
    )
    assert first == second != third


def test_a_broken_model_does_not_stop_the_others(tiny: Tiny, built: Atlas, tmp_path: Path) -> None:
    shutil.copytree(tiny.folder / "a", tmp_path / "broken")
    (tmp_path / "broken" / "config.json").write_text("{")
    models = (tiny.model("a"), f"broken={tmp_path / 'broken'}", tiny.model("b"))
    settings, path = tiny.configuration(models=models), tmp_path / "atlas"
    with pytest.raises(JobsFailedError, match=r"identify broken.*motifs remove MODEL"):
        build(path, settings, executor=RayExecutor(n_workers=2))
    assert Atlas.open(path).models == ("a", "b")
    remove(path, "broken")
    finished = build(path)
    assert finished.distances("mean").shape == built.distances("mean").shape
    assert finished.models == built.models
