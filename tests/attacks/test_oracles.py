# SPDX-License-Identifier: Apache-2.0
"""The oracle adapters: honest about budgets, and the stored figures are what the libraries reach today."""

import numpy as np
import pytest

from tests.attacks.oracle_cases import Case, cases
from tests.attacks.oracle_libraries import need

torch = pytest.importorskip("torch")
need("art", "foolbox", "torchattacks", "h5py", "sklearn")

from tests.attacks import networks, oracle_figures, oracles  # noqa: E402

QUICK = tuple(c for c in cases() if c.name in ("fgsm-eps0.08", "pgd20-eps0.08"))
# What a minute of one core recomputes.
AFFORDABLE_SECONDS = 60


def test_the_digits_network_classifies_as_the_card_says() -> None:
    x, y = networks.images("digits", 360)
    assert (oracle_figures.predicted(networks.digits(), x) == y).mean() == pytest.approx(354 / 360)


@pytest.mark.slow
def test_the_digits_network_is_the_keras_one() -> None:
    keras = pytest.importorskip("keras")
    x, _ = networks.images("digits", 360)
    theirs = keras.saving.load_model(networks.MODELS / "digits" / "model.keras")
    ours = networks.digits()(torch.from_numpy(x)).softmax(1).detach().numpy()
    np.testing.assert_allclose(ours, theirs.predict(x.transpose(0, 2, 3, 1), verbose=0), atol=1e-5)


@pytest.mark.parametrize(
    ("adapter", "norm", "budget", "parameters"),
    [
        ("art_pgd", "linf", 0.05, {"eps": 0.05, "eps_step": 0.02, "max_iter": 3, "num_random_init": 1}),
        ("foolbox_pgd_l2", "l2", 0.05, {"epsilon": 0.05, "abs_stepsize": 0.02, "steps": 3}),
        ("torchattacks_square", "linf", 0.2, {"eps": 0.2, "n_queries": 20}),
    ],
)
def test_an_adapter_keeps_the_budget_the_box_and_the_module(
    adapter: str, norm: str, budget: float, parameters: dict[str, float]
) -> None:
    module = networks.digits().train()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    x, y = networks.images("digits", 20)
    first, second = (getattr(oracles, adapter)(module, x, y, seed=3, **parameters) for _ in range(2))
    assert np.array_equal(first, second)
    assert first.dtype == np.float32
    assert first.min() >= 0
    assert first.max() <= 1
    assert 0 < oracle_figures.norms(first - x)[norm].max() <= budget * (1 + 1e-5)
    after = module.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())


def test_counted_counts_images_and_gradients() -> None:
    counted = oracles.Counted(networks.digits())
    x, y = networks.images("digits", 20)
    oracles.torchattacks_pgd_linf(counted, x, y, eps=0.05, alpha=0.02, steps=3)
    assert (counted.forwards, counted.gradients) == (60, 60)


@pytest.mark.parametrize("case", QUICK, ids=lambda case: case.key)
def test_a_stored_figure_is_what_the_library_reaches(case: Case) -> None:
    _compare(case, seeds=(0,))


@pytest.mark.slow
@pytest.mark.parametrize("case", cases(), ids=lambda case: case.key)
def test_every_affordable_figure_is_what_the_library_reaches(case: Case) -> None:
    row = oracle_figures.stored().get(case.key)
    if row is None:
        pytest.skip("not measured: type python -m tests.attacks.oracle_figures")
    if oracle_figures.mean_of(row, "seconds") > AFFORDABLE_SECONDS:
        pytest.skip("takes minutes: type python -m tests.attacks.oracle_figures --again NAME")
    _compare(case, seeds=(0,))


def _compare(case: Case, seeds: tuple[int, ...]) -> None:
    """The parameters are the stored ones; a machine's rounding moves an image or two over the boundary."""
    row = oracle_figures.stored()[case.key]
    if case.network == "resnet8":
        from tinyguard.errors import TinyguardError

        try:
            networks.images("cifar10", 1)
        except TinyguardError as error:
            pytest.skip(str(error))
    now = oracle_figures.measured(case, seeds)
    assert {k: v for k, v in now.items() if k not in ("runs", "threads")} == {
        k: v for k, v in row.items() if k not in ("runs", "threads")
    }
    stored, recomputed = row["runs"][0], now["runs"][0]
    two_images = 200 / case.count
    assert recomputed["accuracy"] == pytest.approx(stored["accuracy"], abs=two_images)
    assert recomputed["success"] == pytest.approx(stored["success"], abs=2 * two_images)
    if case.budget is None and stored["median"][case.norm] is not None:
        assert recomputed["median"][case.norm] == pytest.approx(stored["median"][case.norm], rel=0.05)
