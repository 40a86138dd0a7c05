"""Shorten: a captured list of operations without those that change nothing.

A vectorised gradient is full of views of a shape the tensor has already, of constants made anew at every step
and of the same question asked twice. For a small model each costs as much as an operation that computes. What
is left gives bitwise the same result; whoever uses it compares (see `capture`).
"""

from typing import Any

import torch
from torch import Tensor
from torch.fx import Graph, GraphModule, Node
from torch.fx.node import map_arg

aten = torch.ops.aten

VIEWS = frozenset(
    (
        aten.alias.default,
        aten.detach.default,
        aten.expand.default,
        aten._unsafe_view.default,
        aten.view.default,
        aten.transpose.int,
        aten.permute.default,
        aten.squeeze.dims,
        aten.squeeze.dim,
        aten.unsqueeze.default,
        aten.select.int,
        aten.slice.Tensor,
        aten.t.default,
    )
)
"""Operations whose result shares the memory of their first argument."""

SAME_SHAPE_IS_SAME = frozenset(
    (
        aten.alias.default,
        aten.detach.default,
        aten.expand.default,
        aten._unsafe_view.default,
        aten.view.default,
    )
)
"""Views that are nothing but another shape."""

FILLS = frozenset((aten.ones_like.default, aten.zeros_like.default, aten.full_like.default))
"""Operations that look at the shape of their argument only."""

FUNCTIONS: dict[Any, Any] = {
    aten._log_softmax.default: torch._log_softmax,
    aten.add.Tensor: torch.add,
    aten.bmm.default: torch.bmm,
    aten.div.Tensor: torch.div,
    aten.gather.default: torch.gather,
    aten.mean.dim: torch.mean,
    aten.mm.default: torch.mm,
    aten.mul.Tensor: torch.mul,
    aten.neg.default: torch.neg,
    aten.relu.default: torch.relu,
    aten.sigmoid.default: torch.sigmoid,
    aten.sub.Tensor: torch.sub,
    aten.sum.default: torch.sum,
    aten.sum.dim_IntList: torch.sum,
    aten.tanh.default: torch.tanh,
    aten.transpose.int: torch.transpose,
    aten.unsqueeze.default: torch.unsqueeze,
    aten.where.self: torch.where,
}
"""The same operations by a shorter way through Python, given positional arguments."""

METHODS = {
    aten.expand.default: "expand",
    aten.view.default: "view",
    aten._unsafe_view.default: "view",
}


def shortened(captured: GraphModule) -> GraphModule:
    """A shorter list with the same results; the given one where anything in it changes a tensor in place."""
    graph = Graph()
    output = graph.graph_copy(captured.graph, {})
    graph.output(output)
    if any(_changes_in_place(node) for node in graph.nodes):
        return captured
    short = GraphModule(captured, graph)
    graph = short.graph
    _without_idle(graph)
    given_out = _sources(graph)
    if any(node.op == "placeholder" for node in given_out):
        return captured  # a gradient that is an argument: leave it to the call that made it
    _once_each(graph, given_out)
    _constants_kept(short, given_out)
    for node in reversed(list(graph.nodes)):
        if not node.users and node.op in ("call_function", "get_attr") and not _draws(node):
            graph.erase_node(node)
    for node in graph.nodes:
        if node.op == "call_function" and not node.kwargs:
            if node.target in METHODS:
                node.target, node.op = METHODS[node.target], "call_method"
            else:
                node.target = FUNCTIONS.get(node.target, node.target)
    short.recompile()
    return short


def _changes_in_place(node: Node) -> bool:
    schema = getattr(node.target, "_schema", None)
    return node.op == "call_function" and (schema is None or schema.is_mutable)


def _draws(node: Node) -> bool:
    return torch.Tag.nondeterministic_seeded in getattr(node.target, "tags", ())


def _value(node: Any) -> Tensor | None:
    """What is known of a node's tensor: its shape, strides and dtype."""
    value = node.meta.get("val") if isinstance(node, Node) else None
    return value if isinstance(value, Tensor) else None


def _alike(one: Any, other: Any) -> bool:
    a, b = _value(one), _value(other)
    if a is None or b is None:
        return False
    return (a.shape, a.stride(), a.dtype) == (b.shape, b.stride(), b.dtype)


def _without_idle(graph: Graph) -> None:
    """Leave out views of the same shape, two transpositions that undo each other, and factors of 1."""
    for node in list(graph.nodes):
        if node.op != "call_function" or not node.args or not isinstance(node.args[0], Node):
            continue
        source = node.args[0]
        if node.target in SAME_SHAPE_IS_SAME and _alike(node, source):
            node.replace_all_uses_with(source)
        elif (
            node.target is aten.transpose.int
            and source.target is aten.transpose.int
            and _alike(node, source.args[0])
            and {_axis(node, axis) for axis in node.args[1:]}
            == {_axis(source, axis) for axis in source.args[1:]}
        ):
            node.replace_all_uses_with(source.args[0])
        elif node.target is aten.mul.Scalar and node.args[1] == 1 and _alike(node, source):
            node.replace_all_uses_with(source)


def _axis(node: Node, axis: Any) -> int:
    value = _value(node)
    assert value is not None
    return int(axis) % value.ndim


def _sources(graph: Graph) -> set[Node]:
    """The nodes whose memory is given out: it must be new at every step, and belong to one result only."""
    found: set[Node] = set()

    def trace(node: Node) -> Node:
        while node.target in VIEWS and isinstance(node.args[0], Node):
            found.add(node)
            node = node.args[0]
        found.add(node)
        return node

    (output,) = (node for node in graph.nodes if node.op == "output")
    map_arg(output.args, trace)
    return found


def _once_each(graph: Graph, given_out: set[Node]) -> None:
    """Ask the same question once."""
    seen: dict[Any, Node] = {}
    for node in list(graph.nodes):
        if node.op != "call_function" or node in given_out or _draws(node):
            continue
        key = repr((node.target, node.args, node.kwargs))
        first = seen.setdefault(key, node)
        if first is not node:
            node.replace_all_uses_with(first)


def _constants_kept(module: GraphModule, given_out: set[Node]) -> None:
    """Compute what depends on nothing once, now, and keep it."""
    graph = module.graph
    known: dict[Node, Any] = {}
    for node in list(graph.nodes):
        if node.op != "call_function" or node in given_out or _draws(node) or not node.users:
            continue
        if node.target in FILLS:
            value = _value(node)
            if value is None:
                continue
            known[node] = _filled(node, value)
        elif all(argument in known for argument in node.all_input_nodes):
            args = map_arg(node.args, known.__getitem__)
            kwargs = map_arg(node.kwargs, known.__getitem__)
            known[node] = node.target(*args, **kwargs)
    for index, (node, value) in enumerate(known.items()):
        if not isinstance(value, Tensor) or all(user in known for user in node.users):
            continue
        name = f"constant_{index}"
        setattr(module, name, value)  # a plain attribute: a buffer takes Python longer to find
        with graph.inserting_before(node):
            node.replace_all_uses_with(graph.create_node("get_attr", name))


def _filled(node: Node, value: Tensor) -> Tensor:
    fills: dict[Any, Any] = {aten.ones_like.default: 1, aten.zeros_like.default: 0}
    number: Any = fills.get(node.target, node.args[-1])
    empty = torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device=value.device)
    return empty.fill_(number)
