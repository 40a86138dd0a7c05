"""The socket, its URL, and whose names it answers to."""

import socket

import pytest

from lrscope.errors import UsageError
from lrscope.outlets.live.security import bind, host_name, is_loopback, is_own_name, url


def test_it_is_bound_to_this_machine_alone() -> None:
    with bind(port=0) as listening:
        assert listening.getsockname()[0] == "127.0.0.1"
        assert listening.getsockname()[1] > 0


def test_a_taken_port_is_passed_over_unless_it_was_asked_for() -> None:
    with bind() as one, bind() as two:
        taken = one.getsockname()[1]
        assert two.getsockname()[1] != taken
        with pytest.raises(UsageError, match=f"--port {taken} is taken by another program; leave it out"):
            bind(port=taken)


@pytest.mark.parametrize("host", ["203.0.113.9", "no.such.name.invalid"])
def test_an_address_of_another_machine_is_told(host: str) -> None:
    with pytest.raises(UsageError, match=f"--host {host} is no address of this machine"):
        bind(host, 0)


@pytest.mark.parametrize(
    ("host", "shown"),
    [("127.0.0.1", "127.0.0.1"), ("::1", "[::1]"), ("0.0.0.0", socket.gethostname()), ("box", "box")],
)
def test_the_address_to_open(host: str, shown: str) -> None:
    assert url(host, 8377, "abc") == f"http://{shown}:8377/?token=abc"


def test_loopback() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "127.9.9.9", "::1", "localhost", "LOCALHOST.")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "192.168.0.1", "example.com", "")))


def test_names() -> None:
    assert host_name("LocalHost.:80") == "localhost"
    assert host_name("[::1]:80") == "::1"
    assert host_name("") == ""
    assert is_own_name("box", "box")
    assert is_own_name("box", "BOX.")
    assert not is_own_name("", "")
    assert not is_own_name("10.0.0.1", "127.0.0.1")
    assert is_own_name("10.0.0.1", "0.0.0.0")
    assert is_own_name(socket.gethostname().lower(), "0.0.0.0")
    assert not is_own_name("evil.com", "0.0.0.0")
