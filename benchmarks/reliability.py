"""Reliability: commands are killed, files damaged, disks filled, processes mixed, input forged.

    python benchmarks/reliability.py kill --tries 300 --seed 1 --minutes 20 --results kill.jsonl
    python benchmarks/reliability.py --results kill.jsonl       # the table of earlier tries

Each try is one line of the results file; a second run with the same file continues after them. The
exit code is 1 if anything was lost, wrong or unexplained.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import reliability_work as work

KINDS = {
    "kill": ("reliability_kill", "Kills"),
    "damage": ("reliability_damage", "Damages"),
    "room": ("reliability_room", "Rooms"),
    "together": ("reliability_together", "Together"),
    "hostile": ("reliability_hostile", "Hostiles"),
}
FINDINGS = ("lost", "wrong", "unexplained")


def earlier(results: Path) -> list[dict[str, Any]]:
    """Read the tries of earlier runs; a last line that a kill cut off is left out."""
    if not results.is_file():
        return []
    lines = results.read_text(encoding="utf-8").split("\n")[:-1]
    return [json.loads(line) for line in lines]


def print_table(tries: list[dict[str, Any]]) -> bool:
    """Print counts by kind and command, and the findings; return whether there are any."""
    counts: dict[tuple[str, str], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for one in tries:
        row = counts[one["kind"], one["name"]]
        row["tries"] += 1
        for finding in FINDINGS:
            row[finding] += bool(one[finding])
    print(f"{'kind':9} {'of':22} {'tries':>6} {'lost':>5} {'wrong':>6} {'unexplained':>12}")
    for (kind, name), row in sorted(counts.items()):
        numbers = f"{row['tries']:6} {row['lost']:5} {row['wrong']:6} {row['unexplained']:12}"
        print(f"{kind:9} {name:22} {numbers}")
    for kind in sorted({kind for kind, _ in counts}):
        of_kind = [row for key, row in counts.items() if key[0] == kind]
        total = {name: sum(row[name] for row in of_kind) for name in ("tries", *FINDINGS)}
        print(
            f"{kind}: {total['tries']} tries, {total['lost']} lost, {total['wrong']} wrong, "
            f"{total['unexplained']} unexplained"
        )
    shown: set[str] = set()
    for one in tries:
        for finding in FINDINGS:
            for line in one[finding]:
                key = f"{one['kind']} {one['name']}: {finding}: {line}"
                if key not in shown and len(shown) < 40:
                    shown.add(key)
                    print(f"  round {one['round']}: {key[:700]}")
    return any(one[finding] for one in tries for finding in FINDINGS)


def rounds(kind: str, place: work.Workplace, seed: int, round_: int) -> Iterator[tuple[Any, ...]]:
    """Return the tries of one round of a kind: name, detail and verdict."""
    if kind not in _made:
        module, name = KINDS[kind]
        _made[kind] = getattr(import_module(module), name)(place)
    tries: Iterator[tuple[Any, ...]] = _made[kind].tries(seed, round_)
    return tries


_made: dict[str, Any] = {}


def main() -> int:
    """Run tries until there are enough of them or the time is over, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", nargs="*", default=[], metavar="KIND", help=", ".join(KINDS))
    parser.add_argument(
        "--tries", type=int, default=30, help="tries of each kind, with earlier ones"
    )
    parser.add_argument(
        "--minutes",
        type=float,
        default=10.0,
        help="time for all kinds, after the models and atlases are made",
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--results", type=Path, help="JSON-lines file of all tries")
    parser.add_argument("--folder", type=Path, help="folder to work in; default: a temporary one")
    given = parser.parse_args()
    if unknown := [kind for kind in given.kind if kind not in KINDS]:
        parser.error(f"{unknown[0]!r} is no kind of try; name one of {', '.join(KINDS)}")
    results = given.results.absolute() if given.results else None
    work.import_everything()
    tries = earlier(results) if results else []
    with tempfile.TemporaryDirectory() as temporary:
        place = work.Workplace(given.folder or Path(temporary))
        limit = time.monotonic() + 60 * given.minutes
        for kind in given.kind or KINDS:
            of_kind = [one for one in tries if one["kind"] == kind and one["seed"] == given.seed]
            round_ = 1 + max((one["round"] for one in of_kind), default=-1)
            n_tries = len(of_kind)
            while n_tries < given.tries and time.monotonic() < limit:
                for name, detail, verdict in rounds(kind, place, given.seed, round_):
                    one = {
                        "kind": kind, "name": name, "seed": given.seed, "round": round_,
                        "detail": detail, "lost": verdict.lost, "wrong": verdict.wrong,
                        "unexplained": verdict.unexplained,
                    }  # fmt: skip
                    tries.append(one)
                    n_tries += 1
                    if results:
                        with results.open("a", encoding="utf-8") as file:
                            file.write(json.dumps(one) + "\n")
                round_ += 1
    return int(print_table(tries))


if __name__ == "__main__":
    sys.exit(main())
