"""Student: the t distribution that paired differences over a few seeds follow, exact, and Holm's correction.

Source: W. S. Gosset (Student), The Probable Error of a Mean, Biometrika 6 (1908) 1-25; the finite sums are
26.7.3 and 26.7.4 of Abramowitz & Stegun, Handbook of Mathematical Functions (1964).
"""

import math
from collections.abc import Sequence

_HALVINGS = 200


def inside(t: float, freedom: int) -> float:
    """P(|T| <= t) of Student's t.

    With theta = atan(t / sqrt(freedom)), for an even number of degrees of freedom it is
    sin theta (1 + 1/2 cos^2 theta + (1 3)/(2 4) cos^4 theta + ...), and for an odd one
    2/pi (theta + sin theta (cos theta + 2/3 cos^3 theta + (2 4)/(3 5) cos^5 theta + ...)), up to the power
    freedom - 2.

    Args:
        t: not negative; infinite gives 1.
        freedom: degrees of freedom, 1 or more.
    """
    return _inside(math.atan(t / math.sqrt(freedom)), freedom)


def quantile(share: float, freedom: int) -> float:
    """The t for which P(|T| <= t) is a share: 12.71 for 0.95 and 1 degree of freedom, 2.776 for 4.

    Args:
        share: above 0 and below 1.
        freedom: degrees of freedom, 1 or more.
    """
    low, high = 0.0, math.pi / 2
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if _inside(middle, freedom) < share:
            low = middle
        else:
            high = middle
    return math.sqrt(freedom) * math.tan(low)


def holm(chances: Sequence[float]) -> tuple[float, ...]:
    """Chances of error (p-values) corrected for having tested so many hypotheses at once, in the order given.

    The k-th smallest of m is multiplied by m - k + 1, and is at least as large as the one before. Source:
    S. Holm, A Simple Sequentially Rejective Multiple Test Procedure, Scand. J. Statistics 6 (1979) 65-70.
    """
    corrected = [0.0] * len(chances)
    highest = 0.0
    for rank, index in enumerate(sorted(range(len(chances)), key=chances.__getitem__)):
        highest = max(highest, min(1.0, (len(chances) - rank) * chances[index]))
        corrected[index] = highest
    return tuple(corrected)


def _inside(theta: float, freedom: int) -> float:
    sine, cosine = math.sin(theta), math.cos(theta)
    odd = freedom % 2 == 1
    term, total = (cosine if odd else 1.0), 0.0
    # The power of the first term is 1 or 0; each next one has two more.
    for power in range(1 if odd else 0, freedom - 1, 2):
        total += term
        term *= (power + 1) / (power + 2) * cosine**2
    return 2 / math.pi * (theta + sine * total) if odd else sine * total
