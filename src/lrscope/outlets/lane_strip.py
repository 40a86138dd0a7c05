"""Lane strip: how each lane of a sweep under way is doing, a character a lane, and how many are left."""

import math
from collections.abc import Sequence

from lrscope.language import say
from lrscope.outlets.text import count_text

_BARS = "▁▂▃▄▅▆▇█"
_ASCII_BARS = "_.-=+*%#"


def lane_marks(alive: Sequence[bool], loss: Sequence[float], *, plain: bool = False) -> str:
    """One character a lane: the height of its loss among the living on a log scale, a cross for the others.

    Args:
        plain: only ASCII.
    """
    bars, cross = (_ASCII_BARS, "x") if plain else (_BARS, "×")
    heights = [
        math.log(max(value, 1e-30)) if lives and math.isfinite(value) else math.nan
        for lives, value in zip(alive, loss, strict=True)
    ]
    finite = [height for height in heights if not math.isnan(height)]
    low, high = (min(finite), max(finite)) if finite else (0.0, 0.0)
    spread = high - low or 1.0
    return "".join(
        cross
        if not lives
        else bars[0 if math.isnan(height) else round((height - low) / spread * (len(bars) - 1))]
        for lives, height in zip(alive, heights, strict=True)
    )


def lane_counts(alive: Sequence[bool]) -> tuple[str, str]:
    """How many lanes are alive, long and short: '14 of 16 lanes alive, 2 diverged' and '14/16 alive'."""
    living = sum(alive)
    lost = len(alive) - living
    short = say("{living}/{all} alive", "{living}/{all} 在跑", living=living, all=len(alive))
    lanes = count_text(len(alive), "lane")
    if not lost:
        return say("{lanes} alive", "{lanes}都在跑", lanes=lanes), short
    told = say(
        "{living} of {lanes} alive, {lost} diverged",
        "{lanes}中 {living} 条在跑，{lost} 条发散",
        living=f"{living:,}",
        lanes=lanes,
        lost=f"{lost:,}",
    )
    return told, short
