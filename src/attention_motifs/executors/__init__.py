"""Where work is done: in this process, or by the workers of a Ray cluster.

A stage cuts its work into jobs that depend on nothing but their arguments, and hands them to an
executor. Which one does not change what they give.
"""

from __future__ import annotations

from attention_motifs.executors.jobs import Executor, Job
from attention_motifs.executors.parsing import EXECUTORS, choose_executor
from attention_motifs.executors.ray_actors import RayExecutor

__all__ = [
    "EXECUTORS",
    "Executor",
    "Job",
    "RayExecutor",
    "choose_executor",
]
