"""No room: a full disk, no inodes, a read-only disk and little memory, on a disk of their own."""

from __future__ import annotations

import contextlib
import os
import random
import resource
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from reliability_work import COMMANDS, Command, Verdict, Workplace, differences, digests, run

KINDS = ("full disk", "no inodes", "read-only disk", "little memory")
LOCAL = tuple(c for c in COMMANDS if c.name not in ("copy", "publish"))
_MEGABYTE = 1 << 20
MOUNT, UNMOUNT = shutil.which("mount") or "", shutil.which("umount") or ""


def can_mount() -> bool:
    """Whether this user may mount a disk in memory."""
    return os.geteuid() == 0 and bool(MOUNT and UNMOUNT)


class Rooms:
    """Commands on a small disk."""

    def __init__(self, place: Workplace) -> None:
        """Make the place to mount the disk at."""
        self.place = place
        self.disk = place.folder / "disk"
        self.disk.mkdir(exist_ok=True)
        self.expected: dict[str, tuple[dict[str, str], int]] = {}

    @contextlib.contextmanager
    def _mounted(self) -> Iterator[None]:
        subprocess.run([MOUNT, "-t", "tmpfs", "-o", "size=64m", "tmpfs", self.disk], check=True)
        try:
            yield
        finally:
            subprocess.run([UNMOUNT, self.disk], check=True)

    def _remount(self, options: str) -> None:
        subprocess.run([MOUNT, "-o", f"remount,{options}", self.disk], check=True)

    def _words(self, command: Command) -> list[str]:
        return ["disk/atlas" if word == "atlas" else word for word in command.words]

    def _place(self, command: Command) -> None:
        shutil.rmtree(self.disk / "atlas", ignore_errors=True)
        if command.starts_from != "nothing":
            shutil.copytree(self.place.folder / "kept" / command.starts_from, self.disk / "atlas")

    def tries(self, seed: int, round_: int) -> Iterator[tuple[str, str, Verdict]]:
        """Run a command with too little room, then with enough; yield kind, command and verdict."""
        random_ = random.Random(f"room-{seed}-{round_}")  # noqa: S311 - not for secrets
        kind, command = KINDS[round_ % len(KINDS)], random_.choice(LOCAL)
        if kind != "little memory" and not can_mount():
            yield f"{kind} (skipped)", command.name, Verdict()
            return
        with self._mounted() if can_mount() else contextlib.nullcontext():
            expected, n_bytes = self._reference(command)
            self._place(command)
            before = digests(self.disk)
            yield (
                kind,
                command.name,
                self._judged(kind, command, random_, before, expected, n_bytes),
            )

    def _reference(self, command: Command) -> tuple[dict[str, str], int]:
        if command.name not in self.expected:
            self._place(command)
            answer = run(self._words(command), self.place.log)
            assert answer.code == 0, answer.output
            used = shutil.disk_usage(self.disk).used
            self.expected[command.name] = digests(self.disk / "atlas"), used
        return self.expected[command.name]

    def _judged(
        self,
        kind: str,
        command: Command,
        random_: random.Random,
        before: dict[str, str],
        expected: dict[str, str],
        n_bytes: int,
    ) -> Verdict:
        verdict, words = Verdict(), self._words(command)
        used = shutil.disk_usage(self.disk).used
        limit = random_.randrange(4, 600) * _MEGABYTE
        if kind == "full disk":
            self._remount(f"size={used + random_.randrange(4096, max(8192, n_bytes // 2))}")
        elif kind == "no inodes":
            n_inodes = sum(1 for _ in self.disk.rglob("*")) + random_.randrange(1, 30)
            self._remount(f"nr_inodes={n_inodes + 1}")
        elif kind == "read-only disk":
            self._remount("ro")
        answer = run(words, self.place.log, (lambda: _limit(limit)) if kind == KINDS[3] else _none)
        lines = [line for line in answer.output.splitlines() if line.startswith("error:")]
        if answer.code != 0 and (len(lines) != 1 or "Traceback" in answer.output):
            verdict.unexplained.append(
                f"{kind}: {command.name}: {answer.code} {answer.output[-500:]}"
            )
        if answer.code == 0 and kind == "read-only disk":
            verdict.unexplained.append(f"{kind}: {command.name}: succeeded")
        if unfinished := list(self.disk.rglob(".unfinished-*")):
            verdict.lost.append(f"{kind}: {command.name}: {unfinished[0].name} is kept")
        if kind == "read-only disk" and digests(self.disk) != before:
            verdict.wrong.append(f"{kind}: {command.name}: files changed")
        if can_mount():
            self._remount("rw,size=64m,nr_inodes=100000")
        answer = run(words, self.place.log)
        if answer.code != 0:
            verdict.lost.append(
                f"{kind}: {command.name}: cannot be finished: {answer.output[-400:]}"
            )
        else:
            for name in differences(expected, digests(self.disk / "atlas")):
                verdict.wrong.append(f"{kind}: {command.name}: differs at the end: {name}")
        return verdict


def _none() -> None:
    pass


def _limit(n_bytes: int) -> None:
    """Let this process have so many bytes more than it has now."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * os.sysconf("SC_PAGE_SIZE") + n_bytes
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
