"""What is stored, checked and as Python and numpy values again. The twin of what `recorder.py` encodes.

A file from elsewhere can hold anything in any column, so nothing is taken on trust here; past here it is.
"""

import dataclasses
import json
import math
import types
import typing
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lrscope.language import LANGUAGES, Text
from lrscope.plan import RECORDS, Plan
from lrscope.store import schema


class DamageError(Exception):
    """What is stored does not fit the format; the message says what does not."""


class Chunk(NamedTuple):
    """Some steps of a series: steps int64 [n] and lanes int32 [l], both rising; values float [n, l, w]."""

    steps: NDArray[np.int64]
    lanes: NDArray[np.int32]
    values: NDArray[Any]


class Histogram(NamedTuple):
    """A tensor at an epoch.

    lanes int32 [l], edges float64 [bins + 1], counts uint32 [l, bins], nonfinite uint32 [l].
    """

    epoch: int
    tensor: int
    lanes: NDArray[np.int32]
    edges: NDArray[np.float64]
    counts: NDArray[np.uint32]
    nonfinite: NDArray[np.uint32]


def chunk(row: Sequence[object], lanes: int, width: int) -> Chunk:
    """Read the columns first, last, dtype, lanes, steps, data of a chunk.

    Args:
        row: the columns.
        lanes: of the plan.
        width: w, values of a lane at a step.
    """
    first, last = integer(row[0]), integer(row[1])
    if row[2] not in schema.VALUE_TYPES:
        raise DamageError(f"values of the type {row[2]!r}")
    lane_ids = _lanes(row[3], lanes)
    listed = None if row[4] is None else _array(row[4], schema.STEP)
    count = last - first + 1 if listed is None else len(listed)
    values = _array(row[5], schema.VALUE_TYPES[str(row[2])])
    # Sizes are compared before anything of that size is made: 'last' alone could ask for a terabyte.
    if count < 1 or len(values) != count * len(lane_ids) * width:
        raise DamageError(
            f"{len(values)} values for {count} steps of {len(lane_ids)} lanes with {width} each"
        )
    steps = np.arange(first, last + 1) if listed is None else listed
    if steps[0] != first or steps[-1] != last or (steps[1:] <= steps[:-1]).any():
        raise DamageError(f"steps that do not rise from {first} to {last}")
    return Chunk(steps, lane_ids, values.reshape(count, len(lane_ids), width))


def histogram(row: Sequence[object], lanes: int, tensors: int) -> Histogram:
    """Read the columns epoch, tensor, lanes, edges, counts, nonfinite of a histogram."""
    epoch, tensor, lane_ids = integer(row[0]), integer(row[1]), _lanes(row[2], lanes)
    edges, counts, nonfinite = (
        _array(row[3], schema.EDGE),
        _array(row[4], schema.COUNT),
        _array(row[5], schema.COUNT),
    )
    bins = len(edges) - 1
    if (
        tensor >= tensors
        or bins < 1
        or len(counts) != len(lane_ids) * bins
        or len(nonfinite) != len(lane_ids)
    ):
        raise DamageError(f"{len(counts)} counts for {bins} bins of {len(lane_ids)} lanes of tensor {tensor}")
    return Histogram(epoch, tensor, lane_ids, edges, counts.reshape(len(lane_ids), bins), nonfinite)


def integer(value: object) -> int:
    """A count or a step."""
    if not isinstance(value, int) or value < 0:
        raise DamageError(f"{value!r:.40} for a count")
    return value


def fact(text: object) -> Any:
    """Any JSON value; a text in every language as a `Text`."""
    try:
        return json.loads(text if isinstance(text, str) else "", object_hook=_text)
    except (ValueError, RecursionError) as error:
        raise DamageError(f"JSON that cannot be read, {text!r:.40}") from error


def _text(value: dict[str, Any]) -> Any:
    in_all = value.keys() == set(LANGUAGES) and all(isinstance(one, str) for one in value.values())
    return Text(**value) if in_all else value


def plan(text: object, lanes: int) -> Plan:
    """The plan of a study with so many lanes."""
    try:
        found = Plan.from_json(text if isinstance(text, str) else "")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise DamageError("a plan that cannot be read") from error
    hints = typing.get_type_hints(Plan)
    for field in dataclasses.fields(Plan):
        if not _fits(getattr(found, field.name), hints[field.name]):
            raise DamageError(f"a plan with {field.name} = {getattr(found, field.name)!r:.40}")
    if (
        len(found.lanes) != lanes
        or lanes < 1
        or found.epochs < 0
        or found.steps_per_epoch < 1
        or not all(0 < key.rate < math.inf for key in found.lanes)
        or not {key.rate for key in found.lanes} <= set(found.rates)
        or not {key.seed for key in found.lanes} <= set(found.seeds)
        or len(found.tensors) != len(found.shapes)
        or found.record not in RECORDS
    ):
        raise DamageError("a plan that contradicts itself")
    return found


def _fits(value: object, hint: Any) -> bool:
    """Whether a value is of a type: of those that fields of a plan have."""
    inner = typing.get_args(hint)
    match typing.get_origin(hint):
        case types.UnionType:
            return any(_fits(value, one) for one in inner)
        case origin if origin is tuple:
            if not isinstance(value, tuple):
                return False
            if inner[-1] is Ellipsis:
                return all(_fits(one, inner[0]) for one in value)
            return len(value) == len(inner) and all(map(_fits, value, inner))
        case origin if origin is dict:
            return isinstance(value, dict)
    if hint is float:
        return isinstance(value, float) or _fits(value, int)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63
    return isinstance(value, hint)


def _lanes(blob: object, lanes: int) -> NDArray[np.int32]:
    if blob is None:
        return np.arange(lanes, dtype=np.int32)
    found = _array(blob, schema.LANE)
    if not len(found) or found[0] < 0 or found[-1] >= lanes or (found[1:] <= found[:-1]).any():
        raise DamageError(f"lanes that are no lanes below {lanes}")
    return found


def _array(blob: object, dtype: "np.dtype[Any]") -> NDArray[Any]:
    if not isinstance(blob, bytes) or not blob or len(blob) % dtype.itemsize:
        raise DamageError(
            f"an array of {dtype.name} in {len(blob) if isinstance(blob, bytes) else type(blob)} bytes"
        )
    return np.frombuffer(blob, dtype)
