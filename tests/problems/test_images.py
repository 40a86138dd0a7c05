import socket
import time
import urllib.request
from urllib.error import URLError

import numpy as np
import pytest
import torch
from idx_files import idx_bytes, make_part, write_idx, write_part

from lrscope.errors import ProblemError
from lrscope.problems import images
from lrscope.problems.load import load_problem


@pytest.mark.parametrize(("name", "hidden"), [("mnist", 300), ("fashion", 300), ("fashion-mlp", 1000)])
def test_an_idx_folder_becomes_a_problem(tmp_path, name, hidden):
    written, labels = write_part(tmp_path, "train", 50)
    write_part(tmp_path, "t10k", 30)
    problem = load_problem(name, data=str(tmp_path))
    pixels, classes = problem.train
    assert problem.name == name
    assert (pixels.shape, pixels.dtype, classes.dtype) == ((50, 784), torch.float32, torch.int64)
    np.testing.assert_allclose(pixels.numpy() * 255, written.reshape(50, 784), rtol=1e-6)
    assert classes.tolist() == labels.tolist()
    assert len(problem.val[0]) == 30
    assert [tuple(parameter.shape) for parameter in problem.model().parameters()] == [
        (hidden, 784), (hidden,), (10, hidden), (10,),
    ]  # fmt: skip
    assert problem.optimizer is torch.optim.Adam
    assert problem.notes == ("the folder's 50 training and 30 test images are used",)


def test_a_label_beyond_the_classes_is_told(tmp_path):
    write_part(tmp_path, "train", 50)
    pictures, labels = make_part(50, seed=0)
    labels[17] = 26
    write_idx(tmp_path, "t10k-images-idx3-ubyte", idx_bytes(pictures))
    write_idx(tmp_path, "t10k-labels-idx1-ubyte", idx_bytes(labels))
    with pytest.raises(ProblemError, match="label 26 at position 17 is no class; wanted are 0 to 9"):
        load_problem("mnist", data=tmp_path)


def offline(monkeypatch, tmp_path, error=None):
    """No network and no copy of an earlier download; the requests that were tried."""
    tried = []

    def refuse(request, *args, **kwargs):
        tried.append((request.full_url, socket.getdefaulttimeout()))
        raise error or URLError(socket.gaierror(-3, "Temporary failure in name resolution"))

    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path / "kept"))
    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    monkeypatch.setattr("sklearn.datasets._openml.urlopen", refuse)
    return tried


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("mnist", None),
        ("fashion", URLError("[Errno 111] Connection refused")),
        ("fashion-mlp", TimeoutError("timed out")),
        ("mnist", ConnectionResetError(104, "Connection reset by peer")),
        ("mnist", EOFError()),
    ],
)
def test_without_folder_and_network_one_line_says_what_to_do(monkeypatch, tmp_path, name, error):
    tried = offline(monkeypatch, tmp_path, error)
    began = time.perf_counter()
    with pytest.raises(ProblemError) as caught:
        load_problem(name)
    message = str(caught.value)
    assert tried
    assert "openml" in tried[0][0]
    assert message.startswith(f"{name} could not be fetched from OpenML (")
    assert "without a network type --data FOLDER, a folder with train-images-idx3-ubyte" in message
    assert "\n" not in message
    assert time.perf_counter() - began < 5


def test_a_silent_server_is_waited_for_no_longer_than_said_and_others_as_before(monkeypatch, tmp_path):
    tried = offline(monkeypatch, tmp_path)
    socket.setdefaulttimeout(77.0)
    try:
        with pytest.raises(ProblemError):
            load_problem("mnist")
        assert {patience for _, patience in tried} == {images.PATIENCE_SECONDS}
        assert socket.getdefaulttimeout() == 77.0
    finally:
        socket.setdefaulttimeout(None)


@pytest.mark.parametrize(("name", "openml_name"), [("mnist", "mnist_784"), ("fashion", "Fashion-MNIST")])
def test_what_openml_sends_becomes_the_same_problem(monkeypatch, name, openml_name):
    pictures, labels = make_part(50, seed=0)
    asked = {}

    def send(dataset, **options):
        asked.update(options, name=dataset)
        return pictures.reshape(50, 784).astype(np.float64), labels.astype(str).astype(object)

    monkeypatch.setattr("sklearn.datasets.fetch_openml", send)
    monkeypatch.setattr(images, "OPENML_TRAIN", 40)
    problem = load_problem(name)
    assert (asked["name"], asked["version"]) == (openml_name, 1)
    np.testing.assert_allclose(problem.train[0].numpy() * 255, pictures[:40].reshape(40, 784), rtol=1e-6)
    assert problem.val[1].tolist() == labels[40:].tolist()
    assert problem.notes == ("OpenML's 40 training and 10 test images are used",)
