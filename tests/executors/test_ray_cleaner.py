"""Nothing of a local Ray cluster outlives the program that started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from attention_motifs.executors.ray_cleaner import clean, processes_of, session_folder

pytestmark = pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds processes in /proc")


def agent(folder: Path) -> subprocess.Popen[bytes]:
    """A process that has a log in the folder, and does not name it."""
    with (folder / "agent.log").open("wb") as log:
        return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], stdout=log)


def wait_until_gone(folder: Path) -> None:
    limit = time.monotonic() + 30
    while (folder.exists() or processes_of(folder)) and time.monotonic() < limit:
        time.sleep(0.05)
    assert not folder.exists()
    assert processes_of(folder) == []


def test_processes_with_files_in_the_folder_end_and_no_others(tmp_path: Path) -> None:
    ours, other = tmp_path / "ours", tmp_path / "other"
    for folder in (ours, other):
        folder.mkdir()
    first, second = agent(ours), agent(other)
    try:
        assert processes_of(ours) == [first.pid]
        clean(ours)
        assert first.wait(10) == -signal.SIGKILL
        assert not ours.exists()
        assert second.poll() is None
    finally:
        for process in (first, second):
            process.kill()
            process.wait()


def test_a_folder_is_gone_after_its_block() -> None:
    with session_folder() as folder:
        process = agent(folder)
    assert process.wait(10) == -signal.SIGKILL
    assert not folder.exists()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_no_agent_or_folder_outlives_a_killed_driver(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    code = (
        "from attention_motifs.executors import Job, RayExecutor\n"
        "import ray\n"
        "def advance(n):\n"
        "    print(ray._private.worker._global_node.get_temp_dir_path(), flush=True)\n"
        "jobs = [Job(str(i), 'jobs_to_run:double', (i,)) for i in range(2)]\n"
        "slow = Job('slow', 'time:sleep', (60,))\n"
        "RayExecutor(n_workers=1).run([*jobs, slow], advance)\n"
    )
    paths = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    driver = subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": paths},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert driver.stdout is not None
    folder = Path(driver.stdout.readline().strip())
    assert folder.name.startswith("motifs-ray-")
    assert len(processes_of(folder)) > 1
    driver.kill()
    driver.wait()
    driver.stdout.close()
    wait_until_gone(folder)
