"""Address: the socket a live page is served on, its URL, and the names under which it may be asked for."""

import errno
import ipaddress
import os
import socket

from lrscope.errors import UsageError

LOOPBACK = "127.0.0.1"

PORT = 8377
"""The first port to try."""

_TRIES = 20
"""Ports from `PORT` on that are tried before the system may choose any."""

_OWN_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


def bind(host: str = LOOPBACK, port: int | None = None) -> socket.socket:
    """A listening socket.

    Args:
        host: a name or an IP address of this machine.
        port: None takes the first free one from `PORT` on, so that a page is found again after a restart.

    Raises:
        UsageError: the port is taken or forbidden, or the host is none of this machine.
    """
    ports = (*range(PORT, PORT + _TRIES), 0) if port is None else (port,)
    for one in ports:
        try:
            return _listen(host, one)
        except OSError as error:
            if error.errno == errno.EADDRINUSE and one != ports[-1]:
                continue
            raise UsageError(_why(host, one, error)) from error
    raise AssertionError("the last port either works or raises")


def _listen(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listening = socket.socket(family, kind, protocol)
    try:
        if os.name == "posix":  # elsewhere it would let two servers have one port
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(128)
    except OSError:
        listening.close()
        raise
    return listening


def _why(host: str, port: int, error: OSError) -> str:
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return f"--host {host} is no address of this machine; leave it out, or type --host 0.0.0.0 for all"
    if error.errno == errno.EADDRINUSE:
        return f"--port {port} is taken by another program; leave it out, and a free one is found"
    if error.errno == errno.EACCES:
        return f"--port {port} is not for ordinary users; type one above 1023, or leave it out"
    return f"--host {host} --port {port} cannot be served ({error.strerror or error}); leave both out"


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server there."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower().rstrip(".") == "localhost"


def url(host: str, port: int, token: str) -> str:
    """What to open: the token in it is taken out of the address line at once."""
    shown = host
    if host in ("0.0.0.0", "::", ""):
        shown = socket.gethostname()
    elif ":" in host:
        shown = f"[{host}]"
    return f"http://{shown}:{port}/?token={token}"


def host_name(header: str) -> str:
    """The name in a Host header, without its port, as it is compared: "[::1]:80" is "::1"."""
    name = header.strip().lower()
    if name.startswith("["):
        return name[1:].partition("]")[0]
    return name.partition(":")[0].rstrip(".")


def is_own(name: str, bound: str) -> bool:
    """Whether a request for this host name is meant for a server bound there.

    A page of a foreign site can make its own name point here (DNS rebinding), but the browser still says that
    name. A server for other machines answers to their ways to call it, an IP address or its own name.
    """
    if name in _OWN_NAMES or (name and name == bound.lower().rstrip(".")):
        return True
    if is_loopback(bound):
        return False
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return name in {socket.gethostname().lower(), socket.getfqdn().lower()}
    return True
