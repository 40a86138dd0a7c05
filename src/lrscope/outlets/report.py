"""Report: a study as one HTML page that needs nothing else: the answer, the evidence, the method.

The page runs under a content security policy that lets no request out and no code in but its own two scripts,
known by their hashes. Charts are interpreted, not compiled: Vega's own `ast` mode.
"""

import base64
import contextlib
import hashlib
import os
from pathlib import Path
from string import Template

from lrscope.charts.chart import Readable
from lrscope.charts.snapshot import Snapshot
from lrscope.errors import UsageError
from lrscope.language import TAG, said, say
from lrscope.outlets.assets import asset, bundle, script
from lrscope.outlets.markup import Html, element
from lrscope.outlets.page import body, contents, footer, title
from lrscope.outlets.pictures import pictures, script_json
from lrscope.outlets.still import still


def report(study: Readable, path: str | os.PathLike[str]) -> None:
    """Write a study, finished or still running, as one page.

    A page that stands there is replaced only when the new one is done.

    Args:
        study: what is read.
        path: of the HTML file.

    Raises:
        UsageError: no file can be written there.
    """
    target = Path(path)
    _refuse(target)
    text = page(study)
    draft = target.with_name(f".{target.name}.{os.getpid()}.draft")
    try:
        draft.write_text(text, encoding="utf-8", newline="\n")
        draft.replace(target)
    except OSError as error:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise _unwritable(target, error) from error


def page(study: Readable) -> str:
    """The page as text."""
    snapshot = Snapshot(study)
    drawn, vega = pictures(snapshot), bundle()
    style, code = asset("report.css"), script("picture.js", "report.js")
    data = {one.name: {"spec": one.spec, "dark": one.dark} for one in drawn if not one.empty}
    return Template(asset("report.html")).substitute(
        language=said(TAG),
        head=element("title", title(snapshot)),
        kind=say("learning-rate study", "学习率研究"),
        navigation=say("Contents", "目录"),
        theme=_theme_button(),
        policy=_policy([vega, code], style),
        style=style,
        contents=contents(drawn),
        body=body(snapshot, drawn, None if drawn[0].empty else still(drawn[0])),
        footer=footer(snapshot),
        pictures=script_json(data),
        bundle=vega,
        script=code,
    )


def _theme_button() -> Html:
    """The button that changes the theme, with what its script writes on it."""
    return element(
        "button",
        say("dark", "深色"),
        type="button",
        id="theme",
        hidden="",
        data_light=say("light", "浅色"),
        data_dark=say("dark", "深色"),
        data_to_light=say("Switch to the light theme", "换成浅色主题"),
        data_to_dark=say("Switch to the dark theme", "换成深色主题"),
    )


def _policy(scripts: list[str], style: str) -> str:
    """The content security policy: nothing but these scripts and this style."""
    code = " ".join(_hash(script) for script in scripts)
    return (
        f"default-src 'none'; script-src {code}; style-src {_hash(style)}; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


def _refuse(target: Path) -> None:
    """Say before the work that the page has no place."""
    if target.is_dir():
        raise UsageError(
            f"report {str(target)!r} is a folder; name a file in it: {str(target / 'report.html')!r}"
        )
    if not target.parent.is_dir():
        raise UsageError(
            f"report {str(target)!r}: the folder {str(target.parent)!r} does not exist; make it first"
        )


def _unwritable(target: Path, error: OSError) -> UsageError:
    reason = error.strerror or str(error)
    return UsageError(
        f"report {str(target)!r} cannot be written ({reason}); name a file in a folder of yours"
    )
