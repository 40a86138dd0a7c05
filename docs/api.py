"""Write docs/api.md, the API reference, from the docstrings.

`python docs/api.py` writes the page. A test compares the page with what this script makes.
"""

import dataclasses
import functools
import inspect
import re
import textwrap
from pathlib import Path
from typing import Any

import lrscope
from lrscope.charts import CHARTS
from lrscope.diagnosis.conclusions import Conclusion
from lrscope.progress import Progress
from lrscope.study import Charts

PAGE = Path(__file__).parent / "api.md"

FUNCTIONS = ("sweep", "find", "range_test", "open")
OWNERS = {
    "Problem": "problem",
    "Study": "study",
    "Recommendation": "recommendation",
    "RangeTest": "range_test",
    "Verdict": "verdict",
    "Plan": "plan",
}
"""The public classes in the order of the page, with the name of an object in its examples."""

ERRORS = tuple(
    name
    for name in lrscope.__all__
    if isinstance(getattr(lrscope, name), type) and issubclass(getattr(lrscope, name), Exception)
)

HEAD = """# API reference

`python docs/api.py` writes this page from the docstrings. [README](../README.md) shows how the parts work
together; `lrscope COMMAND --help` describes the command line.

A *lane* is one training run: one rate with one seed. `step` counts the updates done, so step 0 is before
training. Sentences come in English ("en") or Chinese ("zh").
"""

ABOUT_PROGRESS = "`lrscope.sweep` calls the function `progress=` with a `lrscope.progress.Progress`."

SECTION = re.compile(r"^(Args|Attributes|Returns|Raises):$", re.MULTILINE)
ENTRY = re.compile(r"^([\w, ]+): (.*)$", re.DOTALL)


def paragraphs(text: str) -> str:
    """Return wrapped prose with one line a paragraph; indented blocks stay as they are."""
    blocks = re.split(r"\n\s*\n", text.strip())
    return "\n\n".join(
        block if block.startswith(("    ", "- ")) else " ".join(block.split()) for block in blocks
    )


def entries(text: str) -> list[str]:
    """Return the entries of a section, each on one line; a deeper line continues the entry above it."""
    joined: list[str] = []
    for line in textwrap.dedent(text).strip("\n").splitlines():
        if line.startswith(" ") and joined:
            joined[-1] += " " + line.strip()
        elif line.strip():
            joined.append(line.strip())
    return joined


def section(title: str, text: str) -> str:
    """Return a section of a docstring as Markdown: a list of names, or prose."""
    if title == "Returns":
        return f"**Returns:** {' '.join(text.split())}"
    rows = []
    for entry in entries(text):
        found = ENTRY.match(entry)
        if found is None:
            rows.append(f"- {entry}")
            continue
        names = ", ".join(f"`{name}`" for name in found[1].split(", "))
        rows.append(f"- {names}: {found[2]}")
    return f"**{title}:**\n\n" + "\n".join(rows)


def prose(thing: Any) -> str:
    """Return a docstring as Markdown."""
    parts = SECTION.split(inspect.getdoc(thing) or "")
    told = [paragraphs(parts[0])]
    told += [section(title, text) for title, text in zip(parts[1::2], parts[2::2], strict=True)]
    return "\n\n".join(told)


def call(name: str, function: Any) -> str:
    """Return how a function is called, one argument a line where there are many."""
    parameters = [one for one in inspect.signature(function).parameters.values() if one.name != "self"]
    words: list[str] = []
    for one in parameters:
        if one.kind is one.KEYWORD_ONLY and "*" not in words:
            words.append("*")
        words.append(one.name if one.default is one.empty else f"{one.name}={default(one.default)}")
    line = f"{name}({', '.join(words)})"
    return line if len(line) <= 100 else f"{name}(\n" + "".join(f"    {word},\n" for word in words) + ")"


def default(value: Any) -> str:
    """Return a default value as it is typed."""
    if inspect.isclass(value):
        return f"{value.__module__.removesuffix('.' + value.__name__.lower())}.{value.__name__}"
    return repr(value).replace("'", '"')


def constructor(kind: type) -> str:
    """Return how a dataclass is made, one field a line."""
    lines = []
    for field in dataclasses.fields(kind):
        if field.default is not dataclasses.MISSING:
            lines.append(f"    {field.name}={default(field.default)},\n")
        elif field.default_factory is not dataclasses.MISSING:
            lines.append(f"    {field.name}={default(field.default_factory())},\n")
        else:
            lines.append(f"    {field.name},\n")
    return f"lrscope.{kind.__name__}(\n{''.join(lines)})"


def block(code: str) -> str:
    """Return a block of code. It is a signature, which the tests do not run."""
    return f"```py\n{code}\n```"


def called(name: str, function: Any) -> str:
    """Return a heading, the call and the docstring of a function."""
    return f"### `{name}()`\n\n{block(call(name, function))}\n\n{prose(function)}"


def members(kind: type, owner: str) -> list[str]:
    """Return every public method and property that lrscope defines on a class, as Markdown."""
    found: dict[str, Any] = {}
    for base in reversed(kind.__mro__):
        if base.__module__.startswith("lrscope."):
            found |= {name: value for name, value in vars(base).items() if not name.startswith("_")}
    told = []
    for name, value in found.items():
        if isinstance(value, property | functools.cached_property):
            function = value.fget if isinstance(value, property) else value.func
            told.append(f"### `{owner}.{name}`\n\n{prose(function)}")
        elif isinstance(value, classmethod):
            function = getattr(kind, name)
            told.append(called(f"{kind.__name__}.{name}", function))
        elif inspect.isfunction(value):
            told.append(called(f"{owner}.{name}", value))
    return told


def charts() -> str:
    """Return the table of charts."""
    rows = ["| method | chart | question it answers | needs |", "|---|---|---|---|"]
    for chart in CHARTS:
        needs = f"`{chart.option}`" if chart.option else ""
        rows.append(f"| `study.charts.{chart.name}()` | {chart.title.en} | {chart.question.en} | {needs} |")
    return f"## Charts\n\n{prose(Charts)}\n\n" + "\n".join(rows)


def page() -> str:
    """Return the whole page."""
    parts = [HEAD.strip(), "## Functions"]
    parts += [called(f"lrscope.{name}", getattr(lrscope, name)) for name in FUNCTIONS]
    for name in OWNERS:
        kind = getattr(lrscope, name)
        parts += [f"## {name}", *([block(constructor(kind))] if name == "Problem" else []), prose(kind)]
        parts += members(kind, OWNERS[name])
        if name == "Study":
            parts.append(charts())
    parts += ["## Conclusion", prose(Conclusion), *members(Conclusion, "conclusion")]
    parts += ["## Progress", ABOUT_PROGRESS, prose(Progress)]
    parts.append("## Errors")
    parts.append("\n".join(error(getattr(lrscope, name)) for name in ERRORS))
    return "\n\n".join(parts) + "\n"


def error(kind: type) -> str:
    """Return what an exception means, with its base class, on one line."""
    meaning = " ".join((kind.__doc__ or "").split())
    return f"- `lrscope.{kind.__name__}` (a kind of `{kind.__mro__[1].__name__}`): {meaning}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
