"""The requests of a live page, and their answers.

    /                            the page
    /report.css, /live.css       how it looks
    /vega.js, /live.js           what draws and follows
    /studies                     the list of studies
    /study/NAME                  a study in words
    /study/NAME/chart/CHART      a chart of it

What is asked again and again carries an ETag, and is answered with 304 while it is the same.
"""

import asyncio
import contextlib
import hashlib
import subprocess
import sys
from collections.abc import Awaitable, Callable
from concurrent import futures
from typing import Any, TypeVar

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from lrscope.charts import CHARTS
from lrscope.errors import StudyError
from lrscope.language import Text, said, speaking
from lrscope.outlets.live.security import AccessControl
from lrscope.outlets.live.studies import Read, ShownStudies, ShownStudy, Studies, as_json
from lrscope.outlets.text import one_line
from lrscope.outlets.web_page import asset, render, script

Result = TypeVar("Result")

_CHART_WORDS: dict[str, Text] = {
    "valley": Text("Final loss", "最终损失"),
    "sensitivity": Text("Sensitivity", "敏感度"),
    "loss": Text("Training loss", "训练损失"),
    "validation": Text("Validation loss", "验证损失"),
    "horizon": Text("Budget", "训练长度"),
    "overfitting": Text("Overfitting", "过拟合"),
    "trajectory": Text("Weights", "权重"),
    "path": Text("Paths", "路径"),
    "histogram": Text("Histograms", "直方图"),
    "spread": Text("Spread", "离散程度"),
    "gradients": Text("Gradients", "梯度"),
    "updates": Text("Updates", "更新"),
    "sharpness": Text("Sharpness", "锐度"),
}
"""The names of charts in the page's navigation; a chart without one stands there by its title."""

_MAKE_BUNDLE = (
    "import sys; from lrscope.outlets.web_page import vega_bundle; "
    "sys.stdout.buffer.write(vega_bundle().encode())"
)


class LiveApp:
    """The application that answers the requests of a live page.

    Args:
        studies: the studies that are offered.
        read: how a study file becomes a study.
        token: the secret in the address.
        bound: the host that it is served on.
        language: in which it is written.

    Attributes:
        app: for an ASGI server.
    """

    def __init__(self, studies: Studies, read: Read, *, token: str, bound: str, language: str = "en") -> None:
        self._studies = studies
        self._language = language
        self._shown = ShownStudies(studies, read, language)
        # One thread each: whoever asks second for the same finds it made, and reading waits for no drawing.
        self._reading, self._drawing, self._bundling = (futures.ThreadPoolExecutor(1) for _ in range(3))
        self._tasks: set[futures.Future[Any]] = set()
        self._bundle: bytes | None = None
        self._process: subprocess.Popen[bytes] | None = None
        texts = {
            "/report.css": ("text/css", lambda: asset("report.css")),
            "/live.css": ("text/css", lambda: asset("live/live.css")),
            "/live.js": ("text/javascript", lambda: script("picture.js", "live/live.js")),
        }
        routes = [
            Route("/", self._html),
            Route("/vega.js", self._vega),
            Route("/studies", self._list),
            Route("/study/{name}", self._study),
            Route("/study/{name}/chart/{chart}", self._chart),
            *(Route(path, _file(*text)) for path, text in texts.items()),
        ]
        self.app: ASGIApp = AccessControl(Starlette(routes=routes), token=token, bound=bound)

    def stop(self, seconds: float) -> bool:
        """End all work; return True if it ended within so many seconds."""
        for executor in (self._reading, self._drawing, self._bundling):
            executor.shutdown(wait=False, cancel_futures=True)
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
        return not futures.wait(list(self._tasks), seconds).not_done

    async def warm_up(self) -> None:
        """Make the bundle of Vega before anybody asks for it; a later request gets the error, if any."""
        with contextlib.suppress(OSError):
            await self._do(self._bundling, self._vega_bundle)

    async def _do(self, executor: futures.Executor, work: Callable[[], Result]) -> Result:
        """Return what `work` returns in a thread, once it is its turn."""
        task = executor.submit(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await asyncio.wrap_future(task)

    def _vega_bundle(self) -> bytes:
        """Return Vega, Vega-Lite and Vega-Embed as one script, made once by a process of its own.

        vl-convert takes a second or more for it and lets no other thread of Python run meanwhile: the server
        would answer nobody, and Ctrl-C would wait.

        Raises:
            OSError: it could not be made.
        """
        if self._bundle is None:
            self._process = subprocess.Popen(
                # -P: a folder called lrscope where the command was typed is not the program.
                [sys.executable, "-P", "-c", _MAKE_BUNDLE],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            content, _ = self._process.communicate()
            if self._process.returncode != 0:
                raise OSError("the charts' program could not be made by vl-convert")
            self._bundle = content
        return self._bundle

    async def _html(self, request: Request) -> Response:
        with speaking(self._language):
            charts = [[chart.name, said(_CHART_WORDS.get(chart.name, chart.title))] for chart in CHARTS]
            page = render("live.html", charts=as_json(charts).decode("ascii"))
        return Response(page, media_type="text/html")

    async def _vega(self, request: Request) -> Response:
        content = await self._do(self._bundling, self._vega_bundle)
        return Response(content, media_type="text/javascript")

    async def _list(self, request: Request) -> Response:
        listed = await self._do(self._reading, self._studies.listed)
        studies = [entry._asdict() for entry in listed]
        return _tagged(request, {"folder": self._studies.is_folder, "studies": studies})

    async def _study(self, request: Request) -> Response:
        return await self._part(request, lambda shown: shown.text())

    async def _chart(self, request: Request) -> Response:
        name = request.path_params["chart"]
        if name not in {chart.name for chart in CHARTS}:
            return _not_found()
        return await self._part(request, lambda shown: shown.chart(name))

    async def _part(self, request: Request, make: Callable[[ShownStudy], bytes]) -> Response:
        """Return a part of the study that is asked for, or why there is none."""
        name = request.path_params["name"]
        path = await self._do(self._reading, lambda: self._studies.find(name))
        if path is None:
            return _not_found()
        try:
            shown = await self._do(self._reading, lambda: self._shown.current(name, path))
            body = b"" if _has(request, shown.tag) else await self._do(self._drawing, lambda: make(shown))
            return _answer(request, shown.tag, body)
        except (StudyError, OSError) as error:
            # No error of the request: the page shows it, and goes on asking.
            if self._studies.is_awaited(path):
                return _tagged(request, {"waiting": True})
            return _tagged(request, {"reason": one_line(str(error))})


def _file(media_type: str, text: Callable[[], str]) -> Callable[[Request], Awaitable[Response]]:
    async def send(request: Request) -> Response:
        return Response(text(), media_type=media_type)

    return send


def _not_found() -> Response:
    return Response("lrscope: there is nothing of this name here\n", 404, media_type="text/plain")


def _tagged(request: Request, value: Any) -> Response:
    """Return JSON whose ETag is its own digest."""
    body = as_json(value)
    return _answer(request, hashlib.sha256(body).hexdigest()[:24], body)


def _answer(request: Request, tag: str, body: bytes) -> Response:
    headers = {"etag": f'"{tag}"'}
    if _has(request, tag):
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type="application/json")


def _has(request: Request, tag: str) -> bool:
    """Return True if the browser has this version already."""
    known = ",".join(request.headers.getlist("if-none-match"))
    return f'"{tag}"' in (part.strip().removeprefix("W/") for part in known.split(","))
