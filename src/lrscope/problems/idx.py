"""IDX folders: the file format of MNIST and its family, read with every check that a damaged copy needs.

A file is four bytes of magic (0, 0, the type of the elements, the number of dimensions), one big-endian
unsigned 32-bit count a dimension, and the elements. Source: Y. LeCun, C. Cortes and C. Burges, The MNIST
database of handwritten digits, section "File formats".
"""

import gzip
import io
import math
import struct
import zlib
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lrscope.errors import ProblemError
from lrscope.language import Text

PARTS = ("train", "t10k")
"""How the files of the training and of the test part begin."""

UNSIGNED_BYTE = 0x08
LARGEST_BYTES = 2**31
"""What a header may ask for. Full MNIST takes 47 million bytes; a damaged header asks for anything."""

SPLIT_SEED = 0
SPLIT_SHARE = 0.8

WANTED = (
    "a folder with train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and "
    "t10k-labels-idx1-ubyte, or one of the two pairs, each file plain or .gz"
)


class Images(NamedTuple):
    """Images and what they show: uint8 [n, rows, columns] and uint8 [n]."""

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]


class ImageFolder(NamedTuple):
    """What an IDX folder holds, and a sentence on how it was parted."""

    train: Images
    val: Images
    note: str


def read_folder(folder: Path) -> ImageFolder:
    """Read the training and the test part of an IDX folder; a lone part is split 80 / 20 by a fixed seed.

    Raises:
        ProblemError: the folder or a file is missing, damaged, or does not fit the others.
    """
    if not folder.exists():
        raise ProblemError(f"folder {folder} does not exist; wanted is --data FOLDER, {WANTED}")
    if not folder.is_dir():
        raise ProblemError(f"{folder} is no folder; wanted is --data FOLDER, {WANTED}")
    parts = [part for name in PARTS if (part := _read_part(folder, name)) is not None]
    if not parts:
        raise ProblemError(f"folder {folder} holds no IDX files; wanted is --data FOLDER, {WANTED}")
    if len(parts) == 1:
        return _split(parts[0])
    train, val = parts
    if train.images.shape[1:] != val.images.shape[1:]:
        raise ProblemError(
            f"the two parts in {folder} differ in size: images of {_size(train)} pixels to train, "
            f"of {_size(val)} in t10k; give --data a folder whose four files belong together"
        )
    return ImageFolder(
        train,
        val,
        f"the folder's {len(train.labels):,} training and {len(val.labels):,} test images are used",
    )


def read_idx(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """Read one IDX file of unsigned bytes, plain or gzipped, with this many dimensions.

    Raises:
        ProblemError: the file cannot be read, or its header and its length do not say the same.
    """
    try:
        with _open(path) as file:
            header = file.read(4 + 4 * dimensions)
            shape = _shape(path, header, dimensions)
            size = math.prod(shape)
            data = file.read(size + 1)  # one more than announced, to notice what is too long
    except (OSError, EOFError, zlib.error) as error:
        raise ProblemError(f"{path} cannot be read: {_words(error)}; fetch the file anew") from None
    if len(data) != size:
        raise ProblemError(
            f"{path} is {'cut off' if len(data) < size else 'too long'}: its header announces {size:,} bytes "
            f"({' x '.join(map(str, shape))}), {'only' if len(data) < size else 'at least'} {len(data):,} "
            "follow; fetch the file anew"
        )
    return np.frombuffer(data, dtype=np.uint8).reshape(shape)


def _open(path: Path) -> IO[bytes]:
    """The file's content, unzipped where its first bytes are gzip's, whatever its name."""
    content = path.open("rb")
    if content.read(2) == b"\x1f\x8b":
        content.close()
        return io.BufferedReader(gzip.open(path))
    content.seek(0)
    return content


def _shape(path: Path, header: bytes, dimensions: int) -> tuple[int, ...]:
    """The counts in the header, or ProblemError where it is not the header wanted."""
    kind = {1: "labels", 3: "images"}.get(dimensions, f"{dimensions} dimensions")
    wanted = bytes((0, 0, UNSIGNED_BYTE, dimensions))
    if header[:4] != wanted:
        raise ProblemError(
            f"{path} is no IDX file of {kind}: it begins with {header[:4].hex() or 'nothing'}, "
            f"wanted is {wanted.hex()}"
        )
    if len(header) < 4 + 4 * dimensions:
        raise ProblemError(f"{path} is cut off within its header; fetch the file anew")
    shape: tuple[int, ...] = struct.unpack(f">{dimensions}I", header[4:])
    if math.prod(shape) == 0:
        raise ProblemError(f"{path} is empty: its header announces {' x '.join(map(str, shape))} elements")
    if math.prod(shape) > LARGEST_BYTES:
        raise ProblemError(
            f"{path} is damaged: its header announces {' x '.join(map(str, shape))} bytes; fetch it anew"
        )
    return shape


def _read_part(folder: Path, part: str) -> Images | None:
    """The images and labels of one part, None where the folder has neither file."""
    images_path = _find(folder, f"{part}-images", "idx3-ubyte")
    labels_path = _find(folder, f"{part}-labels", "idx1-ubyte")
    if images_path is None and labels_path is None:
        return None
    if images_path is None or labels_path is None:
        missing = f"{part}-images-idx3-ubyte" if images_path is None else f"{part}-labels-idx1-ubyte"
        raise ProblemError(
            f"folder {folder} lacks {missing} (plain or .gz); wanted is --data FOLDER, {WANTED}"
        )
    images, labels = read_idx(images_path, 3), read_idx(labels_path, 1)
    if len(images) != len(labels):
        raise ProblemError(
            f"{images_path.name} holds {len(images):,} images but {labels_path.name} {len(labels):,} labels; "
            f"give --data a folder whose files belong together"
        )
    return Images(images, labels)


def _find(folder: Path, stem: str, kind: str) -> Path | None:
    """The file of this name, plain before gzipped; some copies have a dot in place of the last hyphen."""
    names = (f"{stem}{mark}{kind}{ending}" for ending in ("", ".gz") for mark in "-.")
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _split(part: Images) -> ImageFolder:
    """A lone part, shuffled by a fixed seed and split: 10,000 images into 8,000 and 2,000."""
    count = len(part.labels)
    if count < 2:
        raise ProblemError("the folder holds one image; wanted are at least 2, one to validate by")
    order = np.random.default_rng(SPLIT_SEED).permutation(count)
    kept = min(max(round(SPLIT_SHARE * count), 1), count - 1)
    train, val = (Images(part.images[chosen], part.labels[chosen]) for chosen in (order[:kept], order[kept:]))
    return ImageFolder(
        train,
        val,
        Text(
            "the folder has one part of {count} images: split {kept} to train and {left} to validate by seed "
            "{seed}",
            "文件夹里只有一份，{count} 张图：分成 {kept} 张训练和 {left} 张验证，种子 {seed}",
        ).format(count=f"{count:,}", kept=f"{kept:,}", left=f"{count - kept:,}", seed=SPLIT_SEED),
    )


def _size(part: Images) -> str:
    return f"{part.images.shape[1]}x{part.images.shape[2]}"


def _words(error: BaseException) -> str:
    """What an operating system's or zlib's error says, without its path, on one line."""
    return " ".join(str(getattr(error, "strerror", None) or error or type(error).__name__).split())
