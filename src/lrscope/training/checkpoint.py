"""Checkpoint: all it takes to open a Runner where another one stood, as tensors and JSON, never pickle."""

import json
import math
from collections.abc import Mapping
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor
from torch.optim import Optimizer

from lrscope.errors import LrscopeError

MARK = "$"
"""Key of a JSON object that stands for something JSON has no word for."""


class CheckpointError(LrscopeError):
    """Raised where a state holds something that is neither a tensor nor plain data."""


class Checkpoint(NamedTuple):
    """The state of a Runner after some updates.

    Attributes:
        done: updates.
        tensors: name -> tensor, each with memory of its own.
        facts: JSON, in which places of tensors are marked.
    """

    done: int
    tensors: dict[str, Tensor]
    facts: Any

    @classmethod
    def of(cls, done: int, state: Mapping[str, Any]) -> Self:
        """Take a checkpoint of a state: nested dicts, lists and tuples of tensors, arrays and plain values.

        Raises:
            CheckpointError: it holds anything else.
        """
        tensors: dict[str, Tensor] = {}
        return cls(done, tensors, _packed(dict(state), tensors))

    @property
    def state(self) -> dict[str, Any]:
        """The state that was packed, equal in every bit."""
        found = _unpacked(self.facts, self.tensors)
        assert isinstance(found, dict)
        return found

    def to_bytes(self) -> bytes:
        """Return it in the safetensors format, with the JSON in its header."""
        from safetensors.torch import save

        facts = json.dumps({"done": self.done, "facts": self.facts}, allow_nan=False)
        return bytes(save(self.tensors, metadata={"lrscope": facts}))

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read what `to_bytes` returned."""
        from safetensors.torch import load

        size = int.from_bytes(data[:8], "little")
        header = json.loads(data[8 : 8 + size])
        facts = json.loads(header["__metadata__"]["lrscope"])
        return cls(facts["done"], load(data), facts["facts"])


def _packed(value: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, Tensor):
        name = str(len(tensors))
        # A copy of its own, contiguous: safetensors keeps no strides and shares no memory.
        tensors[name] = value.detach().clone(memory_format=torch.contiguous_format)
        return {MARK: "tensor", "name": name}
    if isinstance(value, np.ndarray):
        return {MARK: "array", "of": _packed(torch.from_numpy(value.copy()), tensors)}
    if isinstance(value, np.generic):
        return _packed(value.item(), tensors)
    if isinstance(value, float) and not math.isfinite(value):
        return {MARK: "float", "of": repr(value)}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, tuple):
        return {MARK: "tuple", "of": [_packed(one, tensors) for one in value]}
    if isinstance(value, list):
        return [_packed(one, tensors) for one in value]
    if isinstance(value, dict):
        if all(isinstance(key, str) and key != MARK for key in value):
            return {key: _packed(one, tensors) for key, one in value.items()}
        return {MARK: "dict", "of": [[_packed(k, tensors), _packed(v, tensors)] for k, v in value.items()]}
    raise CheckpointError(f"a {type(value).__name__} is neither a tensor nor plain data")


def _unpacked(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    if isinstance(value, list):
        return [_unpacked(one, tensors) for one in value]
    if not isinstance(value, dict):
        return value
    match value.get(MARK):
        case "tensor":
            return tensors[value["name"]].clone()
        case "array":
            return _unpacked(value["of"], tensors).numpy()
        case "float":
            return float(value["of"])
        case "tuple":
            return tuple(_unpacked(one, tensors) for one in value["of"])
        case "dict":
            return {_unpacked(k, tensors): _unpacked(v, tensors) for k, v in value["of"]}
    return {key: _unpacked(one, tensors) for key, one in value.items()}


def optimizer_state(optimizer: Optimizer) -> dict[str, Any]:
    """Return what an optimizer keeps: the options of its groups, and the state of each of its parameters."""
    params = [param for group in optimizer.param_groups for param in group["params"]]
    groups = [{key: v for key, v in group.items() if key != "params"} for group in optimizer.param_groups]
    # Not by item: that would make an entry.
    states = [dict(optimizer.state.get(param) or {}) for param in params]
    return {"groups": groups, "states": states}


def restore_optimizer(optimizer: Optimizer, state: Mapping[str, Any]) -> None:
    """Put an optimizer of the same groups into a state, without the casts of `load_state_dict`."""
    for group, options in zip(optimizer.param_groups, state["groups"], strict=True):
        group.update(options)
    params = [param for group in optimizer.param_groups for param in group["params"]]
    for param, own in zip(params, state["states"], strict=True):
        if own:
            optimizer.state[param] = own
