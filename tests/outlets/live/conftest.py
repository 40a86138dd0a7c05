"""Studies in a folder, and a page of them that is asked without a network."""

import asyncio
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from lrscope.outlets.live.app import LiveApp
from lrscope.outlets.live.studies import Studies
from lrscope.study import Study

sys.path.insert(0, str(Path(__file__).parents[2] / "store"))

TOKEN = "a-token-of-the-tests-0123456789"
BASE = "http://127.0.0.1:8377"


class Client:
    """Asks a page; no socket, no server."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.cookies = httpx.Cookies()

    def request(self, method: str, path: str, headers: Any = None) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(app=self.app)
            async with httpx.AsyncClient(transport=transport, base_url=BASE, cookies=self.cookies) as asking:
                answer = await asking.request(method, path, headers=headers)
                self.cookies.update(asking.cookies)
                return answer

        return asyncio.run(ask())

    def get(self, path: str, headers: Any = None) -> httpx.Response:
        return self.request("GET", path, headers)

    def head(self, path: str) -> httpx.Response:
        return self.request("HEAD", path)


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the token of whoever runs it."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished study of four rates of the line."""
    import lrscope

    path = tmp_path_factory.mktemp("finished") / "line.lrscope"
    lrscope.sweep("line", "0.01,0.1,0.2,1", epochs=40, path=path).close()
    return path


@pytest.fixture
def folder(tmp_path: Path, finished: Path) -> Path:
    """A folder with two studies, and with files that are none."""
    return filled(tmp_path / "studies", finished)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, finished: Path) -> Path:
    """Such a folder for all tests of a file."""
    return filled(tmp_path_factory.mktemp("shared") / "studies", finished)


def filled(place: Path, finished: Path) -> Path:
    place.mkdir()
    shutil.copy(finished, place / "line.lrscope")
    shutil.copy(finished, place / "other.db")
    (place / "cut.lrscope").write_bytes(finished.read_bytes()[:10_000])
    (place / "letter.lrscope").write_text("Dear Sir or Madam\n")
    (place / "notes.txt").write_text("nothing of interest\n")
    return place


@pytest.fixture
def client_of() -> Iterator[Callable[..., Client]]:
    """A client for a page, which has shown its token unless it is told not to."""
    pages = []

    def make(
        path: Path, *, bound: str = "127.0.0.1", wait: bool = False, known: bool = True, language: str = "en"
    ) -> Client:
        page = LiveApp(Studies(path, wait=wait), Study, token=TOKEN, bound=bound, language=language)
        pages.append(page)
        client = Client(page.app)
        if known:
            client.cookies.set("lrscope-8377", TOKEN)
        return client

    yield make
    for page in pages:
        assert page.stop(60)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """For commands in processes of their own."""
    state = str(tmp_path_factory.mktemp("state"))
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1", "XDG_STATE_HOME": state}
