"""How large the report and the live page are, and when Chromium has painted them, in both themes.

Studies: the digits at 16 rates as built in; made-up ones of 16 and 64 lanes (4 tensors, 20 epochs, 10,000
steps, no lane lost: the most there is to draw); the line at one rate. The report is opened as a file. The
live page is opened at once when its server has said its address ("live, just begun": the server still loads,
and makes Vega's bundle) and again by a fresh browser window ("live"); its charts are opened in turn.

Seconds are since navigation began, to the end of the frame in which it stands: the first content (in a report
the answer with its chart as a still picture), the first chart that answers the pointer, all charts. Bytes are
the file's, or of all answers of the server. `left` counts requests to anything but the file or the server;
`errors` everything the console was told, warnings too. Of every figure the least of the rounds: whatever else
the machine does can only add to it.

    python benchmarks/show.py [--cases digits-16,made-16,made-64,line-1] [--pages report,live] [--rounds 3]
                              [--out show.json]
"""

import argparse
import json
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import lrscope
from pages.studies import CASES
from pages.visits import TIMES, open_live, open_report, served

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
THEMES = ("light", "dark")
PAGES = {"report": ("report",), "live": ("live, just begun", "live")}


def measure(
    browser: Any, cases: Sequence[str], pages: Sequence[str], rounds: int
) -> Iterator[dict[str, Any]]:
    """A row for each study, page and theme."""
    with tempfile.TemporaryDirectory() as folder:
        for number, case in enumerate(cases):
            study = Path(folder) / f"{case}.lrscope"
            file = study.with_suffix(".html")
            say(f"{case}: the study and its report are made")
            CASES[case](study)
            with lrscope.open(study) as opened:
                opened.report(file)
            if number == 0:  # warms up: fonts, the browser's own pages
                open_report(browser, file, "light")
            visits: dict[tuple[str, str], list[dict[str, Any]]] = {
                (row, theme): [] for page in pages for row in PAGES[page] for theme in THEMES
            }
            for round_ in range(rounds):
                for theme in THEMES:
                    if "report" in pages:
                        visits["report", theme].append(open_report(browser, file, theme))
                    if "live" not in pages:
                        continue
                    with served(study) as address:
                        visits["live, just begun", theme].append(open_live(browser, address, theme))
                        visits["live", theme].append(open_live(browser, address, theme))
                say(f"{case}: round {round_ + 1} of {rounds}")
            for (page, theme), found in visits.items():
                yield {"case": case, "page": page, "theme": theme, "rounds": found}


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


HEADING = (
    f"{'study':11}{'page':18}{'theme':7}{'MB':>7}{'charts':>8}"
    + "".join(f"{name + ' s':>17}" for name in TIMES)
    + f"{'left':>6}{'errors':>8}"
)


def least(row: dict[str, Any], name: str) -> float:
    """Of the rounds: whatever else the machine does can only add to it."""
    return float(min(one[name] for one in row["rounds"]))


def line_of(row: dict[str, Any]) -> str:
    left, errors = (sum(len(one[name]) for one in row["rounds"]) for name in ("left", "errors"))
    return (
        f"{row['case']:11}{row['page']:18}{row['theme']:7}{least(row, 'bytes') / 1e6:7.2f}"
        f"{least(row, 'charts'):8.0f}"
        + "".join(f"{least(row, name) / 1000:17.2f}" for name in TIMES)
        + f"{left:6}{errors:8}"
    )


def skipped(reason: str) -> None:
    say(f"!!! NO PAGE WAS OPENED AND NOTHING WAS MEASURED: {reason} !!!")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=lambda text: text.split(","), default=list(CASES))
    parser.add_argument("--pages", type=lambda text: text.split(","), default=list(PAGES))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, metavar="FILE", help="the table and every visit as JSON")
    options = parser.parse_args(arguments)
    for option, given, known in (("cases", options.cases, CASES), ("pages", options.pages, PAGES)):
        for one in given:
            if one not in known:
                parser.error(f"--{option} {one!r}: there is {', '.join(known)}")
    if options.rounds < 1:
        parser.error(f"--rounds {options.rounds}: one round is the least")
    if options.out is not None and not options.out.parent.is_dir():
        parser.error(f"--out {options.out}: the folder {options.out.parent} does not exist; make it first")
    chromium = next(filter(None, map(shutil.which, BROWSERS)), None)
    if chromium is None:
        return skipped(f"there is no Chromium on the PATH ({', '.join(BROWSERS)})")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return skipped("playwright is not installed: pip install -e .[test]")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=FLAGS)
        about = {
            "lrscope": version("lrscope"),
            "Chromium": browser.version,
            "python": platform.python_version(),
            "machine": platform.machine(),
            "cores": os.cpu_count(),
            "rounds": options.rounds,
        }
        print(", ".join(f"{key} {value}" for key, value in about.items()))
        print(HEADING, flush=True)
        rows = []
        for row in measure(browser, options.cases, options.pages, options.rounds):
            rows.append(row)
            print(line_of(row), flush=True)
        browser.close()
    for row in rows:
        for text in {text for one in row["rounds"] for text in (*one["left"], *one["errors"])}:
            say(f"!!! {row['case']}, {row['page']}, {row['theme']}: {text}")
    if options.out is not None:
        # Milliseconds in the visits, as the browser gives them; bytes are bytes.
        names = (*TIMES, "bytes", "charts")
        table = [{**row, "least": {name: least(row, name) for name in names}} for row in rows]
        options.out.write_text(json.dumps({"about": about, "unit": "ms", "rows": table}, indent=1) + "\n")


if __name__ == "__main__":
    main()
