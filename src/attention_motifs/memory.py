"""Memory: what this process may use, and whether a computation fits into it.

A command estimates its memory from the numbers of heads and prompts. Above `memory_limit` it
refuses, draws a sample, or uses the nearest heads, and reports that it did.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from attention_motifs.errors import InputError, ResourceError

VARIABLE = "ATTENTION_MOTIFS_MEMORY"
"""Environment variable that sets the limit, such as `16GB`."""

MOST = 8 << 30
"""Default limit in bytes, so that results are equal on all machines with this much free."""

_SHARE = 0.8
"""Share of the available memory that a command uses at most."""

_UNITS = {"": 1, "k": 1000, "m": 1000**2, "g": 1000**3, "t": 1000**4}
_NO_LIMIT = 1 << 60
"""Larger numbers are how a control group writes that it has no limit."""


def memory_limit() -> int:
    """Return the bytes that one command may use.

    Returns:
        The value of `ATTENTION_MOTIFS_MEMORY`, or else 8 GiB, or 80 % of the available memory
        where that is less.

    Raises:
        InputError: if the variable holds no size.
    """
    given = os.environ.get(VARIABLE, "").strip()
    if given:
        return _size(given)
    available = available_memory()
    return MOST if available is None else min(MOST, int(_SHARE * available))


def available_memory() -> int | None:
    """Return the bytes of memory free for this process; None if the system does not report them.

    The limits of its control groups (containers, batch systems) count.
    """
    sizes = [size for size in (_free_on_machine(), *_free_in_groups()) if size is not None]
    return min(sizes) if sizes else None


def require_memory(needed: int, what: str, fix: str) -> None:
    """Refuse a computation that needs more than the limit.

    Args:
        needed: estimated bytes.
        what: the computation, such as `clusters by average linkage of 20000 heads`.
        fix: words that say what to do instead.

    Raises:
        ResourceError: with both sizes, and the fix.
        InputError: as `memory_limit`.
    """
    limit = memory_limit()
    if needed > limit:
        raise ResourceError(
            f"{what}: would use about {in_gigabytes(needed)} of memory, and the limit is "
            f"{in_gigabytes(limit)}. {fix}, or raise the limit with {raised(needed)}"
        )


def raised(needed: int) -> str:
    """Return the assignment of `ATTENTION_MOTIFS_MEMORY` that lets a computation run."""
    return f"{VARIABLE}={-(-needed // 1000**3)}GB"


def in_gigabytes(size: int) -> str:
    """Return a size in words, such as `9.6 GB`."""
    return f"{size / 1e9:.3g} GB"


def _size(text: str) -> int:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?", text, re.IGNORECASE)
    if match is None or float(match[1]) == 0:
        raise InputError(f"{VARIABLE}={text!r:.40} is no size. Set it to bytes, or such as 16GB")
    unit = match[2].lower()
    factor = 1024 ** ("kmgt".index(unit) + 1) if unit and match[3] else _UNITS[unit]
    return int(float(match[1]) * factor)


def _free_on_machine() -> int | None:
    try:
        text = Path("/proc/meminfo").read_text(encoding="ascii")
        return int(re.search(r"MemAvailable:\s+(\d+) kB", text)[1]) * 1024  # type: ignore[index]
    except (OSError, TypeError):
        pass
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return None


def _free_in_groups(
    mounted: Path = Path("/sys/fs/cgroup"), process: Path = Path("/proc/self/cgroup")
) -> list[int]:
    """Return the bytes left in each control group of this process that limits memory."""
    try:
        lines = process.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    free = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        names = (
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            if controllers
            else ("memory.max", "memory.current", "inactive_file")
        )
        root = mounted / "memory" if controllers else mounted
        folder = root / path.lstrip("/")
        # A container may see its group as the root: the groups above are tried too.
        for group in (folder, *folder.parents):
            if group.is_relative_to(root):
                free += _free_in_group(group, *names)
    return free


def _free_in_group(folder: Path, limit: str, usage: str, cache: str) -> list[int]:
    """Return the bytes left in one group, where cached files count as free; none if unlimited."""
    try:
        most = int((folder / limit).read_text(encoding="ascii"))
        used = int((folder / usage).read_text(encoding="ascii"))
        statistics = (folder / "memory.stat").read_text(encoding="ascii")
    except (OSError, ValueError):  # no such group, or the limit is "max"
        return []
    if most >= _NO_LIMIT:
        return []
    cached = re.search(rf"^{cache} (\d+)$", statistics, re.MULTILINE)
    return [max(0, most - used + (int(cached[1]) if cached else 0))]
