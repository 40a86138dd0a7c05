import click
import pytest

from lrscope.cli.options import count, positive, read_options
from lrscope.errors import UsageError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("momentum=0.9", 0.9),
        ("momentum=.9", 0.9),
        ("momentum = 0.9", 0.9),
        ("weight_decay=1e-4", 1e-4),
        ("max_iter=20", 20),
        ("nesterov=true", True),
        ("nesterov=False", False),
        ("foreach=none", None),
        ("betas=0.9,0.98", (0.9, 0.98)),
        ("betas=(0.9, 0.98)", (0.9, 0.98)),
        ("betas=[0.9,0.98]", (0.9, 0.98)),
        ("mode=exact", "exact"),
        ("text=a=b", "a=b"),
    ],
)
def test_a_value_is_read_as_people_write_it(text: str, value: object) -> None:
    ((_, read),) = read_options([text]).items()
    assert read == value
    assert type(read) is type(value)


def test_a_hyphen_in_a_key_is_an_underscore() -> None:
    assert read_options(["weight-decay=0.1", "amsgrad=true"]) == {"weight_decay": 0.1, "amsgrad": True}


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (["momentum"], ["--opt wants key=value", "'momentum'", "--opt momentum=0.9"]),
        (["momentum="], ["--opt wants key=value"]),
        (["=0.9"], ["--opt wants key=value"]),
        (["2x=0.9"], ["--opt wants key=value"]),
        (["lr=0.1"], ["--rates 0.1"]),
        (["momentum=0.9", "momentum=0.8"], ["twice", "0.9", "0.8"]),
        (["momentum=nan"], ["momentum", "finite", "'nan'"]),
        (["betas=0.9,inf"], ["betas", "finite", "'inf'"]),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_line(texts: list[str], words: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        read_options(texts)
    message = str(caught.value)
    assert all(word in message for word in words)
    assert "\n" not in message


@click.command()
@click.option("--seeds", callback=count(1), default="1")
@click.option("--batch-size", callback=count(0))
@click.option("--clip-norm", callback=positive("1"))
@click.option("--port", callback=count(0, 65535))
def command(**values: object) -> dict[str, object]:
    return values


def _read(*arguments: str) -> dict[str, object]:
    values: dict[str, object] = command.main(list(arguments), standalone_mode=False)
    return values


def test_numbers() -> None:
    assert _read() == {"seeds": 1, "batch_size": None, "clip_norm": None, "port": None}
    assert _read("--seeds", "3", "--batch-size", "0", "--clip-norm", "0.5", "--port", "0") == {
        "seeds": 3,
        "batch_size": 0,
        "clip_norm": 0.5,
        "port": 0,
    }


@pytest.mark.parametrize("bad", ["0", "-1", "1.5", "x", "", "\u00bd"])
def test_whole_numbers_that_are_refused(bad: str) -> None:
    with pytest.raises(UsageError, match="--seeds wants a whole number of at least 1; got"):
        _read("--seeds", bad)


@pytest.mark.parametrize("bad", ["0", "-1", "nan", "inf", "x", ""])
def test_positive_numbers_that_are_refused(bad: str) -> None:
    with pytest.raises(UsageError, match="--clip-norm wants a positive number, such as 1; got"):
        _read("--clip-norm", bad)


@pytest.mark.parametrize("bad", ["65536", "-1", "http"])
def test_whole_numbers_between_two_ends(bad: str) -> None:
    with pytest.raises(UsageError, match="--port wants a whole number from 0 to 65535; got"):
        _read("--port", bad)
