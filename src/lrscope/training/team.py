"""Team: the lanes of a course in shares, on weights that all see.

This process trains some of them, workers the others. Each share is trained as if there were no others, from
one step that is looked at to the next; there it waits, until all lanes are at one point.

Letters: L lanes.
"""

import functools
import itertools
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lrscope.errors import TrainingError
from lrscope.language import Text
from lrscope.plan import LaneKey
from lrscope.training.gathered import Measures
from lrscope.training.lanes import Lanes
from lrscope.training.looks import Looks
from lrscope.training.share import Arrived, Go, Share, Shares, Stacks, Train, shared_stacks
from lrscope.training.step import Measured, Question, Step, Stretch
from lrscope.training.worker import Worker


def divided(lanes: int, processes: int, per_share: int | None) -> list[list[slice]]:
    """Lanes in runs of neighbours, which have few seeds and so few batches: the shares of each process.

    Args:
        lanes: how many there are.
        processes: at most.
        per_share: lanes, at most; None for all of a process.
    """
    count = min(processes, lanes)
    cuts = [round(lanes * number / count) for number in range(count + 1)]
    return [
        [slice(at, min(at + (per_share or lanes), end)) for at in range(begin, end, per_share or lanes)]
        for begin, end in itertools.pairwise(cuts)
    ]


class Team:
    """All lanes of a course.

    Args:
        keys: the lanes.
        rows: of each process, those of its shares; see `divided`.
        start: a module, for the shapes of its parameters.
        lanes: makes the lanes of a share, given its keys and where its weights are to be.
        train: trains them.
        measures: what they keep of points on the way.
        notes: what is said meanwhile; the workers' sentences are added.

    Attributes:
        keys: the lanes that are still there.
        failure: why no lane of any share can go on, as of `Lanes`.
    """

    def __init__(
        self,
        keys: Sequence[LaneKey],
        rows: Sequence[Sequence[slice]],
        start: nn.Module,
        lanes: Callable[[Sequence[LaneKey], Stacks], Lanes],
        train: Train,
        measures: Measures | None,
        notes: list[str],
    ) -> None:
        self.keys = tuple(keys)
        self._start = start
        self._lanes, self._train, self._measures, self._notes = lanes, train, measures, notes
        self._rows = [share for process in rows for share in process]
        ends = list(itertools.accumulate(len(process) for process in rows))
        self._numbers = [range(end - len(process), end) for end, process in zip(ends, rows, strict=True)]
        self._leaving: frozenset[int] = frozenset()
        self.failure: TrainingError | None = None

    def leave(self, lanes: Collection[int]) -> None:
        """Say which lanes, by id, are to train no further, as of `Lanes`."""
        self._leaving |= frozenset(lanes)

    def steps(self, looks: Looks) -> Generator[Step]:
        """Train all lanes, giving the steps that are looked at.

        Raises:
            TrainingError: of any share.
        """
        weights, gradients = (shared_stacks(self._start, len(self.keys)) for _ in range(2))
        of_share = [self.keys[rows] for rows in self._rows]

        def shares(numbers: Sequence[int]) -> Shares:
            made = {}
            for number in numbers:
                rows = self._rows[number]
                lanes = self._lanes(of_share[number], {name: stack[rows] for name, stack in weights.items()})
                own = {name: stack[rows] for name, stack in gradients.items()}
                made[number] = Share(lanes, self._train, own, self._notes)
            all_rows = slice(self._rows[numbers[0]].start, self._rows[numbers[-1]].stop)
            return Shares(made, {name: stack[all_rows] for name, stack in weights.items()}, self._measures)

        workers: list[Worker] = []
        try:
            try:
                for numbers in self._numbers[1:]:
                    workers.append(Worker(functools.partial(shares, numbers), workers))
            except OSError as error:
                self._alone(workers, error)
            yield from self._together(shares(self._numbers[0]), workers, weights, gradients, looks)
        finally:
            for worker in workers:
                worker.end()

    def _alone(self, workers: list[Worker], error: OSError) -> None:
        """Train all shares in this process, since there can be no other."""
        while workers:
            workers.pop().end()
        self._numbers = [range(len(self._rows))]
        note = Text(
            "no process could be added ({why}): all lanes are trained in this one",
            "不能再开进程（{why}）：所有训练线都在这一个进程里训练",
        ).format(why=error.strerror or str(error))
        if note not in self._notes:
            self._notes.append(note)

    def _together(
        self, own: Shares, workers: Sequence[Worker], weights: Stacks, gradients: Stacks, looks: Looks
    ) -> Iterator[Step]:
        going = dict(enumerate(self.keys[rows] for rows in self._rows))
        ahead = looks(-1)
        while going:
            leaving = self._order_to_leave(going)
            order = Go(tuple(going), ahead, leaving)
            asked = self._at_work(workers, going)
            parts = _merged(_everyone(own, asked, "go", order))
            if not parts:
                return
            for part in parts.values():
                self._notes += [note for note in part.notes if note not in self._notes]
            # A share whose lanes all raised ends as one that is not finite any more, where another goes on.
            failures = [part.failure for part in parts.values()]
            self.failure = None if None in failures else failures[0]
            going = {number: part.keys for number, part in parts.items()}
            there = self._at_work(workers, going)

            def measured(
                going: Mapping[int, tuple[LaneKey, ...]] = going, there: Sequence[Worker] = there
            ) -> Stacks:
                names = _everyone(own, there, "write_gradients")[-1]
                return {name: self._joined(gradients[name], going) for name in names}

            def answers(question: Question, argument: Any, there: Sequence[Worker] = there) -> list[Any]:
                return list(itertools.chain(*_everyone(own, there, "answer", question, argument)))

            seen = {name: self._joined(stack, going) for name, stack in weights.items()}
            step = _step(list(parts.values()), seen, measured, answers, len(there) + 1)
            self.keys = step.keys
            yield step
            ahead = looks(step.index)

    def _at_work(self, workers: Sequence[Worker], going: Mapping[int, object]) -> list[Worker]:
        """The workers that have a share that goes on."""
        numbers = zip(workers, self._numbers[1:], strict=True)
        return [worker for worker, own in numbers if any(number in going for number in own)]

    def _order_to_leave(self, going: dict[int, tuple[LaneKey, ...]]) -> frozenset[int]:
        """The lanes that leave, unless none would stay; a share of which none stays goes no further."""
        leaving, self._leaving = self._leaving, frozenset()
        staying = [n for n, keys in going.items() if any(key.lane not in leaving for key in keys)]
        if not staying:
            return frozenset()
        for number in [number for number in going if number not in staying]:
            del going[number]
        return leaving

    def _joined(self, stack: Tensor, going: Mapping[int, tuple[LaneKey, ...]]) -> Tensor:
        """The rows of the lanes that are there: a copy only once some are not."""
        if sum(map(len, going.values())) == len(stack):
            return stack
        starts = {number: self._rows[number].start for number in going}
        return torch.cat([stack[starts[n] : starts[n] + len(keys)] for n, keys in going.items()])


def _everyone(own: Shares, workers: Sequence[Worker], method: str, *arguments: Any) -> list[Any]:
    """Have the shares of this process and of workers do the same at the same time; what each says."""
    for worker in workers:
        worker.ask(method, *arguments)
    mine = getattr(own, method)(*arguments)
    return [mine, *(worker.answer() for worker in workers)]


def _merged(said: Sequence[Mapping[int, Any]]) -> dict[int, Any]:
    """By share, in the order of the lanes."""
    return dict(sorted(item for of_process in said for item in of_process.items()))


def _step(
    parts: Sequence[Arrived],
    weights: Stacks,
    gradients: Callable[..., Stacks],
    answers: Callable[[Question, Any], list[Any]],
    processes: int,
) -> Step:
    """The shares' steps as one."""
    first = parts[0]
    losses = [part.losses for part in parts if part.losses is not None]
    return Step(
        first.done,
        tuple(key for part in parts for key in part.keys),
        torch.cat(losses) if losses else None,
        weights,
        gradients,
        {name: torch.cat([part.validation[name] for part in parts]) for name in first.validation},
        lambda: [rate for part in parts for rate in part.rates],
        processes=answers,
        stretch=_side_by_side([part.stretch for part in parts], processes),
    )


def _side_by_side(stretches: Sequence[Stretch], processes: int) -> Stretch:
    """Those of other lanes and the same steps as one; its seconds are those of a process, about."""
    measured = [
        Measured(
            of_shares[0].step,
            of_shares[0].names,
            torch.cat([one.values for one in of_shares], dim=1),
            sum(one.seconds for one in of_shares) / processes,
        )
        for of_shares in zip(*(stretch.measured for stretch in stretches), strict=True)
    ]
    rates = [
        (of_shares[0][0], [rate for _, rates in of_shares for rate in rates])
        for of_shares in zip(*(stretch.rates for stretch in stretches), strict=True)
    ]
    return Stretch(
        stretches[0].first,
        torch.cat([stretch.losses for stretch in stretches], dim=1),
        torch.cat([stretch.tracked for stretch in stretches], dim=2),
        measured,
        rates,
    )
