"""Every exception lrscope raises on purpose.

    LrscopeError
    ├── UsageError (also a ValueError)   what was asked cannot be done as asked; exit code 2
    │   ├── RatesError                   learning rates that cannot be read or are not usable
    │   ├── ProblemError                 a problem that cannot be found, loaded or put together
    │   └── StudyError                   a study file that is missing, damaged, too new or in the way
    └── RunError                         the run itself failed; exit code 1
        ├── TrainingError                the model, loss, data or optimizer raised while training
        └── StoreError                   the study could not be written any further (a full disk, say)

A message is one line: what came, what is wanted, and what to type. A diverged lane is no error: it is data.
"""


class LrscopeError(Exception):
    """The root: `except lrscope.LrscopeError` catches everything below and nothing else."""


class UsageError(LrscopeError, ValueError):
    """What was asked cannot be done as asked."""


class RatesError(UsageError):
    """Learning rates that cannot be read or are not usable."""


class ProblemError(UsageError):
    """A problem that cannot be found, loaded or put together."""


class StudyError(UsageError):
    """A study file that is missing, damaged, written by a newer version or in the way."""


class RunError(LrscopeError):
    """The run itself failed."""


class TrainingError(RunError):
    """The model, loss, data or optimizer raised while training."""


class StoreError(RunError):
    """The study could not be written any further; what was committed before is readable."""
