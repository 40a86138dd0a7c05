"""Who is answered, and what every answer carries."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lrscope.outlets.live.security import HEADERS

TOKEN = "a-token-of-the-tests-0123456789"

Clients = Callable[..., Any]

PATHS = ("/", "/studies", "/study/line.lrscope", "/study/line.lrscope/chart/valley", "/live.js", "/vega.js")


@pytest.mark.parametrize("path", PATHS)
def test_without_the_token_nothing_is_answered(client_of: Clients, finished: Path, path: str) -> None:
    client = client_of(finished, known=False)
    answer = client.get(path)
    assert answer.status_code == 403
    assert "open the whole address" in answer.text
    assert answer.text.count("\n") == 1


@pytest.mark.parametrize("token", ["", "wrong", TOKEN[:-1], TOKEN + "x", "é", "文", "\udcff", "%00", "a b"])
def test_a_wrong_token_is_refused(client_of: Clients, finished: Path, token: str) -> None:
    raw = token.encode("utf-8", "surrogateescape").hex()
    quoted = "".join(f"%{raw[i : i + 2]}" for i in range(0, len(raw), 2))
    client = client_of(finished, known=False)
    answer = client.get(f"/?token={quoted}")
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers
    name = b"lrscope-8377=" + token.encode("utf-8", "surrogateescape")
    assert client.get("/studies", headers=[(b"cookie", name)]).status_code == 403
    assert client.get(f"/studies?token={TOKEN}").status_code == 403


def test_one_right_token_beside_a_wrong_one_is_refused(client_of: Clients, finished: Path) -> None:
    assert client_of(finished, known=False).get(f"/?token={TOKEN}&token=x").status_code == 403


def test_the_token_leaves_the_address_and_becomes_a_cookie(client_of: Clients, finished: Path) -> None:
    client = client_of(finished, known=False)
    answer = client.get(f"/?study=a%26b&token={TOKEN}&chart=loss")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/?study=a%26b&chart=loss"
    cookie = answer.headers["set-cookie"]
    assert cookie == f"lrscope-8377={TOKEN}; HttpOnly; SameSite=Strict; Path=/"
    assert client.get("/").status_code == 200
    assert client_of(finished, known=False).get(f"/?token={TOKEN}").headers["location"] == "/"


def test_the_cookie_is_that_of_the_port(client_of: Clients, finished: Path) -> None:
    client = client_of(finished, known=False)
    forwarded = client.get(f"/?token={TOKEN}", headers={"host": "localhost:9000"})
    assert forwarded.headers["set-cookie"].startswith("lrscope-9000=")
    client.cookies.clear()
    client.cookies.set("lrscope-8378", TOKEN)
    assert client.get("/studies").status_code == 403


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1:8377", "localhost:8377", "LOCALHOST", "localhost.:8377", "[::1]:8377", "localhost:9000"],
)
def test_its_own_names_are_answered(client_of: Clients, finished: Path, host: str) -> None:
    client = client_of(finished)
    port = host.rpartition(":")[2] if host[-1].isdigit() else "80"
    headers = {"host": host, "cookie": f"lrscope-{port}={TOKEN}"}
    assert client.get("/studies", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.com",
        "127.0.0.1.nip.io:8377",
        "localhost.evil.com",
        "",
        "[::2]",
        "127.0.0.2",
        "a@localhost",
        "[",
        ":",
    ],
)
def test_other_names_are_not(client_of: Clients, finished: Path, host: str) -> None:
    assert client_of(finished).get("/studies", headers={"host": host}).status_code == 421


def test_two_hosts_or_none_are_refused(client_of: Clients, finished: Path) -> None:
    client = client_of(finished)
    cookie = (b"cookie", f"lrscope-80={TOKEN}".encode())
    host = (b"host", b"localhost")
    assert _status(client, [cookie, host]) == 200
    assert _status(client, [cookie, host, host]) == 421
    assert _status(client, [cookie, host, (b"host", b"evil.com")]) == 421
    assert _status(client, [cookie]) == 421


def _status(client: Any, headers: list[tuple[bytes, bytes]]) -> int:
    """The status of an answer to exactly these header fields: a client would add the host."""
    import asyncio

    sent = []

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b""}

    scope = {
        "type": "http",
        "method": "GET",
        "path": "/studies",
        "query_string": b"",
        "scheme": "http",
        "headers": headers,
    }
    asyncio.run(client.app(scope, receive, send))
    return int(sent[0]["status"])


def test_a_server_for_other_machines_answers_to_addresses(client_of: Clients, finished: Path) -> None:
    client = client_of(finished, bound="0.0.0.0")
    headers = {"cookie": f"lrscope-8377={TOKEN}"}
    assert client.get("/studies", headers={**headers, "host": "192.168.7.7:8377"}).status_code == 200
    assert client.get("/studies", headers={**headers, "host": "evil.com:8377"}).status_code == 421


@pytest.mark.parametrize(
    "origin", ["http://evil.com", "null", "http://127.0.0.1:9999", "https://127.0.0.1:8377", "", "file://"]
)
def test_another_origin_is_refused(client_of: Clients, finished: Path, origin: str) -> None:
    client = client_of(finished)
    assert client.get("/studies", headers={"origin": origin}).status_code == 403
    assert client.get("/studies", headers={"origin": "http://127.0.0.1:8377"}).status_code == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site", "SAME-ORIGIN, cross-site", ""])
def test_a_request_from_another_site_is_refused(client_of: Clients, finished: Path, site: str) -> None:
    client = client_of(finished)
    assert client.get("/studies", headers={"sec-fetch-site": site}).status_code == 403
    for own in ("same-origin", "none"):
        assert client.get("/studies", headers={"sec-fetch-site": own}).status_code == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "LOOK"])
def test_nothing_but_reading(client_of: Clients, finished: Path, method: str) -> None:
    before = finished.read_bytes()
    answer = client_of(finished).request(method, "/study/line.lrscope")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD"
    assert finished.read_bytes() == before


@pytest.mark.parametrize("path", PATHS)
def test_head_is_get_without_a_body(client_of: Clients, finished: Path, path: str) -> None:
    client = client_of(finished)
    head, get = client.head(path), client.get(path)
    assert head.status_code == get.status_code == 200
    assert head.headers["content-length"] == get.headers["content-length"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        *((path, 200) for path in PATHS),
        ("/nowhere", 404),
        ("/study/x", 404),
        (f"/?token={TOKEN}", 303),
        ("/?token=", 403),
    ],
)
def test_every_answer_carries_the_same_protection(
    client_of: Clients, finished: Path, path: str, status: int
) -> None:
    answer = client_of(finished).get(path, headers={"origin": "http://127.0.0.1:8377"})
    assert answer.status_code == status
    for name, value in HEADERS.items():
        assert answer.headers.get_list(name) == [value]
    assert not [name for name in answer.headers if name.startswith("access-control")]
    policy = answer.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["cache-control"] == "no-store"


def test_errors_carry_it_too_and_say_no_more_than_a_line(
    client_of: Clients, finished: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a secret \x1b[31m\nand more")

    client = client_of(finished)
    monkeypatch.setattr("lrscope.outlets.live.studies.Studies.listed", broken)
    answer = client.get("/studies")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert answer.headers["content-security-policy"] == HEADERS["content-security-policy"]
    assert [record.getMessage() for record in caplog.records if record.name == "lrscope.live"] == [
        r"lrscope: unexpected RuntimeError: a secret \x1b[31m and more"
    ]
    assert TOKEN not in caplog.text


def test_a_socket_for_messages_is_not_opened(client_of: Clients, finished: Path) -> None:
    import asyncio

    sent: list[object] = []

    async def nothing(*_: object) -> None:
        sent.append(_)

    asyncio.run(client_of(finished).app({"type": "websocket"}, nothing, nothing))
    assert sent == []
