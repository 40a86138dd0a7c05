"""`lrscope problems`: list the built-in problems."""

import itertools

import click

from lrscope.cli.command import Command


@click.command(
    "problems",
    cls=Command,
    short_help="List the built-in problems.",
    examples=(("lrscope problems", "the names that `lrscope sweep` takes"),),
)
def problems_command() -> None:
    """List the built-in problems, and say how to sweep your own."""
    from lrscope.problems.built_in import BUILT_IN

    width = max(len(built_in.name) for built_in in BUILT_IN)
    for built_in in BUILT_IN:
        click.echo(f"{built_in.name:{width}}  {built_in.summary}")
    click.echo()
    for holding, group in itertools.groupby(BUILT_IN, key=lambda built_in: built_in.data):
        if holding is not None:
            names = ", ".join(built_in.name for built_in in group)
            click.echo(f"--data FOLDER for {names}: {holding}.")
    click.echo("Your own: lrscope sweep mine.py:problem  or  lrscope sweep package.module:problem,")
    click.echo("where `problem` is an lrscope.Problem, or a function without arguments that makes one.")
