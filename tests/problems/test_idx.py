import gzip
import struct
import tracemalloc

import numpy as np
import pytest
from idx_files import idx_bytes, make_part, write_idx, write_part

from lrscope.errors import ProblemError
from lrscope.problems.idx import read_folder, read_idx


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("mark", ["-", "."])
def test_both_parts_are_read_as_they_are(tmp_path, zipped, mark):
    train = write_part(tmp_path, "train", 30, seed=1, zipped=zipped, mark=mark)
    test = write_part(tmp_path, "t10k", 20, seed=2, zipped=zipped, mark=mark)
    folder = read_folder(tmp_path)
    for part, written in ((folder.train, train), (folder.val, test)):
        np.testing.assert_array_equal(part.images, written[0])
        np.testing.assert_array_equal(part.labels, written[1])
    assert "30 training and 20 test images" in folder.note


@pytest.mark.parametrize("part", ["train", "t10k"])
def test_a_lone_part_is_split_by_a_fixed_seed_and_the_note_says_so(tmp_path, part):
    images, labels = write_part(tmp_path, part, 100)
    one, other = read_folder(tmp_path), read_folder(tmp_path)
    np.testing.assert_array_equal(one.train.images, other.train.images)
    assert (len(one.train.labels), len(one.val.labels)) == (80, 20)
    assert "100 images: split 80 to train and 20 to validate by seed 0" in one.note
    together = np.concatenate([one.train.images, one.val.images]).reshape(100, -1)
    kinds = np.concatenate([one.train.labels, one.val.labels])
    pairs = {(image.tobytes(), label) for image, label in zip(together, kinds, strict=True)}
    assert pairs == {(image.tobytes(), label) for image, label in zip(images, labels, strict=True)}
    assert not np.array_equal(one.train.images, images[:80])


def test_two_images_leave_one_for_each_and_one_image_is_refused(tmp_path):
    write_part(tmp_path, "train", 2)
    assert (len(read_folder(tmp_path).train.labels), len(read_folder(tmp_path).val.labels)) == (1, 1)
    write_part(tmp_path, "train", 1)
    with pytest.raises(ProblemError, match="at least 2"):
        read_folder(tmp_path)


def test_a_plain_file_goes_before_a_zipped_one_and_content_before_the_name(tmp_path):
    images, _ = make_part(5, seed=3)
    path = write_idx(tmp_path, "plain-idx3-ubyte", idx_bytes(images))
    np.testing.assert_array_equal(read_idx(path, 3), images)
    path.write_bytes(gzip.compress(idx_bytes(images)))
    np.testing.assert_array_equal(read_idx(path, 3), images)
    write_part(tmp_path, "train", 20, seed=1, zipped=True)
    plain, _ = write_part(tmp_path, "train", 10, seed=2, zipped=False)
    folder = read_folder(tmp_path)
    assert len(folder.train.labels) + len(folder.val.labels) == len(plain)


def folder_of(tmp_path, **contents):
    """A folder with a whole training part, and some of its files replaced (None removes)."""
    images, labels = make_part(20, seed=0)
    files = {"images": idx_bytes(images), "labels": idx_bytes(labels), **contents}
    for kind, dimensions in (("images", 3), ("labels", 1)):
        if files[kind] is not None:
            write_idx(tmp_path, f"train-{kind}-idx{dimensions}-ubyte", files[kind])
    return tmp_path


IMAGES = idx_bytes(make_part(20, seed=0)[0])
ZIPPED = gzip.compress(IMAGES)


@pytest.mark.parametrize(
    ("contents", "words"),
    [
        ({"images": None}, "lacks train-images-idx3-ubyte"),
        ({"labels": None}, "lacks train-labels-idx1-ubyte"),
        ({"images": None, "labels": None}, "holds no IDX files"),
        (
            {"images": IMAGES[:-1]},
            "is cut off: its header announces 15,680 bytes (20 x 28 x 28), only 15,679",
        ),
        ({"images": IMAGES[:10]}, "is cut off within its header"),
        ({"images": IMAGES + b"0"}, "is too long"),
        ({"images": b""}, "begins with nothing"),
        (
            {"images": b"\x89PNG" + IMAGES[4:]},
            "no IDX file of images: it begins with 89504e47, wanted is 00000803",
        ),
        ({"labels": IMAGES}, "no IDX file of labels: it begins with 00000803, wanted is 00000801"),
        ({"labels": idx_bytes(np.zeros(19))}, "holds 20 images but train-labels-idx1-ubyte 19 labels"),
        (
            {"images": struct.pack(">BBBB3I", 0, 0, 8, 3, *[2**32 - 1] * 3)},
            "is damaged: its header announces",
        ),
        ({"images": struct.pack(">BBBB3I", 0, 0, 8, 3, 0, 28, 28)}, "is empty"),
        ({"images": ZIPPED[: len(ZIPPED) // 2]}, "cannot be read"),
        ({"images": ZIPPED[:400] + b"damage" + ZIPPED[406:]}, "cannot be read"),
    ],
)
def test_a_damaged_folder_is_told_in_one_line(tmp_path, contents, words):
    with pytest.raises(ProblemError) as caught:
        read_folder(folder_of(tmp_path, **contents))
    message = str(caught.value)
    assert words in message
    assert "\n" not in message


def test_a_folder_that_is_not_there_or_no_folder_is_told(tmp_path):
    with pytest.raises(
        ProblemError, match=r"does not exist; wanted is --data FOLDER, a folder with train-images"
    ):
        read_folder(tmp_path / "absent")
    (tmp_path / "file").write_text("")
    with pytest.raises(ProblemError, match="is no folder; wanted is --data FOLDER"):
        read_folder(tmp_path / "file")


def test_parts_of_different_sizes_do_not_belong_together(tmp_path):
    write_part(tmp_path, "train", size=28)
    write_part(tmp_path, "t10k", size=20)
    with pytest.raises(ProblemError, match="28x28 pixels to train, of 20x20 in t10k"):
        read_folder(tmp_path)


def test_a_file_that_unzips_without_end_is_not_read_without_end(tmp_path):
    bomb = write_idx(tmp_path, "bomb", idx_bytes(np.zeros((10, 28, 28))) + bytes(200_000_000), zipped=True)
    tracemalloc.start()
    try:
        with pytest.raises(ProblemError, match="too long"):
            read_idx(bomb, 3)
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()
