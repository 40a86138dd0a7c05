"""Speaking: `--lang`, the language of all that a command shows, declared once; warnings as a line."""

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any

import click

from lrscope.language import checked, speaking, spoken


def _speak(context: click.Context, parameter: click.Parameter, language: Any) -> None:
    """Set the language until the command ends."""
    context.with_resource(speaking(spoken() if language is None else checked(language, "--lang")))


LANG = click.option(
    "--lang",
    callback=_speak,
    expose_value=False,
    envvar="LRSCOPE_LANG",
    metavar="en|zh",
    help="Language of the output: English or Chinese. [default: LRSCOPE_LANG, or en]",
)


@contextlib.contextmanager
def warnings_told() -> Iterator[None]:
    """Say what is warned of meanwhile on standard error, a line each."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for one in caught:
        click.echo(f"warning: {one.message}", err=True)
