# SPDX-License-Identifier: Apache-2.0
"""The PixelCNN: causal, normalised, the same in torch and in every batch; other files are refused."""

from pathlib import Path

import numpy as np
import pytest

from tests.defenses.networks import random_codes, random_network
from tinyguard.defenses.pixel_cnn import MaskedConvolution, load_pixel_cnn, masked_taps, save_pixel_cnn
from tinyguard.defenses.pixel_likelihood import Mixture, bits_per_dimension, log_likelihoods, mixture_of
from tinyguard.errors import TinyguardError

SHAPES = [(4, 5, 3), (5, 4, 1)]
EVERY_CODE = np.arange(-128, 128)


def test_masks_see_what_comes_before_in_raster_order():
    assert masked_taps(3, type_b=False) == ((-1, -1), (-1, 0), (-1, 1), (0, -1))
    assert masked_taps(3, type_b=True) == ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 0))
    assert masked_taps(1, type_b=True) == ((0, 0),)
    assert len(masked_taps(7, type_b=False)) == 24


@pytest.mark.parametrize("shape", SHAPES)
def test_no_value_depends_on_itself_or_a_later_one(shape):
    network, (image,) = random_network(shape), random_codes(1, shape)
    size = image.size
    changed = np.repeat(image.reshape(1, size), size, axis=0)
    changed[np.arange(size), np.arange(size)] ^= 85
    logs = log_likelihoods(network, changed.reshape(size, *shape)).reshape(size, size)
    before = log_likelihoods(network, image[None]).reshape(size)
    for place in range(size):
        np.testing.assert_array_equal(logs[place, :place], before[:place])
        if place + 1 < size:
            assert (logs[place, place + 1 :] != before[place + 1 :]).any()


def test_green_depends_on_red_of_its_pixel_and_blue_on_both():
    network, codes = random_network((2, 2, 3)), random_codes(1, (2, 2, 3))
    before = log_likelihoods(network, codes)[0, 1, 1]
    for channel in range(3):
        other = codes.copy()
        other[0, 1, 1, channel] ^= 85
        after = log_likelihoods(network, other)[0, 1, 1]
        assert (after[channel:] != before[channel:]).all()
        np.testing.assert_array_equal(after[:channel], before[:channel])


@pytest.mark.parametrize("shape", SHAPES)
def test_the_256_probabilities_sum_to_1(shape):
    network, codes = random_network(shape), random_codes(3, shape)
    mixture = mixture_of(network, network.parameters(codes))
    candidates = np.broadcast_to(EVERY_CODE, (*codes.shape[:3], 256))
    for channel in range(shape[2]):
        total = np.exp(mixture.logs(channel, candidates)).sum(axis=-1)
        np.testing.assert_allclose(total, 1, atol=1e-12)
        mixture = mixture.given(channel, codes[..., channel].astype(np.int64))


@pytest.mark.parametrize("log_scale", [-7.0, -2.0, 3.0])
@pytest.mark.parametrize("mean", [-3.0, 0.2, 1.0])
def test_narrow_wide_and_far_components_sum_to_1_and_keep_their_tails(log_scale, mean):
    one = np.ones((1, 1))
    mixture = Mixture(0 * one, mean * one[None], log_scale * one[None], np.empty((1, 0, 1)))
    logs = mixture.logs(0, EVERY_CODE[None])[0]
    assert np.isfinite(logs).all()
    assert abs(np.exp(logs).sum() - 1) < 1e-12


def test_the_parameters_do_not_depend_on_the_batch():
    network, codes = random_network((4, 5, 3)), random_codes(9, (4, 5, 3))
    whole = network.parameters(codes)
    single = [network.parameters(codes[index : index + 1]) for index in range(9)]
    np.testing.assert_array_equal(whole, np.concatenate(single))


def test_torch_trains_the_network_that_numpy_runs():
    torch = pytest.importorskip("torch")
    from tinyguard.training.train_pixel_cnn import TrainablePixelCNN
    from tinyguard.training.train_pixel_cnn import bits_per_dimension as torch_bits

    torch.manual_seed(3)
    trainable = TrainablePixelCNN((6, 6, 3), width=8, blocks=2, mixtures=3)
    codes = random_codes(4, (6, 6, 3))
    codes[0, :2] = -128
    codes[1, :2] = 127
    levels = torch.from_numpy(codes.view(np.uint8) ^ 128)
    with torch.inference_mode():
        expected = torch_bits(trainable(levels), levels, 3).numpy()
    np.testing.assert_allclose(bits_per_dimension(trainable.exported(), codes), expected, rtol=1e-3)


def test_training_goes_on_where_it_was_stopped(tmp_path):
    torch = pytest.importorskip("torch")
    from tinyguard.training.train_pixel_cnn import Schedule, TrainablePixelCNN, train

    levels = torch.from_numpy(random_codes(32, (4, 4, 1)).view(np.uint8))

    def trained(name, *stops):
        for stop in stops:
            torch.manual_seed(5)
            network = TrainablePixelCNN((4, 4, 1), width=4, blocks=1, mixtures=2)
            schedule = Schedule(5, 3, batch=8, peak_rate=1e-2)
            lines = []

            def report(line, stop=stop, lines=lines):
                lines.append(line)
                if len(lines) == stop:
                    raise KeyboardInterrupt

            try:
                return train(network, levels, schedule, tmp_path / name, report)
            except KeyboardInterrupt:
                continue
        raise AssertionError("never finished")

    whole, resumed = trained("a.pt", None), trained("b.pt", 1, None)
    for one, other in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(one, other)


def test_files_hold_the_network_exactly(tmp_path):
    network, codes = random_network((4, 5, 3)), random_codes(2, (4, 5, 3))
    save_pixel_cnn(tmp_path / "w.npz", network)
    again = load_pixel_cnn(tmp_path / "w.npz")
    assert again.shape == (4, 5, 3)
    np.testing.assert_array_equal(again.parameters(codes), network.parameters(codes))


def test_weights_beyond_int16_are_held_at_its_ends():
    layer = MaskedConvolution.rounded(((0, 0),), np.array([[100.0]]), np.array([-100.0]))
    assert layer.weights[0, 0] == 32767 / 4096
    assert layer.bias[0] == -8


def _broken(path: Path, kind: str) -> Path:
    network = random_network((4, 5, 3))
    save_pixel_cnn(path, network)
    if kind == "text":
        path.write_text("weights")
    elif kind == "cut":
        path.write_bytes(path.read_bytes()[:-60])
    elif kind == "other":
        np.savez(path, x=np.zeros(3))
    else:
        with np.load(path) as stored:
            arrays = dict(stored)
        if kind == "missing":
            del arrays["bias2"]
        elif kind == "shape":
            arrays["weights1"] = arrays["weights1"][:-1]
        elif kind == "channels":
            arrays["shape"] = np.array([4, 5, 1])
        np.savez(path, **arrays)
    return path


@pytest.mark.parametrize("kind", ["text", "cut", "other", "missing", "shape", "channels"])
def test_other_files_are_refused_in_one_line(kind, tmp_path):
    path = _broken(tmp_path / "w.npz", kind)
    with pytest.raises(TinyguardError) as refused:
        load_pixel_cnn(path)
    assert str(path) in str(refused.value)
    assert "pixel_cnn.py" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_missing_file_is_refused_in_one_line(tmp_path):
    with pytest.raises(TinyguardError, match="no such file"):
        load_pixel_cnn(tmp_path / "none.npz")
