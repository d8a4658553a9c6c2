"""Remove what a local Ray cluster leaves, however the program that started it ended.

Ray's agents outlive a killed program by a minute, and its folders of a session stay for good. This
file runs as a process of its own, with the standard library alone: it waits until the program
closes a pipe or dies, then ends the processes of the cluster and removes its folder.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PREFIX = "motifs-ray-"
_LONGEST = 40
"""Characters of a temporary folder in which paths of Ray's sockets are not too long."""
_SECONDS = 10
_ROUNDS = 20


@contextmanager
def session_folder() -> Iterator[Path]:
    """Give a new folder for a local cluster; its processes and it are gone afterwards."""
    parent = tempfile.gettempdir() if len(tempfile.gettempdir()) < _LONGEST else "/tmp"  # noqa: S108
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
    cleaner = subprocess.Popen(  # noqa: S603 - this file, and a folder made here
        [sys.executable, "-I", str(Path(__file__).resolve()), str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is not for it
    )
    try:
        yield folder
    finally:
        assert cleaner.stdin is not None  # noqa: S101 - a pipe was asked for
        cleaner.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            cleaner.wait(_SECONDS)


def processes_of(folder: Path) -> list[int]:
    """Return the processes that have files below a folder open, or name it as they were started.

    Ray's agents replace their command line, but their logs are in the folder. Without `/proc` none
    is found.
    """
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it ended, or is of another user
            command = os.fsdecode((entry / "cmdline").read_bytes())
            if str(folder) in command or _has_open(entry / "fd", str(folder)):
                found.append(int(entry.name))
    return [process for process in found if process != os.getpid()]


def _has_open(descriptors: Path, folder: str) -> bool:
    for file in descriptors.iterdir():
        with suppress(OSError):  # closed meanwhile
            if folder in str(file.readlink()):
                return True
    return False


def clean(folder: Path) -> None:
    """End the processes of a cluster, and remove its folder."""
    for _ in range(_ROUNDS):
        processes = processes_of(folder)
        for process in processes:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(process, signal.SIGKILL)
        shutil.rmtree(folder, ignore_errors=True)
        if not processes and not folder.exists():
            return
        time.sleep(0.1)


if __name__ == "__main__":
    sys.stdin.buffer.read()  # until the program closes the pipe or dies
    clean(Path(sys.argv[1]))
