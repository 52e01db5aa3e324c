# SPDX-License-Identifier: Apache-2.0
"""Attacks made from names and values as people and study files give them."""

import numpy as np
import pytest

from tinyguard.attacks.deepfool import DeepFool
from tinyguard.attacks.pgd import PGD
from tinyguard.errors import TinyguardError
from tinyguard.robustness.threat_model import make_attack


def test_parameters_by_name():
    assert make_attack(PGD, {"eps": 0.1, "loss": None}, {"steps": "7", "random_start": "no"}) == PGD(
        eps=0.1, steps=7, random_start=False
    )
    assert make_attack(PGD, {}, {"step_size": "0.01"}) == PGD(step_size=0.01)
    assert make_attack(PGD, {"eps": np.float32(0.5), "steps": np.int64(3)}, {}) == PGD(eps=0.5, steps=3)
    assert make_attack(DeepFool, {}, {"polish_queries": "0"}) == DeepFool(polish_queries=0)
    assert make_attack(PGD, {}, {"step_size": "none"}) == PGD()
    for given, settings, says in (
        ({}, {"steps": "many"}, "steps of pgd is a whole number from 1 on"),
        ({"steps": "20"}, {}, "steps of pgd is a whole number from 1 on"),
        ({}, {"restarts": "0"}, "restarts of pgd is a whole number from 1 on"),
        ({}, {"step_size": "nan"}, "step_size of pgd is a finite number"),
        ({}, {"step_size": "1,2"}, "step_size of pgd is a finite number"),
        ({}, {"random_start": "maybe"}, "random_start of pgd is true or false"),
        ({}, {"norm": "l1"}, "linf or l2"),
        ({}, {"stepz": "1"}, "no parameter stepz"),
        ({"queries": 5}, {}, "no parameter queries"),
        ({"norm": "l0"}, {}, "linf or l2"),
    ):
        with pytest.raises(TinyguardError, match=says):
            make_attack(PGD, given, settings)
