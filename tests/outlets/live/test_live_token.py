"""The token: kept for its owner alone."""

import os
from pathlib import Path

import pytest

from lrscope.outlets.live.security import read_token, token_file


def test_it_is_kept_where_only_its_owner_can_read() -> None:
    first = read_token()
    assert len(first) >= 22
    assert read_token() == first
    path = token_file()
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert [one.name for one in path.parent.iterdir()] == [path.name]
    path.unlink()
    assert read_token() != first


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o666])
def test_one_that_others_could_read_is_replaced(mode: int) -> None:
    first = read_token()
    token_file().chmod(mode)
    assert read_token() != first
    assert token_file().stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", [b"", b"short", b"x" * 500, b"\xff\x00" * 20, b"; Path=/ " * 5])
def test_what_is_no_token_is_replaced(content: bytes) -> None:
    first = read_token()
    token_file().write_bytes(content)
    assert read_token() not in (first, content.decode("latin-1"))


def test_without_a_place_it_lives_as_long_as_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    assert read_token() != read_token()


def test_a_relative_place_counts_for_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "state")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert token_file() == tmp_path / ".local" / "state" / "lrscope" / "live-token"
    assert os.path.isabs(token_file())
