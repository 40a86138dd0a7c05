"""The catalogue: tokens are a contract, signs tell verdicts apart, sentences are whole."""

import ast
import re
import string
from pathlib import Path

import pytest

import lrscope.diagnosis
from lrscope.diagnosis.evidence import (
    SENTENCES,
    Finding,
    loss_text,
    part_text,
    rate_text,
    share_text,
    steps_text,
    times_text,
)
from lrscope.diagnosis.rules import RULES
from lrscope.diagnosis.thresholds import DEFAULT, Thresholds
from lrscope.diagnosis.verdict import ATTRIBUTES, FAILING, KINDS, kind

TOKENS = [
    *("invalid", "frozen", "diverged", "diverging", "collapsed", "not_started"),
    *("failed", "unstable", "good", "too_high", "too_slow", "cannot_tell"),
]


def test_the_tokens_are_the_contract():
    assert [entry.token for entry in KINDS] == TOKENS
    assert [entry.token for entry in ATTRIBUTES] == ["edge", "ringing", "overfitting"]
    assert set(FAILING) < set(TOKENS)


def test_there_is_a_rule_for_every_kind_in_order():
    assert [rule.kind for rule in RULES] == TOKENS


def test_signs_tell_verdicts_apart():
    for signs in ([one.sign for one in KINDS], [one.ascii for one in KINDS]):
        assert len(set(signs)) == len(KINDS)
        assert all(len(sign) == 1 for sign in signs)
    assert all(entry.ascii.isascii() for entry in (*KINDS, *ATTRIBUTES))


def test_an_entry_is_found_by_its_token():
    assert kind("too_slow").word.en == "too slow"
    assert kind("ringing").word.en == "ringing"


@pytest.mark.parametrize("key", SENTENCES)
def test_a_sentence_fills_its_gaps_and_nothing_else(key):
    gaps = {name for _, name, _, _ in string.Formatter().parse(SENTENCES[key].en) if name}
    text = Finding(key, {name: f"<{name}>" for name in gaps}).text()
    assert all(f"<{name}>" in text for name in gaps)
    assert "{" not in text
    assert not text.endswith(".")


def test_every_sentence_is_said_somewhere_and_every_one_said_is_there():
    folder = Path(lrscope.diagnosis.__file__).parent
    texts = {
        node.value
        for name in ("symptoms", "rules", "judge", "probes")
        for node in ast.walk(ast.parse((folder / f"{name}.py").read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    hindrances = {f"cannot_tell.{word}" for word in ("one_rate", "broken", "nothing", "constant")}
    assert set(SENTENCES) - texts - hindrances == set()
    dotted = {text for text in texts if re.fullmatch(r"[a-z_]+\.[a-z_]+", text)}
    assert dotted - {"cannot_tell."} <= set(SENTENCES)


@pytest.mark.parametrize(
    ("write", "value", "text"),
    [
        (loss_text, 2.30259, "2.303"),
        (loss_text, 0.0, "0"),
        (loss_text, 1.23e-7, "1.2e-7"),
        (loss_text, -0.5, "-0.5"),
        (loss_text, 3e20, "3.0e20"),
        (loss_text, float("nan"), "nan"),
        (times_text, 1.0, "1.0"),
        (times_text, 8.34, "8.3"),
        (times_text, 9.97, "10"),
        (times_text, 1250.4, "1,250"),
        (times_text, 4.1e7, "4.1e7"),
        (times_text, 0.02, "0.02"),
        (share_text, 0.971, "97%"),
        (share_text, 0.004, "0.4%"),
        (share_text, 0.0, "0%"),
        (share_text, 2e-9, "2e-7%"),
        (share_text, 12.34, "1,234%"),
        (part_text, 0.971, "97% of"),
        (part_text, 584.92, "585 times"),
        (steps_text, 40, "40"),
        (steps_text, 8819, "8,819"),
        (share_text, -0.01, "-1%"),
        (rate_text, 0.0032, "3.2e-3"),
        (rate_text, 0.1, "0.1"),
    ],
)
def test_how_numbers_are_written(write, value, text):
    assert write(value) == text


def test_thresholds_are_frozen_and_explained():
    with pytest.raises(AttributeError):
        DEFAULT.blow_up = 5.0
    tree = ast.parse((Path(lrscope.diagnosis.__file__).parent / "thresholds.py").read_text())
    (body,) = (node.body for node in tree.body if isinstance(node, ast.ClassDef))
    fields = [index for index, node in enumerate(body) if isinstance(node, ast.AnnAssign)]
    assert len(fields) == len(Thresholds.__dataclass_fields__)
    for index in fields:
        # Two fields may share a comment.
        following = next(node for node in body[index + 1 :] if not isinstance(node, ast.AnnAssign))
        assert isinstance(following, ast.Expr), ast.unparse(body[index])
        assert isinstance(following.value, ast.Constant)
