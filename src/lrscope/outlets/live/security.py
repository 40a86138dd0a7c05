"""Who may read a live page: its socket and address, the secret in the address, and the check of requests.

A page that is open goes on after a restart of its server, since the browser still has the token. The token
lies in a file that only its owner can read; deleting the file makes all addresses given out so far invalid.
"""

import contextlib
import errno
import hmac
import ipaddress
import logging
import os
import re
import secrets
import socket
import stat
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode

from lrscope.errors import UsageError
from lrscope.outlets.text import one_line

if TYPE_CHECKING:  # the address is printed before anything heavy is loaded
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

PORT = 8377
"""The first port to try."""

_TRIES = 20
"""Ports from `PORT` on that are tried before the system may choose any."""

_LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})

_TOKEN = re.compile(r"[A-Za-z0-9_-]{22,128}")
_MAX_BYTES = 200

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data: blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Nothing but what the server itself sends: no inline script, no evaluated code, no foreign request."""

HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
"""On every answer, errors too."""

METHODS = ("GET", "HEAD")
PARAMETER = "token"
_MAX_FIELDS = 50

_LOG = logging.getLogger("lrscope.live")


def bind(host: str = "127.0.0.1", port: int | None = None) -> socket.socket:
    """Return a listening socket.

    Args:
        host: a name or an IP address of this machine.
        port: None takes the first free one from `PORT` on, so that a page is found again after a restart.

    Raises:
        UsageError: the port is taken or forbidden, or the host is none of this machine.
    """
    ports = (*range(PORT, PORT + _TRIES), 0) if port is None else (port,)
    for candidate in ports:
        try:
            return _listen(host, candidate)
        except OSError as error:
            if error.errno == errno.EADDRINUSE and candidate != ports[-1]:
                continue
            raise UsageError(_reason(host, candidate, error)) from error
    raise AssertionError("the last port either works or raises")


def _listen(host: str, port: int) -> socket.socket:
    family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    both = family == socket.AF_INET6 and socket.has_dualstack_ipv6()
    return socket.create_server(address, family=family, backlog=128, dualstack_ipv6=both)


def _reason(host: str, port: int, error: OSError) -> str:
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return f"--host {host} is no address of this machine; leave it out, or type --host 0.0.0.0 for all"
    if error.errno == errno.EADDRINUSE:
        return f"--port {port} is taken by another program; leave it out, and a free one is found"
    if error.errno == errno.EACCES:
        return f"--port {port} is not for ordinary users; type one above 1023, or leave it out"
    return f"--host {host} --port {port} cannot be served ({error.strerror or error}); leave both out"


def is_loopback(host: str) -> bool:
    """Return True if only this machine can reach a server bound to a host."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower().rstrip(".") == "localhost"


def url(host: str, port: int, token: str) -> str:
    """Return the address to open; the server takes the token out of the address line at once."""
    shown = host
    if host in ("0.0.0.0", "::", ""):
        shown = socket.gethostname()
    elif ":" in host:
        shown = f"[{host}]"
    return f"http://{shown}:{port}/?token={token}"


def host_name(header: str) -> str:
    """Return the name in a Host header without its port, as it is compared: "[::1]:80" is "::1"."""
    name = header.strip().lower()
    if name.startswith("["):
        return name[1:].partition("]")[0]
    return name.partition(":")[0].rstrip(".")


def is_own_name(name: str, bound: str) -> bool:
    """Return True if a request for this host name is meant for a server bound there.

    A page of a foreign site can make its own name point here (DNS rebinding), but the browser still sends
    that name. A server for other machines answers to an IP address or to the name of its machine.
    """
    if name in _LOCAL_NAMES or (name and name == bound.lower().rstrip(".")):
        return True
    if is_loopback(bound):
        return False
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return name in {socket.gethostname().lower(), socket.getfqdn().lower()}
    return True


def token_file() -> Path:
    """Return where the token lies: `lrscope/live-token` in the user's folder for state (XDG_STATE_HOME)."""
    folder = os.environ.get("XDG_STATE_HOME", "")
    home = Path(folder) if Path(folder).is_absolute() else Path.home() / ".local" / "state"
    return home / "lrscope" / "live-token"


def read_token() -> str:
    """Return the token of this user from its file, or a new one, which is written there.

    Where it cannot be written (no home, a full disk) it lives as long as the server.
    """
    new = secrets.token_urlsafe(16)
    try:
        path = token_file()
    except RuntimeError:  # there is no home
        return new
    known = _known_token(path)
    if known is not None:
        return known
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with contextlib.suppress(OSError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(new)
        draft.replace(path)
    return new


def _known_token(path: Path) -> str | None:
    """Return the token in a file; None where there is none, or where others could have read or written it."""
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            content = file.read(_MAX_BYTES).decode("ascii", "replace").strip()
    except OSError:
        return None
    if os.name == "posix" and (status.st_uid != os.getuid() or stat.S_IMODE(status.st_mode) & 0o077):
        return None
    return content if _TOKEN.fullmatch(content) else None


class AccessControl:
    """An ASGI application that passes on only what a person with the token asks.

    The request comes from a page of this server, or opens its address.

    Args:
        app: the application that answers.
        token: the secret.
        bound: the host that the server is bound to.
    """

    def __init__(self, app: "ASGIApp", *, token: str, bound: str) -> None:
        self._app = app
        self._token = token.encode()
        self._bound = bound

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            return
        started = False

        async def protected(message: "Message") -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                others = [
                    pair for pair in message.get("headers", ()) if pair[0].decode().lower() not in HEADERS
                ]
                added = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
                message = {**message, "headers": [*others, *added]}
            await send(message)

        refusal = self._refusal(scope)
        if refusal is not None:
            await refusal(scope, receive, protected)
            return
        try:
            await self._app(scope, receive, protected)
        except Exception as error:
            _LOG.error("lrscope: unexpected %s: %s", type(error).__name__, one_line(str(error)))
            if not started:
                await _refuse(500, f"unexpected {type(error).__name__}")(scope, receive, protected)

    def _refusal(self, scope: "Scope") -> "Response | None":
        """Return the answer to a request that is not passed on."""
        from starlette.datastructures import Headers

        if scope["method"] not in METHODS:
            return _refuse(405, "this page can only be read", allow=", ".join(METHODS))
        headers = Headers(raw=list(scope["headers"]))
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not is_own_name(host_name(hosts[0]), self._bound):
            return _refuse(
                421, "this server does not go by that name; open the address that `lrscope live` printed"
            )
        origins = headers.getlist("origin")
        sites = headers.getlist("sec-fetch-site")
        foreign = origins and origins != [f"{scope['scheme']}://{hosts[0]}"]
        if foreign or any(site not in ("same-origin", "none") for site in sites):
            return _refuse(403, "a request from another page is not answered")
        return self._without_token(scope, headers.getlist("cookie"), hosts[0])

    def _without_token(self, scope: "Scope", cookies: list[str], host: str) -> "Response | None":
        """Return the answer to a request without the token in a cookie.

        The token comes once in the address. The answer sets the cookie and leads to the address without it.
        """
        port = host.rpartition(":")[2]
        cookie = f"lrscope-{port if port.isdecimal() and port.isascii() else '80'}"
        fields = _query(scope["query_string"]) if scope["path"] == "/" else []
        given = [value for name, value in fields if name == PARAMETER]
        if given:
            if not all(map(self._fits, given)):
                return _refuse(403, "this token is not valid; open the address that `lrscope live` printed")
            rest = urlencode([field for field in fields if field[0] != PARAMETER])
            setting = f"{cookie}={self._token.decode()}; HttpOnly; SameSite=Strict; Path=/"
            return _refuse(303, "", **{"location": f"/?{rest}" if rest else "/", "set-cookie": setting})
        pairs = (part.partition("=") for line in cookies for part in line.split(";"))
        if any(self._fits(value.strip()) for name, _, value in pairs if name.strip() == cookie):
            return None
        return _refuse(403, "this page needs its token; open the whole address that `lrscope live` printed")

    def _fits(self, given: str) -> bool:
        """Compare in constant time, and as bytes: `compare_digest` takes no text outside ASCII."""
        return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), self._token)


def _query(raw: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(raw.decode("latin-1"), keep_blank_values=True, max_num_fields=_MAX_FIELDS)
    except ValueError:
        return []


def _refuse(status: int, reason: str, **headers: str) -> "Response":
    """Return an answer of one line."""
    from starlette.responses import PlainTextResponse

    return PlainTextResponse(f"lrscope: {reason}\n" if reason else "", status, headers)
