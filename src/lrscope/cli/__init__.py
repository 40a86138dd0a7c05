"""The command line: one file a command, with every heavy import inside the command."""

import click

from lrscope.cli.chart import chart_command
from lrscope.cli.check_gradients import check_gradients_command
from lrscope.cli.command import Door
from lrscope.cli.export import export_command
from lrscope.cli.find import find_command
from lrscope.cli.live import live_command
from lrscope.cli.problems import problems_command
from lrscope.cli.range import range_command
from lrscope.cli.report import report_command
from lrscope.cli.show import show_command
from lrscope.cli.sweep import sweep_command


def _version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    """Print the version and leave."""
    if wanted and not context.resilient_parsing:
        # Imported here: this module alone would take longer than all the rest of `lrscope --help`.
        from importlib.metadata import version

        click.echo(f"lrscope {version('lrscope')}")
        context.exit()


@click.group(
    "lrscope",
    cls=Door,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Start with: lrscope sweep digits --report digits.html",
)
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_version,
    help="Print the version and leave.",
)
@click.pass_context
def main(context: click.Context) -> None:
    """Show what a learning rate does to a PyTorch model, and find the right one.

    lrscope trains the same model, from the same start, on the same batches, at many learning rates at once;
    only the rate differs. Each rate gets a verdict with its reason, and one rate is recommended.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


for _command in (
    sweep_command,
    find_command,
    range_command,
    show_command,
    report_command,
    live_command,
    chart_command,
    export_command,
    check_gradients_command,
    problems_command,
):
    main.add_command(_command)
