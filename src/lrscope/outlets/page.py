"""Page: what a report says beside its pictures: the answer, the sections, the method, as HTML."""

import math
from collections.abc import Sequence

from lrscope.charts.chart import Advice, Readable
from lrscope.charts.names import rate_labels, shape_label
from lrscope.diagnosis.evidence import times_text
from lrscope.diagnosis.figures import WORSE_FROM
from lrscope.diagnosis.recommendation import CONFIDENCE
from lrscope.language import COMMA, SEMICOLON, Text, joined, said, say
from lrscope.optimizer_facts import facts_named
from lrscope.outlets.conclusion_list import conclusion_list
from lrscope.outlets.lane_table import lane_table
from lrscope.outlets.markup import Content, Html, element, join
from lrscope.outlets.numerals import count_text, duration_text
from lrscope.outlets.pictures import Picture
from lrscope.outlets.printable import printable
from lrscope.outlets.repeating import repeating
from lrscope.outlets.unbroken import unbroken
from lrscope.outlets.wording import batch_text, length_text, state_word
from lrscope.plan import Plan
from lrscope.rates import format_rate

SECTIONS: tuple[tuple[str, Text, Text], ...] = (
    ("answer", Text("Answer", "答案"), Text("The answer", "答案")),
    ("conclusions", Text("Conclusions", "结论"), Text("What this study says", "这份研究的结论")),
    ("lanes", Text("Lanes", "训练线"), Text("What became of each rate", "每个学习率的结果")),
    ("losses", Text("Losses", "损失"), Text("Losses", "损失")),
    ("weights", Text("Weights", "权重"), Text("What the rate does to the weights", "学习率对权重做了什么")),
    ("method", Text("Method", "方法"), Text("Method", "方法")),
)
"""Anchor, word in the contents, heading."""

_LOSSES = ("loss", "validation", "horizon", "overfitting")
_MOST_TENSORS = 12


def title(study: Readable) -> str:
    """The title of the page, as text."""
    return printable(
        say("{problem}: learning rates compared", "{problem}：学习率对比", problem=study.plan.problem)
    )


def contents(pictures: Sequence[Picture]) -> Html:
    """Return links to the sections of the page."""
    drawn = {_section_of(picture) for picture in pictures[1:] if not picture.empty}
    left_out = {"losses", "weights"} - drawn
    shown = (section for section in SECTIONS if section[0] not in left_out)
    return join(*(element("a", said(word), href=f"#{anchor}") for anchor, word, _ in shown))


def _section_of(picture: Picture) -> str:
    """Return the section that shows a chart, which is not the valley: that one stands beside the answer."""
    return "losses" if picture.name in _LOSSES else "weights"


def body(study: Readable, pictures: Sequence[Picture], still: Html | None = None) -> Html:
    """The page from its heading to the end of its last section.

    Args:
        study: what is read.
        pictures: every chart; an empty one is left out, and so is a section without any other content.
        still: the first of them as it stands until it is drawn.
    """
    drawn = [picture for picture in pictures[1:] if not picture.empty]
    valley = None if pictures[0].empty else _figure(pictures[0], still)
    parts: dict[str, Sequence[Content]] = {
        "answer": [answer(study.recommendation()), valley],
        "conclusions": [conclusion_list(study)],
        "lanes": [lane_table(study)],
        "losses": [_figure(picture) for picture in drawn if _section_of(picture) == "losses"],
        "weights": [_figure(picture) for picture in drawn if _section_of(picture) == "weights"],
        "method": [method(study)],
    }
    return join(
        element("h1", study.plan.problem),
        element("p", setting(study.plan), class_="setting"),
        standing(study),
        *(_section(anchor, said(heading), parts[anchor]) for anchor, _, heading in SECTIONS if parts[anchor]),
    )


def footer(study: Readable) -> Html:
    """Who made the page, and what it holds."""
    version = study.about.get("versions", {}).get("lrscope", "")
    made = say(
        "Made by lrscope {version}. This page is one file and asks the network for nothing. "
        "Charts: Vega and Vega-Lite (BSD 3-Clause).",
        "由 lrscope {version} 生成。这一页只有一个文件，不向网络要任何东西。图表：Vega 和 "
        "Vega-Lite（BSD 3-Clause）。",
        version=version,
    )
    return join(made)


def _section(anchor: str, heading: str, parts: Sequence[Content]) -> Html:
    """A section. The answer needs no heading on paper, but has one for those who listen."""
    hidden = "hidden" if anchor == "answer" else None
    head = element("h2", heading, id=f"{anchor}-heading", class_=hidden)
    return element("section", head, *parts, id=anchor, aria_labelledby=f"{anchor}-heading")


def _figure(picture: Picture, still: Html | None = None) -> Html:
    """Return a chart's words, a picture of it, and the place where the chart itself is drawn."""
    plot = element(
        "div",
        element("noscript", picture.about),
        class_="plot",
        data_picture=picture.name,
        tabindex="0",
        role="group",
        aria_label=picture.title,
    )
    return element(
        "figure",
        element("h3", picture.title),
        element("p", picture.question, class_="question"),
        element("p", picture.note, class_="note") if picture.note else None,
        still,
        plot,
        id=f"chart-{picture.name}",
    )


def setting(plan: Plan) -> str:
    """What was trained, in a line."""
    options = "".join(f", {name}={value}" for name, value in plan.optimizer_options.items())
    parts = [
        plan.optimizer + options,
        plan.schedule or "",
        length_text(plan.epochs, plan.steps_per_epoch),
        batch_text(plan.batch_size, plan.train_size),
        count_text(len(plan.rates), "rate"),
        count_text(len(plan.seeds), "seed"),
    ]
    return " · ".join(part for part in parts if part)


def standing(study: Readable) -> Html | None:
    """A word of warning while the study is not finished."""
    if study.state == "finished":
        return None
    done = max(study.lanes["steps"].to_list(), default=0)
    told = _STATES.get(study.state, _CUT_OFF)
    words = told.format(step=f"{done:,}", steps=f"{study.plan.steps:,}", state=state_word(study.state))
    return element("p", said(words), class_="state", role="status")


_STATES = {
    "running": Text(
        "This study is still running, at step {step} of {steps}: all that follows is as of now and "
        "will change.",
        "这份研究还在进行，在第 {step} 步，共 {steps} 步：以下都是到现在为止的结果，还会变。",
    ),
    "interrupted": Text(
        "This study was interrupted at step {step} of {steps}: what follows is what was recorded by then.",
        "这份研究在第 {step} 步（共 {steps} 步）被中断：以下是到那时为止记录下来的。",
    ),
    "failed": Text(
        "This study failed at step {step} of {steps}: what follows is what was recorded by then.",
        "这份研究在第 {step} 步（共 {steps} 步）失败：以下是到那时为止记录下来的。",
    ),
}
_CUT_OFF = Text(
    "This study is {state}, at step {step} of {steps}: it may have been cut off.",
    "这份研究{state}，在第 {step} 步，共 {steps} 步：可能被切断了。",
)


def answer(advice: Advice) -> Html:
    """The recommendation: the rate in large, the figures around it, the sentence."""
    known = advice.rate is not None
    large = format_rate(advice.rate) if advice.rate is not None else say("Cannot tell", "下不了结论")
    recommended = say("recommended learning rate", "推荐的学习率")
    small = recommended if known else say("a learning rate from this study", "从这份研究得出的学习率")
    facts = []
    if known and advice.low is not None and advice.high is not None and advice.low < advice.high:
        facts.append((say("as good", "同样好"), f"{format_rate(advice.low)} – {format_rate(advice.high)}"))
    if advice.worse_from is not None and advice.worse_from != advice.first_failing:
        facts.append((said(WORSE_FROM.name), format_rate(advice.worse_from)))
    if advice.first_failing is not None:
        facts.append((say("fails from", "从此失败"), format_rate(advice.first_failing)))
    elif known:
        facts.append((say("fails from", "从此失败"), say("none tested", "没有试到")))
    if advice.margin is not None:
        facts.append((say("safety margin", "安全余量"), f"×{times_text(advice.margin)}"))
    if known:
        facts.append((say("confidence", "可信度"), said(CONFIDENCE[advice.confidence])))
    head = element(
        "p", element("strong", large), element("span", small), class_="rate" if known else "rate unknown"
    )
    listed = (element("div", element("dt", name), element("dd", value)) for name, value in facts)
    # Where something is called for, the sentence says itself what to try.
    ahead = (
        say("Next: {experiment}", "下一步：{experiment}", experiment=advice.next_experiment)
        if advice.next_experiment and said(advice.next_experiment) not in advice.sentence()
        else None
    )
    return join(
        element("div", head, element("dl", *listed, class_="facts"), class_="verdict-of-all"),
        element("p", unbroken(advice.sentence()), class_="sentence"),
        element("p", unbroken(ahead), class_="next") if ahead else None,
    )


def method(study: Readable) -> Html:
    """How the study was made: enough to make it again."""
    plan, about = study.plan, study.about
    seconds = study.note("seconds")
    examples = ((plan.train_size, _TO_TRAIN), (plan.val_size, _TO_VALIDATE))
    clipped = say("to a 2-norm of {norm}", "2-范数至多 {norm}", norm=f"{plan.clip_norm or 0:g}")
    notes = joined(
        (note if isinstance(note, str) else str(note) for note in study.note("notes") or []), SEMICOLON
    )
    about_same = say(
        "The same model, the same start, the same batches in the same order; only the rate differs.",
        "同样的模型，同样的起点，同样的批次和顺序；只有学习率不同。",
    )
    named = joined(
        (
            _NAMED.format(name=_MACHINE.get(name, name), value=value)
            for name, value in about.items()
            if name != "versions"
        ),
        COMMA,
    )
    rows: list[tuple[str, Content]] = [
        (say("question", "问题"), about_same),
        (say("rates", "学习率"), ", ".join(rate_labels(plan.rates).values())),
        (say("seeds", "种子"), ", ".join(map(str, plan.seeds))),
        (say("training", "训练"), setting(plan)),
        (say("gradient clipping", "梯度裁剪"), clipped if plan.clip_norm is not None else ""),
        (say("loss", "损失"), plan.loss),
        (
            say("examples", "样本"),
            said(joined((use.format(size=f"{size:,}") for size, use in examples if size), COMMA)),
        ),
        (say("curvature", "曲率"), _curvature(plan)),
        (say("parameters", "参数"), _parameters(plan)),
        (say("precision, device", "精度，设备"), f"{plan.dtype}, {plan.device}"),
        (say("how lanes were trained", "训练方式"), said(study.note("how") or "")),
        (say("recorded", "记录"), said(study.note("recording") or "")),
        (say("time", "用时"), duration_text(float(seconds)) if isinstance(seconds, int | float) else ""),
        (say("notes", "备注"), said(notes)),
        (
            say("versions", "版本"),
            ", ".join(f"{name} {value}" for name, value in about.get("versions", {}).items()),
        ),
        (say("machine", "机器"), said(named)),
        (say("to repeat it", "重做一遍"), element("code", repeating(study))),
    ]
    listed = (join(element("dt", name), element("dd", value)) for name, value in rows if value)
    return element("dl", *listed, class_="method")


_TO_TRAIN = Text("{size} to train", "{size} 个训练")
_TO_VALIDATE = Text("{size} to validate", "{size} 个验证")
_MACHINE = {"threads": Text("threads of a process", "每个进程的线程"), "machine": Text("machine", "机型")}
_NAMED = Text("{name}: {value}", "{name}：{value}")


def _curvature(plan: Plan) -> str:
    """On what the Hessian was taken, and how its top was found."""
    if plan.curvature_examples is None:
        return ""
    also = Text(", and of the preconditioned one", "，以及预条件后的")
    return say(
        "largest eigenvalue of the Hessian of the loss, in eval mode{also}, by Lanczos on "
        "{examples} examples, "
        "21 times at most",
        "损失的 Hessian 的最大特征值（评估模式{also}），用 Lanczos 在 {examples} 个样本上测，至多 21 次",
        also=also if facts_named(plan.optimizer).divisor else "",
        examples=f"{plan.curvature_examples:,}",
    )


def _parameters(plan: Plan) -> str:
    """How many, and the first tensors by name and shape."""
    if not plan.tensors:
        return ""
    size = sum(math.prod(shape) for shape in plan.shapes)
    every = [f"{name} {shape_label(shape)}" for name, shape in zip(plan.tensors, plan.shapes, strict=True)]
    more = Text(", and {count} more", "，另有 {count} 个").format(count=len(every) - _MOST_TENSORS)
    return say(
        "{size} in {tensors}: {names}{more}",
        "{tensors}中的 {size} 个：{names}{more}",
        size=f"{size:,}",
        tensors=count_text(len(every), "tensor"),
        names=", ".join(every[:_MOST_TENSORS]),
        more=more if len(every) > _MOST_TENSORS else "",
    )
