"""A command that serves a page, in a process of its own."""

import contextlib
import queue
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

ADDRESS = re.compile(r"http://127\.0\.0\.1:(\d+)/\?token=([A-Za-z0-9_-]+)")


class Serving:
    """`lrscope live` or `lrscope sweep --live`, once it has said its address."""

    def __init__(self, process: "subprocess.Popen[str]", said_on: str) -> None:
        self.process = process
        self.lines: list[str] = []
        self._coming: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=self._read, args=(getattr(process, said_on),), daemon=True).start()
        self.url = self.wait_for(ADDRESS)
        found = ADDRESS.search(self.url)
        assert found is not None
        self.url = found[0]
        self.port, self.token = int(found[1]), found[2]
        self.base = f"http://127.0.0.1:{self.port}/"

    def _read(self, stream: Iterator[str]) -> None:
        for line in stream:
            self._coming.put(line)
        self._coming.put(None)

    def wait_for(self, pattern: "re.Pattern[str]") -> str:
        """The next line with the pattern in it."""
        while True:
            line = self._coming.get(timeout=120)
            assert line is not None, f"it ended: {self.lines}"
            self.lines.append(line)
            if pattern.search(line):
                return line

    def interrupt(self) -> tuple[int, str, str]:
        """Ctrl-C; exit code, and what was written that nobody has read."""
        self.process.send_signal(signal.SIGINT)
        return self.ended()

    def ended(self) -> tuple[int, str, str]:
        code = self.process.wait(60)
        while (line := self._coming.get(timeout=10)) is not None:
            self.lines.append(line)
        texts = [
            "" if stream.closed or stream is None else stream.read()
            for stream in (self.process.stdout, self.process.stderr)
            if stream is not None
        ]
        return code, texts[0], texts[1]

    def ask(self, *lines: str) -> str:
        """The answer to a request as it is written here."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as connection:
            connection.sendall(("\r\n".join([*lines, "Connection: close"]) + "\r\n\r\n").encode("latin-1"))
            answer = b""
            while chunk := connection.recv(65536):
                answer += chunk
        return answer.decode("utf-8", "replace")

    def get(self, target: str) -> str:
        """The answer to somebody who has the token."""
        cookie = f"Cookie: lrscope-{self.port}={self.token}"
        return self.ask(f"GET {target} HTTP/1.1", f"Host: 127.0.0.1:{self.port}", cookie)


@contextlib.contextmanager
def serving(
    *arguments: str | Path, environment: dict[str, str], said_on: str = "stdout"
) -> Iterator[Serving]:
    """A command that serves a page; killed at the end if it is still there."""
    process = subprocess.Popen(
        [sys.executable, "-m", "lrscope", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    try:
        yield Serving(process, said_on)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            assert stream is not None
            with contextlib.suppress(OSError, ValueError):
                stream.close()
