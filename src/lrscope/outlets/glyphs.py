"""Glyphs: whether the fonts of this machine can draw the Chinese of a picture.

A PNG or PDF is drawn here, and a character that no font has becomes an empty box, without a word from the
renderer. An SVG or a page is drawn where it is read.
"""

import functools
import re
import warnings

import vl_convert

_CHINESE = re.compile(r"[\u2e80-\u9fff\uf900-\ufaff]")

_SAMPLE = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="20" height="20">'
    '<text x="2" y="16" font-size="14" font-family="sans-serif">{character}</text></svg>'
)


class GlyphWarning(UserWarning):
    """A picture shows boxes in place of characters."""


def warn_of_boxes(svg: str) -> None:
    """Warn if a picture holds Chinese and no font has it."""
    if _CHINESE.search(svg) and not has_chinese():
        warnings.warn(
            "no font of this machine has Chinese characters: they are boxes in the picture; install one, for "
            "instance fonts-noto-cjk or fonts-wqy-microhei, or save it as .svg or .html",
            GlyphWarning,
            stacklevel=4,
        )


@functools.cache
def has_chinese() -> bool:
    """Whether two different characters are drawn differently: as boxes they would be the same."""
    one, other = (vl_convert.svg_to_png(_SAMPLE.format(character=character)) for character in "学率")
    return bool(one != other)
