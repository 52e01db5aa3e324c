# SPDX-License-Identifier: Apache-2.0
"""Our attacks are no weaker than ART's, Foolbox's and torchattacks': same network, images and budget."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("h5py")
pytest.importorskip("sklearn")

from tests.attacks import networks, oracle_figures  # noqa: E402
from tests.attacks.oracle_cases import Case, cases  # noqa: E402
from tests.attacks.oracle_comparison import Comparison, compared  # noqa: E402
from tests.attacks.oracle_pairs import MORE_QUERIES, Pair, paired, problem_of  # noqa: E402
from tinyguard.attacks import apgd  # noqa: E402
from tinyguard.attacks.problem import Problem  # noqa: E402
from tinyguard.errors import TinyguardError  # noqa: E402

QUICK = (
    "digits/pgd20-eps0.08/art_pgd",
    "digits/apgd-ce50-eps0.08/art_apgd",
    "digits/square300-eps0.08/art_square",
    "digits/fab-t50-l2/torchattacks_fab",
    "digits/deepfool-paper/foolbox_deepfool",
    "digits/jsma-paper/targeted/art_jsma",
    "digits/cw-l2-paper/art_carlini_l2",
    "digits/ead-en-paper/art_ead",
    "digits/boundary-1000/art_boundary",
)


def _marked() -> list[object]:
    """The quick suite takes a row of most attacks, the full one all."""
    return [
        pytest.param(case, pair, marks=() if case.key in QUICK else (pytest.mark.slow,), id=case.key)
        for case, pair in paired()
    ]


def test_every_row_has_an_attack_of_ours() -> None:
    assert {case.name for case in cases()} == {case.name for case, _ in paired()}
    assert set(QUICK) <= {case.key for case in cases()}


@pytest.mark.parametrize(("case", "pair"), _marked())
def test_ours_is_no_weaker(case: Case, pair: Pair) -> None:
    row = oracle_figures.stored().get(case.key)
    if row is None:
        pytest.skip("no figure of the library: type python -m tests.attacks.oracle_figures")
    assert row["images"] == case.count
    try:
        networks.images(oracle_figures.DATA[case.network], 1)
    except TinyguardError as error:
        pytest.skip(str(error))
    found = compared(case, pair, row)
    assert found.passed, found
    if pair.capped:
        assert found.queries <= MORE_QUERIES * found.asked[0]


@pytest.mark.parametrize(
    ("measure", "theirs", "ours", "largest", "passed"),
    [
        ("accuracy", 20.0, 21.0, 0.1, True),
        ("accuracy", 20.0, 21.1, 0.1, False),
        ("accuracy", 20.0, 10.0, 0.1001, False),
        ("success", 20.0, 19.0, 0.1, True),
        ("success", 20.0, 18.9, 0.1, False),
    ],
)
def test_the_rule(measure: str, theirs: float, ours: float, largest: float, passed: bool) -> None:
    row = Comparison("row", measure, theirs, ours, (ours,), (1, 1), 1, largest, budget=0.1)
    assert row.passed is passed


def test_the_rule_of_norms() -> None:
    for ours, passed in ((1.04, True), (1.06, False), (np.inf, False)):
        assert Comparison("row", "l2", 1.0, ours, (ours,), (1, 1), 1, ours, None).passed is passed


def test_from_its_own_starts_auto_pgd_is_that_of_torchattacks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Starting points alone move the accuracy by a point, so this compares the climbs from the same ones."""
    library = pytest.importorskip("torchattacks", reason="pip install 'tinyguard[oracles]'")
    del library
    from tests.attacks import oracles

    eps, count = 0.08, 200
    (case,) = [c for c in cases() if c.key == "digits/apgd-ce50-eps0.08/torchattacks_apgd"]
    x, y = networks.images("digits", count)
    module = networks.digits()
    for seed in (0, 1):
        theirs = oracles.torchattacks_apgd(module, x, y, seed=seed, eps=eps, steps=50)
        held = int((oracle_figures.predicted(module, theirs) == y).sum())

        def start(problem: Problem, rows: torch.Tensor, *_: object, seed: int = seed) -> torch.Tensor:
            torch.manual_seed(seed)
            way = 2 * torch.rand(len(rows), 1, 8, 8) - 1
            way = (way / way.abs().amax(dim=(1, 2, 3), keepdim=True)).permute(0, 2, 3, 1)
            return problem.space.clip(problem.x[rows] + eps * way)

        monkeypatch.setattr(apgd, "random_point", start)
        problem, correct = problem_of(case, seed)
        found = apgd.APGDCE(eps=eps, steps=50).run(problem)
        assert abs(int(correct.sum()) - int(found.success.sum()) - held) <= 1
