"""Kills at random moments: what is left answers or names the next command, and can be finished."""

from __future__ import annotations

import json
import os
import random
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from reliability_work import (
    COMMANDS,
    QUESTIONS,
    Answer,
    Command,
    Verdict,
    Workplace,
    ask,
    differences,
    digests,
    run,
    run_killed,
    served,
)

KILLS_BEFORE_THE_END = 5
"""Kills of one command before it is left to finish."""


@dataclass(frozen=True)
class _Reference:
    """A command that was not interrupted."""

    seconds: float
    files: dict[str, str]
    near: tuple[str, ...]
    """Answers of `near` before and after it."""


def connect(s3: str, hub: str) -> Callable[[], None]:
    """Return what makes a process use the loopback servers, without pauses between its tries."""
    from hub_server import TOKEN
    from s3_server import KEY_ID, SECRET

    def prepare() -> None:
        from huggingface_hub import constants

        from attention_motifs.store import retry

        os.environ |= {
            "AWS_ENDPOINT_URL": s3, "AWS_ALLOW_HTTP": "true", "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET, "HF_TOKEN": TOKEN,
        }  # fmt: skip
        constants.ENDPOINT = hub
        constants.HUGGINGFACE_CO_URL_TEMPLATE = hub + "/{repo_id}/resolve/{revision}/{filename}"
        constants.HF_HUB_DISABLE_XET = True
        retry.PAUSES = (0.0, 0.0)

    return prepare


class Kills:
    """Commands that are killed in one workplace."""

    def __init__(self, place: Workplace) -> None:
        """Nothing runs yet; the references are measured when they are first needed."""
        self.place = place
        self._references: dict[str, _Reference] = {}

    def tries(self, seed: int, round_: int) -> Iterator[tuple[str, float, Verdict]]:
        """Kill one command a few times, then finish it; yield its name, moment and verdict."""
        command = COMMANDS[round_ % len(COMMANDS)]
        random_ = random.Random(f"kill-{seed}-{round_}")  # noqa: S311 - not for secrets
        from hub_server import Hub
        from s3_server import ObjectServer

        with (
            served(ObjectServer, self.place.folder) as s3,
            served(Hub, self.place.folder) as hub,
        ):
            prepare = connect(s3, hub)
            reference = self._reference(command, prepare)
        with (
            served(ObjectServer, self.place.folder) as s3,
            served(Hub, self.place.folder) as hub,
        ):
            yield from self._killed(command, reference, random_, connect(s3, hub))

    def _start(self, command: Command) -> None:
        self.place.place(command.starts_from)
        for name in ("cache/remote", "fetched", "back", "public"):
            shutil.rmtree(self.place.folder / name, ignore_errors=True)

    def _reference(self, command: Command, prepare: Callable[[], None]) -> _Reference:
        if command.name not in self._references:
            near, seconds = set(), 0.0
            for _ in range(2):  # the first run loads what the second one is measured with
                self._start(command)
                near.add(self._near())
                before = time.monotonic()
                answer = run(command.words, self.place.log, prepare)
                seconds = time.monotonic() - before
                assert answer.code == 0, f"{command.name}: {answer.output}"
            near.add(self._near())
            files = self._results(command, prepare)
            self._references[command.name] = _Reference(seconds, files, tuple(near - {""}))
        return self._references[command.name]

    def _near(self) -> str:
        """Return the heads and distances that `near` answers; empty if it does not answer."""
        answers = ask(self.place.atlas, QUESTIONS[2:3], scratch=self.place.folder)
        return distances_of(answers["near"])

    def _results(self, command: Command, prepare: Callable[[], None]) -> dict[str, str]:
        """Return the digests of what a finished command made, read back from where it is."""
        back = self.place.folder / "back"
        shutil.rmtree(back, ignore_errors=True)
        shutil.rmtree(self.place.folder / "cache/remote", ignore_errors=True)
        words: tuple[str, ...] = ()
        if command.name == "copy":
            words = ("copy", "s3://bucket/copied", "back")
        elif command.name == "publish":
            words = ("fetch", "lab/atlas", "--out", "back")
        if words:
            answer = run(words, self.place.log, prepare)
            if answer.code != 0:
                return {"": answer.output}
            return digests(back)
        return digests(self.place.atlas)

    def _killed(
        self,
        command: Command,
        reference: _Reference,
        random_: random.Random,
        prepare: Callable[[], None],
    ) -> Iterator[tuple[str, float, Verdict]]:
        self._start(command)
        results = []
        for _ in range(KILLS_BEFORE_THE_END):
            moment = random_.uniform(0, reference.seconds)
            run_killed(command.words, self.place.log, moment, prepare)
            results.append((moment, self._judged(reference)))
        ending = results[-1][1]
        answer = run(command.words, self.place.log, prepare)
        if answer.code != 0:
            ending.lost.append(f"cannot be finished: {answer.output.strip()[-600:]}")
        else:
            changed = differences(reference.files, self._results(command, prepare))
            ending.wrong.extend(f"differs at the end: {name}" for name in changed)
        for moment, verdict in results:
            yield command.name, round(moment, 4), verdict

    def _judged(self, reference: _Reference) -> Verdict:
        """Ask the atlas after a kill."""
        verdict = Verdict()
        answers = ask(self.place.atlas, scratch=self.place.folder)
        for name, answer in answers.items():
            if not answer.is_explained:
                verdict.unexplained.append(f"{name}: {answer.output.strip()[-600:]}")
        near = distances_of(answers["near"])
        if near and near not in reference.near:
            verdict.wrong.append("near: neither the answer before nor the one after")
        return verdict


def distances_of(near: Answer) -> str:
    """Return the heads and distances of an answer of `near --json`; empty if it failed."""
    if near.code != 0:
        return ""
    start = near.output.find("[")
    rows = json.loads(near.output[start:])
    return json.dumps([[row["head"], row["distance"]] for row in rows])
