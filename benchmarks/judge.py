"""A judge of the judge: verdicts beside exactly known truth, with confusion matrix and Wilson intervals.

The lanes are trained by lrscope's own engine; the truth comes from closed forms, exact recurrences or counts
that know nothing of its rules (`known_truth/`, one file a family). A lane within a stated margin of a
boundary (1% over a limit of stability, 5% of an almost-sure one, 5 percentage points of a share) is not
counted on either side.

    python benchmarks/judge.py [FAMILY ...] [--amount 1.0] [--record full|light] [--json FILE]
    python benchmarks/judge.py [FAMILY ...] [--amount 1.0] --agree

With --agree every family is trained twice, recorded fully and lightly, and the verdicts are compared.

Exit code 1 if a demand is missed. With everything about 10 minutes of one core; `--amount 0.1` a minute.
"""

import argparse
import functools
import json
import math
import sys
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

import lrscope
from known_truth.catapults import catapults
from known_truth.constant_answers import constant_answers
from known_truth.freezing import freezing
from known_truth.judged import Judged
from known_truth.minibatch_line import minibatch_lines
from known_truth.overfitted import overfitted
from known_truth.quadratics import noisy_quadratics, quadratics
from known_truth.unsteady import disagreeing, spikes
from lrscope.diagnosis.verdict import KINDS
from lrscope.plan import RECORDS

FAMILIES: dict[str, Callable[[float], Iterator[Judged]]] = {
    "quadratics": quadratics,
    "noisy": noisy_quadratics,
    "line": minibatch_lines,
    "freezing": freezing,
    "collapse": constant_answers,
    "overfitting": overfitted,
    "catapult": catapults,
    "spikes": spikes,
    "seeds": disagreeing,
}

DIVERGED = ("diverged", "diverging")
LOW, HIGH = ("too_slow", "not_started"), ("too_high",)
JUDGED = ("diverged", "frozen", "good", "slow", "high", "failed", "collapsed", "unstable")
"""Truths that say everything about a lane, over which 'cannot tell' is counted."""

FEWEST = 300
"""Lanes a class from which an error of at most 1% can be claimed: the rule of three."""


class Score(NamedTuple):
    """A share of lanes with its 95% Wilson interval, beside what is demanded of it.

    Attributes:
        name: of what.
        hits, total: the share.
        least, most: what is demanded, None where nothing is.
    """

    name: str
    hits: float
    total: float
    least: float | None = None
    most: float | None = None

    @property
    def share(self) -> float:
        """The share, NaN of nothing."""
        return self.hits / self.total if self.total else math.nan

    @property
    def met(self) -> bool | None:
        """Whether the demand is met; None where there is none or nothing was counted."""
        if not self.total or (self.least is None and self.most is None):
            return None
        return (self.least is None or self.share >= self.least) and (
            self.most is None or self.share <= self.most
        )

    @property
    def interval(self) -> tuple[float, float]:
        """E. B. Wilson, J. Amer. Statist. Assoc. 22 (1927), at 95%."""
        if not self.total:
            return math.nan, math.nan
        z, p, n = 1.959964, self.share, self.total
        middle = (p + z * z / (2 * n)) / (1 + z * z / n)
        reach = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        return max(middle - reach, 0.0), min(middle + reach, 1.0)


def scores(lanes: Sequence[Judged]) -> list[Score]:
    """Every share that is reported."""
    told = [lane for lane in lanes if lane.truth.kind not in ("between", "any")]

    def count(truths: Collection[str] | None, kinds: Collection[str]) -> int:
        return sum((truths is None or one.truth.kind in truths) and one.kind in kinds for one in told)

    def of(*truths: str) -> int:
        return sum(one.truth.kind in truths for one in told)

    found = []
    for truth, kinds, precision, recall in (
        ("diverged", DIVERGED, 0.99, 0.98),
        ("frozen", ("frozen",), 0.99, 0.99),
        ("collapsed", ("collapsed",), None, None),
        ("unstable", ("unstable",), None, None),
    ):
        right = count((truth,), kinds)
        told_so = count(None, kinds)
        if truth == "collapsed":
            told_so = count(
                (truth, *(one for one in JUDGED if one != "failed"), "otherwise", "stable"), kinds
            )
        if truth == "unstable":  # elsewhere a lane may be unstable besides
            told_so = count((truth, "steady", "good", "slow", "high"), kinds)
        found.append(Score(f"{truth}: precision", right, told_so, precision))
        found.append(Score(f"{truth}: recall", right, of(truth), recall))
    for name, about in (("edge", "edge"), ("overfitting", "overfitting")):
        known = [one for one in lanes if getattr(one.truth, about) is not None]
        said = [one for one in known if name in one.attributes]
        true = [one for one in known if getattr(one.truth, about)]
        both = sum(name in one.attributes for one in true)
        found.append(Score(f"{name}: F1", 2 * both, len(said) + len(true), 0.95 if name == "edge" else None))
    mixed = count(("slow",), HIGH) + count(("high",), LOW)
    found.append(Score("slow called high or the reverse", mixed, of("slow", "high"), most=0.01))
    found.append(Score("cannot tell", count(JUDGED, ("cannot_tell",)), of(*JUDGED), most=0.10))
    hits, misses = count(("good",), ("good",)), count(("slow", "high", "failed", "diverged"), ("good",))
    found.append(Score("good called good", hits, of("good")))
    found.append(Score("not good called good", misses, of("slow", "high", "failed", "diverged")))
    found.append(Score("catapults called diverged", *_catapults(lanes), most=0.01))
    return found


def _catapults(lanes: Sequence[Judged]) -> tuple[int, int]:
    rising = [one for one in lanes if "catapult" in one.truth.about and "rises" in one.truth.about]
    return sum(one.kind in (*DIVERGED, "failed", "collapsed") for one in rising), len(rising)


def matrix(lanes: Sequence[Judged]) -> dict[str, dict[str, int]]:
    """truth -> verdict -> lanes."""
    counts = Counter((one.truth.kind, one.kind) for one in lanes)
    truths = sorted({truth for truth, _ in counts}, key=lambda t: (t not in JUDGED, t))
    kinds = [entry.token for entry in KINDS if any(counts[truth, entry.token] for truth in truths)]
    return {truth: {kind: counts[truth, kind] for kind in kinds} for truth in truths}


def mistakes(lanes: Sequence[Judged]) -> list[Judged]:
    """Lanes whose verdict is not that of their truth."""
    right = {
        "diverged": DIVERGED,
        "slow": LOW,
        "high": HIGH,
        "stable": tuple(entry.token for entry in KINDS if entry.token not in DIVERGED),
        "moving": tuple(entry.token for entry in KINDS if entry.token != "frozen"),
        "steady": tuple(entry.token for entry in KINDS if entry.token != "unstable"),
        "otherwise": tuple(entry.token for entry in KINDS if entry.token != "collapsed"),
    }
    judged = [one for one in lanes if one.truth.kind not in ("between", "any")]
    wrong = [one for one in judged if one.kind not in right.get(one.truth.kind, (one.truth.kind,))]
    for name in ("edge", "overfitting"):
        known = [one for one in lanes if getattr(one.truth, name) is not None]
        wrong += [one for one in known if getattr(one.truth, name) != (name in one.attributes)]
    return wrong


def _print(table: dict[str, dict[str, int]], found: Sequence[Score], wrong: Sequence[Judged]) -> None:
    kinds = list(next(iter(table.values()), {}))
    print("truth \\ verdict".ljust(16) + "".join(kind.rjust(max(len(kind) + 2, 7)) for kind in kinds))
    for truth, row in table.items():
        cells = (str(row[kind] or ".").rjust(max(len(kind) + 2, 7)) for kind in kinds)
        print(truth.ljust(16) + "".join(cells))
    print()
    for score in found:
        low, high = score.interval
        demand = f">= {score.least:g}" if score.least is not None else ""
        demand += f"<= {score.most:g}" if score.most is not None else ""
        verdict = {None: "", True: "met", False: "MISSED"}[score.met]
        few = "  (few lanes)" if 0 < score.total < FEWEST else ""
        print(
            f"{score.name:34} {score.share:8.4f}  [{low:.4f}, {high:.4f}]  of {score.total:5.0f}"
            f"  {demand:8} {verdict}{few}"
        )
    print(f"\n{len(wrong)} mistakes; the first of each sort:")
    seen: set[tuple[str, str]] = set()
    for one in wrong:
        if (one.truth.kind, one.kind) not in seen:
            seen.add((one.truth.kind, one.kind))
            print(
                f"  {one.truth.kind} -> {one.kind} {list(one.attributes)}: {one.truth.about}: {one.evidence}"
            )


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "families", nargs="*", metavar="FAMILY", help=f"of {', '.join(FAMILIES)}; all of them"
    )
    parser.add_argument("--amount", type=float, default=1.0, help="of the lanes")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--record", choices=RECORDS[:2], default=RECORDS[0])
    parser.add_argument("--agree", action="store_true", help="compare full and light recording")
    asked = parser.parse_args()
    for name in asked.families:
        if name not in FAMILIES:
            parser.error(f"no family {name!r}; there are {', '.join(FAMILIES)}")
    torch.set_num_threads(1)
    if asked.agree:
        return agree(asked.families or tuple(FAMILIES), asked.amount)
    lanes: list[Judged] = []
    seconds = {}
    for name in asked.families or FAMILIES:
        began = time.monotonic()
        lanes += recorded(name, asked.amount, asked.record)
        if asked.json:  # what is done is kept, should the rest be cut short
            _write(asked.json, lanes, seconds)
        seconds[name] = round(time.monotonic() - began, 1)
        print(f"{name}: {len(lanes)} lanes so far, {seconds[name]:.0f} s", file=sys.stderr)
    table, found, wrong = matrix(lanes), scores(lanes), mistakes(lanes)
    _print(table, found, wrong)
    if asked.json:
        _write(asked.json, lanes, seconds)
    return 1 if any(score.met is False for score in found) else 0


def recorded(family: str, amount: float, record: str) -> list[Judged]:
    """The lanes of a family, recorded by a schedule."""
    whole = lrscope.sweep
    lrscope.sweep = functools.partial(whole, record=record)
    try:
        return list(FAMILIES[family](amount))
    finally:
        lrscope.sweep = whole


def agree(families: Sequence[str], amount: float) -> int:
    """Print the share of lanes on which full and light recording agree, family by family."""
    same = total = 0
    for name in families:
        pairs = list(zip(*(recorded(name, amount, record) for record in ("full", "light")), strict=True))
        alike = sum(full.kind == light.kind for full, light in pairs)
        same, total = same + alike, total + len(pairs)
        print(f"{name}: {alike} of {len(pairs)}", flush=True)
        for full, light in [pair for pair in pairs if pair[0].kind != pair[1].kind][:5]:
            print(f"  {full.truth.kind}: {full.kind} / {light.kind}: {full.truth.about}")
    print(f"all: {same} of {total}, {same / total:.4f}")
    return 0 if same >= 0.99 * total else 1


def _write(path: Path, lanes: Sequence[Judged], seconds: dict[str, float]) -> None:
    path.write_text(
        json.dumps(_document(matrix(lanes), scores(lanes), mistakes(lanes), seconds), indent=1) + "\n"
    )


def _document(
    table: dict[str, dict[str, int]],
    found: Sequence[Score],
    wrong: Sequence[Judged],
    seconds: dict[str, float],
) -> dict[str, Any]:
    return {
        "confusion": table,
        "scores": [
            {
                **score._asdict(),
                "share": None if math.isnan(score.share) else score.share,
                "wilson_95": None if math.isnan(score.share) else score.interval,
                "met": score.met,
            }
            for score in found
        ],
        "mistakes": [
            {"truth": one.truth.kind, "verdict": one.kind, "about": one.truth.about, "evidence": one.evidence}
            for one in wrong
        ],
        "seconds": seconds,
    }


if __name__ == "__main__":
    sys.exit(main())
