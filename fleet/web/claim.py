"""`POST /api/v1/claim`: the edge of fleet.claims. It bounds what comes in and lets nothing out but answers."""

import logging
import time
from collections.abc import Callable

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from fleet.claims import Desk
from fleet.config import CLAIM_PATH
from fleet.errors import FleetError
from protocol.claim import MAX_REQUEST, MEDIA_TYPE
from protocol.errors import DecodeError

PER_S = 50.0  # requests, of all boards together: 3 000 that wait ask so often
BURST = 200.0


class Bucket:
    """How many requests are let through: `per_s` in the long run, `burst` at once."""

    def __init__(self, per_s: float, burst: float, ticks_s: Callable[[], float] = time.monotonic) -> None:
        self._per_s = per_s
        self._burst = burst
        self._ticks_s = ticks_s
        self._left = burst
        self._at = ticks_s()

    def take(self) -> bool:
        """Whether one more may pass now."""
        now = self._ticks_s()
        self._left = min(self._burst, self._left + (now - self._at) * self._per_s)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


def app(desk: Desk, log: logging.Logger, bucket: Bucket | None = None) -> Starlette:
    """The application. Whatever happens inside, a client learns a status and no more."""
    allowed = bucket or Bucket(PER_S, BURST)

    async def claim(request: Request) -> Response:
        if not allowed.take():
            return PlainTextResponse("too many requests", 429)
        if request.headers.get("content-type") != MEDIA_TYPE:
            return PlainTextResponse(f"send {MEDIA_TYPE}", 415)
        try:
            body = await _read(request)
            if body is None:
                return PlainTextResponse(f"more than {MAX_REQUEST} bytes", 413)
            answer = await run_in_threadpool(desk.answer, body)
            return Response(answer.encode(), media_type=MEDIA_TYPE)
        except ClientDisconnect:
            return Response(status_code=400)
        except DecodeError as error:
            return PlainTextResponse(f"not a claim: {error}", 400)
        except FleetError as error:
            log.warning("claim: %s", error)
            return PlainTextResponse("try again later", 503)
        except Exception:
            log.exception("claim: unexpected")
            return PlainTextResponse("internal error", 500)

    return Starlette(routes=[Route(CLAIM_PATH, claim, methods=["POST"])])


async def _read(request: Request) -> bytes | None:
    """The body, or None as soon as it is too long; what a client says about its length is not believed."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_REQUEST:
            return None
    return body
