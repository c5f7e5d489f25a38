"""One bounded GET to a plug on the bench's network, with a password that appears nowhere else."""

import base64
import hashlib
import http.client
import json
import secrets
import urllib.parse
import urllib.request
from collections.abc import Mapping
from typing import Any

from fleet.errors import FleetError, NotAllowedError, UnreachableError

TIMEOUT_S = 5.0  # a plug on the same network answers within tenths of a second
ATTEMPTS = 2  # its Wi-Fi may lose one request; switching twice to the same state is harmless
MAX_ANSWER = 64 << 10  # bytes
_OK, _LOGIN, _FORBIDDEN = 200, 401, 403
_HASHES = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}  # RFC 7616, 3.4; old plugs know the first only

Login = tuple[str, str]  # user, password


def get(host: str, path: str, query: Mapping[str, str], login: Login | None, board: str) -> Any:
    """The JSON that `http://host/path?query` answers with; `login` is for Basic and Digest, whatever it asks for.

    UnreachableError when nothing answers, NotAllowedError when the password is wrong, FleetError otherwise.
    """
    target = f"/{path}?{urllib.parse.urlencode(query, quote_via=urllib.parse.quote)}"
    what = f"cannot switch the power of {board} by {host}"
    for attempt in range(1, ATTEMPTS + 1):
        try:
            status, data = _exchange(host, target, login)
            break
        except TimeoutError:
            cause = f"no answer within {TIMEOUT_S:g} s"
        except (OSError, http.client.HTTPException) as error:
            cause = getattr(error, "strerror", None) or str(error) or type(error).__name__
        if attempt == ATTEMPTS:
            raise UnreachableError(what, cause=cause, hint="is the plug on, and is that its address?")
    if status in (_LOGIN, _FORBIDDEN):
        raise NotAllowedError(what, cause="it wants another password", hint="set user and password_file")
    if status != _OK:
        raise FleetError(what, cause=f"it answered {status} {http.client.responses.get(status, '')}")
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise FleetError(what, cause=f"it answered no JSON: {data[:100]!r}") from None


def _exchange(host: str, target: str, login: Login | None) -> tuple[int, bytes]:
    """Status and body; asked a second time with a login when it wants one."""
    status, challenge, data = _request(host, target, {})
    if status == _LOGIN and login is not None:
        answer = _authorization(challenge, target, login)
        status, _, data = _request(host, target, {"Authorization": answer} if answer else {})
    return status, data


def _request(host: str, target: str, headers: Mapping[str, str]) -> tuple[int, str, bytes]:
    """Status, WWW-Authenticate, body."""
    connection = http.client.HTTPConnection(host, timeout=TIMEOUT_S)
    try:
        connection.request("GET", target, headers=dict(headers))
        answer = connection.getresponse()
        return answer.status, answer.getheader("WWW-Authenticate", ""), answer.read(MAX_ANSWER)
    finally:
        connection.close()


def _authorization(challenge: str, target: str, login: Login) -> str:
    """The header that answers a challenge (RFC 7617 Basic, RFC 7616 Digest); nothing for one that is neither."""
    scheme, _, rest = challenge.partition(" ")
    if scheme.lower() == "basic":
        return f"Basic {base64.b64encode(':'.join(login).encode()).decode()}"
    asked = urllib.request.parse_keqv_list([item for item in urllib.request.parse_http_list(rest) if "=" in item])
    algorithm = asked.get("algorithm", "MD5")
    if scheme.lower() != "digest" or algorithm not in _HASHES:
        return ""

    def digest(*words: str) -> str:
        return _HASHES[algorithm](":".join(words).encode()).hexdigest()

    realm, nonce, own = asked.get("realm", ""), asked.get("nonce", ""), secrets.token_hex(8)
    first, second = digest(login[0], realm, login[1]), digest("GET", target)
    response = digest(first, nonce, "00000001", own, "auth", second)
    return (
        f'Digest username="{login[0]}", realm="{realm}", nonce="{nonce}", uri="{target}", algorithm={algorithm}, '
        f'qop=auth, nc=00000001, cnonce="{own}", response="{response}"'
    )
