"""A Runner opened from a checkpoint goes on bitwise as if it had never stopped."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_conformance import RATES, SCHEDULES, make_problem
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from lrscope.executors.block_runner import BlockRunner
from lrscope.plan import Plan
from lrscope.record import HistogramRecord, Record
from lrscope.training.block import Block
from lrscope.training.checkpoint import Checkpoint, CheckpointError
from lrscope.training.prepare import Prepared, prepare
from lrscope.training.random_state import undisturbed

STEPS = 54


def everything(messages: object) -> dict[tuple[str, int], bytes]:
    """Every number of the Records, by series and step; a later row of the same place must not come."""
    found: dict[tuple[str, int], bytes] = {}
    for message in messages:
        if isinstance(message, Record):
            for step, values in zip(message.steps.tolist(), message.values, strict=True):
                assert (message.quantity, step) not in found
                found[message.quantity, step] = message.lanes.tobytes() + values.tobytes()
        elif isinstance(message, HistogramRecord):
            arrays = [*message.edges, *message.counts, *message.nonfinite]
            found["histogram", message.epoch] = b"".join(
                np.ascontiguousarray(one).tobytes() for one in arrays
            )
    return found


def held(prepared: Prepared, block: Block, plan: Plan, stops: list[int]) -> dict[tuple[str, int], bytes]:
    """Train a Block, by a new Runner after every stop, from the bytes of the last one's checkpoint."""
    found: dict[tuple[str, int], bytes] = {}
    data: bytes | None = None
    for until in [*stops, plan.steps]:
        checkpoint = None if data is None else Checkpoint.from_bytes(data)
        runner = BlockRunner(prepared, block, plan, checkpoint=checkpoint)
        new = everything(runner.advance(until))
        assert not found.keys() & new.keys()
        found |= new
        data = runner.checkpoint().to_bytes()
        runner.close()
    return found


def check(stops: list[int], per_block: int | None = None, **fields: object) -> None:
    with undisturbed():
        prepared = prepare(make_problem(**fields), RATES, (3,), lanes_per_block=per_block)
        plan = prepared.plan
        assert plan.steps == STEPS
        for block in prepared.blocks(plan.lanes):
            whole = everything(BlockRunner(prepared, block, plan).advance(plan.steps))
            assert held(prepared, block, plan, stops) == whole


@pytest.fixture(autouse=True, scope="module")
def float64():
    torch.set_default_dtype(torch.float64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lrscope.training.capture.WORTH_CALLS", 0)  # these runs are short
        patch.setattr("lrscope.training.capture.CALLS_BEFORE", 10)
        yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize(
    "model", ["mlp", "batchnorm", "tied", "unused", "gru", "transformer-dropout", "branching", "rebinding"]
)
def test_every_model(model: str) -> None:
    check([1, 37], model=model, optimizer="adam")


@pytest.mark.parametrize("optimizer", ["nesterov", "amsgrad", "rmsprop", "nadam", "asgd"])
def test_every_optimizer(optimizer: str) -> None:
    check([6, 40], model="dropout", optimizer=optimizer, clip_norm=0.5)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_schedule(schedule: str) -> None:
    check([5, 23], model="mlp", optimizer="momentum", schedule=SCHEDULES[schedule])


@settings(max_examples=6, deadline=None)
@given(
    st.lists(st.integers(0, STEPS - 1), min_size=1, max_size=4, unique=True), st.sampled_from([None, 1, 2])
)
def test_any_step(stops: list[int], per_block: int | None) -> None:
    check(sorted(stops), per_block, model="dropout", optimizer="adamw")


@pytest.mark.parametrize("kind", ["dataset", "loader", "shuffled loader"])
def test_data_of_every_kind(kind: str) -> None:
    generator = torch.Generator().manual_seed(7)
    X, y = torch.randn(90, 6, generator=generator), torch.randint(0, 3, (90,), generator=generator)
    train = TensorDataset(X, y)
    data: object = torch.utils.data.Subset(train, range(90))
    if kind != "dataset":
        own = torch.Generator().manual_seed(5)
        data = DataLoader(train, batch_size=16, shuffle=kind == "shuffled loader", generator=own)
    check([6, 20, 53], model="dropout", optimizer="adam", train=data)


def test_curvature_and_probes_go_on() -> None:
    with undisturbed():
        problem = make_problem("mlp", "adam", batch_size=0, epochs=STEPS)
        prepared = prepare(problem, RATES, 1, curvature=True, probes=True)
        (block,) = prepared.blocks(prepared.plan.lanes)
        whole = everything(BlockRunner(prepared, block, prepared.plan).advance(STEPS))
        found = held(prepared, block, prepared.plan, [9, 30])
    assert {name for name, _ in whole} >= {"sharpness", "same_batch_cosine", "branch_loss"}
    exact = {key: value for key, value in whole.items() if "sharp" not in key[0] and "precond" not in key[0]}
    assert {key: found[key] for key in exact} == exact
    assert found.keys() == whole.keys()


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner),
        max_leaves=12,
    )
)
def test_plain_data_survives_the_bytes(value: object) -> None:
    tensor = torch.arange(5, dtype=torch.bfloat16)
    state = {"value": value, "pair": (1, tensor), "array": np.arange(3, dtype=np.uint32)}
    found = Checkpoint.from_bytes(Checkpoint.of(7, state).to_bytes())
    assert found.done == 7
    assert found.state["value"] == value
    assert found.state["pair"][0] == 1
    assert torch.equal(found.state["pair"][1], tensor)
    assert found.state["array"].tolist() == [0, 1, 2]


def test_what_is_no_plain_data_is_refused() -> None:
    with pytest.raises(CheckpointError, match="Linear"):
        Checkpoint.of(1, {"model": nn.Linear(1, 1)})
