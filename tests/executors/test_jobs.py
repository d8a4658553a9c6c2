"""Jobs in this process, and what a user writes to choose who does them."""

from __future__ import annotations

import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attention_motifs.errors import InputError, JobsFailedError
from attention_motifs.executors import (
    LOCAL,
    Job,
    RayExecutor,
    choose_executor,
)
from attention_motifs.executors.jobs import call, failed_jobs
from attention_motifs.executors.parsing import read_resources


def test_a_job_is_called_by_its_name_and_its_error_is_its_own(tmp_path: Path) -> None:
    assert call(Job("one", "jobs_to_run:double", (3,))) == 6
    with pytest.raises(InputError, match="prompt 3"):
        call(Job("one", "jobs_to_run:note", (str(tmp_path), "mistaken")))


def test_the_local_executor_runs_jobs_in_order() -> None:
    finished: list[tuple[int, object]] = []
    steps: list[int] = []
    executor = choose_executor()
    jobs = [Job(str(i), "jobs_to_run:double", (i,), steps=i) for i in range(3)]
    assert executor.run(jobs, steps.append, lambda *both: finished.append(both)) == [0, 2, 4]
    assert finished == [(0, 0), (1, 2), (2, 4)]
    assert steps == [0, 1, 2]


def test_all_settings_of_ray_are_read() -> None:
    chosen = choose_executor("ray", address="auto", n_workers=3, worker="cpus=2, gpus=0.5,a100=1")
    assert chosen == RayExecutor("auto", 3, 2.0, 0.5, {"a100": 1.0})
    assert choose_executor("ray") == RayExecutor("local", None, 1.0, 0.0, {})


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("dask", {}, "choose local or ray"),
        ("local", {"address": "auto"}, "--ray-address auto: add --executor ray"),
        ("local", {"n_workers": 2}, "--ray-workers 2"),
        ("local", {"worker": "cpus=1"}, "--ray-worker cpus=1"),
        ("ray", {"n_workers": 0}, "--ray-workers 0: give 1 or more"),
        ("ray", {"worker": "gpus"}, "NAME=NUMBER"),
        ("ray", {"worker": "=2"}, "NAME=NUMBER"),
        ("ray", {"worker": "cpus=-1"}, "NAME=NUMBER"),
        ("ray", {"worker": "cpus=nan"}, "NAME=NUMBER"),
    ],
)
def test_settings_that_cannot_be_used_are_named(
    name: str, settings: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        choose_executor(name, **settings)  # type: ignore[arg-type]


@given(
    st.dictionaries(
        st.text(string.ascii_letters + string.digits + "_", min_size=1),
        st.floats(0, 1e6, allow_nan=False),
        max_size=5,
    )
)
def test_written_resources_are_read_back(resources: dict[str, float]) -> None:
    text = ",".join(f"{name}={amount!r}" for name, amount in resources.items())
    assert read_resources(text) == resources


def test_an_error_of_many_jobs_names_the_first_and_counts_the_rest() -> None:
    error = failed_jobs([(f"part {i}", "worker died") for i in range(5)], 9)
    assert "5 of 9 jobs failed" in str(error)
    assert "part 2" in str(error)
    assert "part 3" not in str(error)
    assert "2 more" in str(error)
    assert error.exit_code == 7


def test_a_job_that_fails_in_this_process_stops_those_of_its_model_alone(tmp_path: Path) -> None:
    def job(name: str, model: str) -> Job:
        return Job(f"{name} of {model}", "jobs_to_run:note", (str(tmp_path), name), loads=model)

    jobs = [job("a", "good"), job("mistaken", "bad"), job("b", "bad"), job("c", "good")]
    done: dict[int, object] = {}
    steps: list[int] = []
    with pytest.raises(JobsFailedError, match=r"2 of 4 jobs failed \(mistaken of bad: ") as caught:
        LOCAL.run(jobs, steps.append, done.__setitem__)
    assert "b of bad" not in str(caught.value)
    assert done == {0: "a", 3: "c"}
    assert sum(steps) == 4
    with pytest.raises(InputError, match="is empty"):
        LOCAL.run(jobs[1:3], steps.append)
