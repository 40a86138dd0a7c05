"""A gradient check as a table of tensors and one sentence."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from lrscope.outlets.text import count_text, number_text, one_line
from lrscope.rates import format_rate


def show(content: Mapping[str, Any], file: TextIO) -> None:
    """Write the table and the sentence to a stream.

    Args:
        content: the document of a gradient check: problem, loss, examples, tensors, left_out.
        file: standard output.
    """
    tensors = content["tensors"]
    head = f"{one_line(content['problem'])}: autograd beside central finite differences, in float64"
    about = f"{count_text(content['examples'], 'example')} (loss {number_text(content['loss'])})"
    print(f"{head}, on {about}\n", file=file)
    rows = [("tensor", "shape", "checked", "largest error", "outcome"), *map(_row, tensors)]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for name, shape, checked, error, outcome in rows:
        left = (name.ljust(widths[0]), shape.ljust(widths[1]))
        right = (checked.rjust(widths[2]), error.rjust(widths[3]))
        print("  ".join((*left, *right, outcome)), file=file)
    print(file=file)
    if content["left_out"]:
        names = ", ".join(map(one_line, content["left_out"]))
        print(f"Left out, as not trained or no real numbers: {names}.", file=file)
    if any(tensor["sampled"] for tensor in tensors):
        print("* a random sample; all elements at once were checked along a random direction.", file=file)
    print("Errors are shares of a tensor's largest gradient.", file=file)
    print(_sentence(tensors), file=file)


def element_name(tensor: str, index: Sequence[int]) -> str:
    """Return '0.weight[3,5]'; the name alone for a scalar."""
    return one_line(f"{tensor}[{','.join(map(str, index))}]" if index else tensor)


def _row(tensor: Mapping[str, Any]) -> tuple[str, str, str, str, str]:
    checked, size = tensor["checked"], tensor["elements"]
    share = f" ({tensor['wrong']} of {checked})" if 0 < tensor["wrong"] < checked else ""
    outcome = [tensor["outcome"] + share]
    for key, words in (("not_differentiable", "not differentiable here"), ("cannot_tell", "cannot be told")):
        if 0 < tensor[key] < checked:
            outcome.append(f"{tensor[key]} of {checked} {words}")
    if not tensor["has_gradient"]:
        outcome.append("autograd gives it no gradient")
    return (
        one_line(tensor["tensor"]),
        "x".join(map(str, tensor["shape"])) or "scalar",
        f"{checked:,} of {size:,} *" if tensor["sampled"] else f"all {size:,}  ",
        _error(tensor["worst"]),
        ", ".join(outcome),
    )


def _error(worst: Mapping[str, Any] | None) -> str:
    """Return the error of the worst element, as a share of the tensor's largest gradient."""
    if worst is None:
        return "-"
    error = worst["error"]
    if error is None:
        return "not finite"
    return format_rate(error, 2) if error else "0"


def _sentence(tensors: Sequence[Mapping[str, Any]]) -> str:
    wrong = [tensor for tensor in tensors if tensor["outcome"] == "wrong"]
    if wrong:
        named = [tensor for tensor in wrong if tensor["wrong"]]
        many = f"The gradient of {len(wrong)} of {count_text(len(tensors), 'tensor')} is wrong"
        if not named:
            return f"{many}, though no element alone shows it."
        worst = max(named, key=lambda tensor: _size(tensor["worst"]["error"]))
        element = worst["worst"]
        name = element_name(worst["tensor"], element["index"])
        return (
            f"{many}. The worst element is {name}: autograd says {_number(element['autograd'])}, "
            f"finite differences say {_number(element['finite_difference'])}."
        )
    agree = sum(tensor["agree"] for tensor in tensors)
    checked = sum(tensor["checked"] for tensor in tensors)
    if agree == checked:
        return "Every gradient agrees."
    if not agree:
        return "Nothing could be told: the loss is not differentiable at these weights."
    return (
        f"What could be told agrees, {agree:,} of {checked:,} elements; at the others the loss is not smooth."
    )


def _size(error: float | None) -> float:
    return math.inf if error is None else error


def _number(value: float | None) -> str:
    return "a value that is not finite" if value is None else f"{value:.7g}"
