"""Repeating: what to type to make a study again."""

import shlex

from lrscope.charts.chart import Readable
from lrscope.errors import RatesError
from lrscope.plan import Plan
from lrscope.rates import format_rate, read_rates


def repeating(study: Readable) -> str:
    """The command that makes such a study; the call in Python where no command reaches the problem."""
    plan, reference = study.plan, study.note("reference")
    if not isinstance(reference, str):
        return _call(plan)
    searched = study.note("search")
    if isinstance(searched, dict):
        asked = ["--budget", f"{searched.get('budget', 8):g}", "--seed", str(searched.get("seed", 0))]
        asked += [] if plan.objective is None else ["--objective", plan.objective]
        return _typed("find", reference, [*asked, "--epochs", str(plan.epochs), *_device(plan)])
    asked = ["--rates", _rates(plan), "--seeds", str(len(plan.seeds)), "--epochs", str(plan.epochs)]
    asked += [] if plan.gradient == "autograd" else ["--gradient", plan.gradient]
    if _curvature(plan) is not None:
        asked.append("--curvature" if _curvature(plan) else "--no-curvature")
    asked += ["--probes"] if plan.probes else []
    if any(any(index) for _, index in plan.tracked) or len({tensor for tensor, _ in plan.tracked}) < len(
        plan.tracked
    ):
        for tensor, index in plan.tracked:
            asked += ["--track", f"{tensor}[{','.join(map(str, index))}]" if index else tensor]
    return _typed("sweep", reference, [*asked, *_device(plan)])


def _typed(command: str, reference: str, options: list[str]) -> str:
    """A command line; the reference is as it was typed, with the options that change the problem."""
    return f"lrscope {command} {reference} {shlex.join(options)}"


def _device(plan: Plan) -> list[str]:
    return [] if plan.device == "cpu" else ["--device", plan.device]


def _call(plan: Plan) -> str:
    """The call in Python, for a problem that was made there."""
    if plan.chosen is not None:
        return f"lrscope.find(problem, epochs={plan.epochs})"
    options = {"gradient": plan.gradient} if plan.gradient != "autograd" else {}
    options |= {"device": plan.device} if plan.device != "cpu" else {}
    more = "".join(f", {name}={value!r}" for name, value in options.items())
    more += "" if _curvature(plan) is None else f", curvature={_curvature(plan)}"
    more += ", probes=True" if plan.probes else ""
    asked = f"rates={_rates(plan)!r}, seeds={len(plan.seeds)}, epochs={plan.epochs}"
    return f"lrscope.sweep(problem, {asked}{more})"


def _curvature(plan: Plan) -> bool | None:
    """Whether curvature was measured; None where it was not, and is not unless asked for.

    Unasked it is measured of tiny models that see all examples at every step.
    """
    if plan.curvature_examples is not None:
        return True
    return False if plan.steps_per_epoch == 1 and plan.gradient == "autograd" else None


def _rates(plan: Plan) -> str:
    """The rates as they may be typed: start:stop:count where that gives just these, else one by one."""
    every = [format_rate(rate, 17 if float(f"{rate:.15g}") != rate else 15) for rate in plan.rates]
    short = f"{every[0]}:{every[-1]}:{len(every)}" if len(every) > 2 else ""
    try:
        if short and read_rates(short) == plan.rates:
            return short
    except RatesError:
        pass
    return ",".join(every)
