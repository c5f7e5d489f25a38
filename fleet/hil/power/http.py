"""One bounded GET to a plug on the bench's network, with a password that appears nowhere else."""

import hashlib
import http.client
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any

from fleet.errors import FleetError, NotAllowedError, UnreachableError

TIMEOUT_S = 5.0  # a plug on the same network answers within tenths of a second
ATTEMPTS = 2  # its Wi-Fi may lose one request; switching twice to the same state is harmless
MAX_ANSWER = 64 << 10  # bytes
_REFUSED = (401, 403)


class _Digest(urllib.request.HTTPDigestAuthHandler):
    """RFC 7616: the standard library (3.11) stops at MD5 and SHA-1, a second-generation Shelly wants SHA-256."""

    def get_algorithm_impls(self, algorithm: str) -> tuple[Callable[[str], str], Callable[[str, str], str]]:
        """(hash, keyed hash) of the algorithm that the plug named."""
        if algorithm != "SHA-256":
            found: tuple[Callable[[str], str], Callable[[str, str], str]] = super().get_algorithm_impls(algorithm)
            return found

        def digest(text: str) -> str:
            return hashlib.sha256(text.encode()).hexdigest()

        return digest, lambda secret, data: digest(f"{secret}:{data}")


def get(host: str, path: str, query: Mapping[str, str], login: tuple[str, str] | None, board: str) -> Any:
    """The JSON that `http://host/path?query` answers with. `login` is a user and a password, for Basic and Digest.

    UnreachableError when nothing answers, NotAllowedError when the password is wrong, FleetError otherwise.
    """
    url = f"http://{host}/{path}?{urllib.parse.urlencode(query, quote_via=urllib.parse.quote)}"
    what = f"cannot switch the power of {board} by {host}"
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return _answer(url, login, what)
        except (TimeoutError, urllib.error.URLError, http.client.HTTPException, ConnectionError) as error:
            if attempt == ATTEMPTS:
                reason = getattr(error, "reason", None) or error
                cause = f"no answer within {TIMEOUT_S:.0f} s" if isinstance(reason, TimeoutError) else f"{reason}"
                raise UnreachableError(what, cause=cause, hint="is the plug on, and is that its address?") from None
    raise AssertionError("the last attempt returns or raises")


def _answer(url: str, login: tuple[str, str] | None, what: str) -> Any:
    try:
        with _opener(url, login).open(url, timeout=TIMEOUT_S) as answer:
            data = answer.read(MAX_ANSWER)
    except urllib.error.HTTPError as error:
        with error:
            if error.code in _REFUSED:
                raise NotAllowedError(
                    what, cause="it wants another password", hint="set user and password_file"
                ) from None
            raise FleetError(what, cause=f"it answered {error.code} {error.reason}") from None
    except ValueError as error:  # urllib's word for a scheme of authentication that it does not know
        raise FleetError(what, cause=str(error).replace(url, "the plug")) from None
    try:
        return json.loads(data)
    except ValueError:
        raise FleetError(what, cause=f"it answered no JSON: {data[:100]!r}") from None


def _opener(url: str, login: tuple[str, str] | None) -> urllib.request.OpenerDirector:
    """No proxy: a plug on the bench is near. The password goes into headers and stays out of the URL."""
    handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
    if login is not None:
        passwords = urllib.request.HTTPPasswordMgrWithDefaultRealm()
        passwords.add_password(None, url, *login)
        handlers += [_Digest(passwords), urllib.request.HTTPBasicAuthHandler(passwords)]
    return urllib.request.build_opener(*handlers)
