"""The server of a live page, which serves it until it is interrupted."""

import asyncio
import logging
import os
import socket
import sys
import threading
from collections.abc import Callable

import uvicorn

from lrscope.outlets.live.app import LiveApp

_STOP_SECONDS = 0.6
"""For a chart that is being drawn when the server is stopped."""


def serve(page: LiveApp, listening: socket.socket, *, until: Callable[[], None] | None = None) -> None:
    """Serve a page on a socket until SIGINT or SIGTERM.

    Args:
        page: the application that answers.
        listening: from `bind`; closed at the end.
        until: waits in a thread of its own for another reason to end.

    Raises:
        KeyboardInterrupt: it was interrupted.
    """
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)
    config = uvicorn.Config(
        page.app,
        log_config=None,
        access_log=False,  # the address of the first request holds the token
        proxy_headers=False,
        server_header=False,
        date_header=False,
        ws="none",
        lifespan="off",
        timeout_graceful_shutdown=0,
    )
    server = uvicorn.Server(config)

    def end() -> None:
        assert until is not None
        until()
        server.should_exit = True

    async def run() -> None:
        warming = asyncio.create_task(page.warm_up())
        if until is not None:
            threading.Thread(target=end, daemon=True).start()
        await server.serve(sockets=[listening])
        warming.cancel()

    try:
        asyncio.run(run())
    finally:
        listening.close()
        if not page.stop(_STOP_SECONDS):
            # A chart of a large study: the interpreter would wait for its thread, or trip over it.
            interrupted = isinstance(sys.exc_info()[1], KeyboardInterrupt)
            if interrupted:
                print("lrscope: interrupted", file=sys.stderr, flush=True)
            os._exit(130 if interrupted else 0)
