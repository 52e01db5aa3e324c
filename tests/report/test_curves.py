# SPDX-License-Identifier: Apache-2.0
"""Curves of accuracy against the budget."""

import pytest

from tinyguard.report.curves import write_curves


def _record(eps, accuracy, label="PGD-20 x 5", network="int8"):
    return {
        "label": label,
        "network": network,
        "norm": "linf",
        "setting": "white-box",
        "eps": eps,
        "clean_accuracy": 0.9,
        "accuracy_under_attack": accuracy,
        "ci95": {"accuracy_under_attack": [accuracy - 0.05, accuracy + 0.05]},
    }


def test_one_picture_for_each_attack_with_two_budgets(tmp_path):
    pytest.importorskip("matplotlib")
    records = [_record(0.01, 0.5), _record(0.02, 0.1), _record(0.01, 0.4, "FGSM")]
    paths = write_curves(tmp_path, records)
    assert [path.name for path in paths] == ["pgd-20-x-5-linf.png"]
    assert paths[0].read_bytes().startswith(b"\x89PNG")
    again = paths[0].read_bytes()
    assert write_curves(tmp_path, records)[0].read_bytes() == again
