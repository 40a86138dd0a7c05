"""Words: what a live page itself says, in every language it speaks.

What it shows of a study comes in the words of the report and the charts.
"""

from collections.abc import Mapping

from lrscope.language import COMMA, TAG, Text, said, speaking

Words = Mapping[str, str]

WORDS: dict[str, Text] = {
    "language": TAG,
    "page": Text("live", "实时"),
    "study": Text("Study", "研究"),
    "compare": Text("Compare with", "对比"),
    "nothing to compare": Text("nothing", "不对比"),
    "all studies": Text("All studies", "所有研究"),
    "light": Text("light", "浅色"),
    "dark": Text("dark", "深色"),
    "to light": Text("Switch to the light theme", "换成浅色主题"),
    "to dark": Text("Switch to the dark theme", "换成深色主题"),
    "charts": Text("Charts", "图表"),
    "chart valley": Text("Final loss", "最终损失"),
    "chart loss": Text("Training loss", "训练损失"),
    "chart validation": Text("Validation loss", "验证损失"),
    "chart horizon": Text("Budget", "训练长度"),
    "chart overfitting": Text("Overfitting", "过拟合"),
    "chart trajectory": Text("Weights", "权重"),
    "chart path": Text("Paths", "路径"),
    "chart histogram": Text("Histograms", "直方图"),
    "chart spread": Text("Spread", "离散程度"),
    "chart gradients": Text("Gradients", "梯度"),
    "chart updates": Text("Updates", "更新"),
    "chart sharpness": Text("Sharpness", "锐度"),
    "no script": Text(
        "This page follows a study with a script of its own, and the browser runs none.",
        "这一页用自己的脚本跟踪研究，而浏览器不运行脚本。",
    ),
    "footer": Text(
        "This page reads the study and changes nothing; it asks no other machine for anything. "
        "Charts: Vega and Vega-Lite (BSD 3-Clause).",
        "这一页只读研究，什么也不改；不向别的机器要任何东西。图表：Vega 和 Vega-Lite（BSD 3-Clause）。",
    ),
    "loading": Text("Reading the study …", "正在读取研究……"),
    "waiting": Text(
        "The study is not there yet: it appears with the first step of training.",
        "研究还没有出现：训练的第一步之后就会出现。",
    ),
    "no studies": Text(
        "There is no study in this folder yet. One that a sweep writes here appears by itself.",
        "这个文件夹里还没有研究。扫描写到这里的研究会自己出现。",
    ),
    "unknown study": Text("There is no study of this name here: {name}", "这里没有叫这个名字的研究：{name}"),
    "lost": Text(
        "lrscope live does not answer any more. This page shows what it had, and goes on by itself "
        "when it is started again.",
        "lrscope live 不再应答。这一页保留已有的内容，等它重新启动就自动继续。",
    ),
    "refused": Text(
        "lrscope live was started again with another token: open the address that it printed.",
        "lrscope live 换了令牌重新启动：请打开它打印的地址。",
    ),
    "failed chart": Text("This chart could not be drawn: {reason}", "这张图画不出来：{reason}"),
    "name": Text("study", "研究"),
    "problem": Text("problem", "问题"),
    "state": Text("state", "状态"),
    "progress": Text("progress", "进度"),
    "lanes": Text("rates", "学习率"),
    "written": Text("last written", "最后写入"),
    "of": Text("{step} of {steps} steps", "第 {step} 步，共 {steps} 步"),
    "state running": Text("running", "进行中"),
    "state finished": Text("finished", "已完成"),
    "state interrupted": Text("interrupted", "被中断"),
    "state failed": Text("failed", "失败"),
    "state unfinished": Text("unfinished", "未完成"),
    "state waiting": Text("not there yet", "还没出现"),
    "state unreadable": Text("cannot be read", "读不了"),
    "comma": COMMA,
    "side by side": Text("Side by side", "并排对比"),
    "same settings": Text("Same in both: {names}.", "两边相同：{names}。"),
    "recommended": Text("recommended rate", "推荐的学习率"),
    "cannot tell": Text("cannot tell", "下不了结论"),
    "as good": Text("as good", "同样好"),
    "fails from": Text("fails from", "从此失败"),
    "margin": Text("safety margin", "安全余量"),
    "confidence": Text("confidence", "可信度"),
    "compared by": Text("rates compared by", "学习率的比较依据"),
    "lowest": Text("lowest such loss", "该损失的最低值"),
    "optimizer": Text("optimizer", "优化器"),
    "schedule": Text("schedule", "学习率计划"),
    "epochs": Text("epochs", "轮数"),
    "steps": Text("steps", "步数"),
    "batch": Text("batch", "批次"),
    "full batch": Text("all examples", "全部样本"),
    "clipping": Text("gradient clipping", "梯度裁剪"),
    "rates": Text("rates", "学习率"),
    "seeds": Text("seeds", "种子"),
    "parameters": Text("parameters", "参数"),
    "gradient": Text("gradient", "梯度"),
    "precision": Text("precision, device", "精度，设备"),
    "none": Text("none", "无"),
}


def words(language: str | None = None) -> Words:
    """The words of a language; None for the one in force."""
    with speaking(language):
        return {name: said(text) for name, text in WORDS.items()}
