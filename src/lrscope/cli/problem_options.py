"""Problem options: the argument and options that name a problem, shared by every command that trains."""

import dataclasses
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lrscope.cli.options import OptionValue, counted, positive, read_options
from lrscope.errors import UsageError

if TYPE_CHECKING:
    from lrscope.problems.problem import Problem

PROBLEM = click.argument("problem")
DATA = click.option(
    "--data",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Folder with the data of mnist or fashion.",
)
EPOCHS = counted("--epochs", 1, "Passes over the training data. [default: the problem's]")
BATCH_SIZE = counted("--batch-size", 0, "Examples a step; 0 for all. [default: the problem's]")
OPTIMIZER = click.option(
    "--optimizer", metavar="NAME", help="Class of torch.optim: sgd, adam, adamw, ... [default: the problem's]"
)
OPT = click.option(
    "--opt",
    multiple=True,
    metavar="KEY=VALUE",
    help="Option of --optimizer, such as momentum=0.9. Repeatable.",
)
SCHEDULE = click.option(
    "--schedule",
    metavar="NAME",
    help="constant, cosine, linear, warmup-cosine, onecycle or step. [default: the problem's]",
)
CLIP_NORM = click.option(
    "--clip-norm",
    callback=positive("1"),
    metavar="X",
    help="Largest gradient norm; a larger gradient is scaled down to it. [default: the problem's]",
)
DEVICE = click.option(
    "--device", default="cpu", show_default=True, help="Device to train on: cpu, cuda, cuda:1, ..."
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print the results as one JSON document.")
QUIET = click.option("-q", "--quiet", is_flag=True, help="Print results and errors only, no progress.")


@dataclasses.dataclass(frozen=True)
class Choice:
    """A problem as a command line names it, with the options that change it.

    Attributes:
        reference: a built-in name, package.module:name or file.py:name.
        data: folder of --data.
        optimizer: name of a class of torch.optim; None for the problem's optimizer.
        options: options of that optimizer.
        batch_size, clip_norm: None for the problem's.
        opt: the options as typed.
    """

    reference: str
    data: Path | None = None
    optimizer: str | None = None
    options: dict[str, OptionValue] = dataclasses.field(default_factory=dict)
    batch_size: int | None = None
    clip_norm: float | None = None
    opt: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """Return the problem as it is typed in any command that trains: 'mnist --data mnist/'."""
        words = [self.reference]
        words += [] if self.data is None else ["--data", str(self.data)]
        words += [] if self.optimizer is None else ["--optimizer", self.optimizer]
        for option in self.opt:
            words += ["--opt", option]
        words += [] if self.batch_size is None else ["--batch-size", str(self.batch_size)]
        words += [] if self.clip_norm is None else ["--clip-norm", f"{self.clip_norm:.15g}"]
        return shlex.join(words)

    def load(self) -> "Problem":
        """Return the problem with its changes. Loads torch, which takes seconds.

        Raises:
            UsageError: a batch size for a DataLoader.
            ProblemError: the problem cannot be found or loaded, or there is no such optimizer or option.
        """
        from lrscope.problems.load import load_problem

        problem = load_problem(self.reference, self.data)

        from torch.utils.data import DataLoader

        if self.batch_size is not None and isinstance(problem.train, DataLoader):
            raise UsageError(
                f"--batch-size {self.batch_size}: this problem's DataLoader makes its own batches; "
                "leave it out"
            )
        changes: dict[str, Any] = {"reference": self.words}
        if self.optimizer is not None:
            from lrscope.training.optimizers import optimizer_by_name

            changes["optimizer"] = optimizer_by_name(self.optimizer, self.options)
        if self.batch_size is not None:
            changes["batch_size"] = self.batch_size
        if self.clip_norm is not None:
            changes["clip_norm"] = self.clip_norm
        return dataclasses.replace(problem, **changes)


def read_choice(
    reference: str,
    *,
    data: Path | None,
    optimizer: str | None,
    opt: tuple[str, ...],
    batch_size: int | None,
    clip_norm: float | None,
    rates_come_from: str | None = None,
) -> Choice:
    """Read the options that name a problem, and check what can be checked without torch.

    Args:
        reference, data, optimizer, opt, batch_size, clip_norm: as typed.
        rates_come_from: answer to `--opt lr=...` of a command without --rates.

    Raises:
        UsageError: --opt cannot be read, or came without --optimizer.
    """
    options = read_options(opt, rates_come_from)
    if options and optimizer is None:
        raise UsageError(
            f"--opt {opt[0]} came without an optimizer; name its optimizer: --optimizer sgd --opt {opt[0]}"
        )
    return Choice(reference, data, optimizer, options, batch_size, clip_norm, opt)
