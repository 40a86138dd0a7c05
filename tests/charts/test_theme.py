"""Themes: contrast by numbers, fonts that end in a generic family, verdicts told apart without colour."""

import itertools

import pytest

from lrscope.charts.theme import THEMES, Theme
from lrscope.charts.verdict_style import LOOKS, look, looks_of, verdict_channels
from lrscope.diagnosis.verdict import KINDS


def luminance(colour: str) -> float:
    """Relative luminance, WCAG 2.2."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
def test_what_is_drawn_has_a_contrast_of_3_and_what_is_read_of_4_5(theme: Theme) -> None:
    lanes = {colour for count in (1, 2, 16, 64) for colour in theme.lane_colours(count)}
    verdicts = {theme.good, theme.slow, theme.risky, theme.bad, theme.unknown}
    for colour in {*lanes, *verdicts, *theme.tensors}:
        assert contrast(colour, theme.background) >= 2.99, colour
    for colour in (theme.text, theme.muted):
        assert contrast(colour, theme.background) >= 4.5


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
def test_lanes_grow_steadily_lighter_with_the_rate(theme: Theme) -> None:
    light = [luminance(colour) for colour in theme.lane_colours(16)]
    assert light == sorted(light)
    assert len(set(theme.lane_colours(64))) == 64


def test_every_verdict_has_a_look_and_no_two_share_shape_and_colour() -> None:
    assert set(LOOKS) == {kind.token for kind in KINDS}
    for one, other in itertools.combinations(LOOKS.values(), 2):
        assert one.word != other.word
        assert (one.shape, one.family) != (other.shape, other.family)


def test_a_verdict_of_a_later_version_is_shown_as_what_it_is_called() -> None:
    later = look("too_good_to_be_true")
    assert later.word == "too good to be true"
    looks = looks_of(["too_good_to_be_true", "diverged", "good"])
    assert [one.word for one in looks] == ["good", "diverged", "too good to be true"]
    channels = verdict_channels(looks, THEMES[0])
    assert set(channels) == {"shape", "color"}
