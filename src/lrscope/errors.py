"""Every exception lrscope raises on purpose.

    LrscopeError
    ├── UsageError (also a ValueError)   an argument or option cannot be used; exit code 2
    │   ├── RatesError                   learning rates that cannot be read or are not usable
    │   ├── ProblemError                 a problem that cannot be found, loaded or put together
    │   └── StudyError                   a study file that is missing, damaged, too new or in the way
    └── RunError                         the run itself failed; exit code 1
        ├── TrainingError                the model, loss, data or optimizer raised while training
        └── StoreError                   the study could not be written any further (a full disk, say)

A message is one line: what was given, what is wanted, and what to type. A diverged lane is data, no error.
"""


class LrscopeError(Exception):
    """The base of every exception that lrscope raises on purpose."""


class UsageError(LrscopeError, ValueError):
    """An argument or option that cannot be used as given; nothing was trained. Also a ValueError."""


class RatesError(UsageError):
    """Learning rates that cannot be read or are not usable."""


class ProblemError(UsageError):
    """A problem that cannot be found, loaded or put together."""


class StudyError(UsageError):
    """A study file that is missing, damaged, written by a newer version, or already there."""


class RunError(LrscopeError):
    """A failure of the run itself."""


class TrainingError(RunError):
    """An exception of the model, loss, data or optimizer while training."""


class StoreError(RunError):
    """A study that could not be written any further; what was committed before can be read."""
