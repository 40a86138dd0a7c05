"""Series: what a run records, as the store announces it."""

from collections import Counter

from lrscope.errors import ProblemError
from lrscope.plan import Plan
from lrscope.record import Series
from lrscope.recording.probe import BEND, BRANCH, COSINE
from lrscope.recording.sharpness import sharpness_series
from lrscope.recording.tensor_quantities import CHANGES, GRADIENTS, WEIGHTS
from lrscope.recording.trajectory import TRAJECTORY


def series(plan: Plan) -> tuple[Series, ...]:
    """Return everything a sweep by this plan records, apart from histograms.

    Raises:
        ProblemError: a metric has the name of another series.
    """
    scalars = [Series("loss", "", "scalar", "mini-batch loss at w_t, before the update")]
    if plan.val_size is not None:
        scalars.append(
            Series("val_loss", "", "scalar", "validation loss in eval mode, averaged over examples")
        )
        scalars += [Series(name, "", "scalar", "averaged over validation examples") for name in plan.metrics]
    if plan.schedule is not None:
        scalars.append(Series("learning_rate", "", "scalar", "rate of the update that follows"))
    scalars += sharpness_series(plan)
    if plan.probes:
        scalars += [COSINE, BEND]
        scalars += BRANCH if plan.schedule is None else ()
    tensors = [quantity.series for quantity in (*WEIGHTS, *GRADIENTS, *CHANGES)]
    every = (*scalars, *tensors, TRAJECTORY)
    counted = Counter(one.name for one in every)
    twice = [name for name in plan.metrics if counted[name] > 1]
    if twice:
        raise ProblemError(
            f"metrics= has {twice[0]!r}, the name of a series of lrscope's own: call it otherwise"
        )
    return every
