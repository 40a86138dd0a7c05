"""Wording: how the setting and the state of a study are told, wherever they are told in a line."""

from lrscope.language import Text, said, say
from lrscope.outlets.numerals import count_text

_STATES = {
    "running": Text("running", "进行中"),
    "finished": Text("finished", "已完成"),
    "interrupted": Text("interrupted", "被中断"),
    "failed": Text("failed", "失败"),
    "unfinished": Text("unfinished", "未完成"),
}


def state_word(state: str) -> str:
    """The state of a study in a word."""
    return said(_STATES.get(state, state))


def length_text(epochs: int, steps: int) -> str:
    """'5 epochs of 45 steps'."""
    of_epochs, of_steps = count_text(epochs, "epoch"), count_text(steps, "step")
    return say("{epochs} of {steps}", "{epochs}，每轮 {steps}", epochs=of_epochs, steps=of_steps)


def batch_text(size: int, examples: int | None) -> str:
    """'batch 32', or 'full batch' where it is all the examples."""
    if not size or size == examples:
        return say("full batch", "全批次")
    return say("batch {size}", "批次 {size}", size=size)
