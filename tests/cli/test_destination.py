import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from lrscope.cli.output_paths import check_destination, check_figure, check_report, check_study
from lrscope.errors import UsageError


def _sqlite(path: Path) -> Path:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t(x)")
        connection.commit()
    return path


def test_a_free_name_in_a_folder_is_fine_and_stays_free(tmp_path: Path) -> None:
    check_destination("--report", tmp_path / "page.html")
    check_report("--report", tmp_path / "page.html")
    check_study("--out", tmp_path / "digits.lrscope", overwrite=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", ["is a folder", "digits.html"]),
        ("absent/page.html", ["the folder does not exist", "mkdir -p"]),
        ("a file/page.html", ["is a file, not a folder"]),
        ("x" * 300, ["cannot be written", "File name too long"]),
    ],
)
def test_what_cannot_be_written_is_refused(tmp_path: Path, name: str, words: list[str]) -> None:
    (tmp_path / "a file").write_text("")
    with pytest.raises(UsageError) as caught:
        check_destination("--report", tmp_path / name)
    message = str(caught.value)
    assert message.startswith("--report ")
    assert all(word in message for word in words)
    assert "\n" not in message


def test_a_device_is_refused() -> None:
    with pytest.raises(UsageError, match="neither a file nor a free name"):
        check_report("--report", Path(os.devnull))


def test_a_folder_that_cannot_be_written_is_refused() -> None:
    folder = next((path for path in (Path("/proc"), Path("/sys")) if path.is_dir()), None)
    if folder is None:
        pytest.skip("no folder here that not even root can write in")
    with pytest.raises(UsageError, match="cannot be written"):
        check_destination("--out", folder / "digits.lrscope")


def test_a_page_never_replaces_a_study(tmp_path: Path) -> None:
    study = _sqlite(tmp_path / "digits.lrscope")
    with pytest.raises(UsageError, match=r"holds a study.*digits\.html"):
        check_report("-o", study)


@pytest.mark.parametrize("name", ["page.pdf", "page.lrscope", "page.png"])
def test_a_page_is_not_written_under_the_name_of_something_else(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r"a report is an HTML page; type -o \S*page\.html"):
        check_report("-o", tmp_path / name)
    check_figure("-o", tmp_path / name)
    for fine in ("page", "page.html", "page.HTM"):
        check_report("-o", tmp_path / fine)


def test_a_study_replaces_only_a_study_and_only_when_asked(tmp_path: Path) -> None:
    study = _sqlite(tmp_path / "digits.lrscope")
    with pytest.raises(UsageError, match="--overwrite"):
        check_study("--out", study, overwrite=False)
    check_study("--out", study, overwrite=True)
    diary = tmp_path / "diary.txt"
    diary.write_text("dear diary")
    with pytest.raises(UsageError, match="no study"):
        check_study("--out", diary, overwrite=True)
    assert diary.read_text() == "dear diary"
    assert study.stat().st_size > 0
