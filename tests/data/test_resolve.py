# SPDX-License-Identifier: Apache-2.0
"""DATA arguments, right and wrong."""

import gzip
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tinyguard.data import load_data, shared_folder
from tinyguard.errors import TinyguardError
from tinyguard.graph import Tensor

RGB = Tensor(0, "pixels", (1, 8, 6, 3), "int8")


def saved(path: Path, **arrays: np.ndarray) -> str:
    np.savez(path / "data.npz", **arrays)
    return str(path / "data.npz")


def test_the_digits_are_split_once_and_for_all() -> None:
    train, test = load_data("digits:train"), load_data("digits")
    assert (train.x.shape, test.x.shape) == ((1437, 8, 8, 1), (360, 8, 8, 1))
    assert test.name == "digits:test"
    assert test.x.dtype == np.uint8
    assert test.x.max() == 255
    assert test.y is not None
    assert test.y[:8].tolist() == load_data("digits:test", limit=8).y.tolist()  # type: ignore[union-attr]
    together = {row.tobytes() for row in train.x} & {row.tobytes() for row in test.x}
    assert not together


@pytest.mark.skipif(shared_folder() is None, reason="needs the data sets in TINYGUARD_SHARED")
@pytest.mark.parametrize(("name", "shape"), [("cifar10", (32, 32, 3)), ("mnist", (28, 28, 1))])
def test_shared_data_sets(name: str, shape: tuple[int, ...]) -> None:
    samples = load_data(name, limit=1000)
    assert samples.x.shape == (1000, *shape)
    assert samples.y is not None
    assert len(np.unique(samples.y)) == 10
    assert samples.class_names is not None
    assert len(samples.class_names) == 10


def test_cifar_binary_files(tmp_path: Path) -> None:
    record = np.concatenate([[7], np.full(1024, 10), np.full(1024, 20), np.full(1024, 30)]).astype(np.uint8)
    (tmp_path / "test_batch.bin").write_bytes(record.tobytes() * 2)
    samples = load_data(f"cifar10:{tmp_path}")
    assert samples.x.shape == (2, 32, 32, 3)
    assert samples.x[1, 5, 9].tolist() == [10, 20, 30]
    assert samples.y is not None
    assert samples.y.tolist() == [7, 7]
    (tmp_path / "test_batch.bin").write_bytes(record.tobytes()[:-1])
    with pytest.raises(TinyguardError, match="damaged"):
        load_data(f"cifar10:{tmp_path}")
    with pytest.raises(TinyguardError, match="no cifar10 train images"):
        load_data(f"cifar10:train:{tmp_path}")


def test_mnist_idx_files(tmp_path: Path) -> None:
    images = np.arange(2 * 784, dtype=np.uint32).astype(np.uint8).reshape(2, 28, 28)
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(b"\0" * 16 + images.tobytes()))
    (tmp_path / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(b"\0" * 8 + bytes([3, 1])))
    samples = load_data(f"mnist:test:{tmp_path}")
    assert (samples.x[..., 0] == images).all()
    assert samples.y is not None
    assert samples.y.tolist() == [3, 1]


def test_keras_layout_npz(tmp_path: Path) -> None:
    np.savez(tmp_path / "m.npz", x_test=np.zeros((4, 28, 28), np.uint8), y_test=np.arange(4))
    assert load_data(f"mnist:{tmp_path / 'm.npz'}").x.shape == (4, 28, 28, 1)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int16, np.float32])
def test_npz_keeps_what_it_holds(tmp_path: Path, dtype: type) -> None:
    samples = load_data(saved(tmp_path, x=np.ones((5, 8, 6, 3), dtype), y=np.arange(5)), RGB, limit=3)
    assert samples.x.dtype == dtype
    assert samples.x.shape == (3, 8, 6, 3)
    assert samples.y is not None
    assert samples.y.tolist() == [0, 1, 2]


def test_npz_gains_the_channel_and_narrows_float64(tmp_path: Path) -> None:
    grey = Tensor(0, "pixels", (1, 8, 6, 1), "int8")
    samples = load_data(saved(tmp_path, x=np.ones((5, 8, 6))), grey)
    assert samples.x.shape == (5, 8, 6, 1)
    assert samples.x.dtype == np.float32
    assert samples.y is None


X = np.zeros((4, 8, 6, 3), np.uint8)
NAN = np.where(np.arange(4)[:, None, None, None] == 2, np.nan, 0.0) + np.zeros((4, 8, 6, 3), np.float32)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"images": X}, "holds images but no array x"),
        ({"x": X[:0]}, "no samples"),
        ({"x": X.astype(np.int64)}, "x is int64: save uint8"),
        ({"x": X.astype(object)}, "save plain arrays"),
        ({"x": NAN}, "sample 2 holds NaN or infinity"),
        ({"x": X.transpose(0, 3, 1, 2)}, "channels first"),
        ({"x": X[:, :4]}, r"samples have shape \(4, 6, 3\) and the network takes \(8, 6, 3\)"),
        ({"x": X, "y": np.arange(3)}, "4 samples and 3 labels"),
        ({"x": X, "y": np.array([0, 1, 10, 2])}, "label 10 of sample 2 is not one of the classes 0 to 9"),
        ({"x": X, "y": np.array([0, -1, 0, 2])}, "label -1 of sample 1"),
        ({"x": X, "y": np.eye(4)}, "for one-hot labels save y.argmax"),
    ],
)
def test_bad_npz(tmp_path: Path, arrays: dict[str, np.ndarray], words: str) -> None:
    with pytest.raises(TinyguardError, match=words) as caught:
        load_data(saved(tmp_path, **arrays), RGB, classes=10)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no zip", b"\x93NUMPY"])
def test_a_damaged_npz(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.npz").write_bytes(content)
    with pytest.raises(TinyguardError, match=r"bad\.npz cannot be read as \.npz"):
        load_data(str(tmp_path / "bad.npz"))


@pytest.mark.parametrize("text", ["nowhere.npz", "digits:all", "cifar10:/nowhere", "digits:test:/tmp"])
def test_data_that_is_not_there(text: str) -> None:
    with pytest.raises(TinyguardError, match=r"type|give"):
        load_data(text)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two cats of 200, one dog of 100, in 12x10 RGB."""
    for name, level, count in (("cat", 200, 2), ("dog", 100, 1)):
        (tmp_path / name).mkdir()
        for place in range(count):
            Image.new("RGB", (10, 12), (level, level, level)).save(tmp_path / name / f"{place}.png")
    return tmp_path


def test_class_folders(folder: Path) -> None:
    samples = load_data(str(folder), RGB)
    assert samples.x.shape == (3, 8, 6, 3)
    assert samples.x[:, 0, 0, 0].tolist() == [200, 100, 200]
    assert samples.y is not None
    assert samples.y.tolist() == [0, 1, 0]
    assert samples.class_names == ("cat", "dog")


def test_class_names_order_the_labels(folder: Path) -> None:
    samples = load_data(str(folder), None, class_names=("dog", "bird", "cat"))
    assert samples.x.shape == (3, 12, 10, 3)
    assert samples.y is not None
    assert samples.y.tolist() == [2, 0, 2]
    with pytest.raises(TinyguardError, match="cat is no class of the network"):
        load_data(str(folder), None, class_names=("dog", "bird"))


def test_grey_networks_get_grey_images(folder: Path) -> None:
    assert load_data(str(folder), Tensor(0, "x", (1, 4, 4, 1), "int8")).x.shape == (3, 4, 4, 1)


def test_bad_folders(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.raises(TinyguardError, match="no images in class folders"):
        load_data(str(tmp_path_factory.mktemp("empty")))
    with pytest.raises(TinyguardError, match=r"holds images and the network takes \(640,\)"):
        load_data(str(folder), Tensor(0, "x", (1, 640), "int8"))
    Image.new("RGB", (4, 4)).save(folder / "cat" / "small.png")
    with pytest.raises(TinyguardError, match="2 sizes"):
        load_data(str(folder))
    (folder / "dog" / "broken.png").write_bytes(b"no image")
    with pytest.raises(TinyguardError, match=r"broken\.png is no readable image"):
        load_data(str(folder), RGB)


def test_the_room_needs_no_tensorflow_and_no_torch() -> None:
    code = (
        "import sys; from tinyguard.data import load_data; load_data('digits');"
        "print([name for name in ('tensorflow', 'torch') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
