"""Door: how a command ends. Every way out is one exit code and at most one line on standard error.

    0    done
    1    the run failed, or something unexpected happened
    2    the command was wrong: what came, what is wanted, what to type
    130  interrupted by Ctrl-C; what was committed is kept

`LRSCOPE_DEBUG=1` shows the traceback as well.
"""

import contextlib
import errno
import io
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from lrscope.errors import LrscopeError, UsageError
from lrscope.outlets.text import one_line

DONE = 0
FAILED = 1
WRONG = 2
INTERRUPTED = 130

_DEBUG = "LRSCOPE_DEBUG"
_COMPLETE = "_LRSCOPE_COMPLETE"


class Command(click.Command):
    """A command whose help ends with examples to copy, and whose errors quote the first of them.

    Args:
        examples: command lines, each with a comment on what it does.
    """

    def __init__(self, *args: Any, examples: tuple[tuple[str, str], ...] = (), **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.examples = examples

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples, never wrapped: they are there to be copied."""
        with formatter.section("Examples"):
            for line, comment in self.examples:
                formatter.write(f"  # {comment}\n  {line}\n")


class Door(click.Group):
    """A group of commands that ends as said above, whoever calls it."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> NoReturn:
        """Run a command and leave with its exit code.

        Click's own `main` would turn an EOFError of the user's model into an interrupt and print errors of
        three lines; only its answers to a shell that completes a command line are used.
        """
        if _COMPLETE in os.environ:
            super().main(args, "lrscope", _COMPLETE)
        if isinstance(sys.stdout, io.TextIOWrapper):
            # A name or a sign that the terminal's encoding lacks becomes '?', not the end of the command.
            sys.stdout.reconfigure(errors="replace")
        try:
            arguments = list(sys.argv[1:] if args is None else args)
            with self.make_context("lrscope", arguments, **extra) as context:
                self.invoke(context)
            if sys.stdout is not None:
                # What is still buffered may meet a closed pipe or a full disk: here it can still be said.
                sys.stdout.flush()
            code = DONE
        except click.exceptions.Exit as leaving:
            code = leaving.exit_code
        except (Exception, KeyboardInterrupt) as error:
            code = _leave(error)
        if code == INTERRUPTED:
            # An interrupt that passed through an `exec` of text (a dataclass is one) counts with CPython as
            # one that nobody handled, and `python -m` then ends by the signal. Another `exec` forgets it.
            exec("")
        sys.exit(code)


def _leave(error: BaseException) -> int:
    """Say what happened on standard error; return the exit code."""
    if isinstance(error, OSError) and error.errno == errno.EPIPE:
        # The reader (`head`, a closed pager) has what it wanted. What is left goes nowhere, quietly: the
        # interpreter flushes once more on its way out.
        with contextlib.suppress(OSError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, sys.stdout.fileno())
            os.close(nowhere)
        return DONE
    if os.environ.get(_DEBUG, "0") not in ("", "0") and not isinstance(error, click.ClickException):
        # Imported here: a traceback is rare, and `lrscope --help` stays quick.
        import traceback

        traceback.print_exception(error)
    code, message = _verdict(error)
    if sys.stderr is not None:
        # The terminal has echoed ^C: the message starts on a line of its own.
        start = "\n" if code == INTERRUPTED and sys.stderr.isatty() else ""
        print(f"{start}lrscope: {one_line(message)}", file=sys.stderr)
    return code


def _verdict(error: BaseException) -> tuple[int, str]:
    """The exit code of an exception and its line."""
    if isinstance(error, (KeyboardInterrupt, click.Abort)):
        return INTERRUPTED, f"interrupted; {error}" if str(error) else "interrupted"
    if isinstance(error, click.ClickException):
        return WRONG, _usage(error)
    if isinstance(error, UsageError):
        return WRONG, str(error)
    if isinstance(error, LrscopeError):
        return FAILED, str(error)
    if isinstance(error, OSError) and error.strerror:
        return FAILED, f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return FAILED, f"unexpected {type(error).__name__}: {error} ({_DEBUG}=1 shows the traceback)"


def _usage(error: click.ClickException) -> str:
    """Click's message in one line: what came, what was probably meant, what to type."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    command = context.command if context is not None else None
    help_line = f"see {context.command_path if context is not None else 'lrscope'} --help"
    meant = getattr(error, "possibilities", None)
    message = (error.message if meant else error.format_message()).rstrip(".")
    parts = [f"{message[:1].lower()}{message[1:]}"]
    if meant:
        parts.append(f"did you mean {meant[0]}?")
    elif isinstance(error, click.MissingParameter) and isinstance(command, Command) and command.examples:
        parts.append(f"type for instance: {command.examples[0][0]}")
    elif (
        isinstance(command, click.Group) and context is not None and not isinstance(error, click.NoSuchOption)
    ):
        parts.append(f"there is: {', '.join(command.list_commands(context))}")
    return f"{'; '.join(parts)} ({help_line})"
