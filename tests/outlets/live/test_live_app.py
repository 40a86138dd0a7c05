"""What the page is asked for, and answers: studies, editions, charts; foreign names, foreign files."""

import html
import json
import os
import re
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from recorders import losses, recorder

from lrscope.charts import CHARTS
from lrscope.outlets.live import studies

Clients = Callable[..., Any]


def test_a_folder_lists_studies_by_content_and_says_what_is_wrong_with_others(
    client_of: Clients, folder: Path
) -> None:
    answer = client_of(folder).get("/studies").json()
    assert answer["folder"] is True
    by_name = {one["name"]: one for one in answer["studies"]}
    assert by_name.keys() == {"line.lrscope", "other.db", "cut.lrscope", "letter.lrscope"}
    assert by_name["line.lrscope"]["state"] == by_name["other.db"]["state"] == "finished"
    assert by_name["line.lrscope"] | {"name": "", "modified": 0} == {
        "name": "", "modified": 0, "state": "finished", "problem": "line", "step": 40, "steps": 40,
        "rates": 4, "seeds": 1, "reason": "",
    }  # fmt: skip
    for name in ("cut.lrscope", "letter.lrscope"):
        assert by_name[name]["state"] == "unreadable"
        assert name in by_name[name]["reason"]
        assert "\n" not in by_name[name]["reason"]
    assert [one["state"] for one in answer["studies"]][-2:] == ["unreadable"] * 2


def test_a_damaged_study_is_told_and_breaks_nothing(client_of: Clients, folder: Path) -> None:
    client = client_of(folder)
    for path in ("/study/cut.lrscope", "/study/letter.lrscope", "/study/letter.lrscope/chart/valley"):
        answer = client.get(path)
        assert answer.status_code == 200
        assert list(answer.json()) == ["reason"]
    assert client.get("/study/line.lrscope").json()["title"] == "line"


def test_damage_that_shows_only_while_reading_is_told(client_of: Clients, folder: Path) -> None:
    with sqlite3.connect(folder / "line.lrscope") as connection:
        connection.execute("UPDATE chunk SET data = x'00'")
    connection.close()
    answer = client_of(folder).get("/study/line.lrscope").json()
    assert "line.lrscope is damaged" in answer["reason"]
    assert "in memory" not in answer["reason"]


def test_a_study_with_a_crafted_schema_is_not_read(client_of: Clients, folder: Path) -> None:
    with sqlite3.connect(folder / "line.lrscope") as connection:
        connection.execute("CREATE TRIGGER evil AFTER UPDATE ON study BEGIN DELETE FROM lane; END")
    connection.close()
    answer = client_of(folder).get("/study/line.lrscope").json()
    assert "its tables are not those of a study" in answer["reason"]


def test_the_copy_that_is_read_trusts_nothing_and_takes_no_change(finished: Path) -> None:
    from lrscope.store.still import Still

    still = Still(finished)
    for pragma, value in (("trusted_schema", 0), ("query_only", 1), ("cell_size_check", 1)):
        assert still._rows(f"PRAGMA {pragma}") == [(value,)]
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        still._rows("UPDATE study SET value = ''")
    assert str(still) == str(finished)


def test_serving_writes_nothing_and_leaves_nothing(client_of: Clients, folder: Path) -> None:
    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}
    client = client_of(folder)
    client.get("/studies")
    client.get("/study/line.lrscope")
    client.get("/study/line.lrscope/chart/loss")
    assert {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()} == before


def test_a_study_in_words(client_of: Clients, folder: Path) -> None:
    answer = client_of(folder).get("/study/line.lrscope").json()
    assert answer["state"] == "finished"
    assert (answer["step"], answer["steps"]) == (40, 40)
    assert "recommended learning rate" in answer["answer"] or "Cannot tell" in answer["answer"]
    assert [one["name"] for one in answer["sections"]] == ["lanes", "conclusions", "method"]
    assert "diverged" in answer["sections"][0]["html"]
    names = [name for name, _ in answer["results"] + answer["settings"]]
    assert len(set(names)) == len(names)


def test_every_chart_in_both_themes(client_of: Clients, finished: Path) -> None:
    client = client_of(finished)
    for chart in CHARTS:
        answer = client.get(f"/study/line.lrscope/chart/{chart.name}").json()
        assert answer["name"] == chart.name
        assert {"spec", "dark", "question", "title", "note"} <= answer.keys()


def test_a_study_that_is_the_same_is_not_sent_again(client_of: Clients, folder: Path) -> None:
    client = client_of(folder)
    for path in ("/studies", "/study/line.lrscope", "/study/line.lrscope/chart/valley", "/study/cut.lrscope"):
        first = client.get(path)
        again = client.get(path, headers={"if-none-match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == first.headers["etag"]
        weak = client.get(path, headers={"if-none-match": f'"x", W/{first.headers["etag"]}'})
        assert weak.status_code == 304
        assert client.get(path, headers={"if-none-match": '"x"'}).status_code == 200


def test_the_tag_is_that_of_study_and_commit_and_outlives_the_server(
    client_of: Clients, tmp_path: Path
) -> None:
    path = tmp_path / "small.lrscope"
    with recorder(path) as writer:
        writer.write(losses(0, 3))
        writer.commit()
        tags = [client_of(path).get("/study/small.lrscope").headers["etag"] for _ in range(2)]
        assert tags[0] == tags[1]
        writer.write(losses(4, 7))
        writer.commit()
        tags.append(client_of(path).get("/study/small.lrscope").headers["etag"])
    tags.append(client_of(path).get("/study/small.lrscope").headers["etag"])
    shutil.copy(path, tmp_path / "copy")
    os.replace(tmp_path / "copy", path)
    tags.append(client_of(path).get("/study/small.lrscope").headers["etag"])
    assert len(set(tags)) == 4


def test_a_running_study_is_followed_and_left_as_one_plain_file(
    client_of: Clients, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(studies, "LEAST_SECONDS", 0.0)
    monkeypatch.setattr(studies, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(studies, "REST", 0.0)
    path = tmp_path / "small.lrscope"
    client = client_of(path, wait=True)
    assert client.get("/study/small.lrscope").json() == {"waiting": True}
    assert client.get("/studies").json()["studies"][0]["state"] == "waiting"
    with recorder(path) as writer:
        writer.write(losses(0, 3))
        writer.commit()
        first = client.get("/study/small.lrscope")
        assert (first.json()["state"], first.json()["step"]) == ("running", 4)
        assert client.get("/studies").json()["studies"][0]["step"] == 4
        unchanged = client.get("/study/small.lrscope", headers={"if-none-match": first.headers["etag"]})
        assert unchanged.status_code == 304
        writer.write(losses(4, 7))
        writer.commit()
        second = client.get("/study/small.lrscope", headers={"if-none-match": first.headers["etag"]})
        assert second.json()["step"] == 8
    assert client.get("/study/small.lrscope").json()["state"] == "finished"
    assert [one.name for one in tmp_path.glob("small*")] == ["small.lrscope"]


def test_no_chart_is_drawn_twice_for_one_commit(
    client_of: Clients, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = []

    def counted(chart: object, study: object, real: Callable[..., object] = studies.web_chart) -> object:
        drawn.append(chart)
        return real(chart, study)

    monkeypatch.setattr(studies, "web_chart", counted)
    client = client_of(folder)
    answers = {client.get("/study/line.lrscope/chart/valley").content for _ in range(5)}
    client.get("/study/line.lrscope")
    assert len(answers) == len(drawn) == 1


def test_a_new_edition_waits_while_the_last_one_was_costly(
    client_of: Clients, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(studies, "REST", 1e9)
    path = tmp_path / "small.lrscope"
    with recorder(path) as writer:
        writer.write(losses(0, 3))
        writer.commit()
        client = client_of(path)
        assert client.get("/study/small.lrscope").json()["step"] == 4
        writer.write(losses(4, 7))
        writer.commit()
        assert client.get("/study/small.lrscope").json()["step"] == 4


def test_no_path_leads_out_of_the_folder(client_of: Clients, folder: Path, finished: Path) -> None:
    shutil.copy(finished, folder.parent / "secret.lrscope")
    client = client_of(folder)
    absolute = str(folder.parent / "secret.lrscope").replace("/", "%2f")
    for path in (
        f"/study/{absolute}",
        "/study/..%2fsecret.lrscope",
        "/study/%2e%2e/secret.lrscope",
        "/study/..%252fsecret.lrscope",
        "/study/%2e%2e%2fsecret.lrscope/chart/valley",
        "/study/%2e%2e",
        "/study/.",
        "/study/",
        "/study/%00",
        "/study/line.lrscope%00",
        "/study/notes.txt",
        "/study/nothing.lrscope",
        "/study/line.lrscope/chart/..%2fvalley",
        "/study/line.lrscope/chart/__class__",
        "/study/line.lrscope/chart/",
        "/..%2f..%2fetc/passwd",
        "/report.css/../secret.lrscope",
        "//evil.com/",
    ):
        answer = client.get(f"http://127.0.0.1:8377{path}")
        assert answer.status_code == 404, path
        assert "secret" not in answer.text


def test_a_link_out_of_the_folder_is_not_followed(client_of: Clients, folder: Path, finished: Path) -> None:
    (folder / "away.lrscope").symlink_to(finished)
    (folder / "gone.lrscope").symlink_to(folder / "nothing")
    (folder / "near.lrscope").symlink_to(folder / "line.lrscope")
    client = client_of(folder)
    by_name = {one["name"]: one for one in client.get("/studies").json()["studies"]}
    assert "is a link out of its folder" in by_name["away.lrscope"]["reason"]
    assert by_name["gone.lrscope"]["state"] == "unreadable"
    assert by_name["near.lrscope"]["state"] == "finished"
    assert list(client.get("/study/away.lrscope").json()) == ["reason"]


def test_pipes_and_folders_named_like_studies_hold_nothing_up(client_of: Clients, folder: Path) -> None:
    os.mkfifo(folder / "pipe.lrscope")
    os.mkfifo(folder / "pipe")
    (folder / "folder.lrscope").mkdir()
    names = {one["name"]: one["reason"] for one in client_of(folder).get("/studies").json()["studies"]}
    assert "no ordinary file" in names["pipe.lrscope"]
    assert not {"pipe", "folder.lrscope"} & names.keys()


HOSTILE = [
    "</script><script>alert(1)</script>.lrscope",
    '"><img src=x onerror=alert(1)>.lrscope',
    "\x1b[31mred.lrscope",
    "a&b=c#d?e%2f.lrscope",
    "‮gpj.lrscope",
    "数字.lrscope",
]


def test_hostile_file_names_are_text(client_of: Clients, folder: Path, finished: Path) -> None:
    raw = os.fsdecode(b"\xff\xfe.lrscope")
    for name in (*HOSTILE, raw):
        try:
            shutil.copy(finished, folder / name.replace("/", "∕"))
        except OSError:  # a file system that takes no such name
            assert name == raw
    client = client_of(folder)
    answer = client.get("/studies")
    assert answer.content.isascii()
    assert b"\x1b" not in answer.content
    listed = [one["name"] for one in answer.json()["studies"]]
    assert len(listed) >= 4 + len(HOSTILE)
    for name in listed:
        from urllib.parse import quote

        if "cut" not in name and "letter" not in name:
            assert client.get(f"/study/{quote(name, safe='')}").json()["title"] == "line"


def test_hostile_names_in_a_study_are_text(client_of: Clients, tmp_path: Path) -> None:
    import dataclasses

    from recorders import PLAN

    evil = "</script><img src=x onerror=alert(1)>\x1b[2J"
    plan = dataclasses.replace(PLAN, problem=evil, optimizer=evil, metrics=(evil,), loss=evil)
    path = tmp_path / "evil.lrscope"
    with recorder(path, plan) as writer:
        writer.write(losses(0, 11, plan))
        writer.note("notes", [evil])
        writer.note("command", evil)
    answer = client_of(path).get("/study/evil.lrscope").json()
    assert answer["title"] == evil
    markup = [answer["head"], answer["answer"], *(one["html"] for one in answer["sections"])]
    assert not [part for part in markup if "<img" in part or "<script" in part or "\x1b" in part]
    assert "&lt;img src=x onerror=alert(1)&gt;" in markup[0]


def test_parameters_of_any_size_change_nothing(client_of: Clients, finished: Path) -> None:
    client = client_of(finished)
    plain = client.get("/study/line.lrscope").content
    for query in ("from=999999999999999999999", "epoch=NaN", "a" * 9_000, "&".join("x" * 3000), "%ff%00"):
        assert client.get(f"/study/line.lrscope?{query}").content == plain
        assert client.get(f"/?{query}").status_code == 200


def test_the_page_has_no_script_and_no_style_of_its_own(client_of: Clients, finished: Path) -> None:
    client = client_of(finished)
    text = client.get("/").text
    scripts = re.findall(r"<script([^>]*)>(.*?)</script>", text, re.DOTALL)
    assert [body for _, body in scripts] == ["", ""]
    assert "<style" not in text
    assert not re.search(r"\son\w+=|style=|javascript:|https?://", text)
    for path in re.findall(r'(?:src|href)="(/[^"]+)"', text):
        assert client.get(path).status_code == 200


def words_of(client: Any) -> dict[str, str]:
    """The words of a page's script."""
    kept = re.search(r'data-words="([^"]*)"', client.get("/").text)
    assert kept is not None
    return dict(json.loads(html.unescape(kept[1])))


def test_every_word_that_the_script_says_is_there(client_of: Clients, finished: Path) -> None:
    from lrscope.outlets.web_page import asset

    script = asset("live/live.js")
    used = {*re.findall(r"words\.(\w+)", script), *re.findall(r'words\["([^"]+)"\]', script)}
    assert used <= words_of(client_of(finished)).keys()
    assert len(used) >= 15


def test_a_page_in_chinese_says_everything_in_chinese(client_of: Clients, finished: Path) -> None:
    client = client_of(finished, language="zh")
    assert '<html lang="zh-CN">' in client.get("/").text
    told = client.get(f"/study/{finished.name}").json()
    named = (
        r"\b(line|SGD|MSELoss|float32|cpu|autograd|lrscope( sweep)?|Python|warmup-cosine|Hessian|Lanczos)\b|"
        r"\d\.\w+|"
        r"--[a-z-]+[^，。；、）<]*|<[^>]*>|&\w+;"
    )
    kept = {name: value for name, value in told.items() if name not in ("title", "state")}
    kept["sections"] = [f"{one['heading']} {one['html']}" for one in kept["sections"]]
    for text in re.findall(r'"((?:[^"\\]|\\.)*)"', json.dumps(kept, ensure_ascii=False)):
        words = re.findall(r"[A-Za-z]{4,}", re.sub(named, " ", text))
        assert set(words) <= {*told, "heading", "html", "name", "python", "torch", "numpy"}, text
    chart = client.get(f"/study/{finished.name}/chart/valley").json()
    assert (chart["title"], "学习率（对数）" in json.dumps(chart, ensure_ascii=False)) == (
        "每个学习率到了哪里",
        True,
    )
