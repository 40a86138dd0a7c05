"""What to type to make a study again."""

import shlex

from lrscope.charts.chart import Readable
from lrscope.errors import RatesError
from lrscope.plan import Plan
from lrscope.rates import format_rate, read_rates


def repeat_command(study: Readable) -> str:
    """Return the command that makes such a study; the call in Python where no command reaches the problem."""
    plan, reference = study.plan, study.note("reference")
    if not isinstance(reference, str):
        return _python_call(plan)
    search = study.note("search")
    device = [] if plan.device == "cpu" else ["--device", plan.device]
    if isinstance(search, dict):
        options = ["--budget", f"{search.get('budget', 8):g}", "--seed", str(search.get("seed", 0))]
        options += [] if plan.objective is None else ["--objective", plan.objective]
        return f"lrscope find {reference} {shlex.join([*options, '--epochs', str(plan.epochs), *device])}"
    options = ["--rates", _rates(plan), "--seeds", str(len(plan.seeds)), "--epochs", str(plan.epochs)]
    options += [] if plan.gradient == "autograd" else ["--gradient", plan.gradient]
    curvature = _curvature(plan)
    if curvature is not None:
        options.append("--curvature" if curvature else "--no-curvature")
    options += ["--probes"] if plan.probes else []
    # Unless other scalars are tracked than the first of each tensor, the default tracks the same.
    tensors = [tensor for tensor, _ in plan.tracked]
    if any(any(index) for _, index in plan.tracked) or len(set(tensors)) < len(tensors):
        for tensor, index in plan.tracked:
            options += ["--track", f"{tensor}[{','.join(map(str, index))}]" if index else tensor]
    return f"lrscope sweep {reference} {shlex.join([*options, *device])}"


def _python_call(plan: Plan) -> str:
    """Return the call for a problem that was made in Python."""
    if plan.chosen is not None:
        return f"lrscope.find(problem, epochs={plan.epochs})"
    options = {
        "rates": _rates(plan),
        "seeds": len(plan.seeds),
        "epochs": plan.epochs,
        "gradient": None if plan.gradient == "autograd" else plan.gradient,
        "device": None if plan.device == "cpu" else plan.device,
        "curvature": _curvature(plan),
        "probes": plan.probes or None,
    }
    given = (f", {name}={value!r}" for name, value in options.items() if value is not None)
    return f"lrscope.sweep(problem{''.join(given)})"


def _curvature(plan: Plan) -> bool | None:
    """Return whether curvature was measured; None where it was not, and is not unless asked for.

    Unless asked, it is measured for tiny models that see all examples at every step.
    """
    if plan.curvature_examples is not None:
        return True
    return False if plan.steps_per_epoch == 1 and plan.gradient == "autograd" else None


def _rates(plan: Plan) -> str:
    """Return the rates as they may be typed: start:stop:count where that gives just these, else each rate."""
    texts = [format_rate(rate, 17 if float(f"{rate:.15g}") != rate else 15) for rate in plan.rates]
    short = f"{texts[0]}:{texts[-1]}:{len(texts)}" if len(texts) > 2 else ""
    try:
        if short and read_rates(short) == plan.rates:
            return short
    except RatesError:
        pass
    return ",".join(texts)
