"""A sweep of K rates against what else one could run: set-up, tracing, compiling and recording counted.

Rivals, in the same run and in turn, none of which records or validates anything:

- the loop a user writes, one training run a rate after another: tensors indexed, no DataLoader, with the
  optimizer's default path; and the same with `fused=True`. One thread or torch's default number, whichever is
  faster in a short trial;
- that loop in two worker processes, started before the clock, of one thread each;
- JAX: `vmap` over the rates of a `scan` over the steps, with optax (extra `bench`);
- asked for by name, `compiled`: the sweep itself with `--compile`.

Prints seconds and ratios of medians (above 1: the sweep is faster) and writes a JSON and a plot.

    python benchmarks/performance.py [--cases line,digits] [--lanes 1,4,16,64] [--steps N | --seconds 20]
        [--rounds 5] [--rivals loop,fused,workers,jax,compiled] [--clock wall|cpu] [--out performance]
"""

import argparse
import concurrent.futures
import dataclasses
import importlib.util
import json
import multiprocessing
import platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

import altair as alt
import numpy as np
import torch

import lrscope
from speed_cases import CASES

LOWEST, HIGHEST = 1e-5, 1e-1
DEFAULT_THREADS = torch.get_num_threads()


class Spent(NamedTuple):
    """Seconds: on the wall, and of all processors together."""

    wall: float
    cpu: float


@dataclasses.dataclass(frozen=True)
class Setting:
    """One model at so many rates for so many steps; what a worker process is told."""

    case: str
    rates: tuple[float, ...]
    steps: int
    threads: int = 1

    def problem(self) -> lrscope.Problem:
        return CASES[self.case].make(self.steps)


def orders(problem: lrscope.Problem, steps: int) -> Sequence[torch.Tensor]:
    """The examples of every step."""
    size = len(problem.train[0])
    generator = torch.Generator().manual_seed(0)
    if not problem.batch_size:
        return [torch.arange(size)] * steps
    epochs = (torch.randperm(size, generator=generator) for _ in range(problem.epochs))
    return [index for epoch in epochs for index in epoch.split(problem.batch_size)][:steps]


def loop(setting: Setting, **options: bool) -> list[list[float]]:
    """One training run a rate, as it stands in a thousand notebooks; the losses [lanes, steps]."""
    torch.set_num_threads(setting.threads)
    problem = setting.problem()
    X, y = problem.train
    full = not problem.batch_size
    histories = []
    for rate in setting.rates:
        torch.manual_seed(0)
        model = problem.model()
        optimizer = problem.optimizer(model.parameters(), lr=rate, **options)
        generator = torch.Generator().manual_seed(0)
        losses: list[torch.Tensor] = []
        while len(losses) < setting.steps:
            order = torch.arange(len(X)) if full else torch.randperm(len(X), generator=generator)
            for index in order.split(problem.batch_size or len(X)):
                if len(losses) == setting.steps:
                    break
                optimizer.zero_grad()
                loss = problem.loss(model(X), y) if full else problem.loss(model(X[index]), y[index])
                loss.backward()
                optimizer.step()
                losses.append(loss.detach())
        histories.append([float(loss) for loss in losses])
    return histories


def timed_loop(setting: Setting, **options: bool) -> Spent:
    return timed(lambda: loop(setting, **options))


def timed(what: Callable[[], object]) -> Spent:
    wall, cpu = time.perf_counter(), time.process_time()
    what()
    return Spent(time.perf_counter() - wall, time.process_time() - cpu)


def in_jax(setting: Setting) -> np.ndarray:
    import jax_rival

    problem = setting.problem()
    torch.manual_seed(0)
    start = {name: parameter.detach().numpy() for name, parameter in problem.model().named_parameters()}
    order = torch.stack(list(orders(problem, setting.steps))).numpy()
    data = tuple(tensor.numpy() for tensor in problem.train)
    return jax_rival.losses(setting.case, start, data, order, setting.rates)


def timed_jax(setting: Setting) -> Spent:
    return timed(lambda: in_jax(setting))


def recorded(setting: Setting, **options: bool) -> Spent:
    torch.set_num_threads(DEFAULT_THREADS)
    return timed(lambda: lrscope.sweep(setting.problem(), setting.rates, **options).close())


class Workers:
    """Two processes that run the loop, and one that runs JAX, ready before the clock starts."""

    def __init__(self) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._two = [concurrent.futures.ProcessPoolExecutor(1, mp_context=spawn) for _ in range(2)]
        self._jax = concurrent.futures.ProcessPoolExecutor(1, mp_context=spawn)

    def two(self, setting: Setting) -> Spent:
        shares = (setting.rates[::2], setting.rates[1::2])
        settings = [dataclasses.replace(setting, rates=share, threads=1) for share in shares if share]
        began = time.perf_counter()
        futures = [worker.submit(timed_loop, one) for worker, one in zip(self._two, settings, strict=False)]
        cpu = sum(future.result().cpu for future in futures)
        return Spent(time.perf_counter() - began, cpu)

    def jax(self, setting: Setting) -> Spent:
        return self._jax.submit(timed_jax, setting).result()

    def close(self) -> None:
        for worker in (*self._two, self._jax):
            worker.shutdown()


def faster_threads(case: str) -> tuple[int, float]:
    """The number of threads with which the loop is faster, and its seconds a step."""
    found = {}
    for threads in sorted({1, DEFAULT_THREADS}):
        setting = Setting(case, (1e-3,), 10, threads)
        loop(setting)
        found[threads] = min(timed_loop(setting).wall for _ in range(3)) / setting.steps
    threads = min(found, key=lambda one: found[one])
    return threads, found[threads]


def whole_epochs(case: str, steps: int) -> int:
    """So many steps and those to the end of their epoch, which a sweep does as well."""
    problem = CASES[case].make(steps)
    size = len(problem.train[0])
    return problem.epochs * -(-size // (problem.batch_size or size))


def measure(options: argparse.Namespace) -> list[dict[str, object]]:
    """A row for each case and number of lanes."""
    workers = Workers()
    rivals: dict[str, Callable[[Setting], Spent]] = {
        "loop": timed_loop,
        "fused": lambda setting: timed_loop(setting, fused=True),
        "workers": workers.two,
        "jax": workers.jax,
        "compiled": lambda setting: recorded(setting, compile=True),
    }
    wanted = [name for name in rivals if name in options.rivals]
    if "jax" in wanted and not (importlib.util.find_spec("jax") and importlib.util.find_spec("optax")):
        print("!!! JAX IS NOT INSTALLED AND IS LEFT OUT: pip install -e .[bench] !!!", file=sys.stderr)
        wanted.remove("jax")
    contenders = {"lrscope": recorded} | {name: rivals[name] for name in wanted}
    rows: list[dict[str, object]] = []
    try:
        for case in options.cases:
            threads, a_step = faster_threads(case)
            for lanes in options.lanes:
                steps = options.steps or CASES[case].steps or max(2, int(options.seconds / lanes / a_step))
                steps = whole_epochs(case, steps)
                setting = Setting(case, tuple(np.geomspace(LOWEST, HIGHEST, lanes).tolist()), steps, threads)
                for run in contenders.values():  # warms up: imports, allocator, pages
                    run(dataclasses.replace(setting, steps=2))
                spent: dict[str, list[Spent]] = {name: [] for name in contenders}
                for round_ in range(options.rounds):
                    # What runs after a long rival finds memory given back, and other things in the cache.
                    turn = reversed(contenders.items()) if round_ % 2 else contenders.items()
                    for name, run in turn:
                        spent[name].append(run(setting))
                    print(f"{case}, {lanes} lanes: round {round_ + 1} of {options.rounds}", file=sys.stderr)
                row = {"case": case, "lanes": lanes, "steps": steps, "threads": threads, "spent": spent}
                rows.append(row)
                print(line_of(row, options.clock), flush=True)
    finally:
        workers.close()
    return rows


def median(row: dict[str, object], name: str, clock: str) -> float:
    return statistics.median(getattr(one, clock) for one in row["spent"][name])  # type: ignore[index]


COLUMNS = ("loop", "fused", "workers", "jax", "compiled")


def heading() -> str:
    return f"{'case':14}{'lanes':>6}{'steps':>8}{'lrscope s':>11}" + "".join(f"{c:>12}" for c in COLUMNS)


def line_of(row: dict[str, object], clock: str) -> str:
    """Seconds of the sweep, and the time of every rival over it."""
    own = median(row, "lrscope", clock)
    ratios = "".join(
        f"{median(row, name, clock) / own:12.2f}" if name in row["spent"] else f"{'-':>12}"  # type: ignore[operator]
        for name in COLUMNS
    )
    return f"{row['case']:14}{row['lanes']:6}{row['steps']:8}{own:11.2f}{ratios}"


def plot(rows: Sequence[dict[str, object]], clock: str) -> alt.Chart:
    """What K lanes cost, in plain training runs of one rate (the loop's time a rate and step)."""
    points = []
    for row in rows:
        if "loop" not in row["spent"]:  # type: ignore[operator]
            continue
        one_run = median(row, "loop", clock) / row["lanes"]  # type: ignore[operator]
        points += [
            {
                "case": row["case"],
                "lanes": row["lanes"],
                "runs": median(row, name, clock) / one_run,
                "who": who,
            }
            for name, who in (("lrscope", "lrscope"), ("jax", "JAX"), ("loop", "one after another"))
            if name in row["spent"]  # type: ignore[operator]
        ]
    scale = alt.Scale(type="log", base=2)
    return (
        alt.Chart(alt.Data(values=points))
        .mark_line(point=True)
        .encode(
            x=alt.X("lanes:Q", scale=scale, title="rates"),
            y=alt.Y("runs:Q", scale=scale, title="cost in plain runs"),
            color=alt.Color("who:N", title=None),
            facet=alt.Facet("case:N", columns=4, title=None),
        )
        .properties(width=160, height=140)
    )


def about() -> dict[str, object]:
    def of(package: str) -> str:
        try:
            return version(package)
        except PackageNotFoundError:
            return "not installed"

    packages = {name: of(name) for name in ("lrscope", "torch", "numpy", "jax", "optax")}
    return {
        "machine": platform.machine(),
        "threads": DEFAULT_THREADS,
        "python": platform.python_version(),
        **packages,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = lambda text: text.split(",")  # noqa: E731
    parser.add_argument("--cases", type=names, default=list(CASES))
    parser.add_argument("--lanes", type=lambda text: [int(one) for one in text.split(",")], default=[16])
    parser.add_argument("--steps", type=int, default=0, help="for all cases, in place of their own")
    parser.add_argument("--seconds", type=float, default=20.0, help="of the loop, where no steps are given")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rivals", type=names, default=["loop", "fused", "workers", "jax"])
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall", help="of the table and the plot")
    parser.add_argument("--out", type=Path, help="NAME.json and NAME.svg are written")
    options = parser.parse_args(arguments)
    unknown = [case for case in options.cases if case not in CASES]
    if unknown:
        parser.error(f"there is no case {unknown[0]!r}; there is: {', '.join(CASES)}")
    print(", ".join(f"{key} {value}" for key, value in about().items()))
    print(heading(), flush=True)
    rows = measure(options)
    if options.out is not None:
        document = {"about": about(), "clock": options.clock, "rows": rows}
        options.out.with_suffix(".json").write_text(json.dumps(document, indent=1))
        plot(rows, options.clock).save(options.out.with_suffix(".svg"))


if __name__ == "__main__":
    main()
