"""Guard: what a request must be before it is answered, and what every answer carries."""

import hmac
import logging
from collections.abc import Iterable
from urllib.parse import parse_qsl, urlencode

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lrscope.outlets.live.address import host_name, is_own
from lrscope.outlets.text import one_line

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
_MOST_FIELDS = 50

_LOG = logging.getLogger("lrscope.live")


class Guard:
    """Lets through what a person with the token asks from a page of this server, or by opening its address.

    Args:
        app: what answers.
        token: the secret.
        bound: the host that the server is bound to.
    """

    def __init__(self, app: ASGIApp, *, token: str, bound: str) -> None:
        self._app = app
        self._token = token.encode()
        self._bound = bound

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            return
        started = False

        async def guarded(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                ours = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
                kept = [
                    pair for pair in message.get("headers", ()) if pair[0].decode().lower() not in HEADERS
                ]
                message = {**message, "headers": [*kept, *ours]}
            await send(message)

        refusal = self._refusal(scope)
        if refusal is not None:
            await _answer(guarded, *refusal)
            return
        try:
            await self._app(scope, receive, guarded)
        except Exception as error:
            _LOG.error("lrscope: unexpected %s: %s", type(error).__name__, one_line(str(error)))
            if not started:
                await _answer(guarded, 500, f"unexpected {type(error).__name__}")

    def _refusal(self, scope: Scope) -> tuple[int, str, dict[str, str]] | tuple[int, str] | None:
        """Status, text and headers of the answer to what is not let through."""
        if scope["method"] not in METHODS:
            return 405, "this page can only be read", {"allow": ", ".join(METHODS)}
        headers = _Fields(scope["headers"])
        hosts = headers.all("host")
        if len(hosts) != 1 or not is_own(host_name(hosts[0]), self._bound):
            return 421, "this server does not go by that name; open the address that `lrscope live` printed"
        origins = headers.all("origin")
        if origins and origins != [f"{scope['scheme']}://{hosts[0]}"]:
            return 403, "a request from another page is not answered"
        if any(site not in ("same-origin", "none") for site in headers.all("sec-fetch-site")):
            return 403, "a request from another page is not answered"
        return self._without_token(scope, headers, hosts[0])

    def _without_token(
        self, scope: Scope, headers: "_Fields", host: str
    ) -> tuple[int, str, dict[str, str]] | tuple[int, str] | None:
        """The token comes once in the address, which it leaves at once, and from then on in a cookie."""
        port = host.rpartition(":")[2]
        cookie = f"lrscope-{port if port.isdecimal() and port.isascii() else '80'}"
        if scope["path"] == "/":
            fields = _query(scope["query_string"])
            given = [value for name, value in fields if name == PARAMETER]
            if given:
                if not all(self._fits(value) for value in given):
                    return 403, "this token is not valid; open the address that `lrscope live` printed"
                rest = urlencode([field for field in fields if field[0] != PARAMETER])
                return (
                    303,
                    "",
                    {
                        "location": f"/?{rest}" if rest else "/",
                        "set-cookie": f"{cookie}={self._token.decode()}; HttpOnly; SameSite=Strict; Path=/",
                    },
                )
        if any(self._fits(value) for value in headers.cookies(cookie)):
            return None
        return 403, "this page needs its token; open the whole address that `lrscope live` printed"

    def _fits(self, given: str) -> bool:
        """Compared in constant time, and as bytes: `compare_digest` takes no text outside ASCII."""
        return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), self._token)


class _Fields:
    """The header fields of a request, as text."""

    def __init__(self, raw: Iterable[tuple[bytes, bytes]]) -> None:
        self._pairs = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in raw]

    def all(self, name: str) -> list[str]:
        return [value for one, value in self._pairs if one == name]

    def cookies(self, name: str) -> list[str]:
        pairs = (part.partition("=") for line in self.all("cookie") for part in line.split(";"))
        return [value.strip() for one, _, value in pairs if one.strip() == name]


def _query(raw: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(raw.decode("latin-1"), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError:
        return []


async def _answer(send: Send, status: int, text: str, headers: dict[str, str] | None = None) -> None:
    """A refusal in a line."""
    body = f"lrscope: {text}\n".encode() if text else b""
    fields = {
        "content-type": "text/plain; charset=utf-8",
        "content-length": str(len(body)),
        **(headers or {}),
    }
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in fields.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})
