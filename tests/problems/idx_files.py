"""Writes IDX folders for the tests."""

import gzip
import struct
from pathlib import Path

import numpy as np

CLEAR = 8
"""Images of a class are bright in a block of their own, so that a network learns them at once."""


def idx_bytes(array):
    return (
        struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
        + array.astype(np.uint8).tobytes()
    )


def make_part(count, seed, size=28):
    generator = np.random.default_rng(seed)
    labels = np.arange(count) % 10
    images = generator.integers(0, 100, (count, size, size))
    for image, label in zip(images, labels, strict=True):
        image[2 * label : 2 * label + CLEAR] += 100
    return images.astype(np.uint8), labels.astype(np.uint8)


def write_part(folder: Path, part, count=40, seed=0, size=28, zipped=True, mark="-"):
    images, labels = make_part(count, seed, size)
    for kind, array in (("images", images), ("labels", labels)):
        write_idx(folder, f"{part}-{kind}{mark}idx{array.ndim}-ubyte", idx_bytes(array), zipped)
    return images, labels


def write_idx(folder: Path, name, content, zipped=False):
    path = folder / (f"{name}.gz" if zipped else name)
    path.write_bytes(gzip.compress(content) if zipped else content)
    return path
