"""Damaged files: `motifs check` finds each, and no command answers wrongly from one."""

from __future__ import annotations

import random
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from reliability_work import (
    BUILD,
    Answer,
    Verdict,
    Workplace,
    ask,
    differences,
    digests,
    give_up_root,
    run,
)

PAGE = 4096
EVERY_CACHE = 12
"""Of so many rounds, one damages the cache of models and builds anew; it takes longest."""

GGUF_BUILD = (
    "build", "--model", "g=g.gguf", "--prompts", "prompts.jsonl", "--n-prompts", "4",
    "--max-tokens", "24", "--n-view-prompts", "1", "--n-probes", "0", "--metric", "mean",
    "--no-score", "--no-site", "--atlas", "atlas",
)  # fmt: skip


def _truncate(path: Path, random_: random.Random, _: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: random_.randrange(len(data))])


def _flip(path: Path, random_: random.Random, _: Path) -> None:
    data = bytearray(path.read_bytes())
    data[random_.randrange(len(data))] ^= 1 << random_.randrange(8)
    path.write_bytes(data)


def _zero(path: Path, random_: random.Random, _: Path) -> None:
    data = bytearray(path.read_bytes())
    start = random_.randrange(len(data)) // PAGE * PAGE
    data[start : start + PAGE] = bytes(len(data[start : start + PAGE]))
    path.write_bytes(data)


def _swap(path: Path, random_: random.Random, _: Path) -> None:
    others = [
        other
        for other in sorted(path.parent.rglob(f"*{path.suffix}"))
        if other.is_file() and other.read_bytes() != path.read_bytes()
    ]
    if others:
        other = random_.choice(others)
        mine, theirs = path.read_bytes(), other.read_bytes()
        path.write_bytes(theirs)
        other.write_bytes(mine)


def _older(path: Path, _: random.Random, earlier: Path) -> None:
    if earlier.is_file():
        shutil.copyfile(earlier, path)


def _empty(path: Path, _: random.Random, __: Path) -> None:
    path.write_bytes(b"")


def _folder(path: Path, _: random.Random, __: Path) -> None:
    path.unlink()
    path.mkdir()


def _link(path: Path, _: random.Random, earlier: Path) -> None:
    outside = earlier if earlier.is_file() else Path("/etc/hostname")
    path.unlink()
    path.symlink_to(outside)


def _forbid(path: Path, _: random.Random, __: Path) -> None:
    path.chmod(0)


DAMAGES: dict[str, Callable[[Path, random.Random, Path], None]] = {
    "truncated": _truncate,
    "bit flipped": _flip,
    "page zeroed": _zero,
    "swapped": _swap,
    "older version": _older,
    "empty": _empty,
    "folder": _folder,
    "link": _link,
    "permission": _forbid,
}


def _is_same(path: Path, original: Path) -> bool:
    """Return whether a damage left a file as it was, as a swap with none of its kind does."""
    is_file = path.is_file() and not path.is_symlink()
    can_be_read = is_file and bool(path.stat().st_mode & stat.S_IRUSR)
    return can_be_read and path.read_bytes() == original.read_bytes()


class Damages:
    """Damages of the files of one atlas and of the cache of models."""

    def __init__(self, place: Workplace) -> None:
        """Make an earlier version of the atlas, and note the answers of the sound one."""
        self.place = place
        place.place("mapped")
        self.sound = self._ask()
        assert all(answer.code == 0 for answer in self.sound.values()), self.sound
        self.kept = place.folder / "kept/mapped"
        self.names = sorted(
            name for name in digests(self.kept) if not name.startswith(("site/", "figures/"))
        )
        self._make_earlier()
        self._make_gguf()

    def _ask(self, prepare: Callable[[], None] = lambda: None) -> dict[str, Answer]:
        return ask(self.place.atlas, scratch=self.place.folder, prepare=prepare)

    def _make_earlier(self) -> None:
        """Keep an atlas of the same names and other numbers."""
        if (self.place.folder / "kept/earlier").is_dir():
            return
        words = ["25" if word == "24" else word for word in BUILD]
        self.place.place("nothing")
        answer = run(words, self.place.log)
        assert answer.code == 0, answer.output
        self.place.keep("earlier")

    def _make_gguf(self) -> None:
        from tiny_gguf import write_gguf

        if not Path("g.gguf").is_file():
            write_gguf(Path("g.gguf"), Path("models/a"))
        self.place.place("nothing")
        shutil.rmtree("cache", ignore_errors=True)
        answer = run(GGUF_BUILD, self.place.log)
        assert answer.code == 0, answer.output
        self.of_gguf = digests(self.place.atlas)
        shutil.rmtree("kept/cache", ignore_errors=True)
        shutil.copytree("cache", "kept/cache")
        self.place.place("mapped")

    def tries(self, seed: int, round_: int) -> Iterator[tuple[str, str, Verdict]]:
        """Damage one file, ask, and repair it; yield the damage, the file and the verdict."""
        random_ = random.Random(f"damage-{seed}-{round_}")  # noqa: S311 - not for secrets
        kind = random_.choice(list(DAMAGES))
        if round_ % EVERY_CACHE == EVERY_CACHE - 1:
            yield self._of_cache(kind, random_)
        else:
            yield self._of_atlas(kind, random_)

    def _of_atlas(self, kind: str, random_: random.Random) -> tuple[str, str, Verdict]:
        name = random_.choice(self.names)
        self.place.place("mapped")
        path = self.place.atlas / name
        DAMAGES[kind](path, random_, (self.place.folder / "kept/earlier" / name).resolve())
        verdict = Verdict()
        if _is_same(path, self.kept / name):
            return f"{kind} (no change)", name, verdict
        answers = self._ask(give_up_root)
        if answers["check"].code == 0:
            verdict.lost.append(f"{kind}: {name}: check finds nothing")
        for question, answer in answers.items():
            if question == "check":
                continue
            if answer.code == 0 and answer.output != self.sound[question].output:
                verdict.wrong.append(f"{kind}: {name}: another answer of {question}")
            if not answer.is_explained:
                verdict.unexplained.append(f"{kind}: {name}: {question}: {answer.output[-500:]}")
        return kind, name, verdict

    def _of_cache(self, kind: str, random_: random.Random) -> tuple[str, str, Verdict]:
        shutil.rmtree("cache", ignore_errors=True)
        shutil.copytree("kept/cache", "cache", copy_function=shutil.copy2)
        files = [path for path in sorted(Path("cache").rglob("*")) if path.is_file()]
        path = random_.choice([path for path in files if path.stat().st_size])
        name = path.relative_to("cache").as_posix()
        DAMAGES[kind](path, random_, Path("nothing").resolve())
        verdict = Verdict()
        if _is_same(path, Path("kept/cache") / name):
            return f"cache {kind} (no change)", name, verdict
        if run(("check", "--cache"), self.place.log, give_up_root).code == 0:
            verdict.lost.append(f"{kind}: cache/{name}: check --cache finds nothing")
        self.place.place("nothing")
        answer = run(GGUF_BUILD, self.place.log, give_up_root)
        if answer.code == 0:
            for changed in differences(self.of_gguf, digests(self.place.atlas)):
                verdict.wrong.append(f"{kind}: cache/{name}: builds another {changed}")
        elif "Traceback" in answer.output:
            verdict.unexplained.append(f"{kind}: cache/{name}: {answer.output[-500:]}")
        shutil.rmtree("cache", ignore_errors=True)
        return f"cache {kind}", name, verdict
