"""A small HTTPS server in a thread of `fleet serve`, of which nobody can take more than a bounded share.

uvicorn bounds the time between requests, not that of one. Here a connection as a whole has a deadline, so that a slow
client costs a place for seconds and no longer; how many there are, in all and from one address, is bounded too.
"""

import asyncio
import contextlib
import logging
import socket
import ssl
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from fleet.claims import Desk
from fleet.config import Config
from fleet.errors import FleetError, UnreachableError
from fleet.store import Store
from fleet.web import claim

CONNECTION_S = 20.0  # a whole connection, from the end of its handshake
HANDSHAKE_S = 10.0
CONNECTIONS = 256  # at a time
FROM_ONE_ADDRESS = 64  # nodes of one street may share an address
HEAD_BYTES = 4096  # of a request
_START_S = 10.0
_END_S = 3  # for requests in hand


class _Connection(H11Protocol):
    """One connection, with its deadline. `places` counts those of each address."""

    def __init__(
        self, config: uvicorn.Config, state: ServerState, loop: asyncio.AbstractEventLoop, places: Counter[str]
    ) -> None:
        super().__init__(config, state, {}, loop)
        self._places = places
        self._address = ""
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Refuse what is too much; start the clock."""
        super().connection_made(transport)
        self._address = self.client[0] if self.client else ""
        self._places[self._address] += 1
        if self._places.total() > CONNECTIONS or self._places[self._address] > FROM_ONE_ADDRESS:
            transport.abort()
        else:
            self._deadline = self.loop.call_later(CONNECTION_S, transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock, free the place."""
        if self._deadline is not None:
            self._deadline.cancel()
        self._places -= Counter((self._address,))
        super().connection_lost(exc)


class _Server(uvicorn.Server):
    """uvicorn's server on a socket and a TLS context of ours."""

    def __init__(self, app: ASGIApp, listener: socket.socket, tls: ssl.SSLContext) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=_Connection,
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="critical",  # strangers must not fill our log
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=_END_S,
                h11_max_incomplete_event_size=HEAD_BYTES,
            )
        )
        self._listener = listener
        self._tls = tls
        self.ready = threading.Event()

    async def startup(self, sockets: Any = None) -> None:
        """As uvicorn's, with a bound on the handshake."""
        loop = asyncio.get_running_loop()
        state, places = self.server_state, Counter[str]()
        server = await loop.create_server(
            lambda: _Connection(self.config, state, loop, places),
            sock=self._listener,
            ssl=self._tls,
            ssl_handshake_timeout=HANDSHAKE_S,
        )
        self.servers = [server]
        self.started = True
        self.ready.set()


@contextlib.contextmanager
def serving(config: Config, store: Store, log: logging.Logger) -> Iterator[str]:
    """Take claims while the context lasts, where fleet.toml says; gives `claim=HOST:PORT`, or "" when it says nowhere.

    UnreachableError when the address cannot be bound, FleetError when a key is missing."""
    if not config.claim.listen:
        yield ""
        return
    listener = _bound(config.claim.listen, config.claim.port)
    server = _Server(claim.app(Desk(config, store, log), log), listener, _tls(config))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()), name="claim", daemon=True)
    thread.start()
    try:
        if not server.ready.wait(_START_S):
            raise UnreachableError("the server for claims does not start", hint="see the log of the service")
        yield f"claim={config.claim.listen}:{config.claim.port}"
    finally:
        server.should_exit = True
        thread.join()


def _bound(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), backlog=CONNECTIONS)
    except OSError as error:
        hint = "choose another claim.port in fleet.toml, or end what uses it"
        raise UnreachableError(
            f"cannot listen at {host}:{port}", hint=hint, cause=error.strerror or str(error)
        ) from error


def _tls(config: Config) -> ssl.SSLContext:
    """Our certificate; who a board is its proof says, since it has no certificate yet."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        made.load_cert_chain(config.certs_dir / "server.pem", config.certs_dir / "server.key")
    except (OSError, ssl.SSLError) as error:
        raise FleetError("cannot use the server's certificate", hint="fleet doctor", cause=str(error)) from error
    return made
