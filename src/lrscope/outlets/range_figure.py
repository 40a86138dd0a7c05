"""The chart of a range test as a file."""

from pathlib import Path

from altair.utils.schemapi import debug_mode

from lrscope.charts import THEMES
from lrscope.charts.plate import EMPTY
from lrscope.charts.range_test import draw, frame
from lrscope.diagnosis.range_reading import RangeReading
from lrscope.errors import UsageError
from lrscope.outlets.figure import drawn, for_print
from lrscope.outlets.figure_file import figure_bytes, figure_format, save_figure


def save_range_figure(reading: RangeReading, path: Path, theme: str) -> None:
    """Draw a range test and write it as the ending of the file name says.

    Raises:
        UsageError: there is no such format or theme, no loss was finite, or no file can be written there.
    """
    to = figure_format(path)
    looks = {one.name: one for one in THEMES}
    if theme not in looks:
        raise UsageError(f"theme= wants one of {', '.join(looks)}; got {theme!r}")
    with debug_mode(False):
        spec = for_print(draw(frame(reading), looks[theme]).to_dict(validate=False))
    if EMPTY in spec["usermeta"]:
        raise UsageError(f"no chart of this range test: {spec['description']}")
    save_figure(figure_bytes(drawn(spec), to), path)
