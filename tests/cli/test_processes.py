"""The command as a process of its own: what it loads, signals, pipes and a real terminal."""

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

import lrscope

HEAVY = ("torch", "altair", "polars", "numpy", "rich", "vl_convert", "sklearn")

LOADED = f"""
import sys
from lrscope.cli import main
try:
    main(sys.argv[1:])
finally:
    print("loaded:", *(name for name in {HEAVY} if name in sys.modules), file=sys.stderr)
"""

ENVIRONMENT = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "LINES", "NO_COLOR")}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished study of three rates."""
    path = tmp_path_factory.mktemp("studies") / "line.lrscope"
    lrscope.sweep("line", "0.01,0.1,1", epochs=60, path=path).close()
    return path


def loaded(*arguments: str) -> set[str]:
    """The heavy packages that a command loads."""
    done = subprocess.run(
        [sys.executable, "-c", LOADED, *arguments],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        check=False,
    )
    return set(done.stderr.splitlines()[-1].removeprefix("loaded:").split())


def in_terminal(columns: int, *arguments: str) -> tuple[int, str]:
    """Run a command in a terminal of that width; its exit code and all that it wrote."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvpe(
            sys.executable,
            [sys.executable, "-m", "lrscope", *arguments],
            {**ENVIRONMENT, "TERM": "xterm", "CI": ""},
        )
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    written = b""
    while True:
        try:
            chunk = os.read(terminal, 65536)
        except OSError:  # Linux says so when the last writer has gone
            break
        if not chunk:
            break
        written += chunk
    os.close(terminal)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status), written.decode()


@pytest.mark.parametrize("line", ["--help", "sweep --help", "sweep line --nonsense", "problems"])
def test_what_needs_no_study_loads_nothing_heavy(line: str) -> None:
    assert loaded(*line.split()) == set()


@pytest.mark.parametrize("line", ["line --rates 0", "digts"])
def test_a_wrong_sweep_is_told_without_waiting_for_torch(line: str) -> None:
    assert not loaded("sweep", *line.split()) & {"torch", "polars", "altair"}


def test_show_loads_neither_torch_nor_altair(study: Path) -> None:
    packages = loaded("show", str(study))
    assert "polars" in packages
    assert not packages & {"torch", "altair", "vl_convert", "sklearn"}


def test_a_reader_that_leaves_early_is_no_error(study: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "lrscope", "show", str(study)],
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_terminal_without_unicode_gets_a_table_as_well(study: Path) -> None:
    environment = {**ENVIRONMENT, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = subprocess.run(
        [sys.executable, "-m", "lrscope", "show", str(study)],
        capture_output=True,
        env=environment,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"+ good" in done.stdout
    assert b"x diverged" in done.stdout
    assert done.stdout.isascii()


@pytest.mark.parametrize("columns", [40, 120])
def test_a_study_fits_a_real_terminal(study: Path, columns: int) -> None:
    code, written = in_terminal(columns, "show", str(study))
    plain = re.sub(r"\x1b\[[0-9;]*m", "", written)
    assert code == 0
    assert plain != written
    assert max(len(line) for line in plain.splitlines()) <= columns
    assert {"good", "diverged"} <= set(re.findall(r"[●×] (\w+)", plain))
    assert ("why" in plain.split()) == (columns >= 108)


def test_a_sweep_in_a_real_terminal_draws_a_bar_and_tidies_up() -> None:
    code, written = in_terminal(60, "sweep", "line", "--rates", "0.01,0.1,1", "--epochs", "60")
    assert code == 0
    assert "line: preparing" in written
    assert "100%" in written
    assert re.search(r"0.01 .*×.* 1 .*2 of 3 lanes alive, 1 diverged", re.sub(r"\x1b\[[0-9;]*m", "", written))
    assert written.rindex("\x1b[?25h") > written.rindex("\x1b[?25l")


def test_ctrl_c_keeps_what_was_committed(tmp_path: Path) -> None:
    path = tmp_path / "line.lrscope"
    process = subprocess.Popen(
        [sys.executable, "-m", "lrscope", "sweep", "line", "--epochs", "2000000", "--out", path],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert "lanes in one pass" in process.stderr.readline()
    time.sleep(0.6)  # a commit comes every half second
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert output == ""
    message = errors.splitlines()[-1]
    assert message.startswith("lrscope: interrupted; ")
    assert "Traceback" not in errors
    assert message.endswith(f"lrscope show {path}")
    with lrscope.open(path) as study:
        assert study.state == "interrupted"
        assert study.lanes["steps"].max() > 0


def test_an_interrupt_inside_an_exec_has_the_same_exit_code(tmp_path: Path) -> None:
    problem = tmp_path / "mine.py"
    problem.write_text("exec('raise KeyboardInterrupt')\n")
    process = subprocess.run(
        [sys.executable, "-m", "lrscope", "sweep", f"{problem}:problem"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (process.returncode, process.stdout) == (130, "")
    assert process.stderr.startswith("lrscope: interrupted; ")
