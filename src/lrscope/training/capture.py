"""Capture: a vectorised call replaced by the flat list of operations it makes.

Most of the time of a small vectorised call goes into finding out anew, at every step, which operations to
run.
`make_fx` writes them down once for each shape of batch; running the list gives bitwise the same result. It
also forgets everything that is not an operation on tensors: a captured call never runs the user's Python
again. So only functions whose Python has no state of its own are captured (`stateless`), the first replay
must equal the ordinary call bitwise, and so must a few later ones.
"""

import dataclasses
import dis
import functools
import inspect
import types
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn
from torch.fx import GraphModule
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils._pytree import TreeSpec, tree_flatten, tree_unflatten

from lrscope.errors import TrainingError
from lrscope.training.compiled import COMPILED_AFTER, compiled, near
from lrscope.training.random_state import RandomState
from lrscope.training.shorten import shortened

Call: TypeAlias = Callable[[dict[str, Tensor], dict[str, Tensor], Any], tuple[dict[str, Tensor], Tensor]]

CALLS_BEFORE = 32
"""Ordinary calls with a shape of batch before it is captured: writing down costs as much as a few hundred
calls save, and a shape seen so often is likely to be seen again."""

WORTH_CALLS = 256
"""Calls to come from which capturing pays."""

COMPARED = frozenset((2, 10, 100, 1_000, 10_000))
"""Replays that are compared with the ordinary call once more."""

IMMUTABLE = (bool, int, float, complex, str, bytes, type(None), torch.dtype, torch.device, Tensor, nn.Module)


class Given(NamedTuple):
    """What a call is given: tensors by name, and the leaves of a batch with how they belong together."""

    trained: dict[str, Tensor]
    constants: dict[str, Tensor]
    leaves: list[Any]
    spec: TreeSpec


@dataclasses.dataclass
class Operations:
    """A call written down.

    Attributes:
        graph: its list of operations.
        run: runs them.
        replays: how often that was done.
        compiled: whether it runs as machine code, whose numbers are the same but for rounding.
    """

    graph: GraphModule
    run: Callable[..., Any]
    replays: int = 0
    compiled: bool = False


@dataclasses.dataclass
class Written:
    """Calls that are written down, for all that make the same calls.

    Attributes:
        after: ordinary calls with a shape before it is written down.
        compiles: whether what is replayed often is compiled.
        lists: number of lanes and shape of the batch -> its operations.
    """

    after: int = dataclasses.field(default_factory=lambda: CALLS_BEFORE)
    compiles: bool = False
    lists: dict[Any, Operations] = dataclasses.field(default_factory=dict)


class Captured:
    """Behaves as the call it is made from; falls back to it wherever capture is not possible or not equal.

    Args:
        call: (trained, constants, batch) -> (gradients, losses); may change constants in place.
        tell: given a sentence when capturing is given up.
        written: what like calls have written down, and what this one will.
        kind: what else tells calls apart that share `written`.

    Attributes:
        dropped: why capturing was given up; "" as long as it is not.
        expected: calls to come; a shape is captured only where there are enough of them.
    """

    def __init__(
        self,
        call: Call,
        tell: Callable[[str], None] | None = None,
        written: "Written | None" = None,
        kind: object = None,
    ) -> None:
        self._call, self._kind = call, kind
        self._tell = tell
        self._written = Written() if written is None else written
        self._calls: Counter[Any] = Counter()
        self._replays = 0
        self.dropped = ""
        self.expected = WORTH_CALLS

    def _key(self, trained: dict[str, Tensor], leaves: list[Any], spec: TreeSpec) -> Any:
        lanes = next(iter(trained.values())).shape[0]
        return self._kind, lanes, spec, tuple((leaf.shape, leaf.dtype, leaf.stride()) for leaf in leaves)

    def __call__(
        self, trained: dict[str, Tensor], constants: dict[str, Tensor], batch: Any
    ) -> tuple[dict[str, Tensor], Tensor]:
        """The same as the call's own."""
        leaves, spec = flattened(batch)
        if self.dropped or not all(isinstance(leaf, Tensor) for leaf in leaves):
            return self._call(trained, constants, batch)
        key = self._key(trained, leaves, spec)
        operations = self._written.lists.get(key)
        if operations is None:
            self._calls[key] += 1
            if self._calls[key] <= self._written.after or self.expected < WORTH_CALLS:
                return self._call(trained, constants, batch)
            operations = self._write_down(Given(trained, constants, leaves, spec))
            if operations is None:
                return self._call(trained, constants, batch)
            self._written.lists[key] = operations
        self._replays += 1
        operations.replays += 1
        if self._written.compiles and operations.replays == COMPILED_AFTER:
            self._compile(operations, Given(trained, constants, leaves, spec))
        if self._replays in COMPARED and not self._equal(operations, Given(trained, constants, leaves, spec)):
            self._drop(f"captured and ordinary steps differ at call {self._replays}")
            return self._call(trained, constants, batch)
        with torch.no_grad():
            *gradients, losses = operations.run(*trained.values(), *constants.values(), *leaves)
        return dict(zip(trained, gradients, strict=True)), losses

    def _write_down(self, given: Given) -> Operations | None:
        names, fixed = tuple(given.trained), tuple(given.constants)

        def flat(*tensors: Tensor) -> tuple[Tensor, ...]:
            own = dict(zip(names, tensors, strict=False))
            others = dict(zip(fixed, tensors[len(names) :], strict=False))
            batch = tree_unflatten(list(tensors[len(names) + len(fixed) :]), given.spec)
            gradients, losses = self._call(own, others, batch)
            return (*gradients.values(), losses)

        try:
            with RandomState.now().kept():
                # Fake tensors have no values: a size that depends on values cannot be written down,
                # and raises here in place of being kept as it was once.
                trace = make_fx(flat, tracing_mode="fake", _allow_non_fake_inputs=True)
                graph = trace(*given.trained.values(), *given.constants.values(), *given.leaves)
        except Exception as error:
            self._drop(f"the step cannot be captured ({type(error).__name__})")
            return None
        _without_detach(graph)
        for short in (True, False):
            written = shortened(graph) if short else graph
            operations = Operations(written, written.forward)
            if self._equal(operations, given):
                return operations
        self._drop("captured and ordinary steps differ at once")
        return None

    def _compile(self, operations: Operations, given: Given) -> None:
        """Compile operations, unless that cannot be done, or changes more than roundings."""
        copies = [tensor.clone() for tensor in given.constants.values()]
        why = "the compiled step's numbers are others"
        try:
            fast = Operations(
                operations.graph,
                compiled(operations.graph, [*given.trained.values(), *copies, *given.leaves]),
                compiled=True,
            )
            same = self._equal(fast, given)
        except TrainingError as error:
            why, same = str(error), False
        if same:
            operations.run, operations.compiled = fast.run, True
        elif self._tell is not None:
            self._tell(f"steps are captured, but not compiled: {why}")

    def _drop(self, why: str) -> None:
        self.dropped = why
        if self._tell is not None:
            self._tell(f"steps are no longer captured, and slower: {why}")

    def _equal(self, operations: Operations, given: Given) -> bool:
        """Run both on copies from the same random state; what they give and change must be the same, bitwise
        or, of compiled operations, but for rounding.
        """
        ours = {name: tensor.clone() for name, tensor in given.constants.items()}
        theirs = {name: tensor.clone() for name, tensor in given.constants.items()}
        start = RandomState.now()
        with start.kept():
            with torch.no_grad():
                replayed = operations.run(*given.trained.values(), *ours.values(), *given.leaves)
            after = RandomState.now()
            start.restore()
            batch = tree_unflatten(list(given.leaves), given.spec)
            gradients, losses = self._call(given.trained, theirs, batch)
            same_draws = not RandomState.now().differs_from(after)
        expected = (*gradients.values(), losses, *theirs.values())
        if operations.compiled:
            pairs = zip((*replayed, *ours.values()), expected, strict=True)
            return same_draws and all(near(found, wanted) for found, wanted in pairs)
        return same_draws and all(
            torch.allclose(a, b, rtol=0, atol=0, equal_nan=True)
            for a, b in zip((*replayed, *ours.values()), expected, strict=True)
        )


def flattened(batch: Any) -> tuple[list[Any], TreeSpec]:
    """The leaves of a batch, and how they belong together."""
    if type(batch) is tuple and all(type(leaf) is Tensor for leaf in batch):
        # The common case, at a tenth of the cost.
        return list(batch), _tuple_of(len(batch))
    return tree_flatten(batch)


@functools.cache
def _tuple_of(count: int) -> TreeSpec:
    return tree_flatten((0,) * count)[1]


def _without_detach(graph: torch.fx.GraphModule) -> None:
    """Leave out `detach`, of which there are many: a replay records no gradients."""
    for node in list(graph.graph.nodes):
        if node.op == "call_function" and node.target is torch.ops.aten.detach.default:
            node.replace_all_uses_with(node.args[0])
            graph.graph.erase_node(node)
    graph.recompile()


def stateless(model: nn.Module, *functions: Any) -> bool:
    """Whether the Python code of a model and functions can be seen to keep no state between calls.

    Looks at the code of every forward and, through the names they use, at the functions they call: none may
    assign globals, enclosing variables or attributes, or use a mutable object from outside. What torch itself
    brings is taken to be so. A False may be wrong, and costs only time.
    """
    seen: set[int] = set()
    forwards = [type(module).forward for module in model.modules()]
    own = [module for module in functions if isinstance(module, nn.Module)]
    forwards += [type(inner).forward for module in own for inner in module.modules()]
    if any(module._forward_hooks or module._forward_pre_hooks for module in model.modules()):
        return False
    plain = [
        function for function in functions if not isinstance(function, nn.Module) and function is not None
    ]
    return all(_stateless(function, seen) for function in (*forwards, *plain))


def _stateless(function: Any, seen: set[int]) -> bool:
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    if isinstance(function, types.MethodType):
        return isinstance(function.__self__, nn.Module) and _stateless(function.__func__, seen)
    if id(function) in seen or _library(function):
        return True
    seen.add(id(function))
    if inspect.isclass(function):
        return False
    code = getattr(function, "__code__", None)
    if code is None:
        return False
    for instruction in (one for inner in _codes(code) for one in dis.get_instructions(inner)):
        if instruction.opname in (
            "STORE_GLOBAL",
            "STORE_ATTR",
            "DELETE_ATTR",
            "DELETE_GLOBAL",
            "IMPORT_NAME",
        ):
            return False
    free = inspect.getclosurevars(function)
    if function.__closure__ is not None and any(
        instruction.opname == "STORE_DEREF" and instruction.argval in code.co_freevars
        for inner in _codes(code)
        for instruction in dis.get_instructions(inner)
    ):
        return False
    defaults = [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
    return all(
        _harmless(value, seen) for value in (*free.globals.values(), *free.nonlocals.values(), *defaults)
    )


def _harmless(value: Any, seen: set[int]) -> bool:
    """Something from outside that a function may use without keeping state."""
    if isinstance(value, types.ModuleType):
        return _library_name(value.__name__)
    if isinstance(value, IMMUTABLE):
        return True
    if isinstance(value, (tuple, frozenset)):
        return all(_harmless(item, seen) for item in value)
    return callable(value) and _stateless(value, seen)


def _library(function: Any) -> bool:
    return _library_name(getattr(function, "__module__", None) or "")


def _library_name(name: str) -> bool:
    return name.partition(".")[0] in ("torch", "math", "builtins", "_operator", "operator", "collections")


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    """The code of a function and of those defined inside it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _codes(constant)
