# SPDX-License-Identifier: Apache-2.0
"""Several networks as one victim."""

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")

from tests.attacks.problems import digits, linear  # noqa: E402
from tinyguard.attacks.losses import cross_entropy, objective  # noqa: E402
from tinyguard.attacks.pgd import PGD  # noqa: E402
from tinyguard.attacks.surrogates import EnsembleVictim  # noqa: E402
from tinyguard.errors import TinyguardError  # noqa: E402


def test_one_member_is_itself() -> None:
    problem = digits(8)
    ensemble = EnsembleVictim([problem.victim])
    ascent = PGD(0.08, steps=5)
    assert torch.equal(ascent.run(replace(problem, victim=ensemble)).x, ascent.run(problem).x)
    assert ensemble.logit_step == problem.victim.logit_step


@pytest.mark.parametrize("average", ["logits", "losses"])
def test_members_are_averaged(average: str) -> None:
    first, second = linear(seed=5), linear(seed=6)
    problem = first.problem
    ensemble = EnsembleVictim([problem.victim, second.problem.victim], average=average)
    ask = objective(problem, torch.arange(len(problem)), cross_entropy)
    slope = ensemble.slope(problem.x, ask)
    middle = (problem.x @ first.weight.T + problem.x @ second.weight.T) / 2
    torch.testing.assert_close(slope.logits, middle)
    assert torch.equal(slope.decided, middle.argmax(dim=1))
    assert torch.equal(ensemble.query(problem.x).decided, middle.argmax(dim=1))
    apart = [member.slope(problem.x, ask) for member in ensemble.members]
    if average == "losses":
        torch.testing.assert_close(slope.loss, (apart[0].loss + apart[1].loss) / 2)
        torch.testing.assert_close(slope.gradient, (apart[0].gradient + apart[1].gradient) / 2)
    else:
        torch.testing.assert_close(slope.loss, cross_entropy(middle, problem.y, None, 0.0))
        assert not torch.allclose(slope.gradient, (apart[0].gradient + apart[1].gradient) / 2)


def test_members_that_do_not_go_together_are_refused() -> None:
    with pytest.raises(TinyguardError, match="take inputs 24 in 5 classes and 24 in 3"):
        EnsembleVictim([linear(classes=5).problem.victim, linear(classes=3).problem.victim])
    with pytest.raises(TinyguardError, match="at least one network"):
        EnsembleVictim([])
    with pytest.raises(TinyguardError, match="known: logits, losses"):
        EnsembleVictim([linear().problem.victim], average="votes")
