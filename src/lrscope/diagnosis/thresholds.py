"""Thresholds: every number a verdict hangs on, in one place, with where it comes from.

"Measured" stands for 10 small tasks (networks of 16 to 64 units, 800 steps, 33 rates, 4 seeds or more), and
for random quadratics whose truth is known exactly: good defaults, not a claim about large networks.
"""

import dataclasses
import math


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """What the rules compare with. All are plain ratios unless a unit is named."""

    least_steps: int = 20
    """Fewer steps say nothing: a catapult alone takes about so many (Lewkowycz et al. 2020, arXiv
    2003.02218)."""

    start_tolerance: float = 1e-3
    """Paired lanes start from one loss; only the order of a sum may differ. Times 8 eps for coarser
    dtypes."""

    smoothing: float = 1 / 50
    """Half-life of the running mean, of the steps; what the factors below were measured with."""

    late_share: float = 1 / 4
    """The late part of a run, over which what lasts is told from what passes."""

    late_points: int = 20
    """... and its points at least: the median of fewer jumps."""

    # frozen, diverged, diverging

    frozen_share: float = 0.9
    """Of the elements, unchanged by an update though their gradient is not zero. Rounding to nearest
    cancels small updates (Zamirai et al. 2020, arXiv 2010.06192); with Gaussian updates 9 of 10 elements
    stand still once the update is below eps/12 of the weight."""

    blow_up: float = 10.0
    """Smoothed loss over the first loss. Of 65 lanes above it after step 43 none ended good (measured)."""

    explosion: float = 1e3
    """Root mean square of a tensor over its first one, the loss being above its start."""

    growth: float = 1.05
    """Of the period-2 swing over the late part. On quadratics the growth is the spectral radius: exact."""

    growth_evenness: float = 0.5
    """The two halves of the late part may differ by this share of the growth rate: a swing that a bending
    loss surface will stop speeds up or slows down first."""

    growth_alternating: float = 0.95
    """Share of the late steps at which the swing turns back upon itself."""

    # at the edge

    edge_from: float = 0.9
    """Rate over the limit of stability from which a lane is at the edge: full-batch training hovers there (J.
    Cohen et al., arXiv 2103.00065)."""

    edge_to: float = 1.3
    """... and up to which; training beyond that is on its way out, or the sharpness has changed since."""

    # ringing

    ringing_product: float = 1.0
    """Rate times sharpness above which a step of plain gradient descent changes the sign: 1 - rate s < 0."""

    swing_steps: int = 10
    """Steps that a swing of period 2 must last. With the evenness below, white noise and random walks passed
    for one at no more than 2 of 10^7 places (measured)."""

    swing_evenness: float = 0.15
    """The natural logarithm of its growth may change so much from one step to the next."""

    swing_visible: float = 1e-3
    """Its largest second difference, over the range of the scalar: less cannot be seen in any picture."""

    swing_rounding: float = 8.0
    """... and over the spacing of the dtype's numbers: less is rounding, and not the rate."""

    # collapsed, not started, failed

    constant_band: float = 0.02
    """Around the loss of the best constant predictor."""

    constant_best: float = 0.7
    """The best lane is below this share of that loss, so that more than a constant can be learned."""

    far_above_constant: float = 2.0
    """A loss that began more than so many times as high as that of a constant answer and came down to it has
    come down: rates may differ in how (features that were not scaled; measured on one such linear model)."""

    redrawn: float = 1.0
    """Distance from the start over the norm of the start: nothing of the first weights is left."""

    spread: float = 3.0
    """Root mean square of a tensor over its first one, as a sign of collapse (warned of above 3,
    measured)."""

    dead_gradient: float = 1e-3
    """Late gradient norm over the first one: nothing pulls the weights any more."""

    barely_moved: float = 1e-2
    """Distance from the start over the norm of the start."""

    well_moved: float = 0.1
    """The distance, in the same unit, that a lane which did not start is advised to aim at."""

    no_progress: float = 0.98
    """End over start: less than 2% was learned."""

    chance: float = 4.0
    """Over the number of validation examples: a share below a constant answer that training on noise comes
    to. Along one direction that has nothing to do with the targets, the best step lowers a squared error by
    chi^2 / n, and twice that is how much it lowers the log likelihood: z = 2 is 4 / n."""

    chance_most: float = 0.1
    """... and no more than this, however few the examples."""

    least_descent: float = 2e-3
    """A best lane that came down by less than 2% of the start, but by more than this share of it, may be
    one of a loss with a large constant part: lanes are then measured against its descent."""

    # frozen in part

    rounded_share: float = 0.5
    """Share of the elements that stand still from which rounding is said to swallow part of the step: with
    Gaussian updates half of them stand still at a ratio of update to weight of eps/2 (measured)."""

    # probes

    turning_back: float = -0.5
    """Cosine of a batch's gradients before and after its own update: +1.00 below the limit of stability of a
    full batch, -0.96 to -0.99 at it; with 32 examples +0.9 at 0.4 of the limit, -0.55 at 0.9 (measured)."""

    batch_edge: float = 1.3
    """Rate times curvature along the update of a small batch, plain gradient descent: 1.96 to 1.98 at the
    edge with full batches, 1.4 to 1.5 with 32 examples (measured); what it settles near is the subject of A.
    Andreyev and P. Beneventano, Edge of Stochastic Stability, arXiv 2412.20553."""

    fewest_probes: int = 4
    """Late probes whose median is believed: of 20 over a run, five are in its last quarter."""

    plateau_errors: float = 2.0
    """A loss is level whose slope over the late part is within so many of its standard errors."""

    branch_drop: float = 0.1
    """Share by which a fifth of the rate must lower the loss at once for what holds it up to be the noise of
    its steps: that part is proportional to the rate, so an eighth of the loss or more is."""

    # unstable

    late_rise: float = 4.0
    """Largest smoothed loss after the first quarter over the smallest before it: 6% of good lanes, 40% of
    failed ones (measured)."""

    end_rise: float = 1.5
    """Smoothed loss at the end over its smallest: 8% of good lanes, 30% of those above the best
    (measured)."""

    rise_regret: float = 0.02
    """A rise counts when it undoes this share of what the best lane learned: near zero any ratio is large."""

    rise_noise: float = 4.0
    """... and when it is this many standard deviations of the smoothed mini-batch noise."""

    rise_calm: float = 2.0
    """... and so many times the rise of the calmest lane: a rise that lanes share is the batches' doing."""

    # overfitting (Prechelt 1998, Early Stopping - But When?: generalisation loss GL = 100 (L / L_min - 1))

    overfitting: float = 5.0
    """GL at the end, in percent."""

    overfitting_errors: float = 2.0
    """Standard errors that the rise must exceed."""

    # in which direction a metric is better

    direction: float = 0.5
    """Rank correlation of a metric with the validation loss from which it tells. A judgement."""

    direction_errors: float = 2.0
    """... and standard errors of the correlation of as many unrelated values, 1 / sqrt(n - 1)."""

    # good, too high, too slow

    tolerance: float = math.log(1.05)
    """Of the natural logarithm of the loss. Alone it covers the best rate in 73 to 78% of sweeps, with the
    errors below and half a lane on each side in 90 to 98% (measured)."""

    errors: float = 2 * math.sqrt(2)
    """Standard errors of a rate's mean, for the difference of two."""

    regret: float = 0.01
    """A lane this near to the best, as a share of what the best learned, is good whatever the ratio says."""

    regret_most: float = 0.25
    """No lane further off is good, however close the ratio of two large losses."""

    interpolating: float = 0.01
    """Below this share of its start the logarithm of a loss jumps by 1 to 4 between seeds (measured): there
    the regret decides alone."""

    noise_window: float = 0.75
    """Decades around the best rate in which the noise between seeds is estimated."""

    # too high, too low: common sayings, and the fair test of overfitting

    far: float = 10.0
    """Times the highest good rate: what has not shown by then is said not to be there. The first rate that
    fails was 1.4 to 18 times the best (measured)."""

    wide: float = 3.0
    """Times the largest weight of a good rate. A judgement: as for `spread`, warned of above 3."""

    useless: float = 0.5
    """Share of what the best rate learned; a rate that misses more is of no use. A judgement."""

    longer: float = 1.05
    """Times as many steps: less is no difference. The same 5% as `tolerance`."""

    confidence: float = 0.95
    """Of intervals over paired seeds, by Student's t, with S. Holm's correction over rates (Scandinavian
    Journal of Statistics 6, 1979)."""

    lower: float = 1.5
    """A rate nearer to the reference than this factor is no lower one: neighbours on a grid of six rates a
    decade are as good as each other. A judgement."""

    lower_steps: tuple[float, ...] = (math.sqrt(10), 10.0)
    """How far below the reference a lower rate is looked for: half a decade and a decade."""

    depth: float = 0.9
    """At equal training loss a lane counts once that loss is so far down the reference's way to its best
    checkpoint: before, there is nothing that could be overfitted. A judgement."""

    still_falling: float = 0.95
    """A best checkpoint after this share of the run is one of a lane that was not at its best yet."""

    longest: int = 20
    """So many times more epochs are advised at most; beyond, equal training losses are out of reach."""

    fair_seeds: int = 5
    """Seeds that a fair comparison starts from: with four degrees of freedom Student's t is 2.8, with one
    12.7."""

    # recommendation

    centring: float = 8.0
    """Weight exp(-8 e) of a rate e above the best, the border of good being 1. On 19 tasks and 2 seeds the
    mean regret was 0.0055 so, 0.006 with equal weights and 0.005 with the best rate alone (measured)."""

    safe_regret: float = 0.05
    """The largest rate below it on every seed is called safe."""

    widest: float = 2.0
    """Decades. Seeds that leave a wider choice have not told anything."""

    fast_enough: float = 3.0
    """Where every loss comes down to next to nothing, rates that took more than so many times the fastest
    lane's steps are not recommended: what is left to tell them apart is time."""

    cliff: float = 3.2
    """A lane with a failing one within this factor stands at the cliff: the first failing rate is 1.4 to 18
    times the best (measured), and half a decade is 3.16."""

    drift: float = 0.4
    """The best rate goes with the steps of a run to the power of minus this: 0.32 with large language models
    (J. Bjorck et al., arXiv 2409.19913), more by the validation loss of lanes that overfit (below). A
    judgement between the two."""

    drift_most: float = 1.0
    """... and at most so: rate times steps is then what stays, as where lanes that overfit want less training
    and not a smaller rate."""

    horizon_slope: float = 0.25
    """A fall of ln rate over ln steps by less is within 0.15 decades over the factor of 4 looked at."""

    seed_scatter: float = 6.0
    """The best rates of two seeds of a task were within this factor of each other in 95% of 60 pairs
    (measured, benchmarks/seed_scatter.py): on one seed, a best rate that moves by less may not have moved."""

    early_stop_slope: float = 0.7
    """The best rate by the final validation loss of lanes that overfit fell with slopes of 0.86, 0.98
    and 1.35 (measured on 3 small tasks): early stopping in disguise."""


DEFAULT = Thresholds()
"""What verdicts and recommendations use unless told otherwise."""
