"""App: what a live page is asked for, and answers.

    /                            the page
    /report.css, /live.css       how it looks
    /vega.js, /live.js           what draws and follows
    /studies                     what there is
    /study/NAME                  a study in words
    /study/NAME/chart/CHART      a chart of it

What is asked again and again carries an ETag, and is answered with 304 while it is the same.
"""

import contextlib
import hashlib
from collections.abc import Awaitable, Callable
from string import Template
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from lrscope.charts import CHARTS
from lrscope.errors import StudyError
from lrscope.outlets.assets import asset, script
from lrscope.outlets.live.bundling import Bundling
from lrscope.outlets.live.edition import Edition, Editions, Read, as_json
from lrscope.outlets.live.guard import Guard
from lrscope.outlets.live.shelf import Shelf
from lrscope.outlets.live.words import words
from lrscope.outlets.live.worker import Worker
from lrscope.outlets.markup import element, join
from lrscope.outlets.text import one_line


class Page:
    """The live page of a shelf.

    Args:
        shelf: the studies that are offered.
        read: how a study file becomes a study.
        token: the secret in the address.
        bound: the host that it is served on.
        language: in which it is written.
    """

    def __init__(self, shelf: Shelf, read: Read, *, token: str, bound: str, language: str = "en") -> None:
        self._shelf = shelf
        self._words = words(language)
        self._editions = Editions(shelf, read, language)
        self._looking = Worker("lrscope-look")
        self._drawing = Worker("lrscope-draw")
        self._bundler = Worker("lrscope-bundle")
        self._bundling = Bundling()
        texts = {
            "/report.css": ("text/css", lambda: asset("report.css")),
            "/live.css": ("text/css", lambda: asset("live/live.css")),
            "/live.js": ("text/javascript", lambda: script("picture.js", "live/live.js")),
        }
        routes = [
            Route("/", self._html),
            Route("/vega.js", self._vega),
            Route("/studies", self._studies),
            Route("/study/{name}", self._study),
            Route("/study/{name}/chart/{chart}", self._chart),
            *(Route(path, _file(*text)) for path, text in texts.items()),
        ]
        self.app: ASGIApp = Guard(Starlette(routes=routes), token=token, bound=bound)

    def stop(self, seconds: float) -> bool:
        """End all work. Whether it ended within so many seconds."""
        self._bundling.stop()
        workers = (self._looking, self._drawing, self._bundler)
        ended = [worker.stop(seconds / len(workers)) for worker in workers]
        return all(ended)

    async def warm_up(self) -> None:
        """Make the bundle of Vega before anybody asks for it; whoever asks is told what went wrong."""
        with contextlib.suppress(OSError):
            await self._bundler.do(self._bundling.bundle)

    async def _html(self, request: Request) -> Response:
        charts = [[chart.name, self._words.get(f"chart {chart.name}", chart.title)] for chart in CHARTS]
        # In attributes, not in a script: the page has none that is written into it.
        data = element("div", id="data", data_words=_text(self._words), data_charts=_text(charts), hidden="")
        fields = {name.replace(" ", "_"): join(text) for name, text in self._words.items()}
        text = Template(asset("live/live.html")).substitute(fields, data=data)
        return Response(text, media_type="text/html")

    async def _vega(self, request: Request) -> Response:
        return Response(await self._bundler.do(self._bundling.bundle), media_type="text/javascript")

    async def _studies(self, request: Request) -> Response:
        listed = await self._looking.do(self._shelf.listed)
        studies = [one._asdict() for one in listed]
        return _said(request, {"folder": self._shelf.is_folder, "studies": studies})

    async def _study(self, request: Request) -> Response:
        return await self._of(request, lambda edition: edition.text())

    async def _chart(self, request: Request) -> Response:
        name = request.path_params["chart"]
        if name not in {chart.name for chart in CHARTS}:
            return _nothing()
        return await self._of(request, lambda edition: edition.chart(name))

    async def _of(self, request: Request, make: Callable[[Edition], bytes]) -> Response:
        """A part of the current edition of the study that is asked for; or why there is none."""
        name = request.path_params["name"]
        path = await self._looking.do(lambda: self._shelf.find(name))
        if path is None:
            return _nothing()
        try:
            edition = await self._looking.do(lambda: self._editions.current(name, path))
            if _has(request, edition.tag):
                return _answer(request, edition.tag, b"")
            return _answer(request, edition.tag, await self._drawing.do(lambda: make(edition)))
        except (StudyError, OSError) as error:
            # No error of the request: the page is told, and goes on asking.
            if self._shelf.is_awaited(path):
                return _said(request, {"waiting": True})
            return _said(request, {"reason": one_line(str(error))})


def _file(media_type: str, text: Callable[[], str]) -> Callable[[Request], Awaitable[Response]]:
    async def send(request: Request) -> Response:
        return Response(text(), media_type=media_type)

    return send


def _text(value: Any) -> str:
    return as_json(value).decode("ascii")


def _nothing() -> Response:
    return Response("lrscope: there is nothing of this name here\n", 404, media_type="text/plain")


def _said(request: Request, value: Any) -> Response:
    """JSON whose ETag is its own digest."""
    body = as_json(value)
    return _answer(request, hashlib.sha256(body).hexdigest()[:24], body)


def _answer(request: Request, tag: str, body: bytes) -> Response:
    headers = {"etag": f'"{tag}"'}
    if _has(request, tag):
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type="application/json")


def _has(request: Request, tag: str) -> bool:
    """Whether whoever asks has this version already."""
    given = ",".join(request.headers.getlist("if-none-match"))
    return f'"{tag}"' in (one.strip().removeprefix("W/") for one in given.split(","))
