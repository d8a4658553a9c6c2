"""The routes of `motifs serve --live`: a text in, the patterns of all heads on it out.

One text is read at a time; a few requests wait for their turn, and further ones are refused. A
request whose browser left is stopped. Nothing is written but by `live/keep`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from msgspec import Meta

from attention_motifs.errors import AtlasError, InputError, MotifsError
from attention_motifs.features.stopping import Stopped
from attention_motifs.live.answer import answer_bytes
from attention_motifs.live.keep import keep
from attention_motifs.live.models import MAX_BYTES, MAX_TOKENS, LiveModels, checked_text
from attention_motifs.site.contract_live import LiveError, LiveState
from attention_motifs.site.server import Extension
from attention_motifs.store.validated_json import convert

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

T = TypeVar("T")

NAME = "live"
"""Name by which the pages recognise the server."""

MOST_WAITING = 4
"""Requests that wait for their turn."""

_LARGEST_BODY = 6 * MAX_BYTES * 2 + (64 << 10)
"""Bytes of a request: two texts, in which JSON may write a byte as six."""

_BODY_SECONDS = 10.0
"""Time in which a request must arrive."""


@dataclass(frozen=True)
class _ReadRequest:
    texts: Annotated[list[str], Meta(min_length=1, max_length=2)]
    models: list[str]
    """Names of models in memory; none is all."""


@dataclass(frozen=True)
class _KeepRequest:
    text: str


class BusyError(MotifsError):
    """Too many requests wait."""


class Turns:
    """A worker that does one thing at a time, and a bounded number of requests that wait for it."""

    def __init__(self, most_waiting: int = MOST_WAITING) -> None:
        """Make it idle."""
        self.most_waiting = most_waiting
        self.n_pending = 0
        """Requests that wait or are answered."""
        self._turn = asyncio.Lock()
        self._thread = ThreadPoolExecutor(1, "attention-motifs live")

    async def run(
        self, work: Callable[[threading.Event], T], left: Callable[[], Awaitable[object]]
    ) -> T:
        """Do some work when its turn comes.

        Args:
            work: called in a thread; the event is set if nobody needs the result any more.
            left: returns when the browser has left.

        Raises:
            BusyError: if too many requests wait.
            Stopped: if the browser left.
        """
        if self.n_pending > self.most_waiting:
            raise BusyError("this server is busy: other texts are being read. Send it again")
        self.n_pending += 1
        stopped, begun = threading.Event(), False

        async def turn() -> T:
            nonlocal begun
            async with self._turn:
                begun = True
                loop = asyncio.get_running_loop()
                return await loop.run_in_executor(self._thread, work, stopped)

        working = asyncio.ensure_future(turn())
        leaving = asyncio.ensure_future(left())
        try:
            await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                stopped.set()
                if not begun:
                    working.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await working
                raise Stopped
            return working.result()
        finally:
            stopped.set()  # also when the server ends
            leaving.cancel()
            self.n_pending -= 1


def live_extension(live: LiveModels) -> Extension:
    """Return the routes for the models in memory.

    Args:
        live: the models; a text is read by all of them, or by those that a request names.
    """
    from starlette.routing import Route

    turns = Turns()

    async def state(_: Request) -> Response:
        return _json(LiveState(list(live.names), MAX_TOKENS, MAX_BYTES))

    async def read(request: Request) -> Response:
        from starlette.responses import Response

        asked = await _body(request, _ReadRequest)
        texts = [checked_text(text) for text in asked.texts]
        names = _names(live, asked.models)

        def work(stopped: threading.Event) -> bytes:
            return answer_bytes(
                [[live.read(text, name, stopped=stopped) for name in names] for text in texts]
            )

        data = await turns.run(work, lambda: _left(request))
        return Response(data, 200, {"Cache-Control": "no-store"}, "application/octet-stream")

    async def keep_text(request: Request) -> Response:
        asked = await _body(request, _KeepRequest)
        kept = await turns.run(lambda _: keep(live.atlas.place, asked.text), lambda: _left(request))
        return _json(kept)

    return Extension(
        NAME,
        [
            Route("/live/state", _answered(state), methods=["GET"]),
            Route("/live/read", _answered(read), methods=["POST"]),
            Route("/live/keep", _answered(keep_text), methods=["POST"]),
        ],
        frozenset({"/live/read", "/live/keep"}),
    )


def _names(live: LiveModels, requested: Sequence[str]) -> list[str]:
    if unknown := [name for name in requested if name not in live.names]:
        raise InputError(
            f"model {unknown[0]!r:.80} is not in the memory of this server: it has "
            f"{', '.join(live.names)}. Start it with --model {unknown[0]:.80}"
        )
    return [name for name in live.names if name in requested or not requested]


def _answered(
    function: Callable[[Request], Awaitable[Response]],
) -> Callable[[Request], Awaitable[Response]]:
    """Turn errors of the user into answers of one line."""

    async def answer(request: Request) -> Response:
        from starlette.responses import Response

        try:
            return await function(request)
        except Stopped:
            return Response(status_code=499)  # nobody reads it
        except BusyError as error:
            return _json(LiveError(str(error)), 503, {"Retry-After": "1"})
        except _TooLargeError as error:
            return _json(LiveError(str(error)), 413)
        except InputError as error:
            return _json(LiveError(str(error)), 400)
        except AtlasError as error:
            return _json(LiveError(str(error)), 409)
        except MotifsError as error:
            return _json(LiveError(str(error)), 500)

    return answer


class _TooLargeError(InputError):
    """A request has too many bytes."""


async def _body(request: Request, kind: type[T]) -> T:
    """Return the checked body of a request.

    Raises:
        InputError: if it is too large, too slow, no JSON, or not of this kind.
    """
    data = bytearray()
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            async for part in request.stream():
                data += part
                if len(data) > _LARGEST_BODY:
                    raise _TooLargeError(
                        f"the request is too large: a text has at most {MAX_BYTES:,} bytes. "
                        "Shorten it"
                    )
    except TimeoutError as error:
        raise InputError("the request did not arrive in time. Send it again") from error
    try:
        value: Any = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InputError("the request is not JSON. Send an object") from error
    return convert(value, kind, "request")


async def _left(request: Request) -> None:
    """Return when the browser has closed the connection."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _json(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    from starlette.responses import JSONResponse

    return JSONResponse(asdict(value), status, {"Cache-Control": "no-store", **(headers or {})})
