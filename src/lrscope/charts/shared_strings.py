"""Terms: the words that many charts write beside their axes and in their tooltips."""

from lrscope.language import BLANK, Text, joined, said

RATE = Text("learning rate", "学习率")
RATE_LOG = Text("learning rate (log)", "学习率（对数）")
STEP = Text("optimiser step", "步数")
SEED = Text("seed", "种子")
VERDICT = Text("verdict", "判定")
WHY = Text("why", "原因")
TRAINING_LOSS = Text("training loss", "训练损失")
VALIDATION_LOSS = Text("validation loss", "验证损失")
NO_STEP = Text("No finite loss has been recorded yet.", "还没有记录有限的损失。")
OF_TENSORS = Text("{shown} of {total} tensors.", "{total} 个张量中的 {shown} 个。")
SHOWN_OF_TENSORS = Text("Shown: {shown} of {total} tensors.", "图中是 {total} 个张量中的 {shown} 个。")


def noted(*notes: str | None) -> str:
    """The sentences of a note one after the other, those left out that say nothing."""
    return said(joined((one for one in notes if one), BLANK))
