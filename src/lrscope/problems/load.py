"""Load a problem: a built-in one by its name, a user's own from a file or a module."""

import contextlib
import dataclasses
import difflib
import importlib
import importlib.util
import inspect
import itertools
import os
import shlex
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from lrscope.errors import ProblemError
from lrscope.problems.built_in import BUILT_IN, BuiltIn

if TYPE_CHECKING:
    from lrscope.problems.problem import Problem

DEFAULT_ATTRIBUTE = "problem"
"""What is looked for in a file given without ':name'."""

_count = itertools.count(1)
_siblings: set[str] = set()
"""Modules that a user's file imported from its own folder; another folder may have others so named."""


def load_problem(reference: str, data: str | Path | None = None) -> "Problem":
    """Load the problem that a reference names.

    Args:
        reference: a built-in problem's name, "digits"; a file and a name in it, "mine.py:problem"; or a
            module and a name in it, "package.module:problem", found from the working directory too. The name
            is that of a Problem or of a function without arguments that returns one; it may be left out where
            the file or module has a `problem`, or one Problem only.
        data: a folder of data, for the built-in problems that take one.

    A file is run once, under a private name, so that `if __name__ == "__main__"` does not hold in it. It may
    import what lies beside it, and so may its model factory later. `sys.path` is the same after as before.

    Raises:
        ProblemError: nothing is found there, it cannot be loaded, or it is no problem.
    """
    built_in = next((member for member in BUILT_IN if member.name == reference), None)
    if built_in is not None:
        return _make(built_in, data)
    target, _, attribute = reference.rpartition(":")
    if not target or attribute.endswith(".py"):  # no ':name', or the ':' of a Windows drive
        target, attribute = reference, ""
    is_file = target.endswith(".py") or "/" in target or "\\" in target or _is_file(Path(target))
    if not (is_file or attribute or "." in target):
        raise ProblemError(_unknown(reference))
    if data is not None:
        takers = ", ".join(member.name for member in BUILT_IN if member.data)
        raise ProblemError(f"--data is for the built-in problems {takers}; leave it out for {reference!r}")
    return _from_file(_at_home(Path(target)), attribute) if is_file else _from_module(target, attribute)


def given_problem(given: object) -> "Problem":
    """Return the problem that a caller passed: a Problem as it is, a string loaded as a reference.

    Raises:
        ProblemError: it is neither; or the reference names no problem, see `load_problem`.
    """
    from lrscope.problems.problem import Problem

    if isinstance(given, Problem):
        return given
    if isinstance(given, str):
        return dataclasses.replace(load_problem(given), reference=shlex.quote(given))
    raise ProblemError(
        "problem= wants an lrscope.Problem, or a name: a built-in one's, such as 'digits', or "
        f"'mine.py:problem'; got {_kind(given)}"
    )


def _kind(given: object) -> str:
    """Return what an object is that is no problem and, where that is clear, what to write instead."""
    from torch import nn
    from torch.utils.data import DataLoader

    from lrscope.problems.problem import Problem

    name = given.__name__ if isinstance(given, type) else type(given).__name__
    if given is Problem:
        return "the class Problem itself; make one: lrscope.Problem(name=..., model=..., train=..., loss=...)"
    if isinstance(given, type):
        return f"the class {name}"
    if isinstance(given, nn.Module):
        wrapped = "lrscope.Problem(name=..., model=lambda: ..., train=(X, y), loss=...)"
        return f"{name}, a model; put it into a problem: {wrapped}"
    if isinstance(given, DataLoader):
        wrapped = "lrscope.Problem(name=..., model=..., train=loader, loss=...)"
        return f"a DataLoader; put it into a problem: {wrapped}"
    if isinstance(given, os.PathLike):
        return f"a path; write {f'{os.fspath(given)}:{DEFAULT_ATTRIBUTE}'!r}"
    if given is None or isinstance(given, (bool, int, float)):
        return repr(given)
    if callable(given) and hasattr(given, "__name__"):
        return f"the function {given.__name__}; call it, if it returns a problem: {given.__name__}()"
    return f"a {name}"


def _make(built_in: BuiltIn, data: str | Path | None) -> "Problem":
    """A built-in problem, with a folder of data if it takes one."""
    if data is None:
        return built_in.make()
    if built_in.data is None:
        raise ProblemError(f"{built_in.name} takes no --data; its data come with it, so leave --data out")
    return built_in.make(data=_at_home(Path(data)))


def _unknown(reference: str) -> str:
    """What to say of a name that is no built-in problem's."""
    beside = f"{reference}.py"
    if reference and _is_file(Path(beside)):
        return f"no built-in problem is called {reference!r}; for the file of that name type {beside}"
    names = [member.name for member in BUILT_IN]
    close = difflib.get_close_matches(reference.lower(), names, n=2)
    there_are = f"did you mean {' or '.join(close)}?" if close else f"there are {', '.join(names)}."
    return (
        f"no problem is called {reference[:60]!r}; {there_are} "
        "See lrscope problems, or name your own as mine.py:problem or package.module:problem"
    )


def _from_file(path: Path, attribute: str) -> "Problem":
    """The problem in a user's file."""
    if not _is_file(path):
        what = "is a folder" if path.is_dir() else "does not exist"
        raise ProblemError(f"{path} {what}; wanted is a Python file, as mine.py:problem")
    path = path.resolve()
    module_name = f"_lrscope_problem_{next(_count)}_{path.stem}"
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None:
        raise ProblemError(
            f"{path} is no Python file; wanted is a name that ends with .py, as mine.py:problem"
        )
    module = importlib.util.module_from_spec(spec)
    while _siblings:  # this file's own net.py must not be another folder's
        sys.modules.pop(_siblings.pop(), None)
    before = set(sys.modules)
    sys.modules[module_name] = module  # dataclasses, pickle and torch.compile look modules up by name
    try:
        with _importable(path.parent), _told(path):
            # Not spec.loader.exec_module: it would leave a __pycache__ in the user's folder.
            exec(compile(path.read_bytes(), str(path), "exec"), module.__dict__)
            problem = _problem_in(module, attribute, path.name)
    except BaseException:
        sys.modules.pop(module_name, None)
        raise
    finally:
        new = set(sys.modules) - before
        _siblings.update(name for name in new if _lies_in(sys.modules[name], name, path.parent))
    return dataclasses.replace(problem, model=_InFolder(path.parent, problem.model))


def _from_module(name: str, attribute: str) -> "Problem":
    """The problem in a module that can be imported, from the working directory too."""
    with _importable(Path.cwd()):
        try:
            found = importlib.util.find_spec(name)  # runs the packages that the module is in
        except (Exception, SystemExit) as error:
            absent = isinstance(error, ModuleNotFoundError) and f"{name}.".startswith(f"{error.name}.")
            if not (absent or name.startswith(".") or isinstance(error, ValueError)):
                raise ProblemError(f"module {name!r} cannot be imported: {_words(error)}") from error
            found = None
        if found is None:
            raise ProblemError(
                f"module {name!r} is not found from here; wanted is package.module:problem, mine.py:problem "
                "or a name that lrscope problems lists"
            )
        with _told(Path(found.origin) if found.has_location and found.origin else None):
            return _problem_in(importlib.import_module(name), attribute, name)


def _problem_in(module: ModuleType, attribute: str, where: str) -> "Problem":
    """The problem of this name in a module, or the only one where no name is given."""
    from torch import nn

    from lrscope.problems.problem import Problem

    problems = [name for name, value in vars(module).items() if isinstance(value, Problem)]
    has = f"it has the problems {', '.join(problems)}" if problems else "it has no Problem"
    if not attribute:
        if hasattr(module, DEFAULT_ATTRIBUTE):
            attribute = DEFAULT_ATTRIBUTE
        elif len(problems) == 1:
            attribute = problems[0]
        else:
            example = problems[0] if problems else DEFAULT_ATTRIBUTE
            raise ProblemError(f"{where} needs a name after it, as {where}:{example}; {has}")
    if not hasattr(module, attribute):
        close = difflib.get_close_matches(attribute, list(vars(module)), n=1)
        meant = f"; did you mean {close[0]}?" if close and close[0] not in problems else ""
        raise ProblemError(f"{where} has no {attribute!r}; {has}{meant}")
    value = getattr(module, attribute)
    wanted = "wanted is an lrscope.Problem or a function without arguments that returns one"
    if not isinstance(value, Problem):
        if not callable(value) or isinstance(value, nn.Module):
            raise ProblemError(f"{attribute} in {where} is of type {type(value).__name__}; {wanted}")
        if not _takes_nothing(value):
            raise ProblemError(f"{attribute} in {where} cannot be called without arguments; {wanted}")
        value = value()
        if not isinstance(value, Problem):
            raise ProblemError(f"{attribute}() in {where} returns {type(value).__name__}; {wanted}")
    return value


def _takes_nothing(function: Callable[..., Any]) -> bool:
    """Whether a call without arguments is possible."""
    try:
        inspect.signature(function).bind()
    except TypeError:
        return False
    except ValueError:  # no signature to be had, as of some builtins: the call itself will tell
        return True
    return True


@dataclasses.dataclass(frozen=True)
class _InFolder:
    """A model factory that may import, when it is called, what lies in its folder."""

    folder: Path
    make: Callable[[], Any]

    def __call__(self) -> Any:
        with _importable(self.folder):
            return self.make()


@contextlib.contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Let modules in this folder be imported, first of all, and leave `sys.path` as it was."""
    before = list(sys.path)
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path[:] = before


@contextlib.contextmanager
def _told(path: Path | None) -> Iterator[None]:
    """Turn what a user's code raises into one line that names the line of their file."""
    try:
        yield
    except (Exception, SystemExit) as error:
        line = _line(error, path)
        if isinstance(error, ProblemError) and line is None:
            raise
        place = f"{path.name if path else 'the module'}{f', line {line}' if line else ''}"
        raise ProblemError(f"{place}: {_words(error, path)}") from error


def _line(error: BaseException, path: Path | None) -> int | None:
    """The last line of the user's file that the error passed, None where it did not pass it."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return error.lineno
    lines = [
        frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)
    ]
    return lines[-1] if lines else None


def _words(error: BaseException, path: Path | None = None) -> str:
    """An error as one line: lrscope's own by what it says, others by their type too."""
    if isinstance(error, ProblemError):
        return str(error)
    in_place = isinstance(error, SyntaxError) and error.filename == str(path)  # the line is told already
    words = " ".join((error.msg if in_place and isinstance(error, SyntaxError) else str(error)).split())
    return f"{type(error).__name__}{f': {words[:200]}' if words else ''}"


def _is_file(path: Path) -> bool:
    """Whether there is such a file; a name that no file can have is none."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _at_home(path: Path) -> Path:
    """The path with ~ written out, where somebody lives there."""
    with contextlib.suppress(RuntimeError):
        return path.expanduser()
    return path


def _lies_in(module: ModuleType, name: str, folder: Path) -> bool:
    """Whether a module is a file or package of this very folder (and not of an environment inside it)."""
    origin = getattr(module, "__file__", None)
    top = name.partition(".")[0]
    if top == __name__.partition(".")[0]:  # a file beside lrscope's own source
        return False
    if origin is None:
        return False
    return Path(origin) == folder / f"{top}.py" or Path(origin).is_relative_to(folder / top)
