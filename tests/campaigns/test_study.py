# SPDX-License-Identifier: Apache-2.0
"""Study files: what they say, and one clear line for everything wrong in them."""

import pytest

from tests.campaigns.studies import planned, write_study
from tinyguard.campaigns.study import read_study
from tinyguard.errors import TinyguardError

WRONG = {
    "[[attack]]\nattack = 3": "not a text",
    '[[attack]]\nattack = "pgdd"\neps = [0.1]': "did you mean pgd",
    '[[attack]]\nattack = "pgd"\nsetting = "grey-box"': "no setting 'grey-box'",
    '[[attack]]\nattack = "pgd"\nsetting = "transfer"': "transfer needs the source",
    '[[attack]]\nattack = "pgd"\nsetting = "black-box"': "takes gradients",
    '[[attack]]\nattack = "pgd"\neps = [nan]': "not a finite number",
    '[[attack]]\nattack = "pgd"\neps = ["some"]': "is no number",
    '[[attack]]\nattack = "pgd"\neps = []': "eps is empty",
    '[[attack]]\nattack = "pgd"\nsteps = "20"': "steps of pgd is a whole number",
    '[[attack]]\nattack = "pgd"\nfoo = 1': "has no parameter foo",
    '[[attack]]\nattack = "pgd"\nnetworks = ["int9"]': "no network 'int9'",
    '[[attack]]\nattack = "pgd"\nlimit = 0': "whole number from 1",
    '[[attack]]\nattack = "pgd"\n[[attack]]\nattack = "pgd"': "give one a label",
    "shards = 3": "unknown key 'shards'",
    "[[attack]": "not valid TOML",
    "": "no [[attack]] table",
}


@pytest.mark.parametrize(("attacks", "message"), WRONG.items(), ids=list(WRONG.values()))
def test_wrong_study_is_one_line(tmp_path, attacks, message):
    path = write_study(tmp_path)
    head, table, rest = path.read_text().partition("[[network]]")
    rest = rest[: rest.index("[[attack]]")] if "[[attack]]" in rest else rest
    top = attacks if attacks.startswith("shards") else ""
    path.write_text(head + top + "\n" + table + rest + ("" if top else attacks))
    with pytest.raises(TinyguardError, match=r".*") as caught:
        planned(path)
    text = str(caught.value)
    assert message in text
    assert str(path) in text
    assert "\n" not in text


def test_networks_may_be_attacked_under_one_label_in_their_own_ways(tmp_path):
    attack = '[[attack]]\nattack = "pgd"\neps = ["8codes"]\nsteps = {}\nnetworks = ["{}"]\n'
    path = write_study(tmp_path, attack.format(4, "int8") + attack.format(2, "other"), 20)
    head, table, rest = path.read_text().partition("[[network]]")
    path.write_text(head + table + rest[: rest.index("[[attack]]")].replace("int8", "other") + table + rest)
    cells, pieces = planned(path)
    assert [(cell.network.name, cell.entry.label) for cell in cells] == [("int8", "pgd"), ("other", "pgd")]
    assert len({piece.key for piece in pieces}) == 2


def test_paths_are_relative_to_the_study(tmp_path):
    path = write_study(tmp_path)
    (tmp_path / "net.tflite").write_bytes(b"x")
    (tmp_path / "net.py").write_text("")
    text = path.read_text().splitlines()
    at = next(i for i, line in enumerate(text) if line.startswith("model"))
    text[at] = 'model = "net.tflite"\nsource = "net.py:logits"'
    path.write_text("\n".join(text))
    network = read_study(path).networks[0]
    assert network.model == str(tmp_path / "net.tflite")
    assert network.source == f"{tmp_path / 'net.py'}:logits"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('backend = "tpu"', "no back end named 'tpu'"),
        ('grid = "fine"', "grid is 'fine'"),
        ("grid = [1]", "known: codes, pixels"),
        ('scores = "all"', "known: output, logits"),
    ],
)
def test_wrong_network_is_one_line(tmp_path, line, message):
    path = write_study(tmp_path)
    path.write_text(path.read_text().replace('name = "int8"', f'name = "int8"\n{line}'))
    with pytest.raises(TinyguardError, match=message):
        read_study(path)


@pytest.mark.parametrize("backend", ["compiled", "xnnpack", "COM3", "/dev/ttyACM0", "socket://board:1"])
def test_known_back_ends(tmp_path, backend):
    path = write_study(tmp_path)
    path.write_text(path.read_text().replace('name = "int8"', f'name = "int8"\nbackend = "{backend}"'))
    assert read_study(path).networks[0].backend == backend


def test_missing_model(tmp_path):
    path = write_study(tmp_path)
    path.write_text(path.read_text().replace("model.tflite", "none.tflite"))
    with pytest.raises(TinyguardError, match=r"none\.tflite is not there"):
        read_study(path)
