"""Absent: what to say of a chart whose data a study lacks."""

from lrscope.charts.chart import Chart, Drawing, Readable
from lrscope.charts.figure_frame import EMPTY
from lrscope.errors import UsageError
from lrscope.language import Text, said


def refuse_empty(chart: Chart, drawing: Drawing, study: Readable) -> None:
    """Raise an error where a chart has nothing to draw.

    Args:
        chart: which.
        drawing: the chart as drawn.
        study: what it was drawn from; the error names the command that would record what it lacks.

    Raises:
        UsageError: the drawing says only why it is empty.
    """
    if EMPTY not in drawing.usermeta:
        return
    words = Text("no chart {name!r} of this study: {why}", "这份研究没有 {name!r} 图：{why}")
    why = str(drawing.description)
    message = said(words.format(name=chart.name, why=f"{why[:1].lower()}{why[1:].rstrip('.。')}"))
    reference = study.note("reference")
    if chart.option is not None and isinstance(reference, str):
        command = " ".join(part for part in ("lrscope sweep", reference, chart.option) if part)
        message += said(Text("; type: {command}", "；请输入：{command}").format(command=command))
    raise UsageError(message)
