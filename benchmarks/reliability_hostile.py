"""Hostile input: damaged and forged files, names and requests, read in a limited process."""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import re
import resource
import shutil
import signal
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from reliability_inputs import (
    CLASS_FILE,
    CONFIGURATION,
    EXECUTED,
    TYPES_FILE,
    damaged,
    damaged_json,
    forged,
    headvis_files,
)
from reliability_work import Verdict, Workplace, command_line, digests, ended, forked, kill

BATCH = 25
"""Inputs that one process reads, one after another."""
SECONDS = 20
"""Longest time for one input."""
MEMORY = 2 << 30
"""Bytes of address space that a batch may take beyond what its process has at its start."""
SECRET = "the secret of another folder"  # noqa: S105 - a text that no answer may hold
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x80-\x9f\u202a-\u202e\u2066-\u2069]")
_COMMANDS = ("show", "near", "explain", "why", "heads", "remove", "identify", "classes", "diff")
_TARGETS = (
    "/", "/index.html", "/../../../secret", "/%2e%2e/%2e%2e/%2e%2e/secret",
    "/..%2f..%2f..%2fsecret", "//etc/passwd", "/\\..\\secret", "/data/%00", "/live/read",
    "/live/keep", "*", "http://evil/", "/" + "a" * 70000, "/%ff%fe", "/?" + "q" * 9999,
)  # fmt: skip
_HEADERS = ("Range", "If-None-Match", "Accept-Encoding", "X", "Origin", "Cookie")
_HEADER_VALUES = (
    "bytes=0-999999999999", "bytes=-1", "bytes=9-1,1-2", "gzip;q=9", "a" * 30000, "*", "http://evil",
)  # fmt: skip


class _Slow(BaseException):
    """One input took too long."""


@dataclass
class Input:
    """One hostile input: a short description, and what reads it."""

    description: str
    read: Callable[[], Any]
    more: list[str] = field(default_factory=list)


class Hostiles:
    """Inputs of every kind, made from valid ones."""

    def __init__(self, place: Workplace) -> None:
        """Make valid inputs of every kind."""
        self.place = place
        self.root = place.folder / "hostile"
        self.valid, self.scratch = self.root / "valid", self.root / "scratch"
        (place.folder / "secret").write_text(SECRET, encoding="utf-8")
        self.makers: dict[str, Callable[[random.Random], Input]] = {
            "prompts": self._prompts, "names": self._names, "class files": self._classes,
            "named types": self._types, "configurations": self._configuration,
            "manifests": self._manifest, "GGUF": self._gguf, "models": self._model,
            "HeadVis": self._headvis, "pattern-lens": self._pattern_lens, "requests": self._request,
        }  # fmt: skip
        if not self.valid.exists():
            code = ended(forked(self._make))
            assert code == 0, f"the valid inputs could not be made: {code}"

    def _make(self) -> int:
        from tiny_gguf import write_gguf

        building = self.root / "making"
        shutil.rmtree(building, ignore_errors=True)
        building.mkdir(parents=True)
        write_gguf(building / "model.gguf", self.place.folder / "models" / "a")
        shutil.copytree(self.place.folder / "models" / "a", building / "model")
        (building / "headvis" / "heads").mkdir(parents=True)
        for name, value in headvis_files().items():
            (building / "headvis" / name).write_text(json.dumps(value), encoding="utf-8")
        prompt = building / "lens" / "gpt2-small" / "prompts" / "aGVsbG8" / "activations.npz"
        prompt.parent.mkdir(parents=True)
        rows = np.tril(np.ones((2, 5, 5), np.float32)) / np.arange(1, 6)[:, None]
        np.savez_compressed(
            prompt, **{f"blocks.{i}.attn.hook_pattern": rows[None] for i in range(2)}
        )
        lens = prompt.parents[2]
        configuration = {"n_layers": 2, "n_heads": 2, "d_model": 8}
        (lens / "model_cfg.json").write_text(json.dumps(configuration), encoding="utf-8")
        record = {"text": "a b c d e", "hash": "aGVsbG8", "tokens": list("abcde"), "n_tokens": 5}
        (lens / "prompts.jsonl").write_text(json.dumps(record) + "\n", encoding="utf-8")
        shutil.copytree(self.place.folder / "kept" / "mapped", building / "atlas")
        (building / "site").mkdir()
        (building / "site" / "index.html").write_text("<p>a site</p>", encoding="utf-8")
        building.rename(self.valid)
        return 0

    def tries(self, seed: int, round_: int) -> Iterator[tuple[str, str, Verdict]]:
        """Read a batch of inputs of one kind; yield kind, description and verdict of each."""
        names = list(self.makers)
        kind = names[round_ % len(names)]
        shutil.rmtree(self.scratch, ignore_errors=True)
        self.scratch.mkdir(parents=True)
        log = self.root / "log.jsonl"
        log.write_text("", encoding="utf-8")
        before = self._outside()

        def work() -> int:
            random_ = random.Random(f"hostile-{seed}-{round_}")  # noqa: S311 - not for secrets
            os.chdir(self.scratch)
            os.environ["ATTENTION_MOTIFS_CACHE"] = str(self.scratch / "cache")
            _limit_memory()
            with log.open("a", encoding="utf-8") as file:
                for _ in range(BATCH):
                    input_ = self.makers[kind](random_)
                    print(json.dumps({"input": input_.description}), file=file, flush=True)
                    print(json.dumps(_read(input_)), file=file, flush=True)
            return 0

        process = forked(work)
        code = ended(process, BATCH * SECONDS)
        if code is None:
            kill(process)
        lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
        wrong = [f"{kind}: {name}" for name in self._changed(before)]
        for number in range(0, len(lines), 2):
            answered = number + 1 < len(lines)
            found = lines[number + 1] if answered else [f"{kind}: the process ends with {code}"]
            yield kind, lines[number]["input"], Verdict(wrong=wrong, unexplained=found)
            wrong = []

    def _outside(self) -> dict[str, str]:
        """Digests of everything outside the folder that a batch may write to."""
        kept = ("models", "kept", "hostile/valid", "secret", "prompts.jsonl")
        found = {}
        for name in kept:
            path = self.place.folder / name
            one = {"": path.read_text(encoding="utf-8")} if path.is_file() else digests(path)
            found |= {f"{name}/{k}": v for k, v in one.items()}
        return found | {path.name: "" for path in self.place.folder.iterdir()}

    def _changed(self, before: dict[str, str]) -> list[str]:
        after = self._outside()
        changed = [
            name for name in before.keys() | after.keys() if before.get(name) != after.get(name)
        ]
        executed = [str(path) for path in self.place.folder.rglob(EXECUTED)]
        return [f"changed outside: {name}" for name in changed] + [
            f"executed: {p}" for p in executed
        ]

    def _file(self, name: str, data: bytes) -> Path:
        path = self.scratch / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    def _prompts(self, random_: random.Random) -> Input:
        from attention_motifs.prompts import load_prompts

        lines = [{"text": "a b c", "meta": {"source": "x"}}, {"text": "d", "source": "y"}]
        parts = [damaged_json(line, random_) for line in lines]
        data = b"\n".join(parts) if random_.random() < 0.7 else b"[" + b",".join(parts) + b"]"
        path = self._file(random_.choice(("p.jsonl", "p.json")), data)
        most = random_.choice((None, 1, 5))
        return Input(
            repr(data[:300]), lambda: load_prompts(str(path), most, max_chars=most and 100)
        )

    def _names(self, random_: random.Random) -> Input:
        name = str(forged(random_))
        if random_.random() < 0.5:
            name = damaged(b"a:L1:H1", random_).decode("utf-8", "surrogateescape")
        # A shell cannot pass such a byte, nor a longer argument.
        name = name.replace("\0", "")[:100_000]
        command = random_.choice(_COMMANDS)
        words = [command, name, *(["b"] if command == "diff" else [])]
        atlas = self.scratch / "atlas"
        if not atlas.exists():
            shutil.copytree(self.valid / "atlas", atlas)  # `remove` may be given a model of it
        words += ["--atlas", str(atlas)] if command != "classes" else []
        input_ = Input(f"{command} {name!r:.200}", lambda: None)

        def run() -> None:
            with (
                contextlib.redirect_stdout(io.StringIO()) as text,
                contextlib.redirect_stderr(text),
            ):
                code = command_line(words)
            output = text.getvalue()
            if code == 70 or "Traceback" in output:
                input_.more.append(f"{command}: stack trace: {output[-300:]}")
            if control := _CONTROL.search(output):
                input_.more.append(f"{command}: writes {control[0]!r} to the terminal")

        input_.read = run
        return input_

    def _classes(self, random_: random.Random) -> Input:
        from attention_motifs.literature.records import load_known_heads

        data = damaged_json(CLASS_FILE, random_)
        path = self._file("classes.json", data)
        return Input(repr(data[:300]), lambda: load_known_heads(path))

    def _types(self, random_: random.Random) -> Input:
        from attention_motifs.clustering.pattern_types import read_pattern_types

        data = damaged_json(TYPES_FILE, random_)
        path = self._file("types.json", data)
        return Input(repr(data[:300]), lambda: read_pattern_types(path))

    def _configuration(self, random_: random.Random) -> Input:
        from attention_motifs.cli.configuration_file import build_plan, read_configuration

        lines = list(CONFIGURATION)
        at = random_.randrange(len(lines))
        key = lines[at].partition(" = ")[0]
        lines[at] = f"{key} = {json.dumps(forged(random_))}"
        data = "\n".join(lines).encode("utf-8", "surrogatepass")
        data = damaged(data, random_) if random_.random() < 0.4 else data
        path = self._file("c.toml", data)
        return Input(repr(data[-300:]), lambda: build_plan(read_configuration(str(path))))

    def _manifest(self, random_: random.Random) -> Input:
        from attention_motifs.atlas import Atlas

        atlas = self.scratch / "atlas"
        if not atlas.exists():
            shutil.copytree(self.valid / "atlas", atlas)
        names = ("atlas.json", "embedding.json", "evaluation.json")
        name = random_.choice([n for n in names if (self.valid / "atlas" / n).is_file()])
        data = damaged_json(json.loads((self.valid / "atlas" / name).read_bytes()), random_)
        for other in names:
            if (self.valid / "atlas" / other).is_file():
                shutil.copy(self.valid / "atlas" / other, atlas / other)
        (atlas / name).write_bytes(data)

        def read() -> None:
            opened = Atlas.open(atlas)
            opened.near("a:L1:H1", metric="mean")

        return Input(f"{name} {data[:200]!r}", read)

    def _gguf(self, random_: random.Random) -> Input:
        from attention_motifs.extraction.loading import load_model

        data = damaged((self.valid / "model.gguf").read_bytes(), random_)
        path = self._file("model.gguf", data)
        return Input(repr(data[:80]), lambda: load_model(f"m={path}", device="cpu"))

    def _model(self, random_: random.Random) -> Input:
        from attention_motifs.extraction.loading import load_model

        folder = self.scratch / "model"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.valid / "model", folder)
        path = random_.choice(sorted(p for p in folder.iterdir() if p.is_file()))
        if path.suffix == ".json" and random_.random() < 0.7:
            data = damaged_json(json.loads(path.read_bytes()), random_)
        else:
            data = damaged(path.read_bytes(), random_)
        path.write_bytes(data)
        return Input(f"{path.name} {data[:200]!r}", lambda: load_model(f"m={folder}", device="cpu"))

    def _headvis(self, random_: random.Random) -> Input:
        from attention_motifs.extraction.headvis import read_headvis

        files = headvis_files()
        name = random_.choice(list(files))
        for other, value in files.items():
            data = damaged_json(value, random_) if other == name else json.dumps(value).encode()
            self._file(f"headvis/{other}", data)
            if other == name:
                shown = data

        def read() -> None:
            folder = read_headvis(self.scratch / "headvis")
            for head in folder.heads:
                folder.sequences(head)

        return Input(f"{name} {shown[:200]!r}", read)

    def _pattern_lens(self, random_: random.Random) -> Input:
        from attention_motifs.extraction.pattern_lens import read_models, read_patterns

        root = self.scratch / "lens"
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(self.valid / "lens", root)
        path = random_.choice(sorted(p for p in root.rglob("*") if p.is_file()))
        if path.suffix == ".npz" or random_.random() < 0.2:
            data = damaged(path.read_bytes(), random_)
        else:
            data = damaged_json(json.loads(path.read_bytes()), random_)
        path.write_bytes(data)

        def read() -> None:
            for model in read_models(root):
                for prompt in model.prompts:
                    read_patterns(model, prompt.prompt_id)

        return Input(f"{path.name} {data[:200]!r}", read)

    def _request(self, random_: random.Random) -> Input:
        port = self._port()
        target = random_.choice(_TARGETS)
        method = random_.choice(("GET", "HEAD", "POST", "PUT", "DELETE", "TRACE", "G" * 5000, "\0"))
        host = random_.choice((f"127.0.0.1:{port}", "evil.example", "", "localhost", "[::1]"))
        headers = [f"Host: {host}", "Connection: close"]
        headers += [
            f"{random_.choice(_HEADERS)}: {random_.choice(_HEADER_VALUES)}"
            for _ in range(random_.randrange(4))
        ]
        body = damaged_json({"texts": ["a b"], "models": ["a"]}, random_)
        length = random_.choice((len(body), 0, 10**12, -1))
        headers += [f"Content-Length: {length}", "Content-Type: application/json"]
        text = f"{method} {target} HTTP/1.1\r\n" + "\r\n".join(headers) + "\r\n\r\n"
        data = text.encode("latin-1", "replace") + body[:100_000]
        data = damaged(data, random_) if random_.random() < 0.3 else data
        input_ = Input(repr(data[:160]), lambda: None)

        def send() -> None:
            answer = _answer(port, data)
            if SECRET.encode() in answer or b"root:x:" in answer:
                input_.more.append("requests: a file outside the site was sent")
            if b"Traceback" in answer or answer.startswith(b"HTTP/1.1 500"):
                input_.more.append(f"requests: {answer[:200]!r}")
            if b"a site" not in _answer(port, _plain(port)):
                input_.more.append("requests: the server no longer answers")

        input_.read = send
        return input_

    _server: Any = None

    def _port(self) -> int:
        """Start the server of a site with live models in this process, once."""
        if self._server is None:
            from attention_motifs.atlas import Atlas
            from attention_motifs.live.application import live_extension
            from attention_motifs.live.models import LiveModels
            from site_server import serving_site

            shutil.copytree(self.valid / "atlas", self.scratch / "live")
            shutil.copytree(self.valid / "site", self.scratch / "a" / "b" / "site")
            os.chdir(self.place.folder)
            live = LiveModels(Atlas.open(self.scratch / "live"), "cpu")
            live.load("a")
            os.chdir(self.scratch)
            self._server = serving_site(self.scratch / "a" / "b" / "site", live_extension(live))
            self._number: int = self._server.__enter__()
        return self._number


def _plain(port: int) -> bytes:
    return f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n".encode()


def _answer(port: int, request: bytes) -> bytes:
    """Send bytes, and read until the server closes the connection or is silent for a second."""
    received = b""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 5) as line:
        line.settimeout(1)
        with contextlib.suppress(OSError):
            line.sendall(request)
        while chunk := line.recv(65536):
            received += chunk
    return received


def _limit_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    limit = pages * os.sysconf("SC_PAGE_SIZE") + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _read(input_: Input) -> list[str]:
    """Read an input; return a line per finding."""
    from attention_motifs.errors import MotifsError

    def slow(*_: Any) -> None:
        raise _Slow

    signal.signal(signal.SIGALRM, slow)
    signal.alarm(SECONDS)
    try:
        input_.read()
    except MotifsError as error:
        if "\n" in str(error) or _CONTROL.search(str(error)):
            return [f"the message is not one plain line: {str(error)[:300]!r}"]
    except _Slow:
        return [f"takes over {SECONDS} s"]
    except Exception as error:  # noqa: BLE001 - what a user would see as a stack trace
        return [f"{type(error).__name__}: {str(error)[:300]}"]
    finally:
        signal.alarm(0)
    return input_.more
