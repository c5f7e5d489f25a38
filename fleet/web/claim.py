"""`POST /api/v1/claim`: the edge of fleet.claims. It bounds what comes in and lets nothing out but answers."""

import ipaddress
import logging
import time
from collections import OrderedDict
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
ADDRESSES = 4096  # that are remembered; the one that was not heard of for longest is forgotten first


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


class Shares:
    """A bucket for each address, with half of what there is for all: none can take everything from the others."""

    def __init__(self, per_s: float, burst: float, ticks_s: Callable[[], float] = time.monotonic) -> None:
        self._half = per_s / 2, burst / 2, ticks_s
        self._all = Bucket(per_s, burst, ticks_s)
        self._own: OrderedDict[str, Bucket] = OrderedDict()

    def take(self, address: str) -> bool:
        """Whether one more from there may pass now."""
        own = self._own.pop(address, None) or Bucket(*self._half)
        self._own[address] = own
        if len(self._own) > ADDRESSES:
            self._own.popitem(last=False)
        return own.take() and self._all.take()


def house_of(address: str) -> str:
    """What counts as one address: of IPv6 the /64, in which a host has as many as it likes (RFC 4291, 2.5.4)."""
    if ":" not in address:
        return address
    return str(ipaddress.IPv6Address(int(ipaddress.IPv6Address(address.partition("%")[0])) >> 64 << 64))


def app(desk: Desk, log: logging.Logger, shares: Shares | None = None) -> Starlette:
    """The application. Whatever happens inside, a client learns a status and no more."""
    allowed = shares or Shares(PER_S, BURST)

    async def claim(request: Request) -> Response:
        if not allowed.take(house_of(request.client.host if request.client else "")):
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
