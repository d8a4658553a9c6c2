"""Run the tests of the core with other Python versions, and with the lowest versions we declare.

    python tests/other_versions.py               # the lowest versions, Python 3.12 and 3.13
    python tests/other_versions.py 3.13          # one of them
    python tests/other_versions.py lowest

Every environment is made anew in a temporary folder. A Python version that the machine does not
have is named and left out; the others must pass.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

ROOT = Path(__file__).parents[1]
LOWEST = "lowest"
VERSIONS = (LOWEST, "3.12", "3.13")

CORE = (
    "tests/atlas/test_check.py",
    "tests/cli/test_main.py",
    "tests/clustering/test_methods.py",
    "tests/distances/test_compute.py",
    "tests/distances/test_neighbours.py",
    "tests/embedding/test_quantiles.py",
    "tests/embedding/test_recommended.py",
    "tests/extraction/test_parity.py",
    "tests/features/test_compute.py",
    "tests/features/test_extended.py",
    "tests/figures/test_make.py",
    "tests/models/test_convert.py",
    "tests/models/test_sources.py",
    "tests/models/test_tokenizing.py",
    "tests/projection/test_projections.py",
    "tests/sharing/test_sharing.py",
    "tests/site/test_server.py",
    "tests/stages/test_build.py",
    "tests/store/test_object_store.py",
    "tests/store/test_validated_json.py",
)
"""Tests that use every dependency: what versions can break."""

TOOLS = ("hypothesis", "jaxtyping", "packaging", "pytest", "pytest-timeout", "pytest-xdist")


def find_python(version: str) -> str | None:
    """Return the interpreter of a version that runs on this machine, or None."""
    candidates = [shutil.which(f"python{version}")]
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates += [str(path / "bin" / "python") for path in sorted(pyenv.glob(f"{version}.*"))]
    for candidate in filter(None, candidates):
        code = "import sys; print('%d.%d' % sys.version_info[:2])"
        done = subprocess.run([candidate, "-c", code], capture_output=True, text=True, check=False)
        if done.returncode == 0 and done.stdout.strip() == version:
            return candidate
    return None


def install(python: str, folder: Path, version: str) -> Path:
    """Make a virtual environment with the package's requirements; return its interpreter.

    uv keeps what it downloads, so the next run installs the same packages in seconds.
    """
    subprocess.run([python, "-m", "venv", str(folder)], check=True)
    inside = folder / "bin" / "python"
    pip = [str(inside), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "uv"], check=True)
    uv = [str(folder / "bin" / "uv"), "pip"]
    uv_install = [*uv, "install", "--quiet", "--python", str(inside)]
    environment = {**os.environ, "ATTENTION_MOTIFS_NO_PAGES": "1"}
    if version == LOWEST:
        requirements = folder / "lowest.txt"
        resolve = [*uv, "compile", "--quiet", "--resolution", "lowest-direct", "--extra", "all"]
        resolve += ["--python", str(inside), "-o", str(requirements), str(ROOT / "pyproject.toml")]
        subprocess.run(resolve, check=True)
        subprocess.run([*uv_install, "-r", str(requirements)], check=True)
        subprocess.run([*uv_install, *TOOLS], check=True)
        subprocess.run([*uv_install, "--no-deps", str(ROOT)], check=True, env=environment)
    else:
        pins = ["-c", str(ROOT / "constraints.txt")]
        packages = [f"{ROOT}[all]", *TOOLS]
        subprocess.run([*uv_install, *pins, *packages], check=True, env=environment)
    return inside


def run_tests(inside: Path, processes: str) -> subprocess.CompletedProcess[bytes]:
    """Run the tests of the core with the package that is installed for an interpreter."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    run = partial(subprocess.run, cwd=ROOT, env=environment)
    run([str(inside), "tests/compile_kernels.py"], check=True)
    pytest = [str(inside), "-m", "pytest", "-q", "-n", processes, "--dist", "loadfile"]
    return run([*pytest, "-p", "no:cacheprovider", "-m", "not slow", *CORE], check=False)


def main() -> int:
    """Test each version; return how many failed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("versions", nargs="*", default=VERSIONS, help="such as 3.13, or lowest")
    parser.add_argument("-n", "--processes", default="2", help="processes of pytest (default 2)")
    arguments = parser.parse_args()
    failed = []
    for version in arguments.versions:
        python = sys.executable if version == LOWEST else find_python(version)
        if python is None:
            print(f"Python {version}: not on this machine, left out", flush=True)
            continue
        print(f"Python {version}" if version != LOWEST else "lowest versions", flush=True)
        started = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="other-versions-") as folder:
            inside = install(python, Path(folder), version)
            installed = time.monotonic()
            done = run_tests(inside, arguments.processes)
        tested = time.monotonic()
        print(f"installed in {installed - started:.0f} s, tested in {tested - installed:.0f} s")
        if done.returncode:
            failed.append(version)
    if failed:
        print(f"failed: {', '.join(failed)}")
    return len(failed)


if __name__ == "__main__":
    sys.exit(main())
