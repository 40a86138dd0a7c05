"""Bundling: the bundle of Vega, made by a process of its own.

vl-convert takes a second or more for it and lets no other thread of Python run meanwhile: the server would
answer nobody, and Ctrl-C would wait.
"""

import subprocess
import sys
import threading

_MAKE = "import sys; from lrscope.outlets.assets import bundle; sys.stdout.buffer.write(bundle().encode())"


class Bundling:
    """Makes the bundle once."""

    def __init__(self) -> None:
        self._made: bytes | None = None
        self._stopped = False
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def bundle(self) -> bytes:
        """Vega, Vega-Lite and Vega-Embed as one script.

        Raises:
            OSError: it could not be made.
        """
        if self._made is None:
            with self._lock:
                if self._stopped:
                    raise OSError("the server is being stopped")
                # -P: a folder called lrscope where the command was typed is not the program.
                command = [sys.executable, "-P", "-c", _MAKE]
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                )
            made, _ = self._process.communicate()
            if self._process.returncode != 0:
                raise OSError("the charts' program could not be made by vl-convert")
            self._made = made
        return self._made

    def stop(self) -> None:
        """Make nothing more."""
        with self._lock:
            self._stopped = True
            if self._process is not None and self._process.poll() is None:
                self._process.kill()
