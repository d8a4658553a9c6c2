"""A Ray cluster of two machines, one of which is lost during the work."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from attention_motifs.executors import Job, RayExecutor

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def test_jobs_of_a_lost_machine_are_done_by_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    paths = [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    lost = cluster.add_node(num_cpus=1)
    executor = RayExecutor(address=cluster.address)
    jobs = [Job(str(i), "jobs_to_run:note_slowly", (str(tmp_path), str(i))) for i in range(12)]
    finished: list[int] = []

    def lose() -> None:
        limit = time.monotonic() + 120
        while len(list(tmp_path.iterdir())) < 4 and time.monotonic() < limit:
            time.sleep(0.01)
        cluster.remove_node(lost, allow_graceful=False)

    thread = threading.Thread(target=lose, daemon=True)
    thread.start()
    try:
        results = executor.run(jobs, finished.append)
    finally:
        executor.close()
        thread.join(60)
        cluster.shutdown()
    assert results == [job.name for job in jobs]
    assert sum(finished) == len(jobs)
    processes = {p.name.rpartition("-")[2] for name in tmp_path.iterdir() for p in name.iterdir()}
    assert len(processes) > 1, "one machine did everything: the test shows nothing"
