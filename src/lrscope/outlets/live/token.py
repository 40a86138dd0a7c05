"""Token: the secret in the address of a live page, kept from one start to the next.

A page that is open goes on after a restart of its server: the browser still has the token. It lies in a file
that only its owner can read; deleting that file makes all addresses given out so far invalid.
"""

import contextlib
import os
import re
import secrets
import stat
from pathlib import Path

_LONGEST = 200
_TOKEN = re.compile(r"[A-Za-z0-9_-]{22,128}")


def token_file() -> Path:
    """Where the token lies: `lrscope/live-token` in the user's folder for state (XDG_STATE_HOME)."""
    folder = os.environ.get("XDG_STATE_HOME", "")
    home = Path(folder) if Path(folder).is_absolute() else Path.home() / ".local" / "state"
    return home / "lrscope" / "live-token"


def token() -> str:
    """The token of this user: the one that is kept, or a new one.

    Where it cannot be kept (no home, a full disk) it lives as long as the server.
    """
    try:
        path = token_file()
    except RuntimeError:  # there is no home
        return _new()
    kept = _kept(path)
    if kept is not None:
        return kept
    made = _new()
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with contextlib.suppress(OSError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(made)
        draft.replace(path)
    return made


def _new() -> str:
    return secrets.token_urlsafe(16)


def _kept(path: Path) -> str | None:
    """The token in the file; None where there is none, or where others could have read or written it."""
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            text = file.read(_LONGEST).decode("ascii", "replace").strip()
    except OSError:
        return None
    if os.name == "posix" and (status.st_uid != os.getuid() or stat.S_IMODE(status.st_mode) & 0o077):
        return None
    return text if _TOKEN.fullmatch(text) else None
