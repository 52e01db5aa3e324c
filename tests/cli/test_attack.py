# SPDX-License-Identifier: Apache-2.0
"""`tinyguard attack` as a person types it: figures, files, replays, and one clear line for bad input."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from tinyguard.attacks import registry
from tinyguard.cli import group
from tinyguard.errors import TinyguardError
from tinyguard.graph import Graph, Node, Quantization, Tensor
from tinyguard.tflite import write_graph

MODELS = Path(__file__).parents[2] / "models"
DIGITS = MODELS / "digits" / "model.tflite"
QUICK = ("--data", "digits", "--limit", "30", "--attack", "pgd", "--steps", "5")


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.chdir(tmp_path)
    torch.set_num_threads(1)


def _attack(*arguments: str) -> Result:
    return CliRunner().invoke(group, ["attack", *arguments], catch_exceptions=False)


def _json(*arguments: str) -> dict:
    result = _attack(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_every_attack_is_in_the_help():
    shown = _attack("--help").output
    for name, declared in registry().items():
        assert f"  {name:<13} {declared.summary} (" in shown
    assert shown.index("pgd ") < shown.index("square ") < shown.index("boundary ")


def test_a_run_its_file_and_its_replay(tmp_path):
    found = _json(str(DIGITS), *QUICK, "--eps", "24codes", "-o", "adv.npz")
    assert (found["setting"], found["eps_codes"], found["samples"]) == ("white-box", 24, 30)
    with np.load(tmp_path / "adv.npz") as stored:
        assert {"x", "y", "success", "ids", "model_sha256"} <= set(stored.files)
        assert (stored["x"].dtype, stored["x"].shape) == (np.int8, (30, 8, 8, 1))
        assert stored["success"].sum() == found["successes"] > 0
        assert str(stored["model_sha256"]) == found["model_sha256"]
    again = _json(str(DIGITS), "--replay", "adv.npz", "--backend", "reference")
    assert (again["agreement_share"], again["differing_bytes"]) == (1.0, 0)
    assert again["survived"] == again["successes"] == found["successes"]
    assert again["accuracy"] == pytest.approx(found["accuracy_under_attack"])
    assert not [path for path in tmp_path.iterdir() if path.name != "adv.npz"]


def test_the_default_interpreter_of_a_pc_is_another_network(tmp_path):
    pytest.importorskip("tensorflow")
    found = _json(str(DIGITS), *QUICK[:2], "--limit", "150", *QUICK[4:], "--eps", "20/255", "-o", "adv.npz")
    there = _json(str(DIGITS), "--replay", "adv.npz", "--backend", "xnnpack")
    assert "XNNPACK" in there["backend"]
    assert there["differing_bytes"] > 0
    assert there["successes"] == found["successes"]


def test_the_same_seed_gives_the_same_bytes_in_any_batch(tmp_path):
    _json(str(DIGITS), *QUICK, "--eps", "24/255", "--seed", "5", "-o", "a.npz")
    _json(str(DIGITS), *QUICK, "--eps", "24/255", "--seed", "5", "--batch-size", "7", "-o", "b.npz")
    _json(str(DIGITS), *QUICK, "--eps", "24/255", "--seed", "6", "-o", "c.npz")
    a, b, c = (np.load(tmp_path / f"{name}.npz")["x"] for name in "abc")
    assert (a == b).all()
    assert (a != c).any()


def test_the_table_tells_ties_and_intervals():
    shown = _attack(str(DIGITS), *QUICK, "--eps", "24/255").output
    for words in (
        "24/255",
        "24 whole codes",
        "only ties",
        "95 %:",
        "L2 of successes",
        "network runs per sample",
    ):
        assert words in shown


def test_checks_are_told_beside_the_figure():
    found = _json(str(DIGITS), "--data", "digits", "--limit", "4", *QUICK[4:], "--eps", "30/255", "--check")
    assert len(found["checks"]) > 3
    assert all(set(check) == {"name", "passed", "value"} for check in found["checks"])


def test_targeted_samples_of_the_class_stay_out():
    found = _json(str(DIGITS), *QUICK, "--eps", "60codes", "--targeted", "3")
    assert found["targeted"] is True
    assert found["samples"] < 30
    assert _json(str(DIGITS), *QUICK, "--eps", "60codes", "--targeted", "next")["samples"] == 30


def test_parameters_by_option_and_by_name():
    found = _json(str(DIGITS), *QUICK, "--eps", "0.1", "--loss", "dlr", "--norm", "l2", "--set", "restarts=2")
    assert found["norm"] == "l2"
    parameters = found["parameters"]
    assert (parameters["loss"], parameters["steps"], parameters["restarts"]) == ("dlr", 5, 2)


def test_a_budget_is_optional_where_the_nearest_success_counts():
    found = _json(str(DIGITS), *QUICK[:4], "--attack", "fab-t", "--steps", "10", "--set", "targets=2")
    assert found["eps"] is None
    assert found["successes"] > 0
    free = _json(str(DIGITS), *QUICK[:4], "--attack", "deepfool")
    bound = _json(str(DIGITS), *QUICK[:4], "--attack", "deepfool", "--eps", "0.3")
    assert free["accuracy_under_attack"] < bound["accuracy_under_attack"]
    assert bound["distortion"]["l2"]["max"] <= 0.3 * 1.0001
    few = _json(str(DIGITS), *QUICK[:4], "--attack", "jsma", "--eps", "3")
    assert (few["eps"], few["eps_codes"]) == (3, None)
    assert few["distortion"]["l0"]["max"] <= 3
    assert bound["outside_budget"] == free["successes"] - bound["successes"] > 0


def test_eps_under_one_code_transfers(tmp_path):
    pytest.importorskip("torch")
    source = "import torch\n\ndef network():\n    torch.manual_seed(0)\n    return torch.nn.Sequential("
    source += "torch.nn.Flatten(), torch.nn.Linear(64, 10))\n"
    (tmp_path / "float.py").write_text(source)
    transfer = ("--setting", "transfer", "--source", "float.py:network")
    under = _json(str(DIGITS), *QUICK, "--eps", "0.4/255", *transfer, "-o", "under.npz")
    assert (under["eps_codes"], under["achieved_linf"], under["successes"]) == (0, 0.0, 0)
    over = _json(str(DIGITS), *QUICK, "--eps", "0.6/255", *transfer)
    assert (over["eps_codes"], over["achieved_linf"]) == (0, pytest.approx(1 / 255, rel=1e-4))
    assert over["setting"] == "transfer"
    both = _json(str(DIGITS), *QUICK, "--eps", "30/255", *transfer, "--source", str(DIGITS))
    assert both["source"] == f"float.py:network, {DIGITS}"


REFUSED = {
    "unknown attack": (("--attack", "sqare", "--eps", "0.1"), "did you mean square?"),
    "nan eps": (("--eps", "nan"), "finite"),
    "no number": (("--eps", "wide"), "type 8/255"),
    "no eps": ((), "--eps 8/255"),
    "eps in pixels": (("--eps", "8"), "8/255"),
    "direct eps under one code": (("--eps", "0.9/255"), "--setting transfer"),
    "transfer without source": (("--eps", "0.1", "--setting", "transfer"), "--source"),
    "float without source": (("--eps", "0.1", "--backend", "float"), "--source"),
    "missing source": (("--eps", "0.1", "--setting", "transfer", "--source", "none.pt2"), "none.pt2"),
    "missing Keras source": (
        ("--eps", "0.1", "--setting", "transfer", "--source", "none.keras"),
        "none.keras is not there",
    ),
    "white-box square": (("--eps", "0.1", "--attack", "square", "--setting", "white-box"), "black-box"),
    "black-box pgd": (("--eps", "0.1", "--setting", "black-box"), "white-box"),
    "unknown setting": (("--eps", "0.1", "--setting", "grey"), "white-box"),
    "unknown norm": (("--eps", "0.1", "--norm", "l0"), "linf"),
    "unknown loss": (("--eps", "0.1", "--loss", "hinge"), "known: ce"),
    "parameter of another attack": (("--eps", "0.1", "--queries", "5"), "no parameter queries"),
    "setting without value": (("--eps", "0.1", "--set", "steps"), "NAME=VALUE"),
    "setting of another kind": (("--eps", "0.1", "--set", "steps=few"), "a whole number"),
    "norm by name": (("--eps", "0.1", "--set", "norm=l1"), "linf or l2"),
    "no such class": (("--eps", "0.1", "--targeted", "11"), "no class"),
    "unknown back end": (("--eps", "0.1", "--backend", "tpu"), "known:"),
    "logits of a board": (
        ("--eps", "0.1", "--attack", "square", "--scores", "logits", "--backend", "reference"),
        "--backend simulator",
    ),
    "missing folder": (("--eps", "0.1", "-o", "nowhere/adv.npz"), "nowhere"),
    "elements as a share": (("--attack", "jsma", "--eps", "0.1"), "counts elements"),
    "folder as output": (("--eps", "0.1", "-o", "."), "is a folder"),
    "missing data": (("--eps", "0.1", "--data", "none.npz"), "none.npz"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_refusals_are_one_line(what):
    arguments, says = REFUSED[what]
    with pytest.raises(TinyguardError) as refused:
        _attack(str(DIGITS), *QUICK[:4], "--attack", "pgd", *arguments)
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("x", "y", "says"),
    [
        (np.zeros((2, 8, 8, 1), np.uint8), [1, 10], "label 10 of sample 1"),
        (np.zeros((2, 8, 8, 1), np.uint8), [-1, 1], "label -1 of sample 0"),
        (np.zeros((2, 8, 7, 1), np.uint8), [1, 1], "shape"),
        (np.full((1, 8, 8, 1), np.nan, np.float32), [1], "NaN"),
        (np.zeros((2, 8, 8, 1), np.uint8), [1], "labels"),
        (np.zeros((2, 8, 8, 1), np.uint8), None, "no labels"),
        (np.zeros((2, 8, 8, 1), np.uint8), [4, 4], "--targeted next"),
    ],
)
def test_bad_data_is_one_line(x, y, says):
    np.savez("bad.npz", **({"x": x} if y is None else {"x": x, "y": np.array(y)}))
    with pytest.raises(TinyguardError) as refused:
        _attack(str(DIGITS), "--data", "bad.npz", "--attack", "fgsm", "--eps", "0.1", "--targeted", "4")
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_network_without_two_classes_is_refused(tmp_path):
    options = {"fused_activation_function": "NONE", "weights_format": "DEFAULT", "keep_num_dims": False}
    weights = np.ones((1, 4), np.int8)
    step = Quantization((0.1,), (0,))
    tensors = (
        Tensor(0, "x", (1, 4), "int8", step),
        Tensor(1, "weights", (1, 4), "int8", step, weights),
        Tensor(2, "y", (1, 1), "int8", step),
    )
    graph = Graph(tensors, (Node(0, "FULLY_CONNECTED", (0, 1, -1), (2,), options),), (0,), (2,))
    (tmp_path / "one.tflite").write_bytes(write_graph(graph))
    with pytest.raises(TinyguardError, match="at least two classes"):
        _attack("one.tflite", *QUICK, "--eps", "0.1")


def test_replays_of_wrong_files_are_one_line(tmp_path):
    (tmp_path / "text.npz").write_text("no")
    np.savez("bare.npz", x=np.zeros((1, 8, 8, 1), np.int8))
    good = {"y": np.array([1]), "success": np.array([True])}
    np.savez("shape.npz", x=np.zeros((1, 8, 7, 1), np.int8), **good)
    np.savez("real.npz", x=np.zeros((1, 8, 8, 1), np.float32), **good)
    np.savez("label.npz", x=np.zeros((1, 8, 8, 1), np.int8), y=np.array([12]), success=np.array([True]))
    np.savez("count.npz", x=np.zeros((2, 8, 8, 1), np.int8), **good)
    np.savez("scalar.npz", x=np.int8(1), y=np.array(1), success=np.array(True))
    np.savez("targets.npz", x=np.zeros((1, 8, 8, 1), np.int8), targets=np.array([1, 2]), **good)
    with open("plain.npz", "wb") as file:
        np.save(file, np.zeros((1, 8, 8, 1), np.int8))
    for name, says in (
        ("none", "cannot be read"),
        ("text", "cannot be read"),
        ("bare", "no array y"),
        ("shape", "the network takes"),
        ("real", "--setting transfer"),
        ("label", "labels outside"),
        ("count", "one entry per sample"),
        ("scalar", "one entry per sample"),
        ("targets", "one entry per sample"),
        ("plain", "cannot be read"),
    ):
        with pytest.raises(TinyguardError) as refused:
            _attack(str(DIGITS), "--replay", f"{name}.npz")
        assert says in str(refused.value), name


def _without_torch(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = "import sys; sys.modules['torch'] = None; from tinyguard.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", program, "attack", *arguments], capture_output=True, text=True
    )


def test_the_help_needs_no_torch_and_imports_none():
    refused = _without_torch("--help")
    assert (refused.returncode, refused.stderr) == (0, "")
    assert "fgsm" in refused.stdout
    program = """
import sys
from click.testing import CliRunner
from tinyguard.cli import group
assert CliRunner().invoke(group, ["attack", "--help"]).exit_code == 0
print([name for name in ("torch", "tensorflow", "matplotlib") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr


def test_without_torch_replay_works_and_attacks_say_what_to_install():
    rng = np.random.default_rng(0)
    x = rng.integers(-128, 128, (5, 8, 8, 1)).astype(np.int8)
    np.savez("adv.npz", x=x, y=np.arange(5), success=np.zeros(5, bool))
    found = _without_torch(str(DIGITS), "--replay", "adv.npz", "--json")
    assert found.returncode == 0, found.stderr
    assert json.loads(found.stdout)["agreement_share"] == 1.0
    Path("study.toml").write_text("")
    for arguments in ((str(DIGITS), *QUICK, "--eps", "0.1"), ("--config", "study.toml")):
        refused = _without_torch(*arguments)
        assert refused.returncode == 1
        assert refused.stderr == "error: attacks need PyTorch: type pip install 'tinyguard[attack]'\n"


def test_a_study_is_given_alone():
    assert "name it alone" in _attack(str(DIGITS), "--config", "study.toml").output


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--config", "study.toml", "--eps", "0.1"), "--eps does not go with --config, which takes networks"),
        (("--config", "study.toml", "--seed", "0"), "--seed does not go with --config"),
        (("--config", "study.toml", "--replay", "a.npz"), "--config does not go with --replay"),
        (("--config", "study.toml", str(DIGITS)), "MODEL does not go with --config"),
        (
            (str(DIGITS), "--replay", "a.npz", "--steps", "3"),
            "--steps does not go with --replay, which scores",
        ),
        ((str(DIGITS), "--replay", "a.npz", "--measure", "gradients"), "--measure"),
        ((str(DIGITS), "--measure", "gradients", "--eps", "0.1"), "--eps does not go with --measure, which"),
        ((str(DIGITS), "--measure", "gradients", "--set", "a=1"), "--set does not go with --measure"),
        (
            (str(DIGITS), "--measure", "gradients", "--restarts", "2"),
            "--restarts does not go with --measure gra",
        ),
        (
            (str(DIGITS), "--measure", "attenuation", "--norm", "l2"),
            "--norm does not go with --measure atten",
        ),
        ((str(DIGITS), *QUICK, "--jobs", "2"), "--jobs goes with --config alone"),
        ((str(DIGITS), *QUICK, "--scheduler", "a:1"), "--scheduler goes with --config alone"),
        ((*QUICK, "--eps", "0.1"), "name the MODEL"),
        ((str(DIGITS), *QUICK, "--serial", "a", "--backend", "litert"), "give one of them"),
        ((str(DIGITS), "--data", "digits"), "--attack is missing"),
    ],
)
def test_an_option_of_another_form_is_named(arguments, says):
    refused = _attack(*arguments)
    assert refused.exit_code == 2
    (line,) = (line for line in refused.stderr.splitlines() if line.startswith("Error: "))
    assert says in line


def test_the_help_has_the_options_form_by_form():
    shown = _attack("--help").output
    titles = ["One attack:", "Measures:", "Stored inputs:", "A campaign:", "Also:", "Attacks that see"]
    places = [shown.index(title) for title in titles]
    assert places == sorted(places)
    assert places[3] < shown.index("  --jobs ") < places[4] < shown.index("  --json ") < places[5]
    for parameter in group.get_command(None, "attack").params:
        if parameter.param_type_name == "option":
            assert shown.count(f"\n  {parameter.opts[0]}") >= 1, parameter.opts


def test_off_a_terminal_an_error_is_one_line():
    command = [sys.executable, "-c", "from tinyguard.cli import main; main()", "attack", str(DIGITS), *QUICK]
    done = subprocess.run([*command, "--eps", "0.5codes"], capture_output=True, text=True)
    assert done.stderr.startswith("error: eps")
    assert done.stderr.count("\n") == 1
