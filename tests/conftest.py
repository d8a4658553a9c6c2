"""Fixtures that tests of several parts share: two tiny models, and an atlas built of them."""

from __future__ import annotations

import os

# Tiny models on many threads wait for one another; before torch and numpy read it.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
import typer

from attention_motifs.atlas import Atlas
from attention_motifs.cli import application
from attention_motifs.store.settings import Configuration
from chromium import FLAGS, find_browser
from tiny_models import make_tiny_model, texts, write_prompts

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# A busy machine takes seconds for an example that takes milliseconds elsewhere.
hypothesis.settings.register_profile("suite", deadline=None)
hypothesis.settings.load_profile("suite")

LONGEST = (
    "behaviour/test_ablation.py",
    "figures/test_make.py",
    "atlas/test_folder.py",
    "sharing/test_sharing.py",
    "stages/test_blocks_stage.py",
    "cli/test_main.py",
    "stages/test_stopped_at_steps.py",
    "store/test_object_store.py",
    "stages/test_evaluate_stage.py",
    "site/test_exported_site.py",
)
"""Files that take longest, beginning with the longest."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start the longest files first: no process waits for another one at the end."""
    order = {Path(__file__).parent / name: i for i, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.path, len(order)))


@pytest.fixture(scope="session", autouse=True)
def score_models() -> Iterator[Callable[..., None]]:
    """Leave out the scores of builds in this process: tiny models are slow to score.

    `tests/stages/test_scores_by_default.py` builds with them, and so do tests on the demo, which
    put back the function that this gives.
    """
    from attention_motifs.stages import run

    function = run.score_models
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "score_models", lambda *_: None)
        yield function


@pytest.fixture(scope="session", autouse=True)
def ids_of_prompts_once() -> Iterator[None]:
    """Tokenize the built-in prompts once per tokenizer: it takes a third of a tiny build."""
    from attention_motifs.behaviour import sequences

    function = sequences._ids_of_prompts
    results: dict[str, set[int]] = {}

    def once(tokenizer: Any) -> set[int]:
        key = tokenizer.backend_tokenizer.to_str()
        if key not in results:
            results[key] = function(tokenizer)
        return set(results[key])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sequences, "_ids_of_prompts", once)
        yield


@pytest.fixture(scope="session", autouse=True)
def no_flush_to_disk() -> Iterator[None]:
    """Do not wait for the disk: files of tests need not outlive a loss of power."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _handle: None)
        yield


@pytest.fixture(scope="session", autouse=True)
def digests_are_not_compared() -> Iterator[Callable[..., bool]]:
    """Read files whose digest is not the recorded one: many tests change a file of an atlas.

    Tests of the digests put back the function that this gives.
    """
    from attention_motifs.store import recorded_digests

    function = recorded_digests.is_changed
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recorded_digests, "is_changed", lambda *_, **__: False)
        yield function


@pytest.fixture(scope="session", autouse=True)
def commands_once() -> Iterator[None]:
    """Make the commands once: typer makes all of them again for every command line."""
    from attention_motifs.cli.app import app

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(application, "app", typer.main.get_command(app))
        yield


@dataclass(frozen=True)
class Tiny:
    """Tiny models `a` (2 layers of 2 heads), `b` (3 of 3) and `c` (1 of 4), and a prompts file."""

    folder: Path
    prompts: Path

    def model(self, name: str) -> str:
        """As given to --model."""
        return f"{name}={self.folder / name}"

    def configuration(self, **settings: object) -> Configuration:
        """Of an atlas of `a` and `b` on 20 prompts, that is two blocks, of 24 tokens; 3 probes."""
        values: dict[str, object] = {
            "models": (self.model("a"), self.model("b")),
            "prompts": str(self.prompts),
            "max_tokens": 24,
            "n_view_prompts": 3,
            "n_probes": 3,
            "probe_tokens": 40,
        }
        return Configuration(**{**values, **settings})  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    folder = tmp_path_factory.mktemp("tiny")
    make_tiny_model(folder / "a")
    make_tiny_model(folder / "b", architecture="gpt2", n_layers=3, n_heads=3, seed=1)
    make_tiny_model(folder / "c", architecture="qwen2", n_layers=1, n_heads=4, seed=2)
    return Tiny(folder, write_prompts(folder / "prompts.jsonl", texts(20)))


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One browser for the whole run: Playwright can be started once at a time."""
    path = find_browser()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield started
        started.close()


@pytest.fixture(scope="module")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache folder of the module's own, so that the user's is left alone."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ATTENTION_MOTIFS_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session")
def built_once(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the atlas of `built`."""
    from attention_motifs.stages.run import build

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ATTENTION_MOTIFS_CACHE", str(tmp_path_factory.mktemp("cache")))
        return build(tmp_path_factory.mktemp("built") / "atlas", tiny.configuration()).path


@pytest.fixture(scope="module")
def built(built_once: Path, own_cache: Path) -> Iterator[Atlas]:
    """A finished atlas of `a` and `b`; tests do not change it, but a `copy`."""
    before = contents(built_once)
    yield Atlas.open(built_once)
    assert contents(built_once) == before, "a test changed the atlas that all tests share"


@pytest.fixture
def copy(built: Atlas, tmp_path: Path) -> Atlas:
    """A copy of the finished atlas, to be changed or damaged."""
    shutil.copytree(built.path, tmp_path / "atlas")
    return Atlas.open(tmp_path / "atlas")


def contents(folder: Path) -> dict[str, bytes]:
    """Bytes of every file below a folder, except the lock."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }
