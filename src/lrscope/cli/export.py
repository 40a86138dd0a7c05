"""`lrscope export`: write everything in a study for other programs."""

import shlex
from pathlib import Path

import click

from lrscope.cli.command import Command

_FORMATS = ("parquet", "csv", "json", "tensorboard")
"""Those of `lrscope.output.export`, which takes half a second to import."""


@click.command(
    "export",
    cls=Command,
    short_help="Write everything in a study for other programs.",
    examples=(
        ("lrscope export digits.lrscope --to parquet", "writes a file for each table into digits-parquet"),
        ("lrscope export digits.lrscope --to csv -o tables", "the same as CSV, into the folder tables"),
        ("lrscope export digits.lrscope --to tensorboard -o runs", "then: tensorboard --logdir runs"),
    ),
)
@click.argument("study", type=click.Path(path_type=Path))
@click.option(
    "--to",
    type=click.Choice(_FORMATS),
    required=True,
    help="Format. tensorboard writes a folder for each lane, the others a file for each table.",
)
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="A new or empty folder. [default: STUDY-FORMAT, next to the study]",
)
@click.option("--overwrite", is_flag=True, help="Replace an earlier export; other files stay.")
def export_command(study: Path, to: str, out: Path | None, overwrite: bool) -> None:
    """Write everything in STUDY into a folder: series, histograms, verdicts, plan, recommendation.

    Every number reads back exactly, except that TensorBoard keeps scalars in single precision.
    """
    folder = study.with_name(f"{study.stem}-{to}") if out is None else out

    from lrscope.output.export import check_folder
    from lrscope.study import open_study

    with open_study(study) as opened:
        check_folder(folder, overwrite=overwrite)
        opened.export(folder, to, overwrite=overwrite)
    click.echo(_written(folder), err=True)


def _written(folder: Path) -> str:
    """'export: digits-parquet (17 files, 1.4 MB)'."""
    from lrscope.output.text import count_text, printable, size_text

    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    return printable(
        f"export: {shlex.quote(str(folder))} ({count_text(len(sizes), 'file')}, {size_text(sum(sizes))})"
    )
