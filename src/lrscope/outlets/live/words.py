"""Words: what a live page itself says, in every language it speaks.

What it shows of a study comes in the words of the report and the charts.
"""

from collections.abc import Mapping

Words = Mapping[str, str]

WORDS: dict[str, dict[str, str]] = {
    "en": {
        "language": "en",
        "page": "live",
        "study": "Study",
        "compare": "Compare with",
        "nothing to compare": "nothing",
        "all studies": "All studies",
        "light": "light",
        "dark": "dark",
        "to light": "Switch to the light theme",
        "to dark": "Switch to the dark theme",
        "charts": "Charts",
        "chart valley": "Final loss",
        "chart loss": "Training loss",
        "chart validation": "Validation loss",
        "chart horizon": "Budget",
        "chart overfitting": "Overfitting",
        "chart trajectory": "Weights",
        "chart path": "Paths",
        "chart histogram": "Histograms",
        "chart spread": "Spread",
        "chart gradients": "Gradients",
        "chart updates": "Updates",
        "chart sharpness": "Sharpness",
        "no script": "This page follows a study with a script of its own, and the browser runs none.",
        "footer": "This page reads the study and changes nothing; it asks no other machine for anything. "
        "Charts: Vega and Vega-Lite (BSD 3-Clause).",
        "loading": "Reading the study …",
        "waiting": "The study is not there yet: it appears with the first step of training.",
        "no studies": "There is no study in this folder yet. One that a sweep writes here appears by itself.",
        "unknown study": "There is no study of this name here: {name}",
        "lost": "lrscope live does not answer any more. This page shows what it had, and goes on by itself "
        "when it is started again.",
        "refused": "lrscope live was started again with another token: open the address that it printed.",
        "failed chart": "This chart could not be drawn: {reason}",
        "name": "study",
        "problem": "problem",
        "state": "state",
        "progress": "progress",
        "lanes": "rates",
        "written": "last written",
        "of": "{step} of {steps} steps",
        "state running": "running",
        "state finished": "finished",
        "state interrupted": "interrupted",
        "state failed": "failed",
        "state unfinished": "unfinished",
        "state waiting": "not there yet",
        "state unreadable": "cannot be read",
        "side by side": "Side by side",
        "same settings": "Same in both: {names}.",
        "recommended": "recommended rate",
        "cannot tell": "cannot tell",
        "as good": "as good",
        "first to fail": "first to fail",
        "margin": "safety margin",
        "confidence": "confidence",
        "compared by": "rates compared by",
        "lowest": "lowest such loss",
        "optimizer": "optimizer",
        "schedule": "schedule",
        "epochs": "epochs",
        "steps": "steps",
        "batch": "batch",
        "full batch": "all examples",
        "clipping": "gradient clipping",
        "rates": "rates",
        "seeds": "seeds",
        "parameters": "parameters",
        "gradient": "gradient",
        "precision": "precision, device",
        "none": "none",
    },
}


def words(language: str = "en") -> Words:
    """The words of a language."""
    return WORDS[language]
