"""A robust start of the Node process that renders formulas, in place of sphinxcontrib-katex's.

The library connects as soon as the socket's file exists, which is before Node listens on it. On a
busy machine the build then fails with "connection refused", and Node stays behind with the output
of the build still open, so that whoever reads that output waits for ever.
"""

from __future__ import annotations

import socket
import time
from pathlib import Path
from subprocess import DEVNULL, Popen

from sphinx.application import Sphinx
from sphinxcontrib.katex import KaTeXError, KaTeXServer

SECONDS = 120.0
"""For the start, and for each formula."""


def start(rundir: Path, timeout: float) -> tuple[Popen[bytes], socket.socket]:
    """Start Node, and connect to it as soon as it listens.

    Raises:
        KaTeXError: if Node ends, or does not listen in time.
    """
    path = rundir / "katex.sock"
    command = KaTeXServer.build_command(socket=path)
    process = Popen(  # noqa: S603
        command, stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL, cwd=rundir
    )
    end = time.monotonic() + timeout
    while time.monotonic() < end and process.poll() is None:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(str(path))
        except OSError:
            connection.close()
            time.sleep(0.01)
        else:
            return process, connection
    process.kill()
    code = process.wait()
    raise KaTeXError(f"{' '.join(command)}: does not listen after {timeout:.0f} s (code {code})")


def setup(_app: Sphinx) -> dict[str, bool]:
    """Replace the start of the library."""
    import sphinxcontrib.katex

    sphinxcontrib.katex.STARTUP_TIMEOUT = sphinxcontrib.katex.RENDER_TIMEOUT = SECONDS
    KaTeXServer.start_server_process = staticmethod(start)
    return {"parallel_read_safe": True}
