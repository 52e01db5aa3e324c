# SPDX-License-Identifier: Apache-2.0
"""Study files of defenses: what they put on a network, and one clear line for what is wrong in them."""

import pytest

from tests.campaigns.defense_studies import HEAD, planned, write
from tests.campaigns.studies import MODEL
from tinyguard.campaigns.defense_study import with_hardened_files
from tinyguard.campaigns.study import read_study
from tinyguard.errors import TinyguardError

WRONG = {
    'filters = ["medium:3"]': "no filter named 'medium'",
    "filters = [3]": "filters is missing or not a text",
    'filters = ["median:4"]': "median",
    "stochastic = 3": "stochastic is 3, and a table is needed",
    "stochastic = {rate = 0.1}": "unknown key 'rate'",
    'stochastic = {p = "much"}': "p is 'much'",
    "stochastic = {p = 0.9}": "not between 1/256 and 1/2",
    "stochastic = {passes = 0}": "passes is 0",
    'stochastic = {sites = "nowhere"}': "no layer 'nowhere' can be a site",
    'stochastic = {p = 0.1}\nbackend = "compiled"': "leave out backend",
    'undefended = "yes"': "undefended is 'yes'",
}


@pytest.mark.parametrize(("keys", "message"), WRONG.items(), ids=list(WRONG))
def test_wrong_defense_is_one_line(tmp_path, keys, message):
    path = write(tmp_path, {"none": "", "wrong": keys + "\n"})
    with pytest.raises(TinyguardError) as caught:
        planned(path)
    text = str(caught.value)
    assert message in text
    assert str(path) in text
    assert "wrong" in text
    assert "\n" not in text


@pytest.mark.parametrize("line", ["scoring_seeds = 9", "scoring_seeds = 1.5", "attack_seeds = 0"])
def test_wrong_seeds_are_one_line(tmp_path, line):
    path = write(tmp_path, head=HEAD.replace("attack_seeds = 2", line))
    with pytest.raises(TinyguardError, match="whole number from") as caught:
        read_study(path)
    assert "\n" not in str(caught.value)


def test_filters_on_a_hardened_file_are_refused(tmp_path):
    hardened = with_hardened_files(read_study(write(tmp_path)), tmp_path / "models").networks[1].model
    path = write(tmp_path, {"twice": 'filters = ["mean:2"]\n'})
    path.write_text(path.read_text().replace(f'model = "{MODEL}"', f'model = "{hardened}"', 1))
    with pytest.raises(TinyguardError, match="has the input filters median:3"):
        planned(path)
