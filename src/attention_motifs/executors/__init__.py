"""Executors: run the jobs of a stage in this process or on the workers of a Ray cluster.

A job depends on nothing but its arguments, so that the results do not depend on the executor.
"""

from __future__ import annotations

from attention_motifs.executors.jobs import Executor, Job
from attention_motifs.executors.local import LOCAL, LocalExecutor
from attention_motifs.executors.parsing import EXECUTORS, choose_executor
from attention_motifs.executors.ray_actors import RayExecutor

__all__ = [
    "EXECUTORS",
    "LOCAL",
    "Executor",
    "Job",
    "LocalExecutor",
    "RayExecutor",
    "choose_executor",
]
