"""Makes the pictures of README.md and of the tutorial, into docs/pictures.

    python docs/pictures.py                  all but the one of the wide classifier
    python docs/pictures.py --data FOLDER    that one as well, from a folder of IDX files, and its figures

Every picture is a chart, or the report, of a study that is trained here and now, as on the page that shows
it. The picture of the report is the top of the page that the command under it writes; it needs Chromium on
the PATH and `pip install -e .[test]`.
"""

import argparse
import dataclasses
import io
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import polars as pl
from PIL import Image
from playwright.sync_api import sync_playwright

import lrscope
from lrscope.problems.load import load_problem

FOLDER = Path(__file__).parent / "pictures"
README = Path(__file__).parents[1] / "README.md"

FONT = "Liberation Sans, Arial, Helvetica, sans-serif"
"""Of one width nearly everywhere: an SVG is measured here and shown there, and a wider font is cut off."""

THREE = "1e-1,1e-3,1e-5"
"""Too high, in the middle and too low for a classifier trained with Adam."""


def save(study: lrscope.Study, chart: str, name: str) -> None:
    """Draw a chart of a study into docs/pictures."""
    path = FOLDER / f"{name}.svg"
    getattr(study.charts, chart)().save(str(path))
    drawn = path.read_text(encoding="utf-8")
    path.write_text(re.sub('font-family="[^"]*"', f'font-family="{FONT}"', drawn), encoding="utf-8")
    print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


def line() -> None:
    """The weight and the bias of y = 3x in motion."""
    differences = "finite-difference"
    save(lrscope.sweep("line", [0.01], gradient=differences), "trajectory", "weight")
    save(lrscope.sweep("line", [0.01, 0.1, 1], epochs=30, gradient=differences), "trajectory", "rates")
    save(lrscope.sweep("line", [0.06, 0.1, 0.119, 0.12], epochs=60), "trajectory", "ringing")


def digits() -> None:
    """Where sixteen rates end on real handwritten digits, and how the parameters are distributed."""
    save(lrscope.sweep("digits", "1e-5:1:16"), "spread", "spread")
    save(lrscope.sweep("digits", THREE), "histogram", "histogram")


def report() -> None:
    """Take a picture of the page that README's command writes: its answer, and the chart beside it."""
    command = re.search(r"`lrscope (sweep [^`]* --report digits\.html)`", README.read_text(encoding="utf-8"))
    assert command is not None, "README has no command under its picture"
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        subprocess.run([sys.executable, "-m", "lrscope", *command[1].split()], cwd=folder, check=True)
        page = Path(folder) / "digits.html"
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": 1120, "height": 900}, device_scale_factor=1.5)
        tab.goto(page.as_uri())
        tab.wait_for_selector("html[data-drawn]", state="attached")
        rest = tab.locator("#conclusions").bounding_box() or {"y": 900}
        whole = {"x": 0, "y": 0, "width": 1120, "height": rest["y"] - 20}
        taken = tab.screenshot(full_page=True, clip=whole)
        browser.close()
    path = FOLDER / "report.png"
    # 256 colours are more than it has, but for the edges of letters.
    Image.open(io.BytesIO(taken)).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(
        path, optimize=True
    )
    print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


def wide(data: Path) -> None:
    """The distributions of a 784-1000-10 classifier, and the figures that the tutorial states of them."""
    problem = dataclasses.replace(load_problem("fashion-mlp", data), epochs=5)
    study = lrscope.sweep(problem, THREE)
    save(study, "histogram", "wide")
    largest = {
        rate: max(abs(value) for value in parts["value"])
        for (rate,), parts in _last(study, "weight_min")
        .vstack(_last(study, "weight_max"))
        .filter(tensor="0.weight")
        .group_by("rate")
    }
    accuracy = study.scalars("accuracy").filter(step=study.plan.steps)
    for rate, value in accuracy.select("rate", "value").iter_rows():
        print(f"{rate:g}: largest first-layer weight {largest[rate]:.3g}, accuracy {value:.3f}")


def _last(study: lrscope.Study, series: str) -> pl.DataFrame:
    """A series of all tensors where each lane ended."""
    return study.tensors(series).filter(step=study.plan.steps)


def main() -> None:
    """Make all pictures that can be made."""
    parser = argparse.ArgumentParser(description="Make the pictures of the docs.")
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="IDX files for the wide classifier")
    data = parser.parse_args().data
    FOLDER.mkdir(exist_ok=True)
    if data is not None:
        wide(data)
    line()
    digits()
    report()


if __name__ == "__main__":
    main()
