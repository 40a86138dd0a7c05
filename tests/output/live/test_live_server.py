"""The commands that serve a page, in processes of their own: sockets, signals, exit codes."""

import json
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from serving import serving

import lrscope
from lrscope.cli import main


def test_it_says_its_address_answers_and_ends_at_ctrl_c(finished: Path, environment: dict[str, str]) -> None:
    with serving("live", finished, "--port", "0", environment=environment) as live:
        assert live.get("/").startswith("HTTP/1.1 200")
        # All of 127/8 is this machine, but only one address of it was bound.
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.2", live.port), timeout=5)
        # A client that keeps its connection, and one that never finishes its request, hold nothing up.
        with (
            socket.create_connection(("127.0.0.1", live.port)) as idle,
            socket.create_connection(("127.0.0.1", live.port)) as silent,
        ):
            idle.sendall(b"GET /studies HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert idle.recv(100).startswith(b"HTTP/1.1 403")
            silent.sendall(b"GET / HTTP/1.1\r\nHost:")
            began = time.monotonic()
            code, _, errors = live.interrupt()
            # It takes a tenth of a second; more is allowed on a machine that is busy with other tests.
            assert time.monotonic() - began < 10
        assert code == 130
        assert errors.splitlines() == [
            f"serving {finished} until Ctrl-C; open the address above in a browser",
            "lrscope: interrupted",
        ]
        assert live.token not in errors
        assert live.lines == [live.url + "\n"]


def test_other_machines_are_let_in_with_a_warning_only(finished: Path, environment: dict[str, str]) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "lrscope", "live", str(finished), "--host", "0.0.0.0", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert socket.gethostname() in process.stdout.readline()
        process.stderr.readline()
        warning = process.stderr.readline()
        process.terminate()
    assert warning.startswith("warning: --host 0.0.0.0 lets other machines in")


def test_targets_as_no_browser_writes_them(finished: Path, environment: dict[str, str]) -> None:
    with serving("live", finished, "--port", "0", environment=environment) as live:
        for target in (
            "/study/../secret.lrscope",
            "/study/..%2fsecret.lrscope",
            "/study/%252e%252e%252fsecret.lrscope",
            "/../../etc/passwd",
            "http://evil.com/studies",
            "//evil.com/studies",
        ):
            answer = live.get(target)
            assert answer.startswith("HTTP/1.1 404")
            assert "content-security-policy" in answer
        two = live.ask("GET /studies HTTP/1.1", "Host: localhost", "Host: evil.com")
        none = live.ask("GET /studies HTTP/1.1")
        old = live.ask("GET /studies HTTP/1.0")
        for refused in (two, none, old):
            assert re.match(r"HTTP/1\.[01] (400|421)", refused)


def test_it_is_found_again_after_a_restart(finished: Path, environment: dict[str, str]) -> None:
    with serving("live", finished, "--port", "0", environment=environment) as first:
        tag = re.search(r"etag: (\S+)", first.get("/study/line.lrscope"))
        first.process.kill()
        first.process.wait()
    assert tag is not None
    with serving("live", finished, "--port", str(first.port), environment=environment) as second:
        assert second.token == first.token
        assert tag[0] in second.get("/study/line.lrscope")


def test_two_servers_have_two_ports_and_one_cookie_each(finished: Path, environment: dict[str, str]) -> None:
    with (
        serving("live", finished, environment=environment) as one,
        serving("live", finished.parent, environment=environment) as two,
    ):
        assert one.port != two.port
        cookies = [
            re.search(
                r"set-cookie: (\S+)=",
                live.ask(f"GET {live.url[len(live.base) - 1 :]} HTTP/1.1", f"Host: localhost:{live.port}"),
            )
            for live in (one, two)
        ]
        assert [cookie and cookie[1] for cookie in cookies] == [f"lrscope-{one.port}", f"lrscope-{two.port}"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nothing.lrscope"], "nothing.lrscope is not there"),
        ([__file__], "cannot be read"),
        (["nowhere/x.lrscope", "--wait"], "the folder does not exist"),
    ],
)
def test_what_cannot_be_served_is_told_in_a_line(arguments: list[str], said: str) -> None:
    done = CliRunner().invoke(main, ["live", *arguments])
    assert (done.exit_code, done.stdout) == (2, "")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_sweep_is_served_while_it_trains_and_after(environment: dict[str, str], tmp_path: Path) -> None:
    arguments = ("sweep", "line", "--rates", "0.01,0.1,1", "--epochs", "60", "--live", "--json")
    path = tmp_path / "line.lrscope"
    with serving(*arguments, "--out", path, environment=environment, said_on="stderr") as sweep:
        sweep.wait_for(re.compile("the live page stays until Ctrl-C"))
        assert '"state":"finished"' in sweep.get("/study/line.lrscope").replace(" ", "")
        code, output, _ = sweep.interrupt()
        assert code == 0
        assert json.loads(output)["state"] == "finished"
        assert not any("Traceback" in line for line in sweep.lines)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", sweep.port), timeout=5)
    assert [one.name for one in tmp_path.glob("line*")] == ["line.lrscope"]


def test_ctrl_c_while_training_ends_the_page_and_keeps_a_temporary_study(
    environment: dict[str, str], tmp_path: Path
) -> None:
    temporary = {**environment, "TMPDIR": str(tmp_path)}
    arguments = ("sweep", "line", "--epochs", "2000000", "--live", "--quiet")
    with serving(*arguments, environment=temporary, said_on="stderr") as sweep:
        kept = sweep.wait_for(re.compile("no --out: the study goes to a temporary file"))
        path = Path(kept.rpartition(", ")[2].strip())
        deadline = time.monotonic() + 120
        while '"state":"running"' not in sweep.get("/study/line.lrscope"):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        code, output, _ = sweep.interrupt()
        assert (code, output) == (130, "")
        assert sweep.lines[-1].startswith("lrscope: interrupted; what was recorded is in ")
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", sweep.port), timeout=5)
    assert path.is_relative_to(tmp_path)
    assert path.parent.stat().st_mode & 0o777 == 0o700
    with lrscope.open(path) as study:
        assert study.state == "interrupted"


def test_the_page_of_a_sweep_that_was_killed_ends_too(environment: dict[str, str], tmp_path: Path) -> None:
    arguments = ("sweep", "line", "--epochs", "2000000", "--live", "--quiet", "--out", tmp_path / "x.lrscope")
    with serving(*arguments, environment=environment, said_on="stderr") as sweep:
        sweep.process.send_signal(signal.SIGKILL)
        sweep.process.wait()
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", sweep.port), timeout=5).close()
            except ConnectionRefusedError:
                break
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert sweep.process.returncode == -signal.SIGKILL


def test_a_wrong_sweep_is_one_line_with_a_page_or_without(environment: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "lrscope", "sweep", "digts", "--live"],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "digits" in done.stderr
