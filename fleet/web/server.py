"""A small HTTPS server in a thread of `fleet serve`, of which nobody can take more than a bounded share.

uvicorn bounds the time between requests, not that of one. Here a connection as a whole has a deadline, so that a slow
client costs a place for seconds and no longer; how many there are, in all and from one address, is bounded before they
cost a handshake.
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
_PAUSE_S = 0.1
_END_S = 3  # for requests in hand


class _Connection(H11Protocol):
    """uvicorn's connection, which tells when it is over."""

    def __init__(self, config: uvicorn.Config, state: ServerState, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(config, state, {}, loop)
        self.over = asyncio.Event()

    def connection_lost(self, exc: Exception | None) -> None:
        """The end, whoever brought it about."""
        super().connection_lost(exc)
        self.over.set()


class _Server(uvicorn.Server):
    """uvicorn's server with a doorman of ours: he counts connections before their handshake, and ends them in time."""

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
        self.ready = threading.Event()
        self._listener = listener
        self._tls = tls
        self._places: Counter[str] = Counter()  # connections by address
        self._guests: set[asyncio.Task[None]] = set()

    async def startup(self, sockets: Any = None) -> None:
        """Open the door."""
        self._listener.setblocking(False)
        self.servers = []
        self._doorman = asyncio.create_task(self._admit())
        self.started = True
        self.ready.set()

    async def shutdown(self, sockets: Any = None) -> None:
        """Close it; who is inside may finish."""
        self._doorman.cancel()
        self._listener.close()
        await super().shutdown()
        for guest in self._guests:
            guest.cancel()

    async def _admit(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                client, address = await loop.sock_accept(self._listener)
            except OSError:  # no descriptor is free, or the client is gone
                await asyncio.sleep(_PAUSE_S)
                continue
            house = claim.house_of(address[0])
            if self._places.total() >= CONNECTIONS or self._places[house] >= FROM_ONE_ADDRESS:
                client.close()
                continue
            self._places[house] += 1
            guest = loop.create_task(self._host(client, house))
            self._guests.add(guest)
            guest.add_done_callback(self._guests.discard)

    async def _host(self, client: socket.socket, house: str) -> None:
        loop = asyncio.get_running_loop()
        try:
            transport, connection = await loop.connect_accepted_socket(
                lambda: _Connection(self.config, self.server_state, loop),
                client,
                ssl=self._tls,
                ssl_handshake_timeout=HANDSHAKE_S,
            )
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(connection.over.wait(), CONNECTION_S)
            transport.abort()
        except OSError:  # the handshake failed: ssl.SSLError and ConnectionError are both of this kind
            pass
        finally:
            self._places -= Counter((house,))


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
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=CONNECTIONS)
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
