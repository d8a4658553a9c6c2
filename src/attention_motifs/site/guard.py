"""What every request has to pass, and every answer carries."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Guard:
    """Middleware: only GET and HEAD of allowed hosts; headers on every answer, errors too."""

    def __init__(
        self, app: ASGIApp, allowed: Callable[[str], bool], headers: Mapping[str, str]
    ) -> None:
        """Stand before `app`; `allowed` tests the Host header."""
        self.app = app
        self.allowed = allowed
        self.headers = [(k.lower().encode(), v.encode()) for k, v in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or refuse."""
        from starlette.responses import PlainTextResponse

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *self.headers]
            await send(message)

        if scope["type"] != "http":
            return
        refused = self._refusal(scope)
        if refused is None:
            await self.app(scope, receive, with_headers)
        else:
            code, why = refused
            await PlainTextResponse(f"{why}\n", code)(scope, receive, with_headers)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        """Status and reason for a request that is not answered; None if it is."""
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        if len(hosts) != 1:
            return 400, "give one Host header"
        if not self.allowed(hosts[0].decode("latin-1")):
            return 421, "this server does not answer for that host"
        if scope["method"] not in ("GET", "HEAD"):
            return 405, "only GET and HEAD are answered"
        if not scope["raw_path"].startswith(b"/") or not scope["path"].startswith("/"):
            return 400, "not a path"
        return None
