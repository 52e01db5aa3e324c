# SPDX-License-Identifier: Apache-2.0
"""The network's share of an image, from the linker's map."""

import shutil
from pathlib import Path

import pytest

from tests.codegen.networks import chain
from tinyguard.boards import load
from tinyguard.codegen import build_image
from tinyguard.errors import TinyguardError
from tinyguard.toolchain.link_map import network_flash_bytes


@pytest.mark.skipif(shutil.which("arm-none-eabi-gcc") is None, reason="arm-none-eabi-gcc is not installed")
def test_the_network_is_the_image_without_the_runtime(tmp_path: Path) -> None:
    board, sizes = load("mps2-an386"), []
    images = [
        build_image(chain(channels=channels), board, tmp_path / str(len(channels)), kernels="builtin")
        for channels in ((3,), (3, 3), (3, 3, 3))
    ]
    for i, image in enumerate(images, start=1):
        size = network_flash_bytes(tmp_path / str(i))
        assert image.sections[".tg_constants"] < size < image.flash_bytes - 2000
        sizes.append(image.flash_bytes - size)
    # What is left is the runtime, and the description of the layers' tensors.
    assert max(sizes) - min(sizes) < 300


def test_without_a_map_make_is_named(tmp_path: Path) -> None:
    with pytest.raises(TinyguardError, match="make -C"):
        network_flash_bytes(tmp_path)
