"""Work of `reliability.py`: tiny models, commands in forked processes, and comparisons of atlases.

One process imports what takes long and starts no thread; each command runs in a process forked from
it, so that a command takes a fraction of a second.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import hashlib
import io
import json
import os
import re
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

_SLOW_TO_IMPORT = (
    "attention_motifs.cli.app",
    "attention_motifs.atlas.check",
    "attention_motifs.behaviour.sweep",
    "attention_motifs.cli.configuration_file",
    "attention_motifs.clustering.methods",
    "attention_motifs.distances.kernels",
    "attention_motifs.distances.metrics",
    "attention_motifs.extraction.stream",
    "attention_motifs.features.experimental",
    "attention_motifs.features.extended",
    "attention_motifs.features.extended_kernels",
    "attention_motifs.features.kernels",
    "attention_motifs.features.motif_kernels",
    "attention_motifs.features.paper2",
    "attention_motifs.features.similarity_kernels",
    "attention_motifs.features.simd.rows",
    "attention_motifs.features.tokens",
    "attention_motifs.projection.methods",
    "attention_motifs.site.export",
    "attention_motifs.stages.ablation.ablate",
    "attention_motifs.stages.cluster",
    "attention_motifs.stages.explore",
    "attention_motifs.stages.run",
    "pandas",
    "polars",
    "pydantic.main",
    "sklearn.cluster",
    "sklearn.metrics",
    "threadpoolctl",
    "torch._dynamo",
    "transformers.models.auto.modeling_auto",
    "transformers.models.auto.tokenization_auto",
    "transformers.models.gpt2.modeling_gpt2",
    "transformers.models.llama.modeling_llama",
    "transformers.models.qwen2.modeling_qwen2",
)
_END_WITH_PARENT = 1
LONGEST = 180.0
"""Seconds after which a command counts as one that does not end."""

HEAD = "a:L1:H1"
QUESTIONS = (
    ("info",),
    ("check",),
    ("near", HEAD, "--metric", "mean", "--json"),
    ("show", HEAD, "--metric", "mean", "--json"),
    ("explain", HEAD, "--metric", "mean", "--json"),
)
"""Commands that only read, as words after `motifs`."""

_CONTINUED = re.compile(
    r"`motifs [a-z]|run the same command again|restore it from a copy"
    r"|ask its owner for the right to read it"
)


@dataclass(frozen=True)
class Answer:
    """Exit code of a command and the text that it printed."""

    code: int
    output: str

    @property
    def is_explained(self) -> bool:
        """Whether the command succeeded, or failed with a message that names the next command."""
        if self.code == 0:
            return True
        return "Traceback" not in self.output and bool(_CONTINUED.search(self.output))


@dataclass(frozen=True)
class Verdict:
    """Result of one try. Each list holds a line per finding."""

    lost: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    unexplained: list[str] = field(default_factory=list)


def import_everything() -> None:
    """Import and make what commands need, without computing in a thread."""
    for name in _SLOW_TO_IMPORT:
        import_module(name)
    import typer
    from transformers.conversion_mapping import get_checkpoint_conversion_mapping

    from attention_motifs.cli import application
    from attention_motifs.cli.app import app

    get_checkpoint_conversion_mapping("llama")  # compiles a thousand expressions
    vars(application)["app"] = typer.main.get_command(app)
    gc.collect()
    gc.freeze()  # a forked process copies fewer pages


def forked(work: Callable[[], int]) -> int:
    """Start `work` in a forked process of its own group; return the process id."""
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    code = 99
    try:
        os.setpgid(0, 0)
        if sys.platform == "linux":  # servers end with this program, however it ends
            ctypes.CDLL(None).prctl(_END_WITH_PARENT, signal.SIGKILL)
        code = work()
    except BaseException as error:  # noqa: BLE001 - the parent must not continue twice
        print(f"Traceback: {error!r}", file=sys.stderr)
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def ended(process: int, seconds: float = LONGEST) -> int | None:
    """Wait for a process; return its exit code, minus its signal, or None if it does not end."""
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        done, status = os.waitpid(process, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    return None


def kill(process: int) -> None:
    """Kill a process of ours and its children at once, and wait for it."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(process, 0)


def command_line(words: Sequence[str]) -> int:
    """Run `motifs` with these words in this process; return the exit code."""
    from attention_motifs.cli import main

    sys.argv = ["motifs", *words]
    try:
        main()
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except Exception as error:  # noqa: BLE001 - what a user would see as a stack trace
        print(f"Traceback: {error!r}", file=sys.stderr)
        return 70
    return 0


def start(words: Sequence[str], log: Path, prepare: Callable[[], None] = lambda: None) -> int:
    """Start a command in a process of its own, with its output in `log`; return the process id."""

    def work() -> int:
        handle = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
        os.dup2(handle, 1)
        os.dup2(handle, 2)
        prepare()
        return command_line(words)

    return forked(work)


def run(words: Sequence[str], log: Path, prepare: Callable[[], None] = lambda: None) -> Answer:
    """Run a command to its end."""
    process = start(words, log, prepare)
    code = ended(process)
    if code is None:
        kill(process)
        return Answer(124, f"does not end within {LONGEST:.0f} s: {log.read_text()[-500:]}")
    return Answer(code, log.read_text(encoding="utf-8", errors="replace"))


def run_killed(
    words: Sequence[str], log: Path, after: float, prepare: Callable[[], None] = lambda: None
) -> bool:
    """Run a command and kill it after some seconds; return whether it was still running."""
    process = start(words, log, prepare)
    code = ended(process, after)
    if code is None:
        kill(process)
    return code is None


def give_up_root() -> None:
    """Take from this process what lets root read files without a permission (Linux)."""
    if os.geteuid() == 0:
        version_3 = (ctypes.c_uint32 * 2)(0x20080522, 0)
        none = (ctypes.c_uint32 * 6)()  # effective, permitted and inheritable, of 32 bits each
        assert ctypes.CDLL(None).capset(version_3, none) == 0, "root keeps its rights"


def ask(
    atlas: Path | str,
    questions: Sequence[Sequence[str]] = QUESTIONS,
    *,
    scratch: Path,
    prepare: Callable[[], None] = lambda: None,
) -> dict[str, Answer]:
    """Ask an atlas questions in one forked process; return the answers by command."""
    target = scratch / "answers.json"
    target.unlink(missing_ok=True)

    def work() -> int:
        prepare()
        answers = {}
        for question in questions:
            with (
                contextlib.redirect_stdout(io.StringIO()) as text,
                contextlib.redirect_stderr(text),
            ):
                code = command_line([*question, "--atlas", str(atlas)])
            answers[question[0]] = code, text.getvalue()
            target.write_text(json.dumps(answers), encoding="utf-8")
        return 0

    process = forked(work)
    code = ended(process)
    if code is None:
        kill(process)
    answers = json.loads(target.read_text(encoding="utf-8")) if target.is_file() else {}
    found = {name: Answer(*answer) for name, answer in answers.items()}
    for question in questions:
        if question[0] not in found:
            found[question[0]] = Answer(99 if code is None else code, "Traceback: no answer")
    return found


def digests(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file below a folder, except the lock, by name."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


def differences(expected: Mapping[str, str], actual: Mapping[str, str]) -> list[str]:
    """Return the names of files that are missing, unexpected or different."""
    names = sorted(expected.keys() | actual.keys())
    return [name for name in names if expected.get(name) != actual.get(name)]


@contextlib.contextmanager
def served(make: Callable[[], Any], scratch: Path) -> Iterator[str]:
    """Run a loopback server of the tests in a forked process; give its address."""
    from loopback import serving

    address = scratch / "address"
    address.unlink(missing_ok=True)

    def work() -> int:
        with serving(make()) as server:
            address.write_text(server.url, encoding="utf-8")
            while True:
                time.sleep(60)

    process = forked(work)
    try:
        limit = time.monotonic() + 20
        while not (address.is_file() and address.read_text()) and time.monotonic() < limit:
            time.sleep(0.005)
        yield address.read_text()
    finally:
        kill(process)


@dataclass(frozen=True)
class Command:
    """A command that writes, on an atlas called `atlas` in the current folder."""

    name: str
    words: tuple[str, ...]
    starts_from: str = "built"
    """State before it: `nothing`, `built`, or `mapped` (scored, with a map and clusters)."""


BUILD = (
    "build", "--model", "a=models/a", "--model", "b=models/b", "--prompts", "prompts.jsonl",
    "--max-tokens", "24", "--n-view-prompts", "2", "--n-probes", "2", "--probe-tokens", "32",
    "--no-score", "--no-site", "--atlas", "atlas",
)  # fmt: skip

COMMANDS = (
    Command("build", BUILD, "nothing"),
    Command("add", ("add", "c=models/c", "--no-score", "--atlas", "atlas")),
    Command("embed", ("embed", "--force", "--atlas", "atlas")),
    Command(
        "distances",
        ("distances", "--metric", "mean", "--metric", "centroid", "--metric", "energy",
         "--force", "--atlas", "atlas"),
    ),
    Command("cluster", ("cluster", "--rounds", "3", "--number", "3", "--atlas", "atlas")),
    Command("score", ("score", "--atlas", "atlas")),
    Command("ablate", ("ablate", "--sweep", "a", "--sequences", "2", "--atlas", "atlas"), "mapped"),
    Command("site", ("site", "--force", "--atlas", "atlas"), "mapped"),
    Command("copy", ("copy", "atlas", "s3://bucket/copied"), "mapped"),
    Command("publish", ("publish", "lab/atlas", "--include-texts", "--atlas", "atlas"), "mapped"),
)  # fmt: skip


class Workplace:
    """A folder with tiny models, prompts and finished atlases; the current folder of commands."""

    def __init__(self, folder: Path) -> None:
        """Make the models and a finished atlas, unless an earlier run made them."""
        from tiny_models import make_tiny_model, texts, write_prompts

        self.folder = folder.resolve()
        self.folder.mkdir(parents=True, exist_ok=True)
        os.chdir(self.folder)
        os.environ["ATTENTION_MOTIFS_CACHE"] = str(self.folder / "cache")
        if not (self.folder / "ready").is_file():

            def make() -> int:
                make_tiny_model("models/a")
                make_tiny_model("models/b", architecture="gpt2", n_layers=1, n_heads=3, seed=1)
                make_tiny_model("models/c", architecture="qwen2", n_layers=1, n_heads=2, seed=2)
                write_prompts("prompts.jsonl", texts(20))
                return 0

            assert ended(forked(make)) == 0, "the models could not be made"
            for state, before, words in (
                ("built", "nothing", BUILD),
                ("mapped", "built", ("explore", "--atlas", "atlas")),
            ):
                self.place(before)
                for step in self._steps(words):
                    answer = run(step, self.log)
                    assert answer.code == 0, answer.output
                self.keep(state)
            (self.folder / "ready").touch()

    @staticmethod
    def _steps(words: tuple[str, ...]) -> list[tuple[str, ...]]:
        if words[0] != "explore":
            return [words]
        return [
            ("score", *words[1:]),
            ("project", "--method", "pca", *words[1:]),
            ("cluster", "--rounds", "3", *words[1:]),
        ]

    @property
    def log(self) -> Path:
        """File of the output of the last command."""
        return self.folder / "log"

    @property
    def atlas(self) -> Path:
        """The atlas that commands work on."""
        return self.folder / "atlas"

    def place(self, state: str) -> None:
        """Put a fresh copy of a kept atlas in the place of the one that commands work on."""
        if self.atlas.exists():
            shutil.rmtree(self.atlas)
        if state != "nothing":
            shutil.copytree(self.folder / "kept" / state, self.atlas)

    def keep(self, state: str) -> None:
        """Keep the atlas that commands worked on under a name."""
        target = self.folder / "kept" / state
        if target.exists():
            shutil.rmtree(target)
        shutil.copytree(self.atlas, target)
