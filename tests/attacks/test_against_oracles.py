"""Our attacks are no weaker than ART's, Foolbox's and torchattacks': same network, images and budget."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("h5py")
pytest.importorskip("sklearn")

from tests.attacks import networks, oracle_figures  # noqa: E402
from tests.attacks.oracle_cases import Case  # noqa: E402
from tests.attacks.oracle_pairs import MORE_QUERIES, Pair, paired, run_ours  # noqa: E402
from tinyguard.errors import TinyguardError  # noqa: E402

POINTS = 1.0
RATIO = 1.05
QUICK = ("pgd20-eps0.08", "apgd-ce50-eps0.08", "square300-eps0.08")


def _marked() -> list[object]:
    """The quick suite takes a few rows with a budget, the full one all."""
    return [
        pytest.param(case, pair, marks=() if case.name in QUICK else (pytest.mark.slow,), id=case.key)
        for case, pair in paired()
    ]


@pytest.mark.parametrize(("case", "pair"), _marked())
def test_ours_is_no_weaker(case: Case, pair: Pair) -> None:
    row = oracle_figures.stored().get(case.key)
    if row is None:
        pytest.skip("no figure of the library: type python -m tests.attacks.oracle_figures")
    try:
        x, y = networks.images(oracle_figures.DATA[case.network], case.count)
    except TinyguardError as error:
        pytest.skip(str(error))
    module = getattr(networks, case.network)()
    forwards = oracle_figures.mean_of(row, "forwards_per_image")
    runs = []
    for seed in oracle_figures.SEEDS:
        adversarial, outcome = run_ours(case, pair, seed, forwards)
        runs.append(oracle_figures.judged(module, x, y, adversarial, case.targeted))
        if case.budget is not None:
            assert oracle_figures.norms(adversarial - x)[case.norm].max() <= case.budget * (1 + 1e-5)
        if pair.capped:
            assert outcome.queries.float().mean() <= MORE_QUERIES * forwards
    ours = row | {"runs": runs}
    if case.budget is None:
        assert oracle_figures.mean_median(ours) <= RATIO * oracle_figures.mean_median(row)
    elif case.targeted:
        assert np.mean([r["success"] for r in runs]) >= oracle_figures.mean_of(row, "success") - POINTS
    else:
        assert np.mean([r["accuracy"] for r in runs]) <= oracle_figures.mean_of(row, "accuracy") + POINTS
