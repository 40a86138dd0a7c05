"""Charts: each is plain data (`frame`) and a drawing of it (`draw`), declared once for all outputs."""

from lrscope.charts.chart import Advice, Chart, Drawing, Readable
from lrscope.charts.curves import TRAINING, VALIDATION
from lrscope.charts.histogram import HISTOGRAM
from lrscope.charts.horizon import HORIZON
from lrscope.charts.motion import GRADIENTS, UPDATES
from lrscope.charts.overfitting import OVERFITTING
from lrscope.charts.path import PATH
from lrscope.charts.sensitivity import SENSITIVITY
from lrscope.charts.sharpness import SHARPNESS
from lrscope.charts.spread import SPREAD
from lrscope.charts.theme import DARK, LIGHT, THEMES, Theme
from lrscope.charts.trajectory import TRAJECTORY
from lrscope.charts.valley import VALLEY

CHARTS: tuple[Chart, ...] = (
    VALLEY,
    SENSITIVITY,
    TRAINING,
    VALIDATION,
    HORIZON,
    OVERFITTING,
    TRAJECTORY,
    PATH,
    HISTOGRAM,
    SPREAD,
    GRADIENTS,
    UPDATES,
    SHARPNESS,
)
"""Every chart, in the order of a report."""

__all__ = ["CHARTS", "DARK", "LIGHT", "THEMES", "Advice", "Chart", "Drawing", "Readable", "Theme"]
