"""Stability: what the recorded weights say by themselves. Rounding, displacement, and swings of period 2.

Letters: n points, k tensors or tracked scalars, T steps.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lrscope.diagnosis.curve import Curve, Floats, Track
from lrscope.diagnosis.thresholds import Thresholds
from lrscope.optimizer_facts import facts_named
from lrscope.plan import Plan

EPS = {"float64": 2.0**-52, "float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}
"""Distance from 1 to the next larger number."""


def epsilon(dtype: str) -> float:
    """Relative spacing of a dtype's numbers; of float32 for a dtype not known."""
    return EPS.get(dtype.rpartition(".")[2], EPS["float32"])


def sizes(shapes: Sequence[Sequence[int]]) -> Floats:
    """Elements of each tensor, [k]."""
    return np.array([math.prod(shape) for shape in shapes], dtype=np.float64)


def _last_row(track: Track) -> Floats | None:
    finite = np.isfinite(track.values).all(axis=-1) if len(track.steps) else np.empty(0, np.bool_)
    return track.values[np.flatnonzero(finite)[-1]] if finite.any() else None


def unchanged_share(curve: Curve, sizes_k: Floats) -> Track | None:
    """Share of all elements that an update left bitwise unchanged though they have a gradient, [n].

    Tensors count by their elements; one whose gradient is all zeros has none to count, unless a share is
    recorded for it nevertheless (a finite difference that rounds to zero is no gradient of zero).
    """
    shares, gradients = curve.tensors.get("unchanged_share"), curve.tensors.get("gradient_norm")
    if shares is None or not len(shares.steps) or shares.values.shape[1] != len(sizes_k):
        return None
    weights = np.broadcast_to(sizes_k, shares.values.shape)
    if gradients is not None and np.array_equal(gradients.steps, shares.steps):
        weights = np.where((gradients.values > 0) | (shares.values > 0), weights, 0.0)
    total = weights.sum(axis=1)
    shares_n = (weights * shares.values).sum(axis=1) / np.where(total > 0, total, 1.0)
    return Track(shares.steps, np.nan_to_num(shares_n))


def displacement(curve: Curve) -> float | None:
    """|w_T - w_0| / |w_0| over all tensors; infinite where the start is all zeros, None if unknown."""
    norms, distances = curve.tensors.get("weight_norm"), curve.tensors.get("distance")
    if norms is None or distances is None or not len(norms.steps):
        return None
    distance = _last_row(distances)
    if distance is None:
        return None
    start, way = float(np.linalg.norm(norms.values[0])), float(np.linalg.norm(distance))
    if start == 0:
        return math.inf if way > 0 else 0.0
    return way / start


class Spread(NamedTuple):
    """How much the tensor that grew most has grown: root mean square at the end over that at the start."""

    ratio: float
    tensor: int


def spread(curve: Curve, sizes_k: Floats) -> Spread | None:
    """The tensor that grew most; None if unknown, or if all weights start at zero.

    A tensor that starts at zero (a bias) is compared with the whole network's root mean square.
    """
    norms = curve.tensors.get("weight_norm")
    if norms is None or not len(norms.steps) or norms.values.shape[1] != len(sizes_k):
        return None
    end = _last_row(norms)
    if end is None or not np.isfinite(norms.values[0]).all():
        return None
    roots_k = np.sqrt(np.maximum(sizes_k, 1))  # a tensor may be empty
    start = norms.values[0] / roots_k
    whole = float(np.linalg.norm(norms.values[0])) / math.sqrt(sizes_k.sum())
    if whole == 0:
        return None
    ratios = end / roots_k / np.where(start > 0, start, whole)
    return Spread(float(ratios.max()), int(ratios.argmax()))


def lost_weights(curve: Curve) -> tuple[int, int] | None:
    """Step and tensor of the first weights that were not finite, None where all were."""
    norms = curve.tensors.get("weight_norm")
    if norms is None or np.isfinite(norms.values).all():
        return None
    row, tensor = np.argwhere(~np.isfinite(norms.values))[0]
    return int(norms.steps[row]), int(tensor)


def gradient_ratio(curve: Curve, least_points: int) -> float | None:
    """Median gradient norm over the last quarter, over the first one; None if unknown."""
    gradients = curve.tensors.get("gradient_norm")
    if gradients is None or not len(gradients.steps):
        return None
    norms_n = np.linalg.norm(gradients.values, axis=1)
    late = Track(gradients.steps, norms_n).last_quarter(curve.steps, least_points)
    return float(np.median(late) / norms_n[0]) if norms_n[0] > 0 else None


def gradient_reads_zero(curve: Curve, least_points: int) -> bool:
    """Whether every gradient over the last quarter was exactly zero; False if unknown."""
    gradients = curve.tensors.get("gradient_norm")
    if gradients is None or not len(gradients.steps):
        return False
    return not gradients.last_quarter(curve.steps, least_points).any()


class Ringing(NamedTuple):
    """Consecutive steps over which a tracked scalar swings about its mean with period 2."""

    tracked: int
    first_step: int
    last_step: int


def ringing(curve: Curve, dtype: str, thresholds: Thresholds) -> Ringing | None:
    """The longest steady swing of period 2 of a tracked scalar, None where none lasts for ten steps.

    Along a direction of curvature lambda gradient descent multiplies the distance from the minimum by
    1 - rate * lambda, which is negative, a swing of period 2, where rate * lambda > 1.
    """
    steps, values_Tk = curve.trajectory
    swings = [(0, 0, 0)]
    for scalar in range(values_Tk.shape[1] if values_Tk.ndim == 2 else 0):
        first, last = _steady_swing(values_Tk[:, scalar], dtype, thresholds)
        swings.append((last - first, -scalar, first))
    length, scalar, first = max(swings)
    if length < thresholds.swing_steps:
        return None
    return Ringing(-scalar, int(steps[first]), int(steps[first]) + length)


def _steady_swing(values_T: Floats, dtype: str, thresholds: Thresholds) -> tuple[int, int]:
    """First and last position of the longest steady swing of period 2; equal where there is none.

    The second difference w_(t+1) - 2 w_t + w_(t-1) takes the slow drift of other directions out of the
    scalar. A swing then shows as a sign that turns at every step, with a size that changes by the same
    factor every time. Noise turns its sign at two steps of three, but its sizes scatter.
    """
    values_T = values_T[np.isfinite(values_T)]
    if len(values_T) < thresholds.swing_steps + 2:
        return 0, 0
    second = values_T[2:] - 2 * values_T[1:-1] + values_T[:-2]
    # Between neighbouring numbers of the dtype nothing rings: that is rounding.
    sizes = np.abs(values_T)
    largest = np.maximum(np.maximum(sizes[2:], sizes[1:-1]), sizes[:-2])
    seen = np.abs(second) > thresholds.swing_rounding * epsilon(dtype) * largest
    turning = (second[1:] * second[:-1] < 0) & seen[1:] & seen[:-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        growth = np.log(np.abs(second[1:] / second[:-1]))
        even = np.abs(np.diff(growth)) < thresholds.swing_evenness
    # Place i of `steady` is about second differences i to i + 2, that is about values i to i + 4.
    first, length = _longest_run(turning[1:] & turning[:-1] & even)
    last = first + length + 3
    swing = np.abs(second[first : first + length + 2]).max(initial=0.0)
    if length == 0 or swing < thresholds.swing_visible * np.ptp(values_T[: last + 1]):
        return 0, 0
    return first + 1, last - 1


def growing_swing(curve: Curve, dtype: str, thresholds: Thresholds) -> float | None:
    """Growth per step of a swing of period 2 that lasts through the late part; None where there is none.

    The second differences of the tracked scalars, as one vector, must turn back upon themselves at nearly
    every step, and grow exponentially at an even pace. On a quadratic the factor is the spectral radius of
    the iteration, above 1 exactly where the optimizer diverges; at a bend of a network's loss surface the
    pace changes.
    """
    values = curve.trajectory.values
    late = max(int(curve.steps * thresholds.late_share), thresholds.late_points)
    if values.ndim != 2 or len(values) < late + 2 or not np.isfinite(values[-late - 2 :]).all():
        return None
    recent = values[-late - 2 :]
    second = recent[2:] - 2 * recent[1:-1] + recent[:-2]
    sizes_T = np.linalg.norm(second, axis=1)
    if sizes_T.min() <= thresholds.swing_rounding * epsilon(dtype) * np.linalg.norm(recent, axis=1).max():
        return None
    cosines = (second[1:] * second[:-1]).sum(axis=1) / (sizes_T[1:] * sizes_T[:-1])
    if np.mean(cosines < -1 / 2) < thresholds.growth_alternating:
        return None
    logs = np.log(sizes_T)
    pace, early, recent_pace = (_slope(part) for part in (logs, *np.array_split(logs, 2)))
    if pace * late <= math.log(thresholds.growth) or min(early, recent_pace) <= 0:
        return None
    if abs(recent_pace - early) > thresholds.growth_evenness * pace:
        return None
    return math.exp(pace)


def growing_update(curve: Curve, thresholds: Thresholds) -> float | None:
    """Growth per step of the size of the updates over the late part; None where they do not grow evenly.

    By itself it says little: the cosine of a batch's gradients before and after tells that they turn back.
    """
    ratios, norms = curve.tensors.get("update_ratio"), curve.tensors.get("weight_norm")
    if ratios is None or norms is None:
        return None
    steps, at, beside = np.intersect1d(ratios.steps, norms.steps, return_indices=True)
    sizes_n = np.linalg.norm(ratios.values[at] * norms.values[beside], axis=1)
    late_n = (steps >= (1 - thresholds.late_share) * curve.steps) & np.isfinite(sizes_n) & (sizes_n > 0)
    if late_n.sum() < thresholds.late_points:
        return None
    logs, places = np.log(sizes_n[late_n]), steps[late_n]
    half = len(logs) // 2
    parts = ((places, logs), (places[:half], logs[:half]), (places[half:], logs[half:]))
    pace, early, recent = (float(np.polyfit(where, what, 1)[0]) for where, what in parts)
    if pace * (places[-1] - places[0]) <= math.log(thresholds.growth) or min(early, recent) <= 0:
        return None
    return math.exp(pace) if abs(recent - early) <= thresholds.growth_evenness * pace else None


def rate_that_moves(curve: Curve, plan: Plan, least: int) -> float | None:
    """The rate at which an update is as large as the spacing of the weights' numbers; None if unknown.

    That is rate * eps / r, r being the late ratio of the update that was meant to the weights: the update
    recorded has already been through rounding. Gradient descent means rate |g| / (1 - b) with momentum b,
    Adam and its like the rate times the root of the number of weights.
    """
    norms, gradients = curve.tensors.get("weight_norm"), curve.tensors.get("gradient_norm")
    if norms is None or not len(norms.values):
        return None
    weights = float(np.median(np.linalg.norm(norms.last_quarter(curve.steps, least), axis=1)))
    follows = facts_named(plan.optimizer).update_length
    if follows == "gradient" and gradients is not None and len(gradients.values):
        late = np.linalg.norm(gradients.last_quarter(curve.steps, least), axis=1)
        kept = 1 - float(plan.optimizer_options.get("momentum", 0.0))
        meant = curve.rate * float(np.median(late)) / max(kept, 1e-3)
    elif follows == "rate":
        meant = curve.rate * math.sqrt(float(sizes(plan.shapes).sum()))
    else:
        return None
    if not (meant > 0 and weights > 0 and math.isfinite(meant) and math.isfinite(weights)):
        return None
    return curve.rate * epsilon(plan.dtype) * weights / meant


def _slope(values: Floats) -> float:
    """Least-squares slope of values at steps 0, 1, 2, ..."""
    steps = np.arange(len(values)) - (len(values) - 1) / 2
    return float(steps @ values / (steps @ steps))


def _longest_run(flags: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> tuple[int, int]:
    """Start and length of the longest run of true flags."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    if not len(edges):
        return 0, 0
    lengths = edges[1::2] - edges[::2]
    return int(edges[2 * lengths.argmax()]), int(lengths.max())
