"""A study's document as plain data: what the terminal shows, without a study behind it."""

from typing import Any

KINDS = ("not_started", "too_slow", "too_slow", "good", "good", "unstable", "failed", "diverged")
RATES = (1e-5, 1e-4, 4.6415888e-4, 1e-3, 0.0021544, 0.01, 0.1, 1.0)


def lane(rate: float, verdict: str, *, seed: int = 0, **changes: Any) -> dict[str, Any]:
    """A lane of the document."""
    stopped = verdict == "diverged"
    return {
        "lane": 0,
        "rate": rate,
        "seed": seed,
        "state": "stopped" if stopped else "finished",
        "verdict": verdict,
        "attributes": [],
        "evidence": f"evidence of {verdict} at {rate:g}: the loss is 2.345, 1.2 times the best lane's",
        "step": 17 if stopped else None,
        "steps": 17 if stopped else 225,
        "stopped_step": 17 if stopped else None,
        "final_train_loss": None if stopped else 1.2345678,
        "final_val_loss": None if stopped else 2.3456789,
        "best_val_loss": 0.98765432,
        "best_val_step": 90,
        "metrics": {"accuracy": None if stopped else 0.97214},
        **changes,
    }


def document(seeds: int = 1, **changes: Any) -> dict[str, Any]:
    """A document with a lane of most kinds, for every seed."""
    plan = {
        "problem": "digits",
        "optimizer": "Adam",
        "schedule": None,
        "epochs": 5,
        "steps_per_epoch": 45,
        "batch_size": 32,
        "train_size": 1440,
        "val_size": 357,
        "clip_norm": None,
        "rates": list(RATES),
        "seeds": list(range(seeds)),
        "metrics": ["accuracy"],
    }
    return {
        "schema": 1,
        "plan": {**plan, **changes.pop("plan", {})},
        "state": "finished",
        "lanes": [
            lane(rate, verdict, seed=seed)
            for seed in range(seeds)
            for rate, verdict in zip(RATES, KINDS, strict=True)
        ],
        "recommendation": {"rate": 1e-3, "sentence": "Take 1e-3: anything from 1e-3 to 0.00215 is as good."},
        **changes,
    }
