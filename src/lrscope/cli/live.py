"""`lrscope live`: a page that follows a study while it is trained."""

import os
import shlex
import sys
import webbrowser
from pathlib import Path

import click

from lrscope.cli.command import Command
from lrscope.cli.language_option import LANG
from lrscope.cli.options import count
from lrscope.errors import UsageError
from lrscope.language import spoken


@click.command(
    "live",
    cls=Command,
    short_help="Serve a page that follows a study while it is trained.",
    examples=(
        ("lrscope live digits.lrscope", "prints the address of the page; Ctrl-C ends it"),
        ("lrscope live studies/", "all studies of a folder, any two side by side"),
        ("lrscope sweep digits --live", "trains and serves the page of it"),
    ),
)
@click.argument("path", type=click.Path(path_type=Path), metavar="STUDY|FOLDER")
@click.option(
    "--host",
    metavar="ADDRESS",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on. Other machines can reach any address but the default.",
)
@click.option(
    "--port", callback=count(0, 65535), metavar="N", help="Port. [default: the first free one from 8377 on]"
)
@click.option("--open", "opens", is_flag=True, help="Open the page in a browser.")
@click.option("--wait", is_flag=True, help="Wait for STUDY if it does not exist yet.")
@LANG
@click.option("--beside", is_flag=True, hidden=True, help="Serve for a sweep, until standard input ends.")
def live_command(path: Path, host: str, port: int | None, opens: bool, wait: bool, beside: bool) -> None:
    """Serve a page that follows STUDY, or all studies in FOLDER, while they are trained and after.

    The page changes nothing. Its address holds a token that only you can read. Only this machine can reach
    it, unless you set --host.
    """
    _check(path, wait=wait)

    from lrscope.output.live.security import bind, is_loopback, read_token, url

    listening, secret = bind(host, port), read_token()
    address = url(host, listening.getsockname()[1], secret)
    # Said before anything heavy is loaded: whoever opens it now is answered in a second.
    click.echo(address)
    sys.stdout.flush()
    if beside:
        _step_back()
    else:
        _say(path, host, alone=is_loopback(host))
        if opens:
            _open(address)

    from lrscope.output.live.app import LiveApp
    from lrscope.output.live.server import serve
    from lrscope.output.live.studies import Studies
    from lrscope.study import Study

    page = LiveApp(Studies(path, wait=wait), Study, token=secret, bound=host, language=spoken())
    serve(page, listening, until=_input_ended if beside else None)


def _check(path: Path, *, wait: bool) -> None:
    """Raise UsageError unless there is something to serve."""
    if wait and not path.exists():
        if not path.parent.is_dir():
            folder = shlex.quote(str(path.parent))
            raise UsageError(f"{path}: the folder does not exist; make it first: mkdir -p {folder}")
        return
    if not path.is_dir():
        from lrscope.store.study_file import StudyFile

        StudyFile(path).close()


def _say(path: Path, host: str, *, alone: bool) -> None:
    from lrscope.output.text import printable

    click.echo(printable(f"serving {path} until Ctrl-C; open the address above in a browser"), err=True)
    if not alone:
        click.echo(
            f"warning: --host {host} lets other machines in: whoever has the address can read these studies, "
            "and nothing is encrypted",
            err=True,
        )


def _open(address: str) -> None:
    """Open the page where there is a screen; a browser in the terminal would take it over."""
    screen = sys.platform in ("darwin", "win32") or any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY")))
    if not screen or not webbrowser.open(address):
        click.echo("--open: there is no screen here; open the address above yourself", err=True)


def _step_back() -> None:
    """Take what training leaves of the processors."""
    if sys.platform != "win32":
        os.nice(5)


def _input_ended() -> None:
    """Wait until whoever started this has gone. Not through sys.stdin, whose lock is in the way at exit."""
    while os.read(0, 1024):
        pass
