"""Folder: where an export goes. It is made beside its place and put there whole."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from lrscope.errors import UsageError
from lrscope.outlets.export.manifest import MANIFEST, listed


def check_folder(folder: Path, *, overwrite: bool) -> None:
    """Whether an export may be put there: a question to ask before the work.

    Raises:
        UsageError: it is a file, holds something else, holds an export that may not be replaced, or has no
        parent.
    """
    came = f"export to {str(folder)!r}"
    try:
        with contextlib.suppress(FileNotFoundError):
            folder.lstat()  # says what is wrong with a path, where the questions below only answer no
        if folder.is_dir():
            names = [entry.name for entry in folder.iterdir()]
            if not names:
                return
            if listed(folder) is None:
                raise UsageError(f"{came}: the folder holds other files; name a new folder")
            if not overwrite:
                raise UsageError(
                    f"{came}: an export is there already; name another folder, or add --overwrite"
                )
            return
        if folder.exists() or folder.is_symlink():
            raise UsageError(f"{came}: that is a file; name a folder")
        if not folder.absolute().parent.is_dir():
            raise UsageError(f"{came}: the folder {str(folder.parent)!r} does not exist; make it first")
    except (OSError, ValueError) as error:
        if isinstance(error, UsageError):
            raise
        raise UsageError(
            f"{came} cannot be done ({getattr(error, 'strerror', None) or error}); name another folder"
        ) from error


@contextlib.contextmanager
def filled(folder: Path, *, overwrite: bool) -> Iterator[Path]:
    """A draft to write into; what it holds in the end is moved to `folder`.

    An export that stood there is replaced file by file as the last thing that is done; other files stay.
    """
    check_folder(folder, overwrite=overwrite)
    target = folder.absolute()
    draft = target.with_name(f".{target.name}.{os.getpid()}.draft")
    try:
        shutil.rmtree(draft, ignore_errors=True)  # of a process of this number that was killed
        draft.mkdir()
        yield draft
        _put(draft, target)
    except OSError as error:
        reason = error.strerror or str(error)
        raise UsageError(
            f"export to {str(folder)!r} failed ({reason}); name a folder of yours on a disk with room"
        ) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _put(draft: Path, target: Path) -> None:
    """Move a finished draft to its place."""
    if not target.exists():
        draft.rename(target)
        return
    for name in listed(target) or ():
        _remove(target / name)
    # The manifest goes last: until then, the folder says of itself that it holds the former export.
    for entry in sorted(draft.iterdir(), key=lambda entry: entry.name == MANIFEST):
        _remove(target / entry.name) if entry.is_dir() else None
        entry.replace(target / entry.name)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
