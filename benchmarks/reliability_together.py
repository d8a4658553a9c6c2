"""Two writers, ten readers and a server on one atlas: nothing is torn."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from reliability_kill import distances_of
from reliability_work import (
    HEAD,
    Answer,
    Verdict,
    Workplace,
    ask,
    ended,
    forked,
    kill,
    run,
    start,
)

SECONDS = float(os.environ.get("RELIABILITY_SECONDS", "60"))
"""Length of one round; ten rounds of 60 s are the ten minutes."""

READERS = 10
NEAR = ("near", HEAD, "--metric", "mean", "--json")
ASKED = (NEAR, ("show", HEAD, "--metric", "mean", "--json"), ("explain", HEAD, "--json"), ("info",))
WRITES = (
    ("add", "c=models/c", "--no-score"),
    ("remove", "c"),
    ("embed", "--force"),
    ("distances", "--metric", "mean", "--force"),
    ("site", "--force"),
)
_MEANWHILE = (
    "another run is working on this atlas",
    "open it again",
    "is not in this atlas",  # removed by the other writer
    "already",  # added by the other writer
)


class Together:
    """Processes that write, read and serve one atlas at once."""

    def __init__(self, place: Workplace) -> None:
        """Note the answers with and without the added model."""
        self.place = place
        self.expected = set()
        place.place("mapped")
        self.expected.add(self._near())
        for words in WRITES[:2]:
            answer = run([*words, "--atlas", "atlas"], place.log)
            assert answer.code == 0, answer.output
            self.expected.add(self._near())

    def _near(self) -> str:
        return distances_of(ask(self.place.atlas, [NEAR], scratch=self.place.folder)["near"])

    def tries(self, seed: int, round_: int) -> Iterator[tuple[str, str, Verdict]]:
        """Run all for some seconds; yield one verdict per writer, reader and server."""
        self.place.place("mapped")
        answer = run(("site", "--atlas", "atlas"), self.place.log)
        assert answer.code == 0, answer.output
        server, address = self._serve()
        limit = time.monotonic() + SECONDS
        processes = {}
        for i in range(2):
            processes[f"writer {i}"] = forked(lambda i=i: self._write(i, seed + round_, limit))
        for i in range(READERS):
            processes[f"reader {i}"] = forked(lambda i=i: self._read(i, limit))
        processes["server"] = forked(lambda: self._browse(address, limit))
        for name, process in processes.items():
            verdict = Verdict()
            code = ended(process, SECONDS + 240)
            if code is None:
                kill(process)
            report = Path(f"{name}.json")
            value = json.loads(report.read_text()) if code == 0 else {"wrong": [f"exit {code}"]}
            report.unlink(missing_ok=True)
            verdict.wrong.extend(value["wrong"])
            verdict.unexplained.extend(value.get("unexplained", []))
            yield name.split()[0], f"{value.get('n', 0)} answers", verdict
        os.kill(server, signal.SIGKILL)
        kill(server)
        last = run(("check", "--atlas", "atlas"), self.place.log)
        sound = Verdict()
        if last.code != 0:
            sound.wrong.append(f"check at the end: {last.output[-600:]}")
        yield "atlas at the end", "", sound

    def _write(self, number: int, seed: int, limit: float) -> int:
        random_ = random.Random(f"{number}-{seed}")  # noqa: S311 - not for secrets
        n, unexplained = 0, []
        while time.monotonic() < limit:
            words = [*random_.choice(WRITES), "--atlas", "atlas"]
            answer = run(words, Path(f"writer-{number}.log"))
            n += 1
            if not (answer.is_explained or _happens(answer)):
                unexplained.append(f"{words[0]}: {answer.output[-500:]}")
        return _report(f"writer {number}", n, [], unexplained)

    def _read(self, number: int, limit: float) -> int:
        n, wrong, unexplained = 0, [], []
        scratch = Path(f"reader-{number}")
        scratch.mkdir(exist_ok=True)
        while time.monotonic() < limit:
            for name, answer in ask(self.place.atlas, ASKED, scratch=scratch).items():
                n += 1
                if not (answer.is_explained or _happens(answer)):
                    unexplained.append(f"{name}: {answer.output[-500:]}")
                elif name == "near" and distances_of(answer) not in {"", *self.expected}:
                    wrong.append("near: neither the old nor the new answer")
        return _report(f"reader {number}", n, wrong, unexplained)

    def _serve(self) -> tuple[int, str]:
        """Start the server before the writers hold the lock; return its process and address."""
        log = Path("server.log")
        log.unlink(missing_ok=True)
        server = start(("serve", "--port", "0", "--atlas", "atlas"), log)
        begun = time.monotonic()
        while time.monotonic() < begun + 60:
            text = log.read_text() if log.is_file() else ""
            address = "http://" + text.partition("http://")[2].split("/")[0]
            with contextlib.suppress(OSError, ValueError), urllib.request.urlopen(address):
                return server, address
            time.sleep(0.05)
        raise AssertionError("the server does not start")

    def _browse(self, address: str, limit: float) -> int:
        n, wrong = 0, []
        while time.monotonic() < limit:
            for name in ("", "data/manifest.json"):
                try:
                    with urllib.request.urlopen(f"{address}/{name}", timeout=20) as page:  # noqa: S310
                        data = page.read()
                except OSError as error:  # the folder of the site is replaced between two names
                    if "503" not in str(error) and "404" not in str(error):
                        wrong.append(f"{name}: {error}")
                    continue
                n += 1
                if name:
                    json.loads(data)
                elif b"</html>" not in data.lower():
                    wrong.append("the page ends early")
            time.sleep(0.05)
        return _report("server", n, wrong, [])


def _happens(answer: Answer) -> bool:
    """Whether a command was refused for what another one does meanwhile."""
    return "Traceback" not in answer.output and any(t in answer.output for t in _MEANWHILE)


def _report(name: str, n: int, wrong: list[str], unexplained: list[str]) -> int:
    value = {"n": n, "wrong": wrong[:20], "unexplained": unexplained[:20]}
    Path(f"{name}.json").write_text(json.dumps(value), encoding="utf-8")
    return 0
