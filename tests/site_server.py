"""The explorer's server, run in a thread of the tests."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attention_motifs.site.server import bind, make_server


@contextmanager
def serving_site(folder: Path, extension: Any = None) -> Iterator[int]:
    """Serve a folder until the block ends; yield the port."""
    server, opened = make_server(folder, "127.0.0.1", (), extension), bind("127.0.0.1", 0)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [opened]}, daemon=True)
    thread.start()
    for _ in range(2000):
        if server.started:
            break
        time.sleep(0.005)
    try:
        yield opened.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(20)
    assert not thread.is_alive()
